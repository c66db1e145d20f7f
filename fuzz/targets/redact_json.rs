//! Redaction of JSON: the shape stays the same, no planted address remains at any depth of escaping,
//! replacements do not match again, and anything that is not JSON is refused.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde_json::Value;
use weir_filter::redact::{Fields, Replace, Replacement, redact_json};
use weir_fuzz::{CANARY, DETECTORS, plant, redacted};

fuzz_target!(|data: &[u8]| {
    let body = plant(data);
    let read = serde_json::from_slice::<Value>(&body);
    let redact = |body: &[u8], replace: &mut dyn Replace| {
        redact_json(body, &DETECTORS, DETECTORS.all(), Fields::NONE, replace)
            .map(|redacted| (redacted.body.into_owned(), redacted.counts))
    };
    match (redact(&body, &mut Replacement::Label), read) {
        (Ok((once, _)), Ok(before)) => {
            let text = String::from_utf8(once.clone()).expect("text");
            assert!(!text.contains(CANARY), "{text}");
            let after: Value = serde_json::from_str(&text).expect("it stays JSON");
            assert!(is_alike(&before, &after), "{before} {after}");
            redacted(&Replacement::Label, body.clone(), |body, replace| {
                redact(body, replace).expect("and can be read again")
            });
        }
        (Err(_), Err(_)) => {}
        (Ok(_), Err(error)) => {
            // serde_json refuses lone surrogates and numbers beyond 64 bits of exponent.
            let message = error.to_string();
            assert!(
                message.contains("surrogate")
                    || message.contains("number out of range")
                    || message.contains("hex escape"),
                "{message}"
            );
        }
        (Err(error), Ok(_)) => assert!(error.to_string().contains("deep"), "{error}"),
    }
});

/// Whether two values have the same shape: only strings differ, including keys, and numbers that became
/// strings.
fn is_alike(before: &Value, after: &Value) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            // serde_json merges keys of the same name, which may become two.
            after.len() >= before.len()
        }
        (Value::Array(before), Value::Array(after)) => {
            before.len() == after.len()
                && before.iter().zip(after).all(|(before, after)| is_alike(before, after))
        }
        (Value::String(_) | Value::Number(_), Value::String(_)) => true,
        (before, after) => before == after,
    }
}
