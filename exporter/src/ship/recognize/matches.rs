//! Texts as a recognizer gets them, and what it found in them. Pure.
//!
//! Presidio counts in Unicode code points, as Python does, and one request holds many texts: so a match is brought back
//! to the texts that it lies in, and from characters to bytes.

use serde::Deserialize;
use weir_event::words;

/// The most characters of one request: what Presidio's models take is ten times as much.
const MAX_CHARS: usize = 100_000;

/// Stands between two texts: no name goes on behind it.
const BETWEEN: &str = "\n\n";

/// What a recognizer found (Presidio analyzer, `RecognizerResult`).
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Match {
    pub(super) entity_type: String,
    /// In code points.
    pub(super) start: usize,
    /// Behind its last one.
    pub(super) end: usize,
    pub(super) score: f64,
}

/// A part of a text within a request; all in characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    /// Which text.
    index: usize,
    /// Where in it.
    from: usize,
    /// Where in the request.
    start: usize,
    length: usize,
}

/// One request: texts, or parts of a long one.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Request {
    pub(super) text: String,
    chars: usize,
    places: Vec<Place>,
}

/// Texts in as many requests as they need. Those without a letter hold no name.
pub(super) fn requests(texts: &[String]) -> Vec<Request> {
    let mut requests = Vec::new();
    let mut request = Request::default();
    for (index, text) in texts.iter().enumerate().filter(|(_, text)| text.contains(char::is_alphabetic)) {
        let (mut rest, mut from) = (text.as_str(), 0);
        while !rest.is_empty() {
            if !request.text.is_empty() && request.chars + BETWEEN.len() >= MAX_CHARS {
                requests.push(std::mem::take(&mut request));
            }
            if !request.text.is_empty() {
                request.text.push_str(BETWEEN);
                request.chars += BETWEEN.len();
            }
            let left = MAX_CHARS - request.chars;
            let end = rest.char_indices().nth(left).map_or(rest.len(), |(at, _)| at);
            let (part, behind) = rest.split_at(end);
            let length = part.chars().count();
            request.text.push_str(part);
            request.places.push(Place { index, from, start: request.chars, length });
            request.chars += length;
            (rest, from) = (behind, from + length);
        }
    }
    if !request.text.is_empty() {
        requests.push(request);
    }
    requests
}

/// What was found in texts: ranges of characters with the name of what stands there.
#[derive(Debug)]
pub(super) struct Found(Vec<Vec<(usize, usize, String)>>);

impl Found {
    /// Nothing yet, in so many texts.
    pub(super) fn in_texts(count: usize) -> Self {
        Self(vec![Vec::new(); count])
    }

    /// Takes over what was found in a request. False where it lies outside of the text: whoever said so searched
    /// something else.
    pub(super) fn add(&mut self, request: &Request, matches: &[Match], score: f64) -> bool {
        for found in matches {
            if found.start > found.end || found.end > request.chars {
                return false;
            }
            if found.score < score {
                continue;
            }
            for place in &request.places {
                let start = found.start.max(place.start);
                let end = found.end.min(place.start + place.length);
                if start < end
                    && let Some(text) = self.0.get_mut(place.index)
                {
                    let back = |at: usize| place.from + at - place.start;
                    text.push((back(start), back(end), name(&found.entity_type)));
                }
            }
        }
        true
    }

    /// The texts with what was found in them replaced, and how often each was.
    pub(super) fn replace(mut self, texts: &mut [String]) -> Vec<(String, u64)> {
        let mut counts = std::collections::BTreeMap::new();
        for (text, found) in texts.iter_mut().zip(&mut self.0) {
            found.sort();
            // What overlaps is one, by the name of the first.
            let mut merged: Vec<(usize, usize, String)> = Vec::new();
            for (start, end, name) in found.drain(..) {
                match merged.last_mut().filter(|last| start < last.1) {
                    Some(last) => last.1 = last.1.max(end),
                    None => merged.push((start, end, name)),
                }
            }
            let (mut out, mut at) = (String::with_capacity(text.len()), 0);
            let mut bytes = text.char_indices().map(|(byte, _)| byte).enumerate().peekable();
            let mut byte_of = |char: usize| {
                while bytes.next_if(|(count, _)| *count < char).is_some() {}
                bytes.peek().map_or(text.len(), |(_, byte)| *byte)
            };
            for (start, end, name) in merged {
                let (from, to) = (byte_of(start), byte_of(end));
                out.push_str(text.get(at..from).unwrap_or_default());
                out.push_str(&format!("[{name}]"));
                at = to;
                *counts.entry(name).or_insert(0) += 1;
            }
            if at > 0 {
                out.push_str(text.get(at..).unwrap_or_default());
                *text = out;
            }
        }
        counts.into_iter().collect()
    }
}

/// The name of what was found, by which it is replaced.
fn name(entity: &str) -> String {
    if words::is_word(entity) { entity.to_owned() } else { "REDACTED".to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(entity_type: &str, start: usize, end: usize, score: f64) -> Match {
        Match { entity_type: entity_type.to_owned(), start, end, score }
    }

    fn texts(texts: &[&str]) -> Vec<String> {
        texts.iter().map(|text| (*text).to_owned()).collect()
    }

    #[test]
    fn matches_count_in_characters_and_are_brought_back_to_their_texts() {
        let mut said = texts(&["😀é Ann Lee!", "123", "in Łódź"]);
        let requests = requests(&said);
        let [request] = &requests[..] else { panic!("{requests:?}") };
        assert_eq!(request.text, "😀é Ann Lee!\n\nin Łódź");
        let mut all = Found::in_texts(said.len());
        let matches = [
            found("LOCATION", 16, 20, 0.85),
            found("PERSON", 3, 6, 0.85),
            found("PERSON", 3, 10, 0.9),
            found("NRP", 0, 1, 0.1),
        ];
        assert!(all.add(request, &matches, 0.5));
        assert_eq!(all.replace(&mut said), [("LOCATION".to_owned(), 1), ("PERSON".to_owned(), 1)]);
        assert_eq!(said, ["😀é [PERSON]!", "123", "in [LOCATION]"]);
    }

    #[test]
    fn what_touches_is_two_what_spans_texts_is_cut_and_what_lies_outside_is_refused() {
        let mut said = texts(&["AnnLee", "Bob"]);
        let requests = requests(&said);
        let mut all = Found::in_texts(2);
        let matches =
            [found("PERSON", 0, 3, 1.0), found("a sentence", 3, 6, 1.0), found("PERSON", 5, 9, 1.0)];
        assert!(all.add(&requests[0], &matches, 0.5));
        all.replace(&mut said);
        assert_eq!(said, ["[PERSON][REDACTED]", "[PERSON]ob"]);
        for (start, end) in [(5, 4), (0, 12), (12, 13)] {
            assert!(!Found::in_texts(2).add(&requests[0], &[found("PERSON", start, end, 1.0)], 0.5));
        }
    }

    #[test]
    fn texts_are_cut_into_requests_and_no_character_is_lost() {
        let long = "é".repeat(2 * MAX_CHARS + 5);
        let said = vec!["a".to_owned(), long.clone(), "b".repeat(MAX_CHARS), String::new()];
        let requests = requests(&said);
        assert!(requests.iter().all(|request| request.chars <= MAX_CHARS));
        assert!(requests.iter().all(|request| request.chars == request.text.chars().count()));
        let mut lengths = [0; 4];
        for place in requests.iter().flat_map(|request| &request.places) {
            assert_eq!(place.from, lengths[place.index]);
            lengths[place.index] += place.length;
        }
        assert_eq!(lengths, [1, long.chars().count(), MAX_CHARS, 0]);
        assert!(super::requests(&texts(&["12 34", ""])).is_empty());
    }
}
