//! The parameters of requests to OpenAI's APIs (OpenAI API reference, "Chat").

use weir_event::v1;

use crate::json::Object;

/// Longest text that a provider may put into an event: ids, names, codes; in bytes.
const TEXT_MAX: usize = 256;

/// The parameters of the request; one of a wrong type is the provider's to refuse, and unknown here.
pub fn parameters(object: &Object<'_>) -> v1::Parameters {
    let number = |key| object.get(key).and_then(|value| value.as_f64());
    let count = |key| object.get(key).and_then(|value| value.as_u64());
    let format = object.get("response_format").and_then(|value| value.as_object());
    v1::Parameters {
        temperature: number("temperature"),
        top_p: number("top_p"),
        frequency_penalty: number("frequency_penalty"),
        presence_penalty: number("presence_penalty"),
        max_tokens: count("max_completion_tokens").or_else(|| count("max_tokens")),
        seed: object.get("seed").and_then(|value| value.as_i64()),
        choice_count: count("n"),
        // Written by people, so they are content.
        stop_sequences: Vec::new(),
        reasoning_effort: text(object, "reasoning_effort"),
        output_format: format.map(|format| text(&format, "type")).unwrap_or_default(),
        service_tier: text(object, "service_tier"),
        ..Default::default()
    }
}

/// A string member of at most [`TEXT_MAX`] bytes; a longer one is cut at a character.
fn text(object: &Object<'_>, key: &str) -> String {
    let value = object.text(key);
    let end = value.floor_char_boundary(TEXT_MAX);
    value.get(..end).unwrap_or_default().to_owned()
}
