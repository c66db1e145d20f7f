//! Word lists indexed by first byte: most positions match none of the words, and cost one lookup.

use crate::redact::text::cost::look;
use crate::redact::text::view::View;

/// Words, lowercase where ASCII; they are matched in any case.
pub(crate) struct Lexicon<const N: usize> {
    words: [&'static [u8]; N],
    /// Start of the words with each first byte.
    begin: [u8; 257],
}

impl<const N: usize> Lexicon<N> {
    /// Creates a list of words, none of them empty.
    #[allow(clippy::indexing_slicing)] // evaluated when compiled
    pub const fn new(words: [&'static str; N]) -> Self {
        let mut sorted: [&'static [u8]; N] = [b""; N];
        let mut begin = [0; 257];
        let (mut byte, mut count) = (0, 0);
        while byte < 256 {
            begin[byte] = count as u8;
            let mut word = 0;
            while word < N {
                if words[word].as_bytes()[0] as usize == byte {
                    sorted[count] = words[word].as_bytes();
                    count += 1;
                }
                word += 1;
            }
            byte += 1;
        }
        assert!(count == N && N < 256);
        begin[256] = count as u8;
        Self { words: sorted, begin }
    }

    /// Words with this first byte.
    fn by_first(&self, first: u8) -> &[&'static [u8]] {
        let first = usize::from(first.to_ascii_lowercase());
        let place = |at: usize| self.begin.get(at).map_or(0, |begin| usize::from(*begin));
        let words = self.words.get(place(first)..place(first + 1)).unwrap_or_default();
        look(1 + words.len());
        words
    }

    /// Returns the length of the longest word at an offset.
    pub fn longest(&self, view: &View<'_>, at: usize) -> Option<usize> {
        let words = self.by_first(view.at(at)?);
        words.iter().filter(|word| view.starts_with_any_case(at, word)).map(|word| word.len()).max()
    }

    /// Whether a text begins with one of the words.
    pub fn begins(&self, text: &[u8]) -> bool {
        let begins =
            |word: &[u8]| text.get(..word.len()).is_some_and(|start| start.eq_ignore_ascii_case(word));
        text.first().is_some_and(|first| self.by_first(*first).iter().any(|word| begins(word)))
    }

    /// Whether a text is one of the words.
    pub fn has(&self, text: &[u8]) -> bool {
        let words = text.first().map(|first| self.by_first(*first)).unwrap_or_default();
        words.iter().any(|word| text.eq_ignore_ascii_case(word))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_found_in_any_case_and_the_longest_counts() {
        const WORDS: Lexicon<5> = Lexicon::new(["no", "nos", "is", "мая", "Мая"]);
        let longest = |text: &str| WORDS.longest(&View::new(text, 0, 0), 0);
        assert_eq!(longest("NOS 1"), Some(3));
        assert_eq!(longest("no"), Some(2));
        assert_eq!((longest("n"), longest("x"), longest("")), (None, None, None));
        assert_eq!((longest("мая"), longest("Мая"), longest("МАЯ")), (Some(6), Some(6), None));
        assert!(WORDS.has(b"Is") && !WORDS.has(b"iss") && WORDS.begins(b"iss") && !WORDS.begins(b"i"));
    }
}
