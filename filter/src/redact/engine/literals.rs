//! Finds the literals of all detectors in a text.
//!
//! Each literal is represented by its three rarest bytes; a filter of a few kilobytes decides for every three
//! bytes of a text whether a literal may contain them. Few pass, and only there literals are compared. The
//! decision for one byte does not depend on the one before, so the processor can make several at once, which an
//! automaton does not allow.

use crate::redact::detectors::key::{KEYS, Key};
use crate::redact::detectors::label::{WORDS, Word};
use crate::redact::text::cost::{look, step};

/// What a literal announces.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Literal {
    Word(Word),
    Key(&'static Key),
    Pem,
    Jwt,
    Url,
    AzureSignature,
}

/// Literals that are neither words nor key prefixes.
const OTHERS: [(&str, Literal); 4] = [
    ("-----BEGIN ", Literal::Pem),
    ("eyJ", Literal::Jwt),
    ("://", Literal::Url),
    ("sig=", Literal::AzureSignature),
];

/// How many bytes of a literal are looked up: the length of the shortest.
const GRAM: usize = 3;
/// Bits of their hash.
const HASH_BITS: u32 = 15;
/// Leading bits of the hash that index the literals.
const TOP_BITS: u32 = 8;
/// A multiplier that puts the best bits of its product on top (Knuth, "The Art of Computer Programming", volume
/// 3, section 6.4: the golden ratio of 2³²).
const GOLDEN: u32 = 0x9e37_79b1;
/// Folds the case of ASCII letters. It changes other bytes too, in literals and in texts alike.
const CASE: u8 = 0x20;

/// An occurrence of a literal in a text.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Occurrence {
    pub start: usize,
    pub end: usize,
    pub meaning: Literal,
    /// Its index among all literals.
    order: u16,
}

/// A literal, indexed by three of its bytes.
#[derive(Clone, Copy, Debug)]
struct Entry {
    gram: u32,
    /// Their offset in the literal.
    offset: usize,
    text: &'static [u8],
    meaning: Literal,
}

/// The literals, ready for a search that ignores ASCII case.
pub(crate) struct Literals {
    /// One bit for each hash: whether a literal has it.
    filter: Box<[u8; 1 << (HASH_BITS - 3)]>,
    /// Sorted by hash.
    entries: Vec<Entry>,
    /// Start of the entries whose hash begins with these bits.
    begin: Box<[u16; (1 << TOP_BITS) + 1]>,
}

impl Literals {
    /// Indexes all literals.
    pub fn new() -> Self {
        let words =
            WORDS.iter().flat_map(|(word, texts)| texts.iter().map(|text| (*text, Literal::Word(*word))));
        let keys = KEYS.iter().map(|key| (key.prefix, Literal::Key(key)));
        let mut entries: Vec<Entry> =
            words.chain(keys).chain(OTHERS).filter_map(|(text, meaning)| Entry::new(text, meaning)).collect();
        entries.sort_by_key(|entry| hash(entry.gram));
        let mut filter = Box::new([0; 1 << (HASH_BITS - 3)]);
        let mut begin = Box::new([0; (1 << TOP_BITS) + 1]);
        for hash in entries.iter().map(|entry| hash(entry.gram)) {
            if let Some(bits) = filter.get_mut(hash as usize >> 3) {
                *bits |= 1u8 << (hash & 7);
            }
            begin.iter_mut().skip(top(hash) + 1).for_each(|count| *count += 1);
        }
        Self { filter, entries, begin }
    }

    /// Starts a search at the beginning of a text.
    pub fn finder<'l>(&'l self, text: &'l [u8]) -> Finder<'l> {
        Finder { literals: self, text, at: 0, gram: 0, found: Vec::new(), taken: 0 }
    }

    fn compare(&self, gram: u32, gram_at: usize, text: &[u8], found: &mut Vec<Occurrence>) {
        let top = top(hash(gram));
        let place = |top: usize| self.begin.get(top).map_or(0, |begin| usize::from(*begin));
        let entries = self.entries.get(place(top)..place(top + 1)).unwrap_or_default();
        look(entries.len());
        for (order, entry) in (place(top) as u16..).zip(entries).filter(|(_, entry)| entry.gram == gram) {
            let Some(start) = gram_at.checked_sub(entry.offset) else { continue };
            let end = start + entry.text.len();
            look(1);
            if text.get(start..end).is_some_and(|bytes| bytes.eq_ignore_ascii_case(entry.text)) {
                look(entry.text.len());
                found.push(Occurrence { start, end, meaning: entry.meaning, order });
            }
        }
    }

    /// Whether a short text contains a word that announces a value.
    pub fn has_word(&self, text: &str) -> bool {
        let mut finder = self.finder(text.as_bytes());
        finder.read(text.len());
        finder.found.iter().any(|it| matches!(it.meaning, Literal::Word(_)))
    }

    /// Size in memory, in bytes.
    pub fn size(&self) -> usize {
        self.filter.len() + size_of_val(&*self.begin) + size_of_val(self.entries.as_slice())
    }
}

/// A search for literals, part by part, so that a long text takes no more memory for occurrences than a short
/// one.
pub(crate) struct Finder<'l> {
    literals: &'l Literals,
    text: &'l [u8],
    /// End of what was read, and its last bytes.
    at: usize,
    gram: u32,
    /// Sorted occurrences, and how many of them were taken.
    found: Vec<Occurrence>,
    taken: usize,
}

impl Finder<'_> {
    /// Reads up to an offset. Every occurrence that ends there or before is then known.
    pub fn read(&mut self, end: usize) {
        self.found.drain(..self.taken);
        self.taken = 0;
        let literals = self.literals;
        let part = self.text.get(self.at..end).unwrap_or_default();
        step(part.len());
        let mut gram = self.gram;
        for (at, byte) in (self.at..).zip(part) {
            gram = gram >> 8 | u32::from(byte | CASE) << 16;
            let hash = hash(gram);
            let bits = literals.filter.get(hash as usize >> 3).copied().unwrap_or(0);
            if bits >> (hash & 7) & 1 == 1 && at + 1 >= GRAM {
                literals.compare(gram, at + 1 - GRAM, self.text, &mut self.found);
            }
        }
        (self.gram, self.at) = (gram, self.at.max(end));
        self.found.sort_unstable_by_key(|it| (it.end, it.start, it.order));
    }

    /// Whether an occurrence that ends at or before an offset was not taken yet.
    #[inline]
    pub fn has_to(&self, end: usize) -> bool {
        self.found.get(self.taken).is_some_and(|it| it.end <= end)
    }

    /// Returns the next occurrence that ends at or before an offset, ordered by end, then by start.
    pub fn next_to(&mut self, end: usize) -> Option<Occurrence> {
        let next = self.found.get(self.taken).copied().filter(|it| it.end <= end)?;
        self.taken += 1;
        Some(next)
    }
}

impl Entry {
    /// Indexes a literal by its three rarest bytes; `None` if it is shorter.
    fn new(text: &'static str, meaning: Literal) -> Option<Self> {
        let text = text.as_bytes();
        let (offset, gram) = text
            .windows(GRAM)
            .enumerate()
            .max_by_key(|(_, gram)| gram.iter().map(|byte| rarity(*byte)).sum::<usize>())?;
        let gram = gram.iter().rev().fold(0, |gram, byte| gram << 8 | u32::from(byte | CASE));
        Some(Self { gram, offset, text, meaning })
    }
}

fn hash(gram: u32) -> u32 {
    gram.wrapping_mul(GOLDEN) >> (32 - HASH_BITS)
}

fn top(hash: u32) -> usize {
    (hash >> (HASH_BITS - TOP_BITS)) as usize
}

/// Ranks how rare a byte is in texts. Any ranking is correct; this one is fast.
fn rarity(byte: u8) -> usize {
    const BY_FREQUENCY: &[u8] = b" etaoinsrhldcumfpgwybv.,k/:xjqz";
    match byte {
        // The first byte of a multi-byte letter identifies the script, which is the same throughout a text.
        0xc0.. => 3,
        0x80.. => 9,
        _ => {
            let byte = byte.to_ascii_lowercase();
            BY_FREQUENCY.iter().position(|other| *other == byte).unwrap_or(BY_FREQUENCY.len())
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all() -> Vec<(&'static str, Literal)> {
        let literals = Literals::new();
        literals.entries.iter().map(|it| (std::str::from_utf8(it.text).unwrap(), it.meaning)).collect()
    }

    /// The reference: compares every literal at every offset.
    fn slowly(text: &str) -> Vec<(usize, usize, String)> {
        let mut found = Vec::new();
        for (literal, meaning) in all() {
            for start in 0..text.len() {
                let end = start + literal.len();
                let bytes = text.as_bytes().get(start..end).unwrap_or_default();
                if bytes.len() == literal.len() && bytes.eq_ignore_ascii_case(literal.as_bytes()) {
                    found.push((end, start, format!("{meaning:?}")));
                }
            }
        }
        found.sort();
        found
    }

    fn quickly(text: &str) -> Vec<(usize, usize, String)> {
        let literals = Literals::new();
        let mut finder = literals.finder(text.as_bytes());
        let mut found = Vec::new();
        for end in (0..=text.len()).step_by(7).chain([text.len()]) {
            finder.read(end);
            found.extend(std::iter::from_fn(|| finder.next_to(end)));
        }
        let ends: Vec<_> = found.iter().map(|it| (it.end, it.start)).collect();
        assert!(ends.is_sorted());
        let mut found: Vec<_> =
            found.iter().map(|it| (it.end, it.start, format!("{:?}", it.meaning))).collect();
        found.sort();
        found
    }

    #[test]
    fn no_literal_is_too_short_to_be_found() {
        let texts = WORDS.iter().flat_map(|(_, texts)| texts.iter().copied());
        let texts = texts.chain(KEYS.iter().map(|key| key.prefix)).chain(OTHERS.map(|(text, _)| text));
        for text in texts {
            for text in [text.to_owned(), text.to_ascii_uppercase(), format!("x{text}"), format!("{text}x")] {
                assert!(!quickly(&text).is_empty(), "{text}");
            }
        }
    }

    proptest! {
        #[test]
        fn what_is_found_is_what_stands_there(
            parts in prop::collection::vec(
                prop_oneof![
                    prop::sample::select(all().iter().map(|(text, _)| *text).collect::<Vec<_>>()).prop_map(String::from),
                    prop::sample::select(all().iter().map(|(text, _)| *text).collect::<Vec<_>>())
                        .prop_map(str::to_ascii_uppercase),
                    "\\PC{0,6}",
                    "[a-z -]{0,12}",
                ],
                0..8,
            ),
        ) {
            let text = parts.concat();
            prop_assert_eq!(quickly(&text), slowly(&text));
        }
    }
}
