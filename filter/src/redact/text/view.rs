//! A text as detectors read it.
//!
//! Every validator reads through [`View::at`], which notes an access past the end. Such a candidate may turn
//! out differently when more text arrives: it is *open*, and a stream holds it back. A decision that is not
//! open therefore holds for every continuation of the text.
//!
//! A validator that reads far in one run is paused: what it returns is discarded, and it is asked again later,
//! when the run goes on from where it was ([`View::take_pause`]).

use std::cell::Cell;
use std::ops::Range;

use crate::redact::text::cost::{candidate, look, step};

/// `0`–`9`.
pub(crate) const DIGIT: u16 = 1;
/// ASCII letters.
pub(crate) const ALPHA: u16 = 1 << 1;
/// Hexadecimal digits.
pub(crate) const HEX: u16 = 1 << 2;
/// The local part of an email address (RFC 5322, dot-atom), as far as it is in use.
pub(crate) const LOCAL: u16 = 1 << 3;
/// Base64 without padding (RFC 4648, section 4).
pub(crate) const BASE64: u16 = 1 << 4;
/// Base64url (RFC 4648, section 5), used in tokens.
pub(crate) const TOKEN: u16 = 1 << 5;
/// Bytes that may trigger a candidate.
pub(crate) const TRIGGER: u16 = 1 << 6;
/// Bytes of an unquoted secret.
pub(crate) const VALUE: u16 = 1 << 7;
/// Bytes that may end up within a candidate that is not recognized yet.
pub(crate) const TAIL: u16 = 1 << 8;
/// Space and horizontal tab.
pub(crate) const BLANK: u16 = 1 << 9;
/// Padding of base64.
pub(crate) const PADDING: u16 = 1 << 10;
/// Signs that may stand between a word and its value.
pub(crate) const GAP: u16 = 1 << 11;
/// Letters and digits.
pub(crate) const ALNUM: u16 = DIGIT | ALPHA;

static CLASSES: [u16; 256] = classes();

const fn contains(set: &[u8], byte: u8) -> bool {
    let mut rest = set;
    while let Some((first, others)) = rest.split_first() {
        if *first == byte {
            return true;
        }
        rest = others;
    }
    false
}

#[allow(clippy::indexing_slicing)] // evaluated when compiled
const fn classes() -> [u16; 256] {
    let mut table = [0; 256];
    let mut byte = 0u8;
    while byte < 128 {
        let mut class = 0;
        if byte.is_ascii_digit() {
            class |= DIGIT | TRIGGER;
        }
        if byte.is_ascii_alphabetic() {
            class |= ALPHA;
        }
        if byte.is_ascii_hexdigit() {
            class |= HEX;
        }
        if class & ALNUM != 0 {
            class |= LOCAL | BASE64 | TOKEN | VALUE | TAIL;
        }
        if contains(b"._%+-'", byte) {
            class |= LOCAL;
        }
        if contains(b"+/", byte) {
            class |= BASE64;
        }
        if byte == b'=' {
            class |= PADDING;
        }
        if contains(b"_-", byte) {
            class |= TOKEN;
        }
        if contains(b"@:+([-.~", byte) {
            class |= TRIGGER;
        }
        if contains(b"!#$%&+-./:=?@^_~", byte) {
            class |= VALUE;
        }
        if contains(b"._%+-'~:([", byte) {
            class |= TAIL;
        }
        if contains(b":=#\"'.-(|*_>,\\/", byte) {
            class |= GAP;
        }
        if byte == b' ' || byte == b'\t' {
            class |= BLANK;
        }
        table[byte as usize] = class;
        byte += 1;
    }
    table
}

/// Whether a byte belongs to one of the classes.
#[inline]
pub(crate) fn is(byte: u8, class: u16) -> bool {
    CLASSES.get(usize::from(byte)).is_some_and(|of| of & class != 0)
}

/// Returns the length of a letter beyond ASCII by its first bytes, for scripts that separate words by spaces.
/// In others a value may stand in the middle of a sentence.
fn letter(first: u8, second: u8) -> Option<usize> {
    match (first, second) {
        (0xc3..=0xdf, _) => Some(2),
        (0xe1, 0xb8..=0xbb) => Some(3),
        _ => None,
    }
}

/// A text, and the part of it to be searched.
pub(crate) struct View<'t> {
    bytes: &'t [u8],
    /// Matches start here or later; the text before is context.
    pub from: usize,
    /// End of the last match before `from`: no match reaches back past it.
    pub barrier: usize,
    /// Whether a minus sign before a number belongs to it, as in JSON.
    pub signed: bool,
    end_was_read: Cell<bool>,
    /// The validator that runs reads too far at once.
    paused: Cell<bool>,
    /// Runs that were paused, and the next one to be forgotten.
    runs: [Cell<Run>; RUNS],
    oldest: Cell<usize>,
}

/// A run of this many bytes counts for more than a candidate.
const LONG_RUN: usize = 64;
/// Bytes of a run that are read at once.
const RUN_MAX: usize = 4096;
/// Runs that are remembered: more than one validator reads.
const RUNS: usize = 8;

/// A run of a class, as far as it was read.
#[derive(Clone, Copy, Debug, Default)]
struct Run {
    from: usize,
    class: u16,
    /// Whether letters beyond ASCII belong to it.
    letters: bool,
    reached: usize,
}

impl<'t> View<'t> {
    pub fn new(text: &'t str, from: usize, barrier: usize) -> Self {
        Self {
            bytes: text.as_bytes(),
            from,
            barrier,
            signed: false,
            end_was_read: Cell::new(false),
            paused: Cell::new(false),
            runs: Default::default(),
            oldest: Cell::new(0),
        }
    }

    /// Marks the running validator as one that reads too far at once.
    pub fn pause(&self) {
        self.paused.set(true);
    }

    /// Whether the last validator was paused, so that its verdict says nothing.
    pub fn is_paused(&self) -> bool {
        self.paused.get()
    }

    /// The same, and begins anew.
    pub fn take_pause(&self) -> bool {
        self.paused.replace(false)
    }

    pub fn bytes(&self) -> &'t [u8] {
        self.bytes
    }

    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Starts a candidate.
    pub fn begin(&self) {
        candidate();
        self.end_was_read.set(false);
    }

    /// Whether the decision depends on what follows the text.
    pub fn is_open(&self) -> bool {
        self.end_was_read.get()
    }

    /// Returns the byte at an offset; past the end, marks the candidate as open.
    #[inline]
    pub fn at(&self, at: usize) -> Option<u8> {
        look(1);
        let byte = self.bytes.get(at).copied();
        if byte.is_none() {
            self.end_was_read.set(true);
        }
        byte
    }

    /// Whether the byte at an offset belongs to one of the classes.
    #[inline]
    pub fn is(&self, at: usize, class: u16) -> bool {
        self.at(at).is_some_and(|byte| is(byte, class))
    }

    /// Returns the byte before an offset.
    #[inline]
    pub fn before(&self, at: usize) -> Option<u8> {
        look(1);
        at.checked_sub(1).and_then(|before| self.bytes.get(before)).copied()
    }

    /// Whether the byte before an offset belongs to one of the classes.
    #[inline]
    pub fn before_is(&self, at: usize, class: u16) -> bool {
        self.before(at).is_some_and(|byte| is(byte, class))
    }

    /// Whether a literal stands at an offset, in this case.
    pub fn starts_with(&self, at: usize, literal: &[u8]) -> bool {
        self.begins(at, literal, |byte| byte)
    }

    #[inline]
    fn begins(&self, at: usize, literal: &[u8], read: impl Fn(u8) -> u8) -> bool {
        for (offset, byte) in literal.iter().enumerate() {
            look(1);
            match self.bytes.get(at + offset) {
                Some(other) if read(*other) == *byte => {}
                Some(_) => return false,
                None => {
                    self.end_was_read.set(true);
                    return false;
                }
            }
        }
        true
    }

    /// Whether a lowercase ASCII literal stands at an offset, in any case.
    pub fn starts_with_any_case(&self, at: usize, literal: &[u8]) -> bool {
        self.begins(at, literal, |byte| byte.to_ascii_lowercase())
    }

    /// Whether a lowercase ASCII literal ends at an offset, in any case.
    pub fn ends_with_any_case(&self, at: usize, literal: &[u8]) -> bool {
        look(literal.len());
        let Some(start) = at.checked_sub(literal.len()) else { return false };
        self.bytes.get(start..at).is_some_and(|bytes| bytes.eq_ignore_ascii_case(literal))
    }

    /// Returns the end of a run of a class, at most `max` bytes long.
    pub fn run(&self, from: usize, class: u16, max: usize) -> usize {
        if max > RUN_MAX {
            return self.long_run(Run { from, class, letters: false, reached: from }, max);
        }
        let mut at = from;
        while at - from < max {
            match self.bytes.get(at) {
                Some(byte) if is(*byte, class) => at += 1,
                Some(_) => break,
                None => {
                    self.end_was_read.set(true);
                    break;
                }
            }
        }
        // The bytes of the run, and the one that ends it.
        if at - from < LONG_RUN {
            look(at - from + 1);
        } else {
            step(at - from + 1);
        }
        at
    }

    /// Returns the end of a run of a class and of letters beyond ASCII.
    pub fn run_of_letters(&self, from: usize, class: u16, max: usize) -> usize {
        if max > RUN_MAX {
            return self.long_run(Run { from, class, letters: true, reached: from }, max);
        }
        let mut at = from;
        while at - from < max {
            match self.at(at) {
                Some(byte) if is(byte, class) => at += 1,
                Some(byte @ 0x80..) => match self.at(at + 1).and_then(|second| letter(byte, second)) {
                    Some(length) => at += length,
                    None => break,
                },
                _ => break,
            }
        }
        at.min(self.len())
    }

    /// Returns the end of a run of any length, or pauses the validator within it.
    fn long_run(&self, mut run: Run, max: usize) -> usize {
        let same = |known: &&Cell<Run>| {
            let Run { from, class, letters, reached } = known.get();
            (from, class, letters) == (run.from, run.class, run.letters) && reached > from
        };
        let known = self.runs.iter().find(same);
        run.reached = known.map_or(run.from, |known| known.get().reached);
        let part = RUN_MAX.min(max.saturating_sub(run.reached - run.from));
        let end = match run.letters {
            true => self.run_of_letters(run.reached, run.class, part),
            false => self.run(run.reached, run.class, part),
        };
        if end - run.reached < part {
            return end;
        }
        run.reached = end;
        if let Some(slot) = known.or_else(|| self.runs.get(self.oldest.get() % RUNS)) {
            slot.set(run);
        }
        if known.is_none() {
            self.oldest.set(self.oldest.get() + 1);
        }
        if end - run.from < max {
            self.pause();
        }
        end
    }

    /// Returns the start of a run of a class and of letters beyond ASCII that ends at `end`, not before
    /// `floor`, and at most `max` bytes and one character long.
    pub fn run_back(&self, end: usize, class: u16, floor: usize, max: usize) -> usize {
        let mut at = end;
        while at > floor && end - at <= max {
            match self.before(at) {
                Some(byte) if is(byte, class) => at -= 1,
                Some(0x80..) => match self.letter_before(at).filter(|start| *start >= floor) {
                    Some(start) => at = start,
                    None => break,
                },
                _ => break,
            }
        }
        at
    }

    fn letter_before(&self, end: usize) -> Option<usize> {
        [2, 3].into_iter().find_map(|length| {
            let start = end.checked_sub(length)?;
            let found = letter(self.bytes.get(start).copied()?, self.bytes.get(start + 1).copied()?)?;
            (found == length).then_some(start)
        })
    }

    /// Returns bytes without counting steps; the caller counts those it examines.
    pub fn tail(&self, at: usize, length: usize) -> &'t [u8] {
        self.bytes.get(at..at + length).unwrap_or_default()
    }

    /// Returns a range of bytes, or none if it is out of bounds.
    pub fn slice(&self, range: Range<usize>) -> &'t [u8] {
        look(range.len());
        self.bytes.get(range).unwrap_or_default()
    }
}
