//! Rewriting of a stream as it flows.
//!
//! An event goes on as soon as it is whole. Of each of its texts only so much is held back as may
//! still become a match or a placeholder; the rest of a text leaves before the event that ends it, in
//! an event of its own or with its last piece. Where the stream has to stop, the error of the API's
//! own shape is the last thing that the caller sees; of what stopped it nothing was sent. What is held
//! is bounded: texts by [`TEXTS_MAX`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::ops::Range;

use weir_event::v1;

use crate::api::family::operation::Continuation;
use crate::api::family::texts::{Ends, Piece, Pieces, Text};
use crate::redact::{Counts, Edit};
use crate::refusal::Refusal;
use crate::response::framing::event::{Data, Event, Part};
use crate::response::framing::form::Form;
use crate::response::framing::sse;
use crate::response::framing::strip_usage::Change;
use crate::response::redact::channel::Channel;
use crate::response::redact::{ResponseRedaction, Stopped};

/// Most texts of one stream that are under way.
const TEXTS_MAX: usize = 128;

/// A stream that is on its way to the caller.
#[derive(Debug)]
pub struct Stream {
    redaction: ResponseRedaction,
    /// Whether its messages are the elements of an array, and not events.
    is_array: bool,
    /// The texts that are under way, each with its place in the order in which they began.
    texts: HashMap<Text, (u64, Channel)>,
    /// How many have begun.
    begun: u64,
    /// Identifies the response, as its events do.
    identity: String,
    sequence: Option<u64>,
    /// Whether events have names.
    named: bool,
    /// Whether an element stands behind which a comma is still to come.
    comma_due: bool,
    /// Whether the array has begun.
    in_array: bool,
    /// The message that is open was too large to be held, and passes as it is.
    passing: bool,
    /// What stopped it.
    stopped: Option<&'static str>,
}

impl Stream {
    /// One that comes in this form.
    pub fn new(redaction: ResponseRedaction, form: Form) -> Self {
        Self {
            redaction,
            is_array: form == Form::Elements,
            texts: HashMap::new(),
            begun: 0,
            identity: String::new(),
            sequence: None,
            named: false,
            comma_due: false,
            in_array: false,
            passing: false,
            stopped: None,
        }
    }

    /// Its first bytes show that it comes in this form.
    pub fn settle(&mut self, form: Form) {
        self.is_array = form == Form::Elements;
    }

    /// Appends what goes on in place of the next part of the stream, of which `without` goes in any case.
    pub(crate) fn pass(&mut self, part: &Part<'_>, without: &Change, out: &mut Vec<u8>) {
        if self.stopped.is_none()
            && let Err(refusal) = self.part(part, without, out)
        {
            self.stop(&refusal, out);
        }
    }

    /// The stream has ended: appends what is held of its texts.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        if self.stopped.is_none()
            && let Err(refusal) = self.release(&Ends::All, &[], out)
        {
            self.stop(&refusal, out);
        }
    }

    /// There is no memory for more of it: stops it, unless it has stopped before.
    pub fn run_out(&mut self, out: &mut Vec<u8>) {
        if self.stopped.is_some() {
            return;
        }
        let refusal = Refusal::response_out_of_memory();
        match (self.passing, self.is_array) {
            // Of a message that passes as it is a part has gone out, and an element in parts takes no error.
            (true, true) => self.stopped = Some(refusal.code),
            (true, false) => {
                out.extend_from_slice(b"\n\n");
                self.stop(&refusal, out);
            }
            (false, _) => self.stop(&refusal, out),
        }
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        let of_text = |(text, (_, channel)): (&Text, &(u64, Channel))| {
            let names = text.open.capacity() + text.event.as_ref().map_or(0, String::capacity);
            2 * size_of::<(Text, (u64, Channel))>() + names + channel.allocated()
        };
        size_of::<Self>() + self.identity.capacity() + self.texts.iter().map(of_text).sum::<usize>()
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.texts.values().map(|(_, channel)| channel.held()).sum()
    }

    /// The code of what stopped the stream, where something did.
    pub fn stopped(&self) -> Option<&'static str> {
        self.stopped
    }

    /// What was found and restored.
    pub fn report(mut self) -> Vec<v1::Redaction> {
        for (_, channel) in std::mem::take(&mut self.texts).into_values() {
            self.redaction.found.merge(&channel.counts());
        }
        self.redaction.report()
    }

    fn part(&mut self, part: &Part<'_>, without: &Change, out: &mut Vec<u8>) -> Result<(), Refusal> {
        match part {
            Part::Event(_) if *without == Change::Gone => {}
            Part::Event(event) => {
                let _permit = self.redaction.reserve(event.bytes.len())?;
                match self.is_array {
                    true => self.element(event, out)?,
                    false => self.event(event, without, out)?,
                }
            }
            // Its pieces went on, where they may.
            Part::Short(_) => (self.passing, self.comma_due) = (false, self.is_array),
            Part::Piece(bytes) => {
                if !std::mem::replace(&mut self.passing, true) {
                    self.unreadable()?;
                }
                out.extend_from_slice(bytes);
            }
            Part::Between(bytes) => {
                self.in_array |= *bytes == b"[";
                self.comma_due &= *bytes != b",";
                out.extend_from_slice(bytes);
            }
            Part::Close(bytes) => {
                self.release(&Ends::All, &[], out)?;
                out.extend_from_slice(bytes);
            }
            Part::Odd(bytes) => {
                self.unreadable()?;
                out.extend_from_slice(bytes);
            }
        }
        if !matches!(part, Part::Piece(_)) {
            self.passing = false;
        }
        Ok(())
    }

    /// What cannot be searched is here: stops the stream, unless it may pass.
    fn unreadable(&self) -> Result<(), Refusal> {
        self.redaction.unreadable().map_or(Ok(()), Err)
    }

    fn element(&mut self, event: &Event<'_>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let rewritten = self.data(event, None, out)?;
        out.extend_from_slice(rewritten.as_deref().map_or(event.bytes, str::as_bytes));
        self.comma_due = !event.is_last;
        Ok(())
    }

    fn event(&mut self, event: &Event<'_>, without: &Change, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Ok(text) = std::str::from_utf8(event.bytes) else {
            self.unreadable()?;
            without.apply(event, out);
            return Ok(());
        };
        self.named |= event.fields.is_named;
        let rewritten = match event.kind {
            // It is searched as the text of a line, which it is.
            _ if event.fields.in_error_field && event.data_at.is_some() => None,
            Data::Nothing => None,
            Data::Done => {
                self.release(&Ends::All, &[], out)?;
                None
            }
            Data::Message => self.data(event, without.range(), out)?,
        };
        let rewritten = rewritten.or_else(|| without.left_of(event.data));
        match (event.data_at, &rewritten) {
            (Some(at), Some(data)) if event.is_bare => {
                out.extend_from_slice(event.bytes.get(..at).unwrap_or_default());
                out.extend_from_slice(data.as_bytes());
                out.extend_from_slice(event.bytes.get(at + event.data.len()..).unwrap_or_default());
            }
            (_, None) if event.is_bare => out.extend_from_slice(event.bytes),
            _ => self.write_event(text, event, rewritten.as_deref(), out)?,
        }
        Ok(())
    }

    /// Writes an event with other data, or with its own. What stands on its other lines is searched too.
    fn write_event(
        &mut self,
        text: &str,
        event: &Event<'_>,
        data: Option<&str>,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        // Where the data stands on one line, it alone is replaced.
        let place = data.and(event.data_at);
        let mut data = data;
        let (mut at, is_replaced) = (0, data.is_some());
        for (start, line) in sse::lines(event.bytes) {
            let end = start + line.len();
            let Ok(line) = std::str::from_utf8(line) else { continue };
            if let Some(place) = place.filter(|place| (start..end).contains(place)) {
                out.extend_from_slice(text.get(at..place).unwrap_or_default().as_bytes());
                out.extend_from_slice(data.take().unwrap_or_default().as_bytes());
                at = place + event.data.len();
                continue;
            }
            match sse::data(line.as_bytes()) {
                Some(_) if !is_replaced => continue,
                Some(_) => {
                    out.extend_from_slice(text.get(at..start).unwrap_or_default().as_bytes());
                    at = end;
                    match data.take() {
                        Some(data) => {
                            out.extend_from_slice(b"data: ");
                            out.extend_from_slice(data.replace('\n', "\ndata: ").as_bytes());
                        }
                        // What its lines said is on the first one; the line goes with its end.
                        None => {
                            at += match event.bytes.get(end..).unwrap_or_default() {
                                [b'\r', b'\n', ..] => 2,
                                [] => 0,
                                _ => 1,
                            };
                        }
                    }
                }
                None => {
                    if let Some(searched) = self.line(line)? {
                        out.extend_from_slice(text.get(at..start).unwrap_or_default().as_bytes());
                        out.extend_from_slice(searched.as_bytes());
                        at = end;
                    }
                }
            }
        }
        out.extend_from_slice(text.get(at..).unwrap_or_default().as_bytes());
        Ok(())
    }

    /// What a line becomes that is no data; `None` where it stays.
    fn line(&mut self, line: &str) -> Result<Option<String>, Refusal> {
        let set = self.redaction.policy.actions.all();
        if set.is_empty() || line.is_empty() {
            return Ok(None);
        }
        let (mut counts, mut replacement) = (Counts::default(), self.redaction.replacement());
        let redacted = self.redaction.engine.detectors().redact(set, line, &mut replacement, &mut counts);
        let redacted = matches!(redacted, Cow::Owned(_)).then(|| redacted.into_owned());
        self.note(&counts)?;
        Ok(redacted)
    }

    /// Rewrites a message; `None` where it stays. What was held of texts that end with it goes before it.
    fn data(
        &mut self,
        event: &Event<'_>,
        without: Option<Range<usize>>,
        out: &mut Vec<u8>,
    ) -> Result<Option<String>, Refusal> {
        let (Ok(data), Some(object)) = (std::str::from_utf8(event.data), &event.object) else {
            return self.unreadable().map(|()| None);
        };
        let api = self.redaction.api;
        let mut found = api.find_texts(data, object);
        if event.is_last {
            found.ends = Ends::All;
        }
        if found.sequence.is_some() {
            self.sequence = found.sequence;
        }
        if self.identity.is_empty() || api.dialect().has_identity_per_event {
            let identity = (api.dialect().identity)(object);
            if !identity.is_empty() {
                self.identity = identity;
            }
        }
        let texts = self.texts(data, &found)?;
        self.release(&found.ends, &found.pieces, out)?;
        match self.redaction.json(data, texts, without) {
            Ok(Cow::Borrowed(_)) => Ok(None),
            Ok(Cow::Owned(text)) => Ok(Some(text)),
            Err(Stopped::Blocked(refusal)) => Err(refusal),
            Err(Stopped::Unreadable) => self.unreadable().map(|()| None),
        }
    }

    /// What becomes of an event's pieces of texts.
    fn texts(&mut self, data: &str, found: &Pieces) -> Result<Vec<Edit>, Refusal> {
        let mut edits: Vec<Edit> = Vec::with_capacity(found.pieces.len());
        for range in &found.untouched {
            let text = data.get(range.clone()).unwrap_or_default().to_owned();
            edits.push(Edit { range: range.clone(), text });
        }
        let last: HashMap<&Text, usize> = found.pieces.iter().map(|piece| &piece.text).zip(0..).collect();
        for (place, piece) in found.pieces.iter().enumerate() {
            let is_last = found.ends.has(piece.text.group) && last.get(&piece.text) == Some(&place);
            let raw = data.get(piece.range.clone()).unwrap_or_default();
            let said = unescaped(raw);
            let Some(text) = self.advance(piece, &said, is_last)? else {
                self.unreadable()?;
                continue;
            };
            let text = if text == said { raw.to_owned() } else { serde_json::Value::from(text).to_string() };
            edits.push(Edit { range: piece.range.clone(), text });
        }
        edits.sort_by_key(|edit| edit.range.start);
        Ok(edits)
    }

    /// Adds a piece to its text, and gives what can leave; `None` where there are too many texts.
    fn advance(&mut self, piece: &Piece, said: &str, is_last: bool) -> Result<Option<String>, Refusal> {
        let ResponseRedaction { engine, policy, .. } = &self.redaction;
        if !self.texts.contains_key(&piece.text) {
            if self.texts.len() >= TEXTS_MAX {
                return Ok(None);
            }
            let replacement = self.redaction.replacement();
            let channel = Channel::new(engine.detectors(), policy.actions.all(), replacement, piece.kind);
            self.begun += 1;
            self.texts.insert(piece.text.clone(), (self.begun, channel));
        }
        let Some((_, channel)) = self.texts.get_mut(&piece.text) else { return Ok(None) };
        let ResponseRedaction { restorer, restored, .. } = &mut self.redaction;
        let text = channel.pass(said, is_last, restorer.as_ref(), restored);
        let counts = channel.counts();
        if is_last {
            self.texts.remove(&piece.text);
            self.note(&counts)?;
        } else {
            self.check(&counts)?;
        }
        Ok(Some(text))
    }

    /// Lets go of what is held of texts that end, but for those that an event itself has pieces of.
    fn release(&mut self, ends: &Ends, pieces: &[Piece], out: &mut Vec<u8>) -> Result<(), Refusal> {
        let with_pieces: HashSet<&Text> = pieces.iter().map(|piece| &piece.text).collect();
        let is_over = |text: &Text| ends.has(text.group) && !with_pieces.contains(text);
        let mut over: Vec<(Text, (u64, Channel))> = self.texts.extract_if(|text, _| is_over(text)).collect();
        over.sort_by_key(|(_, (begun, _))| *begun);
        for (text, (_, mut channel)) in over {
            let ResponseRedaction { restorer, restored, .. } = &mut self.redaction;
            let rest = channel.pass("", true, restorer.as_ref(), restored);
            self.note(&channel.counts())?;
            if rest.is_empty() {
                continue;
            }
            let json = serde_json::Value::from(rest).to_string();
            let more = Continuation { identity: &self.identity, json: &json, sequence: self.sequence };
            let data = (self.redaction.api.dialect().write_text)(&text, &more);
            self.send(text.event.as_deref(), &data, out);
        }
        Ok(())
    }

    /// Sends a message of the gateway's own.
    fn send(&mut self, name: Option<&str>, data: &str, out: &mut Vec<u8>) {
        if self.is_array {
            if self.comma_due {
                out.push(b',');
            }
            out.extend_from_slice(data.as_bytes());
            // What follows brings the comma that it needs, or is the end.
            let follows_element = !self.comma_due && self.in_array;
            if follows_element {
                out.push(b',');
            }
            return;
        }
        if let Some(name) = name.filter(|_| self.named) {
            out.extend_from_slice(format!("event: {name}\n").as_bytes());
        }
        out.extend_from_slice(format!("data: {data}\n\n").as_bytes());
    }

    /// Ends the stream with an error.
    fn stop(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        self.stopped = Some(refusal.code);
        let api = self.redaction.api;
        let (name, data) = api.error_event(&refusal.details(), self.sequence);
        if self.is_array {
            let comma = if self.comma_due { "," } else { "" };
            let close = if self.in_array { "]" } else { "" };
            out.extend_from_slice(format!("{comma}{data}{close}").as_bytes());
        } else {
            self.send(name, &data, out);
            if let Some(done) = api.dialect().done {
                self.send(None, done, out);
            }
        }
    }

    fn note(&mut self, counts: &Counts) -> Result<(), Refusal> {
        self.redaction.note(counts).or_else(|stopped| match stopped {
            Stopped::Blocked(refusal) => Err(refusal),
            Stopped::Unreadable => self.unreadable(),
        })
    }

    /// Whether what was found so far stops the stream.
    fn check(&self, counts: &Counts) -> Result<(), Refusal> {
        let blocked = self.redaction.engine.blocked(&self.redaction.policy.actions, counts);
        blocked.map_or(Ok(()), |names| Err(Refusal::response_blocked(&names)))
    }
}

/// The text of a string of JSON; half a pair of surrogates is no character, and stands as one that says
/// so.
fn unescaped(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or_default();
    crate::redact::unescaped(inner)
}
