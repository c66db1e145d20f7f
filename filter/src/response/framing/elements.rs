//! The elements of a JSON array, read as they come: how Gemini streams where server-sent events are
//! not asked for (Gemini API, "models.streamGenerateContent").
//!
//! Bytes may be split anywhere. An element that lies whole in one piece is handed out from there;
//! what is held of others is bounded ([`Pieces`]). Only objects are elements; what else stands in
//! the array, or behind it, is passed over.

use crate::json::pieces::{Pieces, RAW_MAX};
use crate::json::truncate::Limits;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub struct Splitter {
    /// How many brackets are open, that of the array included; it has not begun at 0.
    depth: usize,
    /// Whether an element is open.
    in_element: bool,
    in_string: bool,
    escaped: bool,
    held: Pieces,
    skipped: u32,
}

impl Splitter {
    /// A splitter that keeps so much of a long element that comes in pieces.
    pub fn new(limits: Limits) -> Self {
        Self { held: Pieces::new(RAW_MAX, limits), ..Self::default() }
    }

    /// Takes the next bytes and calls `on_element` with each object that they complete.
    pub fn feed(&mut self, bytes: &[u8], mut on_element: impl FnMut(&[u8])) {
        // Where the element that is open began in these bytes, if it did not begin before them.
        let mut start = self.in_element.then_some(0);
        let mut at = 0;
        while let Some(byte) = bytes.get(at) {
            if self.in_string {
                let rest = bytes.get(at..).unwrap_or_default();
                if std::mem::take(&mut self.escaped) {
                    at += 1;
                    continue;
                }
                let Some(found) = memchr::memchr2(b'"', b'\\', rest) else { break };
                at += found + 1;
                match rest.get(found) {
                    Some(b'"') => self.in_string = false,
                    _ => self.escaped = true,
                }
                continue;
            }
            at += 1;
            match byte {
                // Outside of elements a string could only be another kind of element.
                b'"' => self.in_string = self.depth > 0,
                b'[' | b'{' => {
                    // Without an array around it, an object stands alone: it is the one element.
                    let alone = self.depth == 0 && *byte == b'{';
                    self.depth += usize::from(alone);
                    if self.depth == 1 && *byte == b'{' {
                        self.in_element = true;
                        start = Some(at - 1);
                    }
                    self.depth += 1;
                }
                b']' | b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 1
                        && let Some(from) = start.take()
                    {
                        self.in_element = false;
                        let element = bytes.get(from..at).unwrap_or_default();
                        self.hand_out(element, &mut on_element);
                    }
                }
                _ => {}
            }
        }
        if let Some(from) = start {
            self.held.push(bytes.get(from..).unwrap_or_default());
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.held.held()
    }

    /// Elements of which nothing could be read because they were too large and no JSON.
    pub fn skipped(&self) -> u32 {
        self.skipped
    }

    fn hand_out(&mut self, element: &[u8], on_element: &mut impl FnMut(&[u8])) {
        if self.held.is_empty() {
            return on_element(element);
        }
        self.held.push(element);
        if !self.held.take(on_element) {
            self.skipped = self.skipped.saturating_add(1);
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str, size: usize) -> Vec<String> {
        let (mut splitter, mut elements) = (Splitter::default(), Vec::new());
        for piece in text.as_bytes().chunks(size) {
            splitter.feed(piece, |element| elements.push(String::from_utf8(element.to_vec()).unwrap()));
        }
        elements
    }

    #[test]
    fn elements_are_found_however_the_array_is_cut() {
        let text = "[{\"a\": [1, {\"b\": \"]}\\\"\\\\\"}]}\n,\r\n{\"é\": {}}, 7, [{}], \"{\", {}\n]\n";
        let whole = read(text, text.len());
        assert_eq!(whole, ["{\"a\": [1, {\"b\": \"]}\\\"\\\\\"}]}", "{\"é\": {}}", "{}"]);
        for size in 1..text.len() {
            assert_eq!(read(text, size), whole, "pieces of {size}");
        }
    }

    #[test]
    fn an_object_alone_is_one_element() {
        assert_eq!(read("{\"error\": {\"code\": 400}}\n", 5), ["{\"error\": {\"code\": 400}}"]);
    }

    #[test]
    fn of_a_long_element_the_small_members_are_read_and_little_is_held() {
        let text = format!("[{{\"t\":\"{}\",\"n\":7}},{{\"n\":8}}]", "x y".repeat(RAW_MAX));
        let (mut splitter, mut elements) = (Splitter::default(), Vec::new());
        for piece in text.as_bytes().chunks(999) {
            splitter.feed(piece, |element| elements.push(String::from_utf8(element.to_vec()).unwrap()));
            assert!(splitter.held.held() <= 2 * RAW_MAX);
        }
        assert!(elements[0].ends_with("…\",\"n\":7}"));
        assert_eq!(elements[1], "{\"n\":8}");
    }

    proptest! {
        #[test]
        fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..20) {
            let mut splitter = Splitter::default();
            for piece in bytes.chunks(size) {
                splitter.feed(piece, |_| {});
            }
        }
    }
}
