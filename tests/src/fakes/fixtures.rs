//! The files in `fixtures/`: what providers really answer, byte for byte.
//!
//! A fixture is never generated and never reformatted: its spacing is part of it.

use std::path::Path;

use bytes::Bytes;
use serde_json::{Map, Value};

/// The bytes of a fixture, such as `openai/chat.json`.
pub fn bytes(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => bytes.into(),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// A fixture that is one JSON document.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).expect("a fixture that is JSON")
}

/// What `expected.json` says of every fixture, by its name: what a reader must find in it.
pub fn expected() -> Map<String, Value> {
    match json("expected.json") {
        Value::Object(expected) => expected,
        other => panic!("expected.json is not an object: {other}"),
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs};

    use super::*;

    /// The data of every event of a stream (the fixtures have one line of it an event).
    fn events(name: &str) -> Vec<String> {
        let bytes = bytes(name);
        let text = std::str::from_utf8(&bytes).expect("UTF-8");
        text.lines().filter_map(|line| line.strip_prefix("data: ")).map(str::to_owned).collect()
    }

    #[test]
    fn every_fixture_of_an_api_is_listed_and_every_one_listed_is_there() {
        let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
        let mut there = BTreeSet::new();
        for provider in ["openai", "anthropic", "gemini", "cohere"] {
            for file in fs::read_dir(dir.join(provider)).expect("a directory") {
                let file = file.expect("an entry").file_name();
                there.insert(format!("{provider}/{}", file.to_str().expect("a name in UTF-8")));
            }
        }
        let listed: BTreeSet<String> = expected().into_iter().map(|(name, _)| name).collect();
        assert_eq!(there, listed);
    }

    #[test]
    fn every_json_fixture_is_json_and_every_event_of_a_stream_too() {
        for (name, expected) in expected() {
            if name.ends_with(".json") {
                let array = expected["stream"] == true || name.contains("stream_error");
                assert_eq!(json(&name).is_array(), array, "{name}");
            }
            if name.ends_with(".sse") {
                let events = events(&name);
                let (done, data): (Vec<_>, Vec<_>) = events.iter().partition(|data| *data == "[DONE]");
                assert!(!data.is_empty() && done.len() <= 1, "{name}");
                for data in data {
                    assert!(serde_json::from_str::<Value>(data).is_ok_and(|data| data.is_object()), "{name}");
                }
            }
        }
    }

    /// The event with usage is found by reading it, the members by their text.
    #[test]
    fn a_plain_stream_is_the_other_one_without_what_include_usage_adds() {
        let mut pairs = 0;
        for (name, expected) in expected() {
            let Some(plain) = expected["plain"].as_str() else { continue };
            pairs += 1;
            let stream = bytes(&name);
            let stream = std::str::from_utf8(&stream).expect("UTF-8");
            let added = |event: &&str| {
                let data = event.strip_prefix("data: ").expect("data");
                serde_json::from_str::<Value>(data).is_ok_and(|data| {
                    data["choices"] == Value::Array(Vec::new()) && data["usage"].is_object()
                })
            };
            let (usage, kept): (Vec<_>, Vec<_>) = stream.split_terminator("\n\n").partition(added);
            assert_eq!(usage.len(), 1, "{name}");
            let kept: String =
                kept.iter().map(|event| event.replace(",\"usage\":null", "") + "\n\n").collect();
            assert_eq!(kept.as_bytes(), bytes(plain), "{name}");
            assert_ne!(plain, name);
        }
        assert!(pairs >= 9, "{pairs} pairs");
    }

    /// What the events hold, one after the other, is what the array holds.
    #[test]
    fn a_gemini_stream_holds_the_same_as_events_and_as_an_array() {
        let mut pairs = 0;
        for name in expected().keys().filter(|name| name.starts_with("gemini/stream")) {
            let Some(array) = name.strip_suffix(".sse").map(|name| format!("{name}.json")) else { continue };
            if !expected().contains_key(&array) {
                continue;
            }
            pairs += 1;
            let events: Vec<Value> =
                events(name).iter().map(|data| serde_json::from_str(data).expect("JSON")).collect();
            assert_eq!(json(&array), Value::Array(events), "{name}");
        }
        assert!(pairs >= 5, "{pairs} pairs");
    }
}
