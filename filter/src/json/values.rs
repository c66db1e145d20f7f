//! The values of a response's members: whether they say something, and what they are read as.
//!
//! Many servers write out every member of their types: `null`, `""`, `[]`, `{}`, and objects that hold nothing
//! but those. None of them is a token, a call or a part, so one test decides for every API.

use weir_event::words;

use crate::json::scan::{Kind, Object, Value};

/// Members that say what their object is, and nothing of what was said.
const LABELS: [&[u8]; 7] = [b"type", b"role", b"object", b"format", b"status", b"index", b"expires_at"];

/// Whether a text, or anything within a list or an object, is not empty. Numbers, booleans and labels alone
/// say nothing. Linear in the value's length, without recursion.
pub(crate) fn says_something(value: &Value<'_>) -> bool {
    match value.kind {
        Kind::String => value.raw.len() > 2,
        Kind::Array | Kind::Object => holds_text(value.raw.as_bytes()),
        Kind::Number | Kind::Bool | Kind::Null => false,
    }
}

/// Whether a list or an object, whose grammar was checked, holds a text that is no label.
fn holds_text(json: &[u8]) -> bool {
    let (mut rest, mut is_label) = (json, false);
    while let Some((text, behind)) = next_string(rest) {
        let is_key = behind.trim_ascii_start().first() == Some(&b':');
        if is_key {
            is_label = LABELS.contains(&text);
        } else if !is_label && !text.is_empty() {
            return true;
        }
        rest = behind;
    }
    false
}

/// The next string, without its quotes, and what follows it.
fn next_string(json: &[u8]) -> Option<(&[u8], &[u8])> {
    let text = json.get(memchr::memchr(b'"', json)? + 1..)?;
    let mut end = 0;
    loop {
        end += memchr::memchr2(b'"', b'\\', text.get(end..)?)?;
        if text.get(end) == Some(&b'"') {
            return Some((text.get(..end)?, text.get(end + 1..)?));
        }
        // What a backslash escapes ends nothing.
        end += 2;
    }
}

/// The objects of a list.
pub(crate) fn objects<'a>(value: Option<Value<'a>>) -> impl Iterator<Item = Object<'a>> + use<'a> {
    let elements = value.filter(|value| value.kind == Kind::Array).and_then(|value| value.as_array());
    elements.unwrap_or_default().into_iter().filter_map(|element| element.as_object())
}

/// A whole number.
pub(crate) fn number(object: &Object<'_>, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}

/// A word; empty where a value is none. Anything else that stands where a word should would be somebody's own
/// words, and has no place beside content.
pub(crate) fn word(value: &Value<'_>) -> String {
    value.as_str().filter(|text| words::is_word(text)).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn says(json: &str) -> bool {
        let text = format!("{{\"it\":{json}}}");
        says_something(&Object::parse(text.as_bytes()).unwrap().get("it").unwrap())
    }

    #[test]
    fn what_is_empty_at_any_depth_says_nothing() {
        for empty in [
            "null",
            "\"\"",
            "[]",
            "{}",
            "[ ]",
            "{\n}",
            "0",
            "1.5",
            "true",
            "[{}]",
            "[null, \"\", {\"a\": [[]]}]",
            r#"{"id":""}"#,
            r#"{ "id" : "" , "data":"","transcript":"","expires_at":0}"#,
            r#"{"name":"","arguments":""}"#,
            r#"[{"index":0,"id":null,"type":"function","function":{"name":"","arguments":""}}]"#,
            r#"[{"type":"text","text":""}]"#,
            r#"{"type":"thinking","thinking":"","signature":""}"#,
            r#"{"a\"b":"","type":""}"#,
        ] {
            assert!(!says(empty), "{empty}");
        }
    }

    #[test]
    fn any_text_says_something_and_white_space_is_a_text() {
        for full in [
            "\" \"",
            "\"\\n\"",
            "[\"a\"]",
            r#"[{"id":"call_1","type":"function"}]"#,
            r#"{"name":"","arguments":"{"}"#,
            r#"[{"type":"text","text":"\\"}]"#,
            r#"{"type":"x","type2":"y"}"#,
            r#"{"a":{"b":[{"c":"\""}]}}"#,
        ] {
            assert!(says(full), "{full}");
        }
    }

    #[test]
    fn deep_and_long_values_are_read_in_one_pass() {
        let deep = format!("{}{}", "[".repeat(100), "]".repeat(100));
        assert!(!says(&deep));
        assert!(!says(&format!("[{}null]", "{\"id\":\"\"},".repeat(100_000))));
    }
}
