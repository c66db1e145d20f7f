//! Truncates streamed JSON to limits, so that it is still JSON.
//!
//! Long strings are cut, values past the limit are dropped except small members of objects (a response reports
//! its usage last), and binary data becomes a reference ([`crate::json::blob`]). The bytes held between two
//! pieces are bounded by the limits, however long the text is. The grammar is checked only as far as needed to
//! find the ends of values; the reader of the result parses it.

pub mod pieces;
#[cfg(test)]
mod tests;

use crate::json::blob::Blob;
use crate::json::scan::{MAX_DEPTH, end_of_string};

/// Bytes beyond the total for small members that follow it.
const SLACK: usize = 3 << 10;
/// Bytes beyond that for usage, at any position: further list elements are dropped, and replaced by a null.
const USAGE_MAX: usize = 32 << 10;
/// Names of usage members.
const USAGE: [&[u8]; 3] = [b"usage", b"usageMetadata", b"usage_metadata"];
/// Longest string beyond the total, and longest key anywhere, in bytes.
const SMALL: usize = 128;
/// Longest number, in bytes.
const NUMBER_MAX: usize = 400;
/// Longest partial word that is dropped at the end of a cut string, in bytes.
const WORD_MAX: usize = 256;
/// The end of a string that was cut.
pub const ELLIPSIS: &str = "…";

/// The size limits of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Longest string, in bytes as written.
    pub string: usize,
    /// Bytes in total before only small values are kept.
    pub total: usize,
}

/// Truncates a text in pieces.
#[derive(Clone, Debug)]
pub struct Abridger {
    limits: Limits,
    out: Vec<u8>,
    /// One bit for each open bracket, the innermost lowest: 1 for an object.
    open: u128,
    depth: u32,
    next: Next,
    inside: Inside,
    /// Whether the innermost bracket has output, so that a comma must follow it.
    comma: bool,
    /// The depth at which dropping began.
    skipping: Option<u32>,
    /// The usage being read.
    usage: Option<Usage>,
    /// The name of the member being read, as written.
    name: Vec<u8>,
    shortened: bool,
    broken: bool,
}

/// A usage within a text.
#[derive(Clone, Copy, Debug)]
struct Usage {
    /// Its depth.
    depth: u32,
    /// Whether any of it was dropped.
    is_cut: bool,
}

/// What the grammar expects next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Next {
    Value,
    ValueOrEnd,
    Key,
    KeyOrEnd,
    Colon,
    CommaOrEnd,
    Nothing,
}

/// The token in which the last piece ended.
#[derive(Clone, Debug)]
enum Inside {
    Nothing,
    /// A number or a word so far.
    Scalar(Vec<u8>),
    /// A key: whether an escape is open, where it began in the output, and whether it was cut.
    Key {
        escaped: bool,
        start: usize,
        is_cut: bool,
    },
    /// A string.
    Text {
        escaped: bool,
        part: Part,
    },
}

/// What happens to a string.
#[derive(Clone, Debug)]
enum Part {
    /// Not decided yet: it may be binary data.
    Undecided(Vec<u8>),
    /// Written: it began here in the output, and may grow to this many bytes.
    Written { start: usize, max: usize },
    /// It is binary data.
    Blob(Box<Blob>),
    /// Dropped, or its rest is.
    Dropped,
}

/// A truncated text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Abridged {
    /// The text.
    pub json: Vec<u8>,
    /// Whether anything but white space and binary data was dropped.
    pub shortened: bool,
}

/// Truncates a whole text; `None` if it is not JSON.
pub fn abridge(json: &[u8], limits: Limits) -> Option<Abridged> {
    let mut abridger = Abridger::new(limits);
    abridger.feed(json);
    abridger.finish()
}

impl Abridger {
    /// Starts with these limits.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            out: Vec::new(),
            open: 0,
            depth: 0,
            next: Next::Value,
            inside: Inside::Nothing,
            comma: false,
            skipping: None,
            usage: None,
            name: Vec::new(),
            shortened: false,
            broken: false,
        }
    }

    /// Reads the next piece of the text.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(first) = bytes.first() {
            if self.broken {
                return;
            }
            let used = match &mut self.inside {
                Inside::Nothing => {
                    self.structure(*first);
                    usize::from(!matches!(self.inside, Inside::Scalar(_)))
                }
                Inside::Scalar(_) => self.scalar(bytes),
                Inside::Key { .. } | Inside::Text { .. } => self.string(bytes),
            };
            bytes = bytes.get(used..).unwrap_or_default();
        }
    }

    /// Ends the text; `None` if it is not JSON.
    pub fn finish(mut self) -> Option<Abridged> {
        if let Inside::Scalar(_) = self.inside {
            self.end_scalar();
        }
        let whole = !self.broken && self.next == Next::Nothing;
        whole.then_some(Abridged { json: self.out, shortened: self.shortened })
    }

    /// Whether the text so far is an incomplete beginning of JSON.
    pub fn is_unfinished(&self) -> bool {
        !self.broken && self.next != Next::Nothing
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        let inside = match &self.inside {
            Inside::Scalar(held) | Inside::Text { part: Part::Undecided(held), .. } => held.capacity(),
            _ => 0,
        };
        size_of::<Self>() + self.out.capacity() + self.name.capacity() + inside
    }

    /// Bytes held.
    pub fn held(&self) -> usize {
        let inside = match &self.inside {
            Inside::Scalar(held) | Inside::Text { part: Part::Undecided(held), .. } => held.len(),
            _ => 0,
        };
        self.out.len() + inside
    }

    fn structure(&mut self, byte: u8) {
        match (byte, self.next) {
            (b' ' | b'\n' | b'\r' | b'\t', _) => {}
            (b'"', Next::Key | Next::KeyOrEnd) => {
                if self.out.len() >= self.allowed(SLACK) {
                    self.skip();
                }
                self.name.clear();
                let start = if self.skipping.is_none() { self.write(b"\"") } else { self.out.len() };
                self.inside = Inside::Key { escaped: false, start, is_cut: false };
            }
            (b'"', Next::Value | Next::ValueOrEnd) => {
                self.begin_value();
                let part = if self.skipping.is_some() { Part::Dropped } else { Part::Undecided(Vec::new()) };
                self.inside = Inside::Text { escaped: false, part };
            }
            (b'{' | b'[', Next::Value | Next::ValueOrEnd) => {
                self.begin_value();
                if self.depth >= MAX_DEPTH {
                    self.broken = true;
                    return;
                }
                if self.skipping.is_none() {
                    self.write(&[byte]);
                    self.comma = false;
                    if self.usage.is_none() && USAGE.contains(&self.name.as_slice()) {
                        self.usage = Some(Usage { depth: self.depth, is_cut: false });
                    }
                }
                self.depth += 1;
                self.open = self.open << 1 | u128::from(byte == b'{');
                self.next = if byte == b'{' { Next::KeyOrEnd } else { Next::ValueOrEnd };
            }
            (b'}' | b']', Next::CommaOrEnd | Next::KeyOrEnd | Next::ValueOrEnd)
                if self.depth > 0 && (self.open & 1 == 1) == (byte == b'}') =>
            {
                self.open >>= 1;
                self.depth -= 1;
                if self.skipping.is_none() {
                    self.out.push(byte);
                }
                self.end_value();
            }
            (b',', Next::CommaOrEnd) if self.depth > 0 => {
                self.next = if self.open & 1 == 1 { Next::Key } else { Next::Value };
            }
            (b':', Next::Colon) => {
                if self.skipping.is_none() {
                    self.out.push(b':');
                }
                self.next = Next::Value;
            }
            (b'-' | b'0'..=b'9' | b't' | b'f' | b'n', Next::Value | Next::ValueOrEnd) => {
                self.begin_value();
                self.inside = Inside::Scalar(Vec::new());
            }
            _ => self.broken = true,
        }
    }

    /// Begins a value: decides whether it is written.
    fn begin_value(&mut self) {
        let in_array = self.depth > 0 && self.open & 1 == 0;
        let full = self.out.len() >= self.allowed(0);
        if in_array && full {
            if let Some(usage) = self.usage.as_mut().filter(|usage| !usage.is_cut && self.skipping.is_none())
            {
                usage.is_cut = true;
                self.write(b"null");
                self.comma = true;
            }
            self.skip();
        }
        if in_array {
            self.name.clear();
        }
    }

    /// Longest output allowed with this slack: longer within a usage.
    fn allowed(&self, slack: usize) -> usize {
        let more = if self.usage.is_some() { SLACK + USAGE_MAX } else { slack };
        self.limits.total.saturating_add(more)
    }

    /// Drops the value that begins here.
    fn skip(&mut self) {
        if self.skipping.is_none() {
            self.skipping = Some(self.depth);
            self.shortened = true;
        }
    }

    /// Writes the start of a key or value, after a comma if needed. Returns its offset.
    fn write(&mut self, bytes: &[u8]) -> usize {
        let is_member_value = self.depth > 0 && self.open & 1 == 1 && self.next == Next::Value;
        if self.comma && !is_member_value {
            self.out.push(b',');
        }
        self.out.extend_from_slice(bytes);
        self.out.len()
    }

    fn end_value(&mut self) {
        match self.skipping {
            Some(depth) if depth == self.depth => self.skipping = None,
            Some(_) => {}
            None => self.comma = true,
        }
        if self.usage.is_some_and(|usage| usage.depth == self.depth) {
            self.usage = None;
        }
        self.next = if self.depth == 0 { Next::Nothing } else { Next::CommaOrEnd };
    }

    fn scalar(&mut self, bytes: &[u8]) -> usize {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let end = bytes.iter().position(|byte| !is_part(byte));
        let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        if let Inside::Scalar(held) = &mut self.inside {
            let room = (NUMBER_MAX + 1).saturating_sub(held.len());
            held.extend_from_slice(piece.get(..room).unwrap_or(piece));
        }
        if end.is_some() {
            self.end_scalar();
        }
        piece.len()
    }

    fn end_scalar(&mut self) {
        let Inside::Scalar(held) = std::mem::replace(&mut self.inside, Inside::Nothing) else { return };
        if self.skipping.is_none() {
            if held.len() > NUMBER_MAX {
                self.shortened = true;
                self.write(b"null");
            } else {
                self.write(&held);
            }
        }
        self.end_value();
    }

    /// Reads what belongs to the open string. Returns the number of bytes.
    fn string(&mut self, bytes: &[u8]) -> usize {
        let (Inside::Key { escaped, .. } | Inside::Text { escaped, .. }) = &mut self.inside else { return 0 };
        let end = end_of_string(bytes, escaped);
        let piece = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
        match std::mem::replace(&mut self.inside, Inside::Nothing) {
            Inside::Key { escaped, start, is_cut } => {
                let is_cut = self.key(piece, start, is_cut);
                if end.is_some() {
                    self.end_key();
                } else {
                    self.inside = Inside::Key { escaped, start, is_cut };
                }
            }
            Inside::Text { escaped, part } => self.text(piece, part, escaped, end.is_some()),
            Inside::Nothing | Inside::Scalar(_) => {}
        }
        piece.len() + usize::from(end.is_some())
    }

    /// Reads a piece of a key. Returns whether the key is cut.
    fn key(&mut self, piece: &[u8], start: usize, is_cut: bool) -> bool {
        let room = SMALL.saturating_sub(self.name.len());
        self.name.extend_from_slice(piece.get(..room).unwrap_or(piece));
        if self.skipping.is_some() || is_cut {
            return is_cut;
        }
        self.out.extend_from_slice(piece);
        self.cut(start, SMALL)
    }

    fn end_key(&mut self) {
        if self.skipping.is_none() {
            self.out.push(b'"');
        }
        self.next = Next::Colon;
    }

    fn text(&mut self, piece: &[u8], part: Part, escaped: bool, is_end: bool) {
        let mut part = match part {
            Part::Undecided(held) if held.is_empty() && (is_end || piece.len() >= Blob::DECISIVE) => {
                self.classify(piece)
            }
            Part::Undecided(mut held) => {
                held.extend_from_slice(piece);
                if is_end || held.len() >= Blob::DECISIVE {
                    self.classify(&held)
                } else {
                    Part::Undecided(held)
                }
            }
            Part::Written { start, max } => {
                self.out.extend_from_slice(piece);
                self.cut_part(start, max)
            }
            Part::Blob(mut blob) => {
                blob.feed(piece);
                Part::Blob(blob)
            }
            Part::Dropped => Part::Dropped,
        };
        if !is_end {
            self.inside = Inside::Text { escaped, part };
            return;
        }
        if let Part::Blob(blob) = std::mem::replace(&mut part, Part::Dropped) {
            self.write(b"\"");
            self.out.extend_from_slice(blob.reference().as_bytes());
        }
        if self.skipping.is_none() {
            self.out.push(b'"');
        }
        self.end_value();
    }

    /// Decides by its beginning what happens to a string.
    fn classify(&mut self, raw: &[u8]) -> Part {
        let name = std::str::from_utf8(&self.name).unwrap_or_default();
        if let Some((mut blob, start)) = Blob::begins(name, raw) {
            blob.feed(raw.get(start..).unwrap_or_default());
            return Part::Blob(Box::new(blob));
        }
        let start = self.write(b"\"");
        let max = if start > self.limits.total { SMALL } else { self.limits.string };
        // The total limits a string too, so that no single one goes far beyond it.
        let max = max.min((self.limits.total + SMALL).saturating_sub(start).max(SMALL));
        self.out.extend_from_slice(raw);
        self.cut_part(start, max)
    }

    fn cut_part(&mut self, start: usize, max: usize) -> Part {
        if self.cut(start, max) { Part::Dropped } else { Part::Written { start, max } }
    }

    /// Cuts the string that began at `start` if it exceeds `max`. Returns whether it did.
    fn cut(&mut self, start: usize, max: usize) -> bool {
        if self.out.len().saturating_sub(start) <= max {
            return false;
        }
        let raw = self.out.get(start..).unwrap_or_default();
        let kept = whole_characters(raw, max.saturating_sub(ELLIPSIS.len()));
        let kept = without_half_a_word(raw.get(..kept).unwrap_or_default());
        self.out.truncate(start + kept);
        self.out.extend_from_slice(ELLIPSIS.as_bytes());
        self.shortened = true;
        true
    }
}

/// Length of a cut text without its last, perhaps partial, word: what would be found in the whole word is not
/// found in half of it. A very long word stays, since it is most of the text.
pub(crate) fn without_half_a_word(text: &[u8]) -> usize {
    let window = WORD_MAX.min(text.len() / 4);
    let tail = text.get(text.len() - window..).unwrap_or_default();
    let space = tail.iter().rposition(u8::is_ascii_whitespace);
    space.map_or(text.len(), |space| text.len() - window + space)
}

/// Length of at most `max` bytes of a raw string that splits no escape, no surrogate pair and no UTF-8
/// sequence.
fn whole_characters(raw: &[u8], max: usize) -> usize {
    if raw.len() <= max {
        return raw.len();
    }
    let mut at = 0;
    while let Some(escape) = memchr::memchr(b'\\', raw.get(at..max).unwrap_or_default()) {
        at += escape;
        let length = match raw.get(at..).unwrap_or_default() {
            [b'\\', b'u', a, b, ..] => {
                // A high surrogate belongs to the escape after it (RFC 8259, section 7), if there is one.
                let is_high = matches!((a, b), (b'd' | b'D', b'8' | b'9' | b'a' | b'b' | b'A' | b'B'));
                if is_high && raw.get(at + 6..at + 8) == Some(b"\\u") { 12 } else { 6 }
            }
            _ => 2,
        };
        if at + length > max {
            return at;
        }
        at += length;
    }
    // Continuation bytes (RFC 3629, section 3), of which a character has at most three.
    let is_inside = |at: &usize| raw.get(*at).is_some_and(|byte| byte & 0xc0 == 0x80);
    let starts = (max.saturating_sub(3)..=max).rev();
    starts.into_iter().find(|at| !is_inside(at)).unwrap_or(max).max(at)
}
