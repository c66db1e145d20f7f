//! The composition of a value's beginning.
//!
//! Words that announce values may follow each other in one run (`token:token:token:`), and each value begins
//! after its own word. The measured window therefore slides through the run: bytes entering it are added, bytes
//! leaving it are subtracted, and none is read again for every word before it.

use crate::redact::text::cost::look;
use crate::redact::text::view::{ALNUM, ALPHA, DIGIT, VALUE, View, is};

/// Most bytes of a value that are measured.
const MEASURED_MAX: usize = 256;

/// Shortest key or token, and shortest password.
pub(crate) const KEY_MIN: usize = 8;
pub(crate) const PASSWORD_MIN: usize = 4;
/// Shortest value that is told from a name by being random.
const RANDOM_MIN: usize = 16;
/// Most bytes of which a random value is told from a name.
const RANDOM_MAX: usize = 64;
/// The composition of the beginning of a value.
#[derive(Debug, Default)]
pub(crate) struct Composition {
    /// Start of the value.
    start: usize,
    /// End of the value, or of its measured part.
    end: usize,
    /// End without trailing punctuation of a sentence.
    solid: usize,
    /// Counts up to there, and trailing question marks.
    counts: Packed,
    questions: usize,
    /// The part of a name that contains the end.
    part: Part,
}

/// Bytes by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub digits: usize,
    /// Letters, in bytes.
    pub letters: usize,
    /// Signs found in passwords but not in names.
    pub marks: usize,
    pub underscores: usize,
    /// Bytes that occur in no name in code.
    pub odd: usize,
    /// Parts of a name in code, `a.b::c`.
    pub parts: usize,
    /// Digits at the start of a part, or more than two in one.
    pub numbers: usize,
}

/// The same counts packed into one number, so that a byte is added or subtracted at once.
#[derive(Clone, Copy, Debug, Default)]
struct Packed(u64);

/// Bits of a count: enough for [`MEASURED_MAX`] and one more character.
const BITS: u32 = 9;
const DIGITS: u64 = 1;
const LETTERS: u64 = 1 << BITS;
const MARKS: u64 = 1 << (2 * BITS);
const UNDERSCORES: u64 = 1 << (3 * BITS);
const ODD: u64 = 1 << (4 * BITS);
const PARTS: u64 = 1 << (5 * BITS);
const NUMBERS: u64 = 1 << (6 * BITS);

/// What each byte counts as, regardless of position.
static KINDS: [u64; 256] = kinds();

#[allow(clippy::indexing_slicing)] // evaluated when compiled
const fn kinds() -> [u64; 256] {
    let mut table = [ODD; 256];
    let mut byte = 0u8;
    loop {
        let mut kind = match byte {
            b'0'..=b'9' => DIGITS,
            b'a'..=b'z' | b'A'..=b'Z' => LETTERS,
            0x80.. => LETTERS | ODD,
            b'_' => UNDERSCORES,
            b'.' | b':' => 0,
            _ => ODD,
        };
        if matches!(byte, b'!' | b'#' | b'%' | b'&' | b'+' | b'?' | b'@' | b'^' | b'~') {
            kind |= MARKS;
        }
        table[byte as usize] = kind;
        if byte == u8::MAX {
            return table;
        }
        byte += 1;
    }
}

/// A part of a name in code, up to a position in it.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    length: usize,
    digits: usize,
}

impl Part {
    /// What the next byte counts as.
    fn next(&mut self, byte: u8) -> u64 {
        look(1);
        let mut kind = KINDS.get(usize::from(byte)).copied().unwrap_or(ODD);
        if kind & (ODD | MARKS) != 0 || kind == 0 {
            *self = Self::default();
            return kind;
        }
        if self.length == 0 {
            kind |= PARTS;
        }
        if kind & DIGITS != 0 {
            self.digits += 1;
            if self.length == 0 || self.digits > 2 {
                kind |= NUMBERS;
            }
        }
        self.length += 1;
        kind
    }
}

impl Packed {
    fn get(self, one: u64) -> usize {
        (self.0 / one % (1 << BITS)) as usize
    }
}

impl Composition {
    /// Measures the value that begins at an offset.
    pub fn measure(&mut self, view: &View<'_>, at: usize) {
        let in_part = view.before(at).is_some_and(|byte| is(byte, ALNUM) || byte == b'_');
        if at < self.start || at > self.solid || in_part {
            *self = Self { start: at, end: at, solid: at, ..Self::default() };
        }
        let mut part = Part::default();
        for byte in view.slice(self.start..at) {
            self.counts.0 -= part.next(*byte);
        }
        self.start = at;
        while self.end - at < MEASURED_MAX {
            let end = view.run_of_letters(self.end, VALUE, 1);
            if end == self.end {
                break;
            }
            for byte in view.slice(self.end..end) {
                self.counts.0 += self.part.next(*byte);
                let is_solid = !b".:?".contains(byte);
                self.questions = if is_solid { 0 } else { self.questions + usize::from(*byte == b'?') };
                self.end += 1;
                if is_solid {
                    self.solid = self.end;
                }
            }
        }
    }

    /// End of the measured part.
    pub fn end(&self) -> usize {
        self.end
    }

    /// Its length without trailing punctuation.
    pub fn len(&self) -> usize {
        self.solid - self.start
    }

    /// Its composition.
    pub fn counts(&self) -> Counts {
        let count = |one| self.counts.get(one);
        Counts {
            digits: count(DIGITS),
            letters: count(LETTERS),
            marks: count(MARKS) - self.questions,
            underscores: count(UNDERSCORES),
            odd: count(ODD) - self.questions,
            parts: count(PARTS),
            numbers: count(NUMBERS),
        }
    }
}

/// Whether a byte of a class is among these.
pub(crate) fn has(bytes: &[u8], class: u16) -> bool {
    bytes.iter().any(|byte| is(*byte, class))
}

/// `$NAME`, `${…}`, `%(name)s`, `%s` and `%NAME%` stand for other values.
pub(crate) fn is_template(value: &[u8]) -> bool {
    let named = |name: &[u8]| name.iter().all(|byte| is(*byte, ALNUM) || b"_.:".contains(byte));
    match value.split_first() {
        Some((b'$', rest)) => named(rest) && !rest.first().is_some_and(|byte| is(*byte, DIGIT)),
        Some((b'%', rest)) => {
            let verb = rest.first().is_some_and(|byte| b"sdvqxf({".contains(byte));
            let opens = rest.first().is_some_and(|byte| b"({".contains(byte));
            let ends = rest.get(1).is_none_or(|byte| !is(*byte, ALNUM));
            opens || verb && ends || rest.len() < 2 || rest.last() == Some(&b'%')
        }
        Some((first, _)) => b"<{".contains(first),
        None => true,
    }
}

/// Whether a value changes between letters and digits, or within words to capitals, as often as a random one.
pub(crate) fn is_random(value: &[u8]) -> bool {
    let value = value.get(..RANDOM_MAX.min(value.len())).unwrap_or_default();
    look(value.len());
    let digits = value.iter().filter(|byte| is(**byte, DIGIT)).count();
    digits > 1 && value.len() >= RANDOM_MIN && switches(value) * 5 >= value.len()
}

/// Counts the places where a letter and a digit, or a small letter and a capital, meet.
pub(crate) fn switches(value: &[u8]) -> usize {
    let pairs = value.iter().zip(value.iter().skip(1));
    let meet = |(one, other): &(&u8, &u8)| {
        is(**one, ALPHA) && is(**other, DIGIT)
            || is(**one, DIGIT) && is(**other, ALPHA)
            || one.is_ascii_lowercase() && other.is_ascii_uppercase()
    };
    pairs.filter(meet).count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_window_that_moved_is_as_one_that_begins_there(
            text in "([a-z0-9_:=.?!-]{0,12}|[éß]|[0-9]{3}|::|[.:?]{3,9}){0,60}",
            steps in prop::collection::vec(1..9usize, 0..60),
        ) {
            let view = View::new(&text, 0, 0);
            let (mut moved, mut at) = (Composition::default(), 0);
            for step in steps {
                at = text.ceil_char_boundary(at + step);
                if at > text.len() {
                    break;
                }
                moved.measure(&view, at);
                let mut fresh = Composition::default();
                fresh.measure(&view, at);
                prop_assert_eq!(moved.end(), fresh.end());
                prop_assert_eq!(moved.len(), fresh.len());
                prop_assert_eq!(moved.counts(), fresh.counts(), "{} at {}", text, at);
            }
        }
    }
}
