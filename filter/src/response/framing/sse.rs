//! Server-sent events (WHATWG HTML, "Interpreting an event stream").
//!
//! Only data is read: ids, retry times and all names of events but "error" carry nothing that is needed
//! here. Beyond the standard, an object that stands bare in the stream is an event that its end completes:
//! Gemini reports an error so that comes after the first event. llama.cpp reports one in a field of its own.

use std::borrow::Cow;
use std::ops::Range;

use crate::json::truncate::Abridger;
use crate::json::truncate::pieces::MARK;
use crate::response::framing::event::Fields;

/// The field that is read.
const FIELD: &[u8] = b"data";
/// llama.cpp's field, whose object counts as data.
const ERROR: &[u8] = b"error:";
/// The field that names an event.
const NAME: &[u8] = b"event:";
/// The lines that name an event an error.
const EVENT_ERROR: [&[u8]; 2] = [b"event: error", b"event:error"];
/// How many bytes of a line identify it: more than a byte order mark and the longest of those above have.
const TELLS: usize = MARK.len() + b"event: error".len() + 1;

/// Finds where events end in what is held of a stream, and where their data stands.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    /// How much was looked at.
    at: usize,
    /// Where the line that is open began.
    line: usize,
    /// The first line of the stream was seen, so a byte order mark is no longer one.
    has_begun: bool,
    found: Found,
}

/// What was found of the event that is open.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Where the value of its first data line stands.
    pub data: Option<Range<usize>>,
    /// It has more data lines.
    pub has_more_data: bool,
    pub fields: Fields,
    /// Where the object begins that stands bare: all that follows belongs to it.
    pub bare: Option<usize>,
}

impl Scan {
    /// The end of the event that is open, behind its empty line, and what was found of it. Goes on to the
    /// next one.
    pub fn event_end(&mut self, held: &[u8], is_end: bool) -> Option<(usize, Found)> {
        loop {
            if self.found.bare.is_some() {
                return None;
            }
            if !self.has_begun && held.len() >= MARK.len() {
                self.has_begun = true;
                if held.starts_with(MARK) {
                    (self.at, self.line) = (MARK.len(), MARK.len());
                }
            }
            if held.get(self.line) == Some(&b'{') && self.found.data.is_none() {
                self.found.bare = Some(self.line);
                return None;
            }
            let rest = held.get(self.at..)?;
            let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.at = held.len();
                return None;
            };
            let at = self.at + found;
            let next = match (held.get(at), held.get(at + 1)) {
                (Some(b'\r'), Some(b'\n')) => at + 2,
                // A line feed may be on its way that belongs to it.
                (Some(b'\r'), None) if !is_end => {
                    self.at = at;
                    return None;
                }
                _ => at + 1,
            };
            let start = self.line;
            (self.at, self.line, self.has_begun) = (next, next, true);
            if at == start {
                return Some((next, std::mem::take(&mut self.found)));
            }
            self.note(held, start..at);
        }
    }

    /// Where an object begins that stands bare, once one has.
    pub fn bare_at(&self) -> Option<usize> {
        self.found.bare
    }

    /// The end of the stream: what was found of the event that it ends.
    pub fn finish(&mut self, held: &[u8]) -> Found {
        if self.found.bare.is_none() && self.line < held.len() {
            self.note(held, self.line..held.len());
        }
        std::mem::take(&mut self.found)
    }

    /// Forgets so many bytes, which are no longer held.
    pub fn forget(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
        // A line that began in what has gone is not empty.
        self.line = self.line.checked_sub(bytes).unwrap_or(usize::MAX);
        let before = |place: usize| place.saturating_sub(bytes);
        self.found.data = self.found.data.take().map(|data| before(data.start)..before(data.end));
        self.found.bare = self.found.bare.map(before);
    }

    /// Notes what a line says.
    fn note(&mut self, held: &[u8], line: Range<usize>) {
        // The data of one that began in what has gone is read as it comes.
        let Some(text) = held.get(line.clone()) else { return };
        let Some(value) = data_of(text) else {
            self.found.fields.is_named |= text.starts_with(NAME);
            self.found.fields.is_error |= EVENT_ERROR.contains(&text);
            return;
        };
        self.found.fields.in_error_field |= text.starts_with(ERROR);
        match &self.found.data {
            None => self.found.data = Some(line.end - value.len()..line.end),
            Some(_) => self.found.has_more_data = true,
        }
    }
}

/// The lines of an event, without their ends, each with the place where it begins.
pub fn lines(event: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    event.split(|byte| matches!(byte, b'\n' | b'\r')).map(move |line| {
        let start = at;
        at += line.len() + 1;
        match line.strip_prefix(MARK).filter(|_| start == 0) {
            Some(line) => (MARK.len(), line),
            None => (start, line),
        }
    })
}

/// The value of a line of the `data` field; `None` for another line.
pub fn data(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(FIELD)? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
    }
}

/// The same of a line whose value counts as data.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    if let Some(value) = line.strip_prefix(ERROR) {
        let value = value.strip_prefix(b" ").unwrap_or(value);
        return value.starts_with(b"{").then_some(value);
    }
    data(line)
}

/// The data of an event of several data lines, joined by line feeds.
pub(crate) fn joined_data(event: &[u8]) -> Cow<'_, [u8]> {
    let mut values = lines(event).filter_map(|(_, line)| data_of(line));
    let mut joined = values.next().unwrap_or_default().to_vec();
    for value in values {
        joined.push(b'\n');
        joined.extend_from_slice(value);
    }
    Cow::Owned(joined)
}

/// Reads the data of an event that is too large to be held, and makes it short as it comes.
#[derive(Debug)]
pub(crate) struct Long {
    pub short: Abridger,
    line: Line,
    pub has_data: bool,
}

/// The line whose end has not come.
#[derive(Debug)]
enum Line {
    /// Its start, too short to identify its field.
    Start(Vec<u8>),
    /// A data line, of which the value so far is among the data.
    Data,
    /// Another one.
    Other,
    /// An object that stands bare: its line ends are its own.
    Bare,
}

impl Long {
    /// The data goes to `short`. `is_bare` is for an object that stands bare.
    pub fn new(short: Abridger, is_bare: bool) -> Self {
        Self { short, line: if is_bare { Line::Bare } else { Line::Start(Vec::new()) }, has_data: is_bare }
    }

    /// Takes the next bytes of the event.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while !matches!(self.line, Line::Bare)
            && let Some(end) = memchr::memchr2(b'\n', b'\r', bytes)
        {
            let (piece, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            self.part(piece);
            self.end_line();
            bytes = rest.get(1..).unwrap_or_default();
        }
        self.part(bytes);
    }

    /// Whether the data is an object that stands bare.
    pub fn is_bare(&self) -> bool {
        matches!(self.line, Line::Bare)
    }

    /// Ends the line that is open.
    pub fn end_line(&mut self) {
        if !matches!(self.line, Line::Bare)
            && let Line::Start(start) = std::mem::replace(&mut self.line, Line::Start(Vec::new()))
        {
            self.begin_line(&start);
            self.line = Line::Start(Vec::new());
        }
    }

    /// Takes a part of a line whose end has not come, or the rest of one that was held.
    fn part(&mut self, piece: &[u8]) {
        match &mut self.line {
            Line::Other => {}
            Line::Data | Line::Bare => self.short.feed(piece),
            Line::Start(start) => {
                let wanted = TELLS.saturating_sub(start.len());
                let (head, tail) = piece.split_at_checked(wanted).unwrap_or((piece, &[]));
                start.extend_from_slice(head);
                if start.len() == TELLS {
                    let start = std::mem::take(start);
                    self.begin_line(&start);
                    self.part(tail);
                }
            }
        }
    }

    /// Identifies the field of a line by its start.
    fn begin_line(&mut self, start: &[u8]) {
        let start = start.strip_prefix(MARK).filter(|_| !self.has_data).unwrap_or(start);
        self.line = Line::Other;
        if let Some(value) = data_of(start) {
            if std::mem::replace(&mut self.has_data, true) {
                self.short.feed(b"\n");
            }
            self.short.feed(value);
            self.line = Line::Data;
        }
    }
}
