//! Forms of keys: what stands around a prefix, as rows of a table instead of expressions.
//!
//! A form is read once, forward from its prefix. Whether it fits depends on its first bytes alone, so that the
//! decision about a long key does not change as the key grows.

use crate::redact::text::view::{ALNUM, ALPHA, BASE64, DIGIT, HEX, PADDING, TOKEN, View, is};

/// The bytes of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Digits,
    Hex,
    /// Capitals and digits.
    Capitals,
    Alnum,
    /// Letters, digits and `_`.
    Name,
    /// Base64url.
    Token,
    /// Base64url with dots.
    Dotted,
    /// Base64; padding may follow.
    Base64,
    /// Base64 of either alphabet, with `=` and `.` in between, as in sealed tokens.
    Sealed,
}

impl Class {
    fn has(self, byte: u8) -> bool {
        match self {
            Self::Digits => is(byte, DIGIT),
            Self::Hex => is(byte, HEX),
            Self::Capitals => is(byte, DIGIT) || byte.is_ascii_uppercase(),
            Self::Alnum => is(byte, ALNUM),
            Self::Name => is(byte, ALNUM) || byte == b'_',
            Self::Token => is(byte, TOKEN),
            Self::Dotted => is(byte, TOKEN) || byte == b'.',
            Self::Base64 => is(byte, BASE64),
            Self::Sealed => is(byte, BASE64 | TOKEN | PADDING) || byte == b'.',
        }
    }

    /// Whether a run of this class may be a name in code or words joined by hyphens.
    fn may_be_words(self) -> bool {
        !matches!(self, Self::Digits | Self::Hex | Self::Capitals | Self::Alnum)
    }
}

/// A run of a class, and the literal after it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Run {
    class: Class,
    min: u16,
    /// Zero for any length.
    max: u16,
    then: &'static str,
}

/// Exactly this many bytes.
pub(crate) const fn exactly(class: Class, length: u16) -> Run {
    Run { class, min: length, max: length, then: "" }
}

/// Between `min` and `max` bytes.
pub(crate) const fn between(class: Class, min: u16, max: u16) -> Run {
    Run { class, min, max, then: "" }
}

/// At least this many bytes; everything of the class that follows belongs to the key. The last run of a form.
pub(crate) const fn at_least(class: Class, min: u16) -> Run {
    Run { class, min, max: 0, then: "" }
}

impl Run {
    /// The literal that must follow.
    pub const fn then(self, literal: &'static str) -> Self {
        Self { then: literal, ..self }
    }
}

/// A form: up to four runs.
pub(crate) type Form = &'static [Run];

/// Eight, three times four and twelve hexadecimal digits (RFC 9562).
pub(crate) const UUID: Form = &[
    exactly(Class::Hex, 8).then("-"),
    exactly(Class::Hex, 4).then("-"),
    exactly(Class::Hex, 4).then("-"),
    exactly(Class::Hex, 4).then("-"),
    exactly(Class::Hex, 12),
];

/// Fewest bytes that are a key by their number alone, where no word consists of its class.
const CERTAIN: usize = 16;
/// Most bytes that are examined to tell a key from words.
pub(crate) const EXAMINED_MAX: usize = 96;

/// Returns the end of the form at an offset. What is told from words begins at `from`.
pub(crate) fn end(view: &View<'_>, form: Form, from: usize, at: usize) -> Option<usize> {
    let (mut next, mut certain, mut last) = (at, true, exactly(Class::Token, 0));
    for run in form {
        let min = usize::from(run.min);
        let most = if run.max == 0 { min.max(EXAMINED_MAX) } else { usize::from(run.max) };
        let mut end = next;
        while end - next < most && view.at(end).is_some_and(|byte| run.class.has(byte)) {
            end += 1;
        }
        if end - next < min || !view.starts_with(end, run.then.as_bytes()) {
            return None;
        }
        certain &= run.max != 0 && !run.class.may_be_words();
        next = end + run.then.len();
        last = *run;
    }
    let value = view.slice(from..next.min(from + EXAMINED_MAX));
    let fits = if certain && value.len() >= CERTAIN { !is_placeholder(value) } else { is_mixed(value) };
    if !fits {
        return None;
    }
    // Only of what is a key all is read.
    while last.max == 0 && view.at(next).is_some_and(|byte| last.class.has(byte)) {
        next += 1;
    }
    // Base64 ends in padding; other keys of a fixed length end where no token goes on.
    if matches!(last.class, Class::Base64 | Class::Sealed) {
        next = view.run(next, PADDING, 2);
    } else if view.is(next, TOKEN) && (last.max != 0 || form.is_empty()) {
        return None;
    }
    // A sentence's full stop is no part of a key.
    while next > at && view.before(next) == Some(b'.') {
        next -= 1;
    }
    Some(next)
}

/// Whether a value consists of letters and digits, or of letters of both cases: a random one nearly always
/// does, a word in code seldom.
pub(crate) fn is_mixed(value: &[u8]) -> bool {
    let has = |fits: fn(&u8) -> bool| value.iter().any(fits);
    let digit = has(|byte| is(*byte, DIGIT));
    let (upper, lower) = (has(u8::is_ascii_uppercase), has(u8::is_ascii_lowercase));
    (digit && (upper || lower) || upper && lower && !is_words(value)) && !is_placeholder(value)
}

/// Whether a value consists of words that begin with capitals: `Your-Api-Key-Here`.
fn is_words(value: &[u8]) -> bool {
    let mut before = b'-';
    let mut joints = 0;
    for byte in value {
        // A capital within a word, or a small letter at its start.
        if byte.is_ascii_uppercase() && is(before, ALPHA) {
            return false;
        }
        if is(before, ALPHA) && !is(*byte, ALPHA) {
            joints += 1;
        }
        before = *byte;
    }
    joints > 0
}

/// Whether a value contains `xxxxxxxx`, which documents show instead of a key.
fn is_placeholder(value: &[u8]) -> bool {
    const FILLER: usize = 8;
    let mut length = 0;
    value.iter().any(|byte| {
        length = if matches!(byte, b'x' | b'X') { length + 1 } else { 0 };
        length == FILLER
    })
}

/// Whether a byte may belong to a long run of a form, so that a key of the form does not begin after it: the
/// byte is in the middle of another.
pub(crate) fn continues(form: Form, byte: u8) -> bool {
    const LONG: u16 = 64;
    form.iter().any(|run| (run.max == 0 || run.max > LONG) && byte != b'=' && run.class.has(byte))
}

/// Returns the start of the run of `length` bytes that must precede a literal within a key.
pub(crate) fn head(view: &View<'_>, class: Class, length: u16, at: usize) -> Option<usize> {
    let start = at.checked_sub(usize::from(length))?;
    let mut next = at;
    while next > start {
        if !view.before(next).is_some_and(|byte| class.has(byte)) {
            return None;
        }
        next -= 1;
    }
    Some(start)
}
