//! Rewriting of a stream as it flows.
//!
//! An event goes on as soon as it is whole. Of each of its texts only so much is held back as may
//! still become a match or a placeholder; the rest of a text leaves before the event that ends it, in
//! an event of its own or with its last piece. Where the stream has to stop, the error of the API's
//! own shape is the last thing that the caller sees; of what stopped it nothing was sent. What is held
//! is bounded: an event by the largest answer that is held, texts by [`TEXTS_MAX`].

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use weir_event::v1;

use crate::api::family::operation::Continuation;
use crate::api::family::texts::{Ends, Piece, Pieces, Text};
use crate::json::scan::Object;
use crate::redact::{Counts, Edit};
use crate::refusal::Refusal;
use crate::response::framing::cut;
use crate::response::framing::cut::Data;
use crate::response::framing::framer::Form;
use crate::response::redact::channel::Channel;
use crate::response::redact::frames::{Cut, Cutter, Elements, Events};
use crate::response::redact::{Returning, Stopped};

/// Most texts of one stream that are under way.
const TEXTS_MAX: usize = 128;

/// A stream that is on its way to the caller.
#[derive(Debug)]
pub struct Stream {
    returning: Returning,
    cutter: Cutter,
    /// What has come of the message that is not whole yet.
    held: Vec<u8>,
    /// Most bytes of it.
    held_max: usize,
    /// The texts that are under way, each with its place in the order in which they began.
    texts: HashMap<Text, (u64, Channel)>,
    /// How many have begun.
    begun: u64,
    /// Which answer it is, as its events say.
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
    /// One that comes in this form, of which a message may have so many bytes.
    pub fn new(returning: Returning, form: Form, held_max: usize) -> Self {
        let cutter = match form {
            Form::Elements => Cutter::Elements(Elements::default()),
            _ => Cutter::Events(Events::default()),
        };
        Self {
            returning,
            cutter,
            held: Vec::new(),
            held_max,
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

    /// Takes the next piece of the stream and gives what goes on instead of it; `None` where that is
    /// the piece as it is. At the end nothing is held back.
    pub fn pass(&mut self, piece: &[u8], is_end: bool) -> Option<Vec<u8>> {
        if self.stopped.is_some() {
            return (!piece.is_empty()).then(Vec::new);
        }
        let was_empty = self.held.is_empty();
        self.held.extend_from_slice(piece);
        let held = std::mem::take(&mut self.held);
        let (mut out, mut done) = (Vec::with_capacity(held.len()), 0);
        let passed = self.messages(&held, &mut done, is_end, &mut out);
        if let Err(refusal) = passed {
            self.stop(&refusal, &mut out);
            return Some(out);
        }
        let is_same = was_empty && done == held.len() && out == piece;
        self.held = held;
        self.held.drain(..done);
        self.cutter.forget(done);
        if self.held.is_empty() {
            self.held = Vec::new();
        }
        (!is_same).then_some(out)
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.held.len() + self.texts.values().map(|(_, channel)| channel.held()).sum::<usize>()
    }

    /// The code of what stopped the stream, where something did.
    pub fn stopped(&self) -> Option<&'static str> {
        self.stopped
    }

    /// What was found and restored.
    pub fn told(mut self) -> Vec<v1::Redaction> {
        for (_, channel) in std::mem::take(&mut self.texts).into_values() {
            self.returning.found.merge(&channel.counts());
        }
        self.returning.told()
    }

    fn messages(
        &mut self,
        held: &[u8],
        done: &mut usize,
        is_end: bool,
        out: &mut Vec<u8>,
    ) -> Result<(), Refusal> {
        while let Some(cut) = self.cutter.next(held, *done, is_end) {
            let (Cut::Message(end) | Cut::Alone(end) | Cut::Between(end) | Cut::Close(end)) = cut else {
                self.unreadable()?;
                // From here on it is no array, and passes as it is.
                self.passing = true;
                break;
            };
            let part = held.get(*done..end).unwrap_or_default();
            *done = end;
            if self.passing && matches!(cut, Cut::Message(_) | Cut::Alone(_)) {
                out.extend_from_slice(part);
                self.passing = false;
                continue;
            }
            match cut {
                Cut::Between(_) => {
                    self.in_array |= part == b"[";
                    self.comma_due &= part != b",";
                    out.extend_from_slice(part);
                }
                Cut::Close(_) => {
                    self.release(&Ends::All, &[], out)?;
                    out.extend_from_slice(part);
                }
                _ => match &self.cutter {
                    Cutter::Events(_) => self.event(part, matches!(cut, Cut::Alone(_)), out)?,
                    Cutter::Elements(_) => self.element(part, matches!(cut, Cut::Alone(_)), out)?,
                },
            }
        }
        let open = held.len().saturating_sub(*done);
        if open > self.held_max && !self.passing {
            self.unreadable()?;
            self.passing = true;
        }
        if is_end || self.passing {
            out.extend_from_slice(held.get(*done..).unwrap_or_default());
            *done = held.len();
        }
        if is_end {
            self.release(&Ends::All, &[], out)?;
        }
        Ok(())
    }

    /// What cannot be searched is here: stops the stream, unless it may pass.
    fn unreadable(&self) -> Result<(), Refusal> {
        self.returning.unreadable().map_or(Ok(()), Err)
    }

    fn element(&mut self, element: &[u8], is_alone: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let rewritten = match std::str::from_utf8(element) {
            Ok(text) => self.data(text, is_alone, out)?,
            Err(_) => self.unreadable().map(|()| None)?,
        };
        out.extend_from_slice(rewritten.as_deref().map_or(element, str::as_bytes));
        self.comma_due = !is_alone;
        Ok(())
    }

    fn event(&mut self, event: &[u8], is_last: bool, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let Ok(text) = std::str::from_utf8(event) else {
            self.unreadable()?;
            out.extend_from_slice(event);
            return Ok(());
        };
        if text.starts_with('{') {
            let rewritten = self.data(text, true, out)?;
            out.extend_from_slice(rewritten.as_deref().unwrap_or(text).as_bytes());
            return Ok(());
        }
        let mut data: Option<Cow<'_, str>> = None;
        for (_, line) in cut::lines(event) {
            let Some(value) = cut::data(line).and_then(|value| std::str::from_utf8(value).ok()) else {
                self.named |= line.starts_with(b"event:");
                continue;
            };
            data = Some(match data {
                None => Cow::Borrowed(value),
                Some(before) => Cow::Owned(format!("{before}\n{value}")),
            });
        }
        let data = data.as_deref().unwrap_or_default().trim();
        let rewritten = match Data::of(data.as_bytes()) {
            Data::Nothing => None,
            Data::Done => {
                self.release(&Ends::All, &[], out)?;
                None
            }
            Data::Message => self.data(data, is_last, out)?,
        };
        self.write_event(text, rewritten.as_deref(), out)
    }

    /// Writes an event with other data, or with its own. What stands on its other lines is searched too.
    fn write_event(&mut self, event: &str, data: Option<&str>, out: &mut Vec<u8>) -> Result<(), Refusal> {
        let mut data = data.map(|data| data.split('\n'));
        let is_replaced = data.is_some();
        let (mut at, mut is_written) = (0, false);
        for (start, line) in cut::lines(event.as_bytes()) {
            let end = start + line.len();
            let Ok(line) = std::str::from_utf8(line) else { continue };
            match cut::data(line.as_bytes()) {
                Some(_) if !is_replaced => continue,
                Some(_) if is_written => {
                    // What its lines said is on the first one; the line goes with its end.
                    let ends = event.as_bytes().get(end..).unwrap_or_default();
                    let length = match ends {
                        [b'\r', b'\n', ..] => 2,
                        [] => 0,
                        _ => 1,
                    };
                    out.extend_from_slice(event.get(at..start).unwrap_or_default().as_bytes());
                    at = end + length;
                }
                Some(_) => {
                    out.extend_from_slice(event.get(at..start).unwrap_or_default().as_bytes());
                    let lines: Vec<&str> = data.take().into_iter().flatten().collect();
                    out.extend_from_slice(b"data: ");
                    out.extend_from_slice(lines.join("\ndata: ").as_bytes());
                    (at, is_written) = (end, true);
                }
                None => {
                    let searched = self.line(line)?;
                    if let Some(searched) = searched {
                        out.extend_from_slice(event.get(at..start).unwrap_or_default().as_bytes());
                        out.extend_from_slice(searched.as_bytes());
                        at = end;
                    }
                }
            }
        }
        out.extend_from_slice(event.get(at..).unwrap_or_default().as_bytes());
        Ok(())
    }

    /// What a line becomes that is no data; `None` where it stays.
    fn line(&mut self, line: &str) -> Result<Option<String>, Refusal> {
        let set = self.returning.policy.actions.all();
        if set.is_empty() || line.is_empty() {
            return Ok(None);
        }
        let (mut counts, mut replacement) = (Counts::default(), self.returning.replacement());
        let redacted = self.returning.redaction.detectors().redact(set, line, &mut replacement, &mut counts);
        let redacted = matches!(redacted, Cow::Owned(_)).then(|| redacted.into_owned());
        self.note(&counts)?;
        Ok(redacted)
    }

    /// Rewrites a message; `None` where it stays. `is_last` says that no other follows. What was held of
    /// texts that end with it goes before it.
    fn data(&mut self, data: &str, is_last: bool, out: &mut Vec<u8>) -> Result<Option<String>, Refusal> {
        let Ok(object) = Object::parse(data.as_bytes()) else {
            return self.unreadable().map(|()| None);
        };
        let api = self.returning.api;
        let mut found = api.find_texts(data, &object);
        if is_last {
            found.ends = Ends::All;
        }
        if found.sequence.is_some() {
            self.sequence = found.sequence;
        }
        if self.identity.is_empty() || api.dialect().has_identity_per_event {
            let identity = (api.dialect().identity)(&object);
            if !identity.is_empty() {
                self.identity = identity;
            }
        }
        let texts = self.texts(data, &found)?;
        self.release(&found.ends, &found.pieces, out)?;
        match self.returning.json(data, texts) {
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
        let Returning { redaction, policy, .. } = &self.returning;
        if !self.texts.contains_key(&piece.text) {
            if self.texts.len() >= TEXTS_MAX {
                return Ok(None);
            }
            let replacement = self.returning.replacement();
            let channel = Channel::new(redaction.detectors(), policy.actions.all(), replacement, piece.kind);
            self.begun += 1;
            self.texts.insert(piece.text.clone(), (self.begun, channel));
        }
        let Some((_, channel)) = self.texts.get_mut(&piece.text) else { return Ok(None) };
        let Returning { restorer, restored, .. } = &mut self.returning;
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
            let Returning { restorer, restored, .. } = &mut self.returning;
            let rest = channel.pass("", true, restorer.as_ref(), restored);
            self.note(&channel.counts())?;
            if rest.is_empty() {
                continue;
            }
            let json = serde_json::Value::from(rest).to_string();
            let more = Continuation { identity: &self.identity, json: &json, sequence: self.sequence };
            let data = (self.returning.api.dialect().write_text)(&text, &more);
            self.send(text.event.as_deref(), &data, out);
        }
        Ok(())
    }

    /// Sends a message of the gateway's own.
    fn send(&mut self, name: Option<&str>, data: &str, out: &mut Vec<u8>) {
        match &self.cutter {
            Cutter::Events(_) => {
                if let Some(name) = name.filter(|_| self.named) {
                    out.extend_from_slice(format!("event: {name}\n").as_bytes());
                }
                out.extend_from_slice(format!("data: {data}\n\n").as_bytes());
            }
            Cutter::Elements(_) => {
                if self.comma_due {
                    out.push(b',');
                }
                out.extend_from_slice(data.as_bytes());
                // What follows brings the comma that it needs, or is the end.
                let follows_element = !self.comma_due && self.in_array;
                if follows_element {
                    out.push(b',');
                }
            }
        }
    }

    /// Ends the stream with an error.
    fn stop(&mut self, refusal: &Refusal, out: &mut Vec<u8>) {
        self.stopped = Some(refusal.code);
        let api = self.returning.api;
        let (name, data) = api.error_event(&refusal.details(), self.sequence);
        if let Cutter::Elements(_) = &self.cutter {
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
        self.returning.note(counts).or_else(|stopped| match stopped {
            Stopped::Blocked(refusal) => Err(refusal),
            Stopped::Unreadable => self.unreadable(),
        })
    }

    /// Whether what was found so far stops the stream.
    fn check(&self, counts: &Counts) -> Result<(), Refusal> {
        let blocked = self.returning.redaction.blocked(&self.returning.policy.actions, counts);
        blocked.map_or(Ok(()), |names| Err(Refusal::response_blocked(&names)))
    }
}

/// The text of a string of JSON; half a pair of surrogates is no character, and stands as one that says
/// so.
fn unescaped(raw: &str) -> Cow<'_, str> {
    let inner = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or_default();
    crate::redact::unescaped(inner)
}
