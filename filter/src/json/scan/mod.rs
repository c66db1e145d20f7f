//! A JSON scanner that locates values in a text without building a tree (RFC 8259).
//!
//! One pass over an object checks its whole grammar, with bounded depth, and locates each top-level value, so
//! that one can be replaced and every other byte kept. Nested values are scanned on demand, and nothing is
//! decoded that is not read.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;

/// Deepest nesting of arrays and objects, including the outermost.
pub const MAX_DEPTH: u32 = 128;
/// Bytes of a string that are looked at one by one before many are at once.
const NEAR: usize = 8;
/// A string without a space in this many leading bytes is data, not text.
const NO_TEXT: usize = 512;

/// Up to here, every whole number has an exact floating-point representation.
const WHOLE_MAX: f64 = (1_u64 << 53) as f64;

/// Why a text is not the expected JSON. Contains no part of the text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// The bytes are not UTF-8; valid up to this byte.
    #[error("not valid UTF-8 at byte {0}")]
    Utf8(usize),
    /// A syntax error at this byte.
    #[error("not valid JSON at byte {at}: expected {expected}")]
    Syntax {
        /// Offset in bytes.
        at: usize,
        /// What the grammar expects there.
        expected: &'static str,
    },
    /// Nested deeper than [`MAX_DEPTH`].
    #[error("nested deeper than {MAX_DEPTH} levels at byte {0}")]
    TooDeep(usize),
}

/// The type of a JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `{…}`
    Object,
    /// `[…]`
    Array,
    /// `"…"`
    String,
    /// `-1.5e3`
    Number,
    /// `true` or `false`
    Bool,
    /// `null`
    Null,
}

impl Kind {
    /// The type's name with its article, for messages.
    pub fn with_article(self) -> &'static str {
        match self {
            Self::Object => "an object",
            Self::Array => "an array",
            Self::String => "a string",
            Self::Number => "a number",
            Self::Bool => "a boolean",
            Self::Null => "null",
        }
    }
}

/// A value: its text, including quotes and brackets, and its position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Value<'a> {
    /// The value as written.
    pub raw: &'a str,
    /// Its type.
    pub kind: Kind,
    /// Offset of its first byte in the scanned text.
    pub start: usize,
}

impl<'a> Value<'a> {
    /// The range of the value in the scanned text.
    pub fn range(&self) -> Range<usize> {
        self.start..self.start + self.raw.len()
    }

    /// The string's text; `None` for other types and for lone surrogates.
    pub fn as_str(&self) -> Option<Cow<'a, str>> {
        let inner = self.raw.strip_prefix('"')?.strip_suffix('"')?;
        if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
            return Some(Cow::Borrowed(inner));
        }
        serde_json::from_str(self.raw).ok().map(Cow::Owned)
    }

    /// The boolean.
    pub fn as_bool(&self) -> Option<bool> {
        (self.kind == Kind::Bool).then_some(self.raw == "true")
    }

    /// The number as an unsigned integer, however it is written: 8, 8.0 and 8e0 are one number (RFC 8259,
    /// "Numbers").
    pub fn as_u64(&self) -> Option<u64> {
        let is_whole = |number: &f64| number.fract() == 0.0 && (0.0..=WHOLE_MAX).contains(number);
        self.raw.parse().ok().or_else(|| self.as_f64().filter(is_whole).map(|number| number as u64))
    }

    /// The number as an integer.
    pub fn as_i64(&self) -> Option<i64> {
        self.raw.parse().ok()
    }

    /// The number, if it is finite.
    pub fn as_f64(&self) -> Option<f64> {
        let number = (self.kind == Kind::Number).then(|| self.raw.parse::<f64>().ok()).flatten();
        number.filter(|number| number.is_finite())
    }

    /// The members of an object.
    pub fn as_object(&self) -> Option<Object<'a>> {
        (self.kind == Kind::Object).then(|| Object::scan(self.raw).ok()).flatten()
    }

    /// The elements of an array.
    pub fn as_array(&self) -> Option<Vec<Value<'a>>> {
        let mut scanner = Scanner::new(self.raw);
        scanner.take(b'[')?;
        let mut elements = Vec::new();
        scanner.skip_space();
        if scanner.take(b']').is_some() {
            return Some(elements);
        }
        loop {
            elements.push(scanner.value().ok()?);
            scanner.skip_space();
            if scanner.take(b',').is_none() {
                return scanner.take(b']').map(|()| elements);
            }
        }
    }
}

/// The members of an object, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Object<'a> {
    members: Vec<(Cow<'a, str>, Value<'a>)>,
    text_bytes: usize,
}

impl<'a> Object<'a> {
    /// Parses a text that is a single object, apart from white space.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JsonError> {
        #[cfg(test)]
        PARSED.set(PARSED.get() + 1);
        let text = std::str::from_utf8(bytes).map_err(|error| JsonError::Utf8(error.valid_up_to()))?;
        Self::scan(text)
    }

    fn scan(text: &'a str) -> Result<Self, JsonError> {
        let mut scanner = Scanner::new(text);
        let mut members = Vec::with_capacity(12);
        scanner.skip_space();
        scanner.expect(b'{', "an object")?;
        scanner.skip_space();
        if scanner.take(b'}').is_none() {
            loop {
                scanner.skip_space();
                let key = scanner.key()?;
                let at = scanner.at;
                let key =
                    key.as_str().ok_or(JsonError::Syntax { at, expected: "a key of whole characters" })?;
                scanner.skip_space();
                members.push((key, scanner.value()?));
                scanner.skip_space();
                if scanner.take(b',').is_none() {
                    scanner.expect(b'}', "',' or '}'")?;
                    break;
                }
            }
        }
        scanner.skip_space();
        match scanner.peek() {
            None => Ok(Self { members, text_bytes: scanner.text_bytes }),
            Some(_) => Err(scanner.error("the end of the text")),
        }
    }

    /// The value of a key; of the last one if the key occurs twice.
    pub fn get(&self, key: &str) -> Option<Value<'a>> {
        self.members.iter().rev().find(|(name, _)| name == key).map(|(_, value)| *value)
    }

    /// The text of a string member; empty if there is none.
    pub fn text(&self, key: &str) -> Cow<'a, str> {
        self.get(key).and_then(|value| value.as_str()).unwrap_or_default()
    }

    /// The text of a string member; `None` if there is none or it is empty.
    pub fn text_of(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key)?.as_str().filter(|text| !text.is_empty())
    }

    /// Bytes of all strings in it as written, at any depth, without keys and data (long runs without a space,
    /// such as base64).
    pub fn text_bytes(&self) -> usize {
        self.text_bytes
    }

    /// The members, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, Value<'a>)> {
        self.members.iter().map(|(key, value)| (key.as_ref(), *value))
    }

    /// Returns two keys that are equal after case folding, if there are any. Some servers ignore the case of
    /// keys, so such a pair could mean one thing here and another there.
    pub fn ambiguous_keys(&self) -> Option<(&str, &str)> {
        let mut folded: Vec<_> = self.members.iter().map(|(key, _)| (fold(key), key.as_ref())).collect();
        folded.sort_unstable();
        let pairs = folded.iter().zip(folded.iter().skip(1));
        pairs.into_iter().find(|(a, b)| a.0 == b.0).map(|(a, b)| (a.1, b.1))
    }
}

#[cfg(test)]
thread_local! {
    static PARSED: std::cell::Cell<u32> = const { std::cell::Cell::new(0) };
}

/// How many texts this thread has parsed, for tests of how often one is.
#[cfg(test)]
pub(crate) fn parsed() -> u32 {
    PARSED.get()
}

/// Folds the case of a key, by Unicode (`ſ` is `s`, `K` is `k`).
fn fold(key: &str) -> Cow<'_, str> {
    if key.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(key);
    }
    Cow::Owned(key.chars().flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect())
}

/// The grammar, token by token.
pub(crate) struct Scanner<'a> {
    text: &'a str,
    at: usize,
    text_bytes: usize,
}

impl<'a> Scanner<'a> {
    /// Starts at the beginning of a text.
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, text_bytes: 0 }
    }

    /// Offset of the next byte.
    pub(crate) fn at(&self) -> usize {
        self.at
    }

    pub(crate) fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    pub(crate) fn take(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    pub(crate) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        self.take(byte).ok_or_else(|| self.error(expected))
    }

    pub(crate) fn error(&self, expected: &'static str) -> JsonError {
        JsonError::Syntax { at: self.at, expected }
    }

    fn rest(&self) -> &'a [u8] {
        self.text.as_bytes().get(self.at..).unwrap_or_default()
    }

    pub(crate) fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.peek() {
            self.at += 1;
        }
    }

    /// Reads a key and the colon after it.
    pub(crate) fn key(&mut self) -> Result<Value<'a>, JsonError> {
        let start = self.at;
        if self.peek() != Some(b'"') {
            return Err(self.error("a key in double quotes"));
        }
        self.string()?;
        self.colon(start)
    }

    /// Reads the colon after a key that began at `start`.
    pub(crate) fn colon(&mut self, start: usize) -> Result<Value<'a>, JsonError> {
        let raw = self.slice(start)?;
        self.skip_space();
        self.expect(b':', "':'")?;
        Ok(Value { raw, kind: Kind::String, start })
    }

    fn slice(&self, start: usize) -> Result<&'a str, JsonError> {
        self.text.get(start..self.at).ok_or_else(|| self.error("whole characters"))
    }

    /// Reads a value of any type with everything in it, without recursion.
    pub(crate) fn value(&mut self) -> Result<Value<'a>, JsonError> {
        self.skip_space();
        let start = self.at;
        // One bit for each open bracket, the innermost lowest: 1 for an object.
        let mut open: u128 = 0;
        let mut depth: u32 = 0;
        let mut outermost = None;
        loop {
            self.skip_space();
            let kind = match self.peek() {
                Some(b'"') => {
                    let start = self.at;
                    self.string()?;
                    self.count(start);
                    Kind::String
                }
                Some(b'-' | b'0'..=b'9') => self.number().map(|()| Kind::Number)?,
                Some(b't') => self.word("true").map(|()| Kind::Bool)?,
                Some(b'f') => self.word("false").map(|()| Kind::Bool)?,
                Some(b'n') => self.word("null").map(|()| Kind::Null)?,
                Some(bracket @ (b'{' | b'[')) => {
                    let is_object = bracket == b'{';
                    let kind = if is_object { Kind::Object } else { Kind::Array };
                    outermost.get_or_insert(kind);
                    self.at += 1;
                    self.skip_space();
                    if self.take(if is_object { b'}' } else { b']' }).is_none() {
                        // The object that holds this value counts as a level too.
                        if depth + 1 >= MAX_DEPTH {
                            return Err(JsonError::TooDeep(self.at));
                        }
                        depth += 1;
                        open = open << 1 | u128::from(is_object);
                        if is_object {
                            self.key()?;
                        }
                        continue;
                    }
                    kind
                }
                _ => return Err(self.error("a value")),
            };
            outermost.get_or_insert(kind);
            while depth > 0 {
                self.skip_space();
                let in_object = open & 1 == 1;
                if self.take(b',').is_some() {
                    if in_object {
                        self.skip_space();
                        self.key()?;
                    }
                    break;
                }
                if in_object {
                    self.expect(b'}', "',' or '}'")?;
                } else {
                    self.expect(b']', "',' or ']'")?;
                }
                open >>= 1;
                depth -= 1;
            }
            if depth == 0 {
                let kind = outermost.unwrap_or(kind);
                return Ok(Value { raw: self.slice(start)?, kind, start });
            }
        }
    }

    pub(crate) fn word(&mut self, word: &'static str) -> Result<(), JsonError> {
        if !self.rest().starts_with(word.as_bytes()) {
            return Err(self.error("a value"));
        }
        self.at += word.len();
        Ok(())
    }

    pub(crate) fn string(&mut self) -> Result<(), JsonError> {
        self.at += 1;
        self.in_string(usize::MAX).map(|_| ())
    }

    /// Reads on within a string, for about `max` bytes; returns whether it has ended.
    pub(crate) fn in_string(&mut self, max: usize) -> Result<bool, JsonError> {
        let end = self.at.saturating_add(max);
        while self.at < end {
            let rest = self.rest();
            let part = rest.get(..end - self.at).unwrap_or(rest);
            // Escapes often follow each other closely.
            let near = part.iter().take(NEAR).position(|byte| matches!(byte, b'"' | b'\\'));
            let stop = near.or_else(|| memchr::memchr2(b'"', b'\\', part));
            if stop.is_none() && part.len() == rest.len() {
                self.at = self.text.len();
                return Err(self.error("'\"' at the end of a string"));
            }
            let plain = part.get(..stop.unwrap_or(part.len())).unwrap_or_default();
            if has_control(plain)
                && let Some(control) = plain.iter().position(|byte| *byte < 0x20)
            {
                self.at += control;
                return Err(self.error("no raw control character in a string"));
            }
            let Some(stop) = stop else {
                self.at += part.len();
                break;
            };
            self.at += stop + 1;
            if rest.get(stop) == Some(&b'"') {
                return Ok(true);
            }
            match self.peek() {
                Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => self.at += 1,
                Some(b'u') => {
                    let digits = self.rest().get(1..5).unwrap_or_default();
                    if digits.len() != 4 || !digits.iter().all(u8::is_ascii_hexdigit) {
                        return Err(self.error("four hexadecimal digits after \\u"));
                    }
                    self.at += 5;
                }
                _ => return Err(self.error("an escape that JSON knows")),
            }
        }
        Ok(false)
    }

    /// Counts the string that began at `start` if it is text.
    fn count(&mut self, start: usize) {
        let string = self.text.as_bytes().get(start..self.at).unwrap_or_default();
        let is_text = match string.get(..NO_TEXT) {
            Some(head) => head.iter().any(|byte| *byte == b' ' || !byte.is_ascii()),
            None => true,
        };
        if is_text {
            self.text_bytes += string.len().saturating_sub(2);
        }
    }

    pub(crate) fn number(&mut self) -> Result<(), JsonError> {
        let _ = self.take(b'-');
        if self.take(b'0').is_none() {
            self.digits()?;
        }
        if self.take(b'.').is_some() {
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(())
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let count = self.rest().iter().take_while(|byte| byte.is_ascii_digit()).count();
        if count == 0 {
            return Err(self.error("a digit"));
        }
        self.at += count;
        Ok(())
    }
}

/// Whether the bytes contain an ASCII control character; checks many at once.
fn has_control(bytes: &[u8]) -> bool {
    bytes.chunks(64).any(|chunk| chunk.iter().fold(false, |any, byte| any | (*byte < 0x20)))
}

/// Finds the end of a string of which `bytes` is the rest. `escaped` is the state between pieces.
pub(crate) fn end_of_string(bytes: &[u8], escaped: &mut bool) -> Option<usize> {
    let mut at = usize::from(std::mem::take(escaped) && !bytes.is_empty());
    while let Some(found) = memchr::memchr2(b'"', b'\\', bytes.get(at..)?) {
        at += found;
        if bytes.get(at) == Some(&b'"') {
            return Some(at);
        }
        at += 2;
        if at > bytes.len() {
            *escaped = true;
            return None;
        }
    }
    None
}
