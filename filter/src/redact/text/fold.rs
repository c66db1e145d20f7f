//! Folds the many spellings of a text to one, and maps offsets back to the original.
//!
//! Decimal digits of every script become ASCII digits, full-width forms become ASCII, dashes and spaces of
//! every width become plain ones, and invisible characters are dropped; in JSON-escaped text, escapes are
//! decoded. Everything else is unchanged, so most texts are borrowed. Offsets are mapped by walking the text
//! again, only where something was found, so no table is kept.

use std::borrow::Cow;
use std::ops::Range;

use crate::redact::text::cost::{look, roughly, step};
use crate::redact::text::slices::rest;

/// Steps of a byte that may be folded.
const EACH: usize = 4;
/// Bytes that are read before a search may pause.
const STRIDE: usize = 4096;

/// How a text is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Reading {
    /// As it is.
    #[default]
    Plain,
    /// With JSON string escapes (RFC 8259, section 7). Anything that is not an escape stands for itself.
    Escaped,
    /// Like `Escaped`, but only escapes are changed.
    EscapesOnly,
}

/// The zeros of all scripts with ten consecutive decimal digits (Unicode 16, General Category Nd), except
/// full-width and mathematical ones; sorted.
const ZEROS: [u32; 62] = [
    0x660, 0x6f0, 0x7c0, 0x966, 0x9e6, 0xa66, 0xae6, 0xb66, 0xbe6, 0xc66, 0xce6, 0xd66, 0xde6, 0xe50, 0xed0,
    0xf20, 0x1040, 0x1090, 0x17e0, 0x1810, 0x1946, 0x19d0, 0x1a80, 0x1a90, 0x1b50, 0x1bb0, 0x1c40, 0x1c50,
    0xa620, 0xa8d0, 0xa900, 0xa9d0, 0xa9f0, 0xaa50, 0xabf0, 0x104a0, 0x10d30, 0x10d40, 0x11066, 0x110f0,
    0x11136, 0x111d0, 0x112f0, 0x11450, 0x114d0, 0x11650, 0x116c0, 0x11730, 0x118e0, 0x11950, 0x11c50,
    0x11d50, 0x11da0, 0x11f50, 0x16a60, 0x16ac0, 0x16b50, 0x1e140, 0x1e2f0, 0x1e4f0, 0x1e950, 0x1fbf0,
];

/// What a character beyond ASCII folds to.
enum Folded {
    Itself,
    Nothing,
    As(u8),
}

fn fold_char(c: char) -> Folded {
    let code = u32::from(c);
    let byte = match code {
        0x00a0 | 0x1680 | 0x2000..=0x200a | 0x202f | 0x205f | 0x3000 => b' ',
        0x00ad | 0x200b..=0x200f | 0x202a..=0x202e | 0x2060..=0x2064 | 0x2066..=0x2069 | 0xfe0f | 0xfeff => {
            return Folded::Nothing;
        }
        0x2010..=0x2015 | 0x2043 | 0x2212 | 0xfe58 | 0xfe63 => b'-',
        0x2024 | 0x3002 | 0xff61 | 0xfe52 => b'.',
        0x2044 | 0x2215 => b'/',
        0x2018 | 0x2019 => b'\'',
        0x201c | 0x201d => b'"',
        0xfe55 | 0x2236 | 0xa789 => b':',
        0xfe6b => b'@',
        0xff01..=0xff5e => u8::try_from(code - 0xff01 + 0x21).unwrap_or(b'?'),
        0x1d7ce..=0x1d7ff => digit((code - 0x1d7ce) % 10),
        0x660.. => {
            let next = ZEROS.partition_point(|zero| *zero <= code);
            let value = next.checked_sub(1).and_then(|last| ZEROS.get(last)).map(|zero| code - zero);
            let Some(value) = value.filter(|value| *value < 10) else { return Folded::Itself };
            digit(value)
        }
        _ => return Folded::Itself,
    };
    Folded::As(byte)
}

fn digit(value: u32) -> u8 {
    u8::try_from(value).map_or(b'0', |value| b'0' + value)
}

/// Whether characters with this first byte ever fold. CJK ideographs, Hangul and most letters do not, so their
/// texts are read quickly.
fn may_fold(first: u8) -> bool {
    matches!(first, 0xc2 | 0xd9 | 0xdb | 0xdf..=0xe3 | 0xea | 0xef | 0xf0)
}

/// A part of a text and what it folds to.
enum Piece {
    /// This many unchanged bytes.
    Same(usize),
    /// This many bytes that fold to a character, or to nothing.
    Read(usize, Option<char>),
    /// An unfinished escape of this many bytes at the end of the text.
    Unfinished(usize),
}

impl Piece {
    /// Its length as written.
    fn length(&self) -> usize {
        let (Self::Same(length) | Self::Read(length, _) | Self::Unfinished(length)) = self;
        *length
    }
}

/// Returns the next part of a text, with about `max` unchanged bytes at most, but a whole character; `None` at
/// the end.
fn piece(text: &str, at: usize, reading: Reading, max: usize) -> Option<Piece> {
    let rest = text.get(at..)?;
    let bytes = rest.as_bytes();
    let first = *bytes.first()?;
    // A piece, and what is compared to fold a character.
    look(4);
    if first == b'\\' && reading != Reading::Plain {
        return Some(parse_escape(bytes, reading));
    }
    if may_fold(first) && reading != Reading::EscapesOnly {
        let c = rest.chars().next()?;
        return Some(match fold_char(c) {
            Folded::Itself => Piece::Same(c.len_utf8()),
            Folded::Nothing => Piece::Read(c.len_utf8(), None),
            Folded::As(byte) => Piece::Read(c.len_utf8(), Some(char::from(byte))),
        });
    }
    let max = rest.floor_char_boundary(max).max(rest.chars().next()?.len_utf8());
    Some(Piece::Same(same(bytes.get(..max).unwrap_or(bytes), reading)))
}

/// Counts the unchanged bytes at the start. Examines little more than these, since a text may have a part for
/// each of its characters.
fn same(bytes: &[u8], reading: Reading) -> usize {
    /// Bytes checked at once.
    const CHUNK: usize = 16;
    if reading == Reading::EscapesOnly {
        let end = memchr::memchr(b'\\', bytes).unwrap_or(bytes.len());
        look(end);
        return end;
    }
    let stops = |byte: &u8| may_fold(*byte) || (*byte == b'\\' && reading == Reading::Escaped);
    let mut at = 0;
    for part in bytes.chunks(CHUNK) {
        // Most text is ASCII without escapes.
        let is_plain = part.iter().fold(true, |plain, byte| plain & byte.is_ascii() & (*byte != b'\\'));
        if !is_plain && let Some(next) = part.iter().position(stops) {
            look(at + part.len());
            return at + next;
        }
        at += part.len();
    }
    look(at);
    at
}

/// Parses an escape.
fn parse_escape(bytes: &[u8], reading: Reading) -> Piece {
    let c = match bytes.get(1) {
        None => return Piece::Unfinished(1),
        Some(b'n') => '\n',
        Some(b't') => '\t',
        Some(b'r') => '\r',
        Some(b'b') => '\u{8}',
        Some(b'f') => '\u{c}',
        Some(byte @ (b'"' | b'\\' | b'/')) => char::from(*byte),
        Some(b'u') => return unicode_escape(bytes, reading),
        Some(_) => return Piece::Same(1),
    };
    Piece::Read(2, Some(c))
}

fn unicode_escape(bytes: &[u8], reading: Reading) -> Piece {
    let unit = |at: usize| {
        let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
        digits.iter().try_fold(0u32, |value, byte| Some(value * 16 + char::from(*byte).to_digit(16)?))
    };
    let hex = bytes.iter().skip(2).take(4).take_while(|byte| byte.is_ascii_hexdigit()).count();
    if bytes.len() == hex + 2 && hex < 4 {
        return Piece::Unfinished(bytes.len());
    }
    let (code, length) = match unit(0) {
        None => return Piece::Same(1),
        Some(high @ 0xd800..=0xdbff) => match unit(6) {
            Some(low @ 0xdc00..=0xdfff) => (0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00), 12),
            _ if bytes.len() < 12
                && b"\\u".starts_with(bytes.get(6..bytes.len().min(8)).unwrap_or_default()) =>
            {
                return Piece::Unfinished(bytes.len());
            }
            _ => (0xfffd, 6),
        },
        Some(code) => (code, 6),
    };
    let c = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
    Piece::Read(
        length,
        match fold_char(c) {
            _ if reading == Reading::EscapesOnly => Some(c),
            Folded::Itself => Some(c),
            Folded::Nothing => None,
            Folded::As(byte) => Some(char::from(byte)),
        },
    )
}

/// Writes a text as it reads within `depth` nested JSON strings.
pub fn escape(text: &str, depth: u32, out: &mut String) {
    let mut text = Cow::Borrowed(text);
    for _ in 0..depth {
        let quoted = serde_json::Value::from(text.as_ref()).to_string();
        let inner = quoted.strip_prefix('"').and_then(|quoted| quoted.strip_suffix('"'));
        text = Cow::Owned(inner.unwrap_or_default().to_owned());
    }
    out.push_str(&text);
}

/// Whether a text contains an escape, or, unless it is `whole`, the beginning of one at its end.
pub(crate) async fn has_escapes(text: &str, whole: bool) -> bool {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at < bytes.len() {
        let part = bytes.get(at..bytes.len().min(at + STRIDE)).unwrap_or_default();
        let Some(next) = memchr::memchr(b'\\', part) else {
            step(part.len());
            at += part.len();
            rest().await;
            continue;
        };
        step(next + 1);
        match parse_escape(bytes.get(at + next..).unwrap_or_default(), Reading::EscapesOnly) {
            Piece::Read(..) => return true,
            Piece::Unfinished(_) => return !whole,
            Piece::Same(_) => {}
        }
        at += next + 1;
        rest().await;
    }
    false
}

/// Start of the suffix that folds to at least `bytes` bytes, or is `max` bytes long itself.
pub(crate) fn last(text: &str, bytes: usize, max: usize) -> usize {
    let mut read = 0;
    let mut characters = text.char_indices().rev().take_while(|(at, c)| {
        let goes_on = read < bytes && text.len() - at <= max;
        read += match fold_char(*c) {
            Folded::Itself => c.len_utf8(),
            Folded::As(_) => 1,
            Folded::Nothing => 0,
        };
        goes_on
    });
    characters.by_ref().last().map_or(text.len(), |(at, _)| at)
}

/// A folded text.
pub(crate) struct FoldedText<'t> {
    pub text: Cow<'t, str>,
    /// Offset of an escape that the end of the text cuts off.
    pub unfinished: Option<usize>,
}

/// A text that is being folded, part by part.
struct Folding<'t> {
    text: &'t str,
    reading: Reading,
    /// End of what was folded.
    at: usize,
    /// What that folds to, once it differs.
    out: Option<String>,
    unfinished: Option<usize>,
}

impl<'t> Folding<'t> {
    fn new(text: &'t str, reading: Reading) -> Self {
        Self { text, reading, at: 0, out: None, unfinished: None }
    }

    /// Folds about [`STRIDE`] further bytes; returns whether some are left.
    fn go_on(&mut self) -> bool {
        let end = self.text.ceil_char_boundary(self.at + STRIDE);
        let part = self.text.as_bytes().get(self.at..end).unwrap_or_default();
        if self.out.is_none() && part.is_ascii() {
            step(part.len());
            if self.reading == Reading::Plain || memchr::memchr(b'\\', part).is_none() {
                self.at = end;
                return end < self.text.len();
            }
        }
        // A byte that may be folded costs as much as several others.
        roughly(EACH * part.len());
        while self.at < end {
            let Some(piece) = piece(self.text, self.at, self.reading, end - self.at) else { return false };
            let (from, length) = (self.at, piece.length());
            self.at += length;
            if self.out.is_none() {
                if matches!(piece, Piece::Same(_)) {
                    continue;
                }
                let mut out = String::with_capacity(self.text.len());
                out.push_str(self.text.get(..from).unwrap_or_default());
                self.out = Some(out);
            }
            let Some(out) = &mut self.out else { continue };
            match piece {
                Piece::Read(_, c) => out.extend(c),
                Piece::Same(_) => out.push_str(self.text.get(from..from + length).unwrap_or_default()),
                Piece::Unfinished(_) => {
                    self.unfinished = Some(out.len());
                    out.push_str(self.text.get(from..).unwrap_or_default());
                }
            }
        }
        self.at < self.text.len()
    }

    fn finish(self) -> FoldedText<'t> {
        let text = self.out.map_or(Cow::Borrowed(self.text), Cow::Owned);
        FoldedText { text, unfinished: self.unfinished }
    }
}

/// Folds a text.
pub(crate) fn fold(text: &str, reading: Reading) -> FoldedText<'_> {
    let mut folding = Folding::new(text, reading);
    while folding.go_on() {}
    folding.finish()
}

/// The same, with pauses.
pub(crate) async fn fold_in_slices(text: &str, reading: Reading) -> FoldedText<'_> {
    let mut folding = Folding::new(text, reading);
    while folding.go_on() {
        rest().await;
    }
    folding.finish()
}

/// Maps offsets in a folded text back to the original, in ascending order.
pub(crate) struct Back<'t> {
    text: &'t str,
    reading: Reading,
    at: usize,
    folded: usize,
}

impl<'t> Back<'t> {
    pub fn new(text: &'t str, reading: Reading) -> Self {
        Self { text, reading, at: 0, folded: 0 }
    }

    /// Returns the original range of a folded range, which must follow the last one.
    pub async fn range(&mut self, folded: Range<usize>) -> Range<usize> {
        let start = self.start(folded.start).await;
        self.advance(folded.end).await;
        start..self.at
    }

    /// Returns the original offset of a folded offset.
    pub async fn start(&mut self, folded: usize) -> usize {
        self.advance(folded).await;
        let mut start = self.at;
        while let Some(Piece::Read(length, None)) = piece(self.text, start, self.reading, 1) {
            start += length;
            rest().await;
        }
        start
    }

    async fn advance(&mut self, to: usize) {
        while !self.go_on(to) {
            rest().await;
        }
    }

    /// Advances to a folded offset, or by about [`STRIDE`] bytes; returns whether it is reached.
    fn go_on(&mut self, to: usize) -> bool {
        let begin = self.at;
        while self.folded < to {
            if self.at >= begin + STRIDE {
                roughly(EACH * (self.at - begin));
                return false;
            }
            // No more than asked for: a part may be as long as the text, and contain many offsets.
            let left = to - self.folded;
            let (from, read) =
                match piece(self.text, self.at, self.reading, left.min(begin + STRIDE - self.at)) {
                    None => return true,
                    Some(Piece::Same(length) | Piece::Unfinished(length)) => {
                        let length = length.min(left);
                        (length, length)
                    }
                    Some(Piece::Read(length, c)) => (length, c.map_or(0, char::len_utf8)),
                };
            self.at += from;
            self.folded += read;
        }
        roughly(EACH * (self.at - begin));
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::redact::text::cost::steps;
    use crate::redact::text::slices::now;

    #[test]
    fn every_spelling_is_read_as_the_plain_one() {
        for (text, plain) in [
            ("plain \\n", "plain \\n"),
            ("Grüße, 世界", "Grüße, 世界"),
            ("ｊｏｈｎ＠ｅｘａｍｐｌｅ．ｃｏｍ", "john@example.com"),
            ("٠١٢٣٤٥٦٧٨٩ ۴۵", "0123456789 45"),
            ("१२३ ๑๒๓ 𝟙𝟚𝟛", "123 123 123"),
            ("+49\u{a0}30\u{2011}12", "+49 30-12"),
            ("jo\u{200b}hn\u{ad}@x\u{feff}", "john@x"),
        ] {
            assert_eq!(fold(text, Reading::Plain).text, plain);
        }
    }

    #[test]
    fn the_zeros_are_in_order_and_their_digits_apart() {
        assert!(ZEROS.windows(2).all(|pair| pair[0] + 10 <= pair[1]));
    }

    #[test]
    fn the_end_of_a_text_is_as_long_as_it_is_read() {
        assert_eq!(last("abcdef", 3, 100), 3);
        assert_eq!(last("ab１２３", 2, 100), 5);
        assert_eq!(last("abé\u{200b}\u{200b}", 3, 100), 1);
        assert_eq!(last("ab\u{200b}\u{200b}", 3, 4), 5);
        assert_eq!((last("ab", 9, 100), last("", 1, 1)), (0, 0));
    }

    #[test]
    fn escapes_are_read_as_what_they_stand_for() {
        for (text, plain, unfinished) in [
            (r"a\u0040b\/\n\\n\x", "a@b/\n\\n\\x", None),
            (r"\ud83d\ude00\uff20\u200b!", "😀@!", None),
            (r"\ud83d \ude00", "\u{fffd} \u{fffd}", None),
            (r"ab\", r"ab\", Some(2)),
            (r"a\u00", r"a\u00", Some(1)),
            (r"a\ud83d", r"a\ud83d", Some(1)),
            (r"a\ud83d\u", r"a\ud83d\u", Some(1)),
            (r"a\u00zz", r"a\u00zz", None),
        ] {
            let folded = fold(text, Reading::Escaped);
            assert_eq!((folded.text.as_ref(), folded.unfinished), (plain, unfinished), "{text}");
        }
    }

    #[test]
    fn a_range_leads_back_to_where_it_stood() {
        let text = "ü：\u{200b}A\u{200b}B＠c 4٢ \\u0040x end";
        let folded = fold(text, Reading::Escaped).text;
        assert_eq!(folded, "ü:AB@c 42 @x end");
        let mut back = Back::new(text, Reading::Escaped);
        for (part, stood) in
            [("AB", "A\u{200b}B"), ("@c", "＠c"), ("42", "4٢"), ("@x", "\\u0040x"), ("end", "end")]
        {
            let start = folded.find(part).unwrap();
            assert_eq!(text.get(now(back.range(start..start + part.len()))).unwrap(), stood);
        }
    }

    #[test]
    fn each_byte_is_looked_at_a_few_times_however_many_are_folded() {
        for part in ["\u{200b}1", "’", "１", "’tis ", "é’", "あ", "अ", "\\u2019a", "\\\\", "\u{a0}"]
        {
            let text = part.repeat(10_000);
            for reading in [Reading::Plain, Reading::Escaped, Reading::EscapesOnly] {
                let _ = steps();
                fold(&text, reading);
                let steps = steps();
                assert!(steps < 16 * text.len() as u64, "{part:?}, {reading:?}: {steps} of {}", text.len());
            }
        }
    }

    #[test]
    fn the_way_back_is_as_long_as_the_text_however_many_places_are_asked_for() {
        let text = format!("’{}", "a@b.co ".repeat(10_000));
        let folded = fold(&text, Reading::Plain).text;
        let _ = steps();
        let mut back = Back::new(&text, Reading::Plain);
        for start in (1..folded.len() - 7).step_by(7) {
            assert_eq!(text.get(now(back.range(start..start + 6))), Some("a@b.co"));
        }
        let steps = steps();
        assert!(steps < 16 * text.len() as u64, "{steps} of {}", text.len());
    }
}
