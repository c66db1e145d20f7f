//! OpenAI's chat completions: what the gateway reads of responses and streams (OpenAI API reference,
//! "Chat").
//!
//! Both are read tolerantly: whatever is missing or of another type is not known. Texts of messages
//! are not read here.

use weir_event::v1;

use crate::json::{Kind, Object};

/// Longest text that a provider may put into an event: ids, names, codes; in bytes.
const TEXT_MAX: usize = 256;
/// Most choices whose finish reasons are kept.
const CHOICES_MAX: usize = 128;
/// The data of a stream's last event.
const DONE: &[u8] = b"[DONE]";

/// Reads a response in one piece into the event. `false` where it is not an object.
pub fn read_response(body: &[u8], response: &mut v1::Response) -> bool {
    let Ok(object) = Object::parse(body) else { return false };
    read_common(&object, response);
    for choice in elements(&object, "choices") {
        read_finish_reason(&choice, response);
    }
    true
}

/// Reads the data of one event of a stream into the event. Returns whether it brought a token:
/// content, refusal, reasoning or a tool call; the first chunk, which only names the role, does not.
pub fn read_chunk(data: &[u8], response: &mut v1::Response) -> bool {
    if data == DONE {
        return false;
    }
    response.chunks = response.chunks.saturating_add(1);
    let Ok(object) = Object::parse(data) else {
        response.unread = true;
        return false;
    };
    read_common(&object, response);
    let mut brought_token = false;
    for choice in elements(&object, "choices") {
        read_finish_reason(&choice, response);
        if let Some(delta) = choice.get("delta").and_then(|delta| delta.as_object()) {
            brought_token |= delta.iter().any(|(key, value)| match (key, value.kind) {
                ("role", _) => false,
                (_, Kind::String) => value.raw.len() > 2,
                (_, Kind::Array | Kind::Object) => true,
                _ => false,
            });
        }
    }
    brought_token
}

/// What responses and chunks have in common. A later chunk overrides an earlier one.
fn read_common(object: &Object<'_>, response: &mut v1::Response) {
    let set = |field: &mut String, value: String| {
        if !value.is_empty() {
            *field = value;
        }
    };
    set(&mut response.id, text(object, "id"));
    set(&mut response.model, text(object, "model"));
    set(&mut response.system_fingerprint, text(object, "system_fingerprint"));
    set(&mut response.service_tier, text(object, "service_tier"));
    if let Some(usage) = object.get("usage").and_then(|usage| usage.as_object()) {
        response.usage = Some(read_usage(&usage));
    }
    if let Some(error) = object.get("error").and_then(|error| error.as_object()) {
        let code = text(&error, "code");
        set(&mut response.error_type, if code.is_empty() { text(&error, "type") } else { code });
    }
}

/// Usage by OpenAI's names; its totals include cached and reasoning tokens, as ours do.
fn read_usage(usage: &Object<'_>) -> v1::Usage {
    let detail = |group, key| {
        let details = usage.get(group).and_then(|details| details.as_object());
        details.and_then(|details| details.get(key)?.as_u64())
    };
    v1::Usage {
        source: v1::UsageSource::Provider.into(),
        input_tokens: usage.get("prompt_tokens").and_then(|value| value.as_u64()),
        output_tokens: usage.get("completion_tokens").and_then(|value| value.as_u64()),
        cache_read_tokens: detail("prompt_tokens_details", "cached_tokens"),
        reasoning_tokens: detail("completion_tokens_details", "reasoning_tokens"),
        ..Default::default()
    }
}

fn read_finish_reason(choice: &Object<'_>, response: &mut v1::Response) {
    let reason = text(choice, "finish_reason");
    let index = choice.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
    let Some(index) = usize::try_from(index).ok().filter(|index| *index < CHOICES_MAX) else { return };
    if reason.is_empty() {
        return;
    }
    if response.finish_reasons.len() <= index {
        response.finish_reasons.resize(index + 1, String::new());
    }
    if let Some(slot) = response.finish_reasons.get_mut(index) {
        *slot = reason;
    }
}

fn elements<'a>(object: &Object<'a>, key: &str) -> impl Iterator<Item = Object<'a>> + use<'a> {
    let elements = object.get(key).and_then(|value| value.as_array()).unwrap_or_default();
    elements.into_iter().filter_map(|element| element.as_object())
}

/// A string member of at most [`TEXT_MAX`] bytes; a longer one is cut at a character.
fn text(object: &Object<'_>, key: &str) -> String {
    let value = object.text(key);
    let end = value.floor_char_boundary(TEXT_MAX);
    value.get(..end).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_response_gives_usage_and_finish_reasons() {
        let mut response = v1::Response::default();
        let body = br#"{"id":"c1","model":"gpt-4o-2024","choices":[{"index":1,"finish_reason":"length"},{"index":0,
            "finish_reason":"stop"}],"usage":{"prompt_tokens":9,"completion_tokens":12,"prompt_tokens_details":
            {"cached_tokens":4},"completion_tokens_details":{"reasoning_tokens":3}},"system_fingerprint":null}"#;
        assert!(read_response(body, &mut response));
        assert_eq!(response.finish_reasons, ["stop", "length"]);
        let usage = response.usage.unwrap();
        assert_eq!((usage.input_tokens, usage.output_tokens), (Some(9), Some(12)));
        assert_eq!((usage.cache_read_tokens, usage.reasoning_tokens), (Some(4), Some(3)));
    }

    #[test]
    fn only_a_delta_with_something_in_it_is_a_token() {
        let mut response = v1::Response::default();
        let mut token = |data: &str| read_chunk(data.as_bytes(), &mut response);
        assert!(!token(r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":""}}]}"#));
        assert!(token(r#"{"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#));
        assert!(token(r#"{"choices":[{"index":0,"delta":{"tool_calls":[{"index":0}]}}]}"#));
        assert!(token(r#"{"choices":[{"index":0,"delta":{"reasoning_content":"Hm"}}]}"#));
        assert!(!token(r#"{"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#));
        assert!(!token(r#"{"choices":[],"usage":{"prompt_tokens":1,"completion_tokens":2}}"#));
        assert!(!token("[DONE]"));
        assert_eq!((response.chunks, response.finish_reasons.len()), (6, 1));
        assert_eq!(response.usage.unwrap().output_tokens, Some(2));
    }

    #[test]
    fn a_hostile_response_is_read_as_far_as_it_makes_sense() {
        let mut response = v1::Response::default();
        let body = format!(
            r#"{{"id":{:?},"model":7,"choices":[{{"index":99999999999,"finish_reason":"stop"}},5],"usage":[1]}}"#,
            "x".repeat(9999)
        );
        assert!(read_response(body.as_bytes(), &mut response));
        assert_eq!((response.id.len(), response.finish_reasons.len()), (256, 0));
        assert!(response.usage.is_none());
        assert!(!read_response(b"<html>", &mut response));
    }
}
