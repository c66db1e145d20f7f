//! What the beginning of a value is made of.
//!
//! Words that announce values may follow each other within one run (`token:token:token:`), and the value of
//! each begins where its own word ends. So the window that is judged moves through the run: what enters it
//! is counted, what leaves it is counted off, and no byte is looked at again for every word before it.

use super::cost::step;
use super::view::{ALNUM, ALPHA, DIGIT, VALUE, View, is};

/// How much of a value is judged.
const JUDGED: usize = 256;

/// The beginning of a value, and what it is made of.
#[derive(Debug, Default)]
pub(super) struct Judged {
    /// Where the value begins.
    start: usize,
    /// Where it ends, or as much of it as is judged.
    end: usize,
    /// The same, without the punctuation of the sentence that it stands in.
    solid: usize,
    /// What stands before that, and how many question marks stand behind it.
    counts: Counts,
    questions: usize,
    /// The part of a name that the end stands in.
    part: Part,
}

/// How many bytes are of what kind.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Counts {
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

/// A part of a name in code, up to a place in it.
#[derive(Clone, Copy, Debug, Default)]
struct Part {
    length: usize,
    digits: usize,
}

impl Counts {
    /// Counts a byte in (`+1`), or off again (`usize::wrapping_neg(1)`).
    fn count(&mut self, byte: u8, part: &mut Part, by: usize) {
        step(1);
        let add = |count: &mut usize, is: bool| *count = count.wrapping_add(if is { by } else { 0 });
        let is_digit = is(byte, DIGIT);
        add(&mut self.digits, is_digit);
        add(&mut self.letters, is(byte, ALPHA) || byte >= 0x80);
        add(&mut self.marks, b"!#%&+?@^~".contains(&byte));
        add(&mut self.underscores, byte == b'_');
        if is(byte, ALNUM) || byte == b'_' {
            part.digits += usize::from(is_digit);
            add(&mut self.parts, part.length == 0);
            add(&mut self.numbers, is_digit && (part.length == 0 || part.digits > 2));
            part.length += 1;
        } else {
            *part = Part::default();
            add(&mut self.odd, byte != b'.' && byte != b':');
        }
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
            self.counts.count(*byte, &mut part, usize::MAX);
        }
        self.start = at;
        while self.end - at < JUDGED {
            let end = view.run_of_letters(self.end, VALUE, 1);
            if end == self.end {
                break;
            }
            for byte in view.slice(self.end..end) {
                self.counts.count(*byte, &mut self.part, 1);
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
        let Counts { marks, odd, .. } = self.counts;
        Counts { marks: marks - self.questions, odd: odd - self.questions, ..self.counts }
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
                prop_assert_eq!(format!("{:?}", moved.counts()), format!("{:?}", fresh.counts()), "{} at {}", text, at);
            }
        }
    }
}
