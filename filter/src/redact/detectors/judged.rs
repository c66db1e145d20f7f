//! What the beginning of a value is made of.
//!
//! Words that announce values may follow each other within one run (`token:token:token:`), and the value of
//! each begins where its own word ends. So the window that is judged moves through the run: what enters it
//! is counted, what leaves it is counted off, and no byte is looked at again for every word before it.

use crate::redact::text::cost::step;
use crate::redact::text::view::{ALNUM, VALUE, View, is};

/// How much of a value is judged.
const JUDGED: usize = 256;

/// The beginning of a value, and what it is made of.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// Where the value begins.
    start: usize,
    /// Where it ends, or as much of it as is judged.
    end: usize,
    /// The same, without the punctuation of the sentence that it stands in.
    solid: usize,
    /// What stands before that, and how many question marks stand behind it.
    counts: Packed,
    questions: usize,
    /// The part of a name that the end stands in.
    part: Part,
}

/// How many bytes are of what kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    pub digits: usize,
    /// Letters, by their bytes.
    pub letters: usize,
    /// Signs that passwords have and names do not.
    pub marks: usize,
    pub underscores: usize,
    /// Bytes that are of no name in code and stand between no two.
    pub odd: usize,
    /// Parts of a name in code, `a.b::c`.
    pub parts: usize,
    /// Digits that begin a part, or are more than two in one.
    pub numbers: usize,
}

/// The same counts side by side in one number, which a byte is added to and taken from at once.
#[derive(Clone, Copy, Debug, Default)]
struct Packed(u64);

/// How many bits a count has: more than [`JUDGED`] and a character need.
const BITS: u32 = 9;
const DIGITS: u64 = 1;
const LETTERS: u64 = 1 << BITS;
const MARKS: u64 = 1 << (2 * BITS);
const UNDERSCORES: u64 = 1 << (3 * BITS);
const ODD: u64 = 1 << (4 * BITS);
const PARTS: u64 = 1 << (5 * BITS);
const NUMBERS: u64 = 1 << (6 * BITS);

/// What each byte counts as, wherever it stands.
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

/// A part of a name in code, up to a place in it.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    length: usize,
    digits: usize,
}

impl Part {
    /// What a byte counts as that is next.
    fn next(&mut self, byte: u8) -> u64 {
        step(1);
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

impl Judged {
    /// Judges the value that begins at an offset.
    pub fn judge(&mut self, view: &View<'_>, at: usize) {
        let in_part = view.before(at).is_some_and(|byte| is(byte, ALNUM) || byte == b'_');
        if at < self.start || at > self.solid || in_part {
            *self = Self { start: at, end: at, solid: at, ..Self::default() };
        }
        let mut part = Part::default();
        for byte in view.slice(self.start..at) {
            self.counts.0 -= part.next(*byte);
        }
        self.start = at;
        while self.end - at < JUDGED {
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

    /// Where what is judged ends.
    pub fn end(&self) -> usize {
        self.end
    }

    /// How long it is without punctuation at its end.
    pub fn len(&self) -> usize {
        self.solid - self.start
    }

    /// What it is made of.
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
            let (mut moved, mut at) = (Judged::default(), 0);
            for step in steps {
                at = text.ceil_char_boundary(at + step);
                if at > text.len() {
                    break;
                }
                moved.judge(&view, at);
                let mut fresh = Judged::default();
                fresh.judge(&view, at);
                prop_assert_eq!(moved.end(), fresh.end());
                prop_assert_eq!(moved.len(), fresh.len());
                prop_assert_eq!(moved.counts(), fresh.counts(), "{} at {}", text, at);
            }
        }
    }
}
