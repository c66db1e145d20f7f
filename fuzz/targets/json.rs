//! The scanner takes what serde_json takes, up to its depth, and finds every member where it stands.
#![no_main]

use libfuzzer_sys::fuzz_target;
use serde::de::IgnoredAny;
use serde_json::Value;
use weir_filter::json::scan::{JsonError, Object};

fuzz_target!(|data: &[u8]| {
    match Object::parse(data) {
        Ok(object) => {
            let text = std::str::from_utf8(data).expect("text");
            serde_json::from_str::<IgnoredAny>(text).expect("serde_json takes it too");
            let read = serde_json::from_str::<Value>(text).ok();
            for (key, value) in object.iter() {
                assert_eq!(text.get(value.range()), Some(value.raw));
                serde_json::from_str::<IgnoredAny>(value.raw).expect("a member is JSON by itself");
                let Some(read) = &read else { continue };
                let last = object.get(key).expect("it is there");
                if let (Some(ours), Some(theirs)) = (last.as_str(), read[key].as_str()) {
                    assert_eq!(ours, theirs);
                }
                assert_eq!(last.as_array().map(|list| list.len()), read[key].as_array().map(Vec::len));
                assert_eq!(last.as_object().is_some(), read[key].is_object());
                // A whole number is one however it is written; serde_json goes by the writing.
                let is_whole =
                    |number: &f64| number.fract() == 0.0 && (0.0..=9_007_199_254_740_992.0).contains(number);
                let written = || read[key].as_f64().filter(is_whole).map(|number| number as u64);
                assert_eq!(last.as_u64(), read[key].as_u64().or_else(written), "{}", last.raw);
            }
            let _ = object.ambiguous_keys();
        }
        Err(JsonError::TooDeep(_)) => {}
        Err(error) => {
            let taken = serde_json::from_slice::<serde_json::Map<String, Value>>(data).is_ok();
            assert!(!taken, "{error}");
        }
    }
});
