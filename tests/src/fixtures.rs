//! The files in `fixtures/`: what providers really answer, byte for byte.
//!
//! A fixture is never generated and never reformatted: its spacing is part of it.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

/// The bytes of a fixture, such as `openai/chat.json`.
///
/// # Panics
/// When there is no such file.
pub fn bytes(name: &str) -> Bytes {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    match std::fs::read(&path) {
        Ok(bytes) => bytes.into(),
        Err(error) => panic!("{}: {error}", path.display()),
    }
}

/// A fixture that is one JSON document.
///
/// # Panics
/// When there is no such file, or it is not JSON.
pub fn json(name: &str) -> Value {
    serde_json::from_slice(&bytes(name)).expect("a fixture that is JSON")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_json_fixture_is_json() {
        for name in ["chat", "chat_tools", "error_400", "error_401", "error_429", "error_500"] {
            assert!(json(&format!("openai/{name}.json")).is_object(), "{name}");
        }
    }

    #[test]
    fn every_stream_fixture_is_chunks_of_one_completion_and_done() {
        for name in ["chat_stream", "chat_stream_no_usage", "chat_stream_tools"] {
            let bytes = bytes(&format!("openai/{name}.sse"));
            let text = std::str::from_utf8(&bytes).expect("UTF-8");
            let data: Vec<&str> = text
                .split_terminator("\n\n")
                .map(|event| event.strip_prefix("data: ").expect("data"))
                .collect();
            let (done, chunks) = data.split_last().expect("events");
            assert_eq!(*done, "[DONE]", "{name}");
            let chunks: Vec<Value> =
                chunks.iter().map(|chunk| serde_json::from_str(chunk).expect("a JSON chunk")).collect();
            assert!(chunks.iter().all(|chunk| chunk["object"] == "chat.completion.chunk"), "{name}");
            assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]), "{name}");
        }
    }
}
