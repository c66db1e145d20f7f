//! The pieces of Gemini's streams, rewritten.

use crate::api::family::operation::Continuation;
use crate::api::family::texts::{Finder, Text, comma, copied};
use crate::json::scan::{Kind, Object};
use crate::json::values::{number, objects};
use crate::redact::Channel;

/// Members that identify the response a chunk belongs to.
const IDENTITY: [&str; 2] = ["modelVersion", "responseId"];
/// Longest usage that is repeated, in bytes.
const USAGE_MAX: usize = 2 << 10;

/// What identifies the response a chunk belongs to, and its usage so far.
pub(crate) fn identity(object: &Object<'_>) -> String {
    let mut identity = copied(object, &IDENTITY);
    // Clients take the usage of the last piece for that of all.
    if let Some(usage) = object.get("usageMetadata").filter(|usage| usage.raw.len() <= USAGE_MAX) {
        let comma = comma(&identity);
        identity.push_str(&format!("{comma}\"usageMetadata\":{}", usage.raw));
    }
    identity
}

pub(crate) fn write_text(text: &Text, more: &Continuation<'_>) -> String {
    let (Text { group, open, close, .. }, Continuation { identity, json, .. }) = (text, more);
    let comma = comma(identity);
    format!(
        "{{\"candidates\":[{{\"content\":{{\"parts\":[{{{open}{json}{close}}}],\"role\":\"model\"}},\"index\":{group}}}]{comma}{identity}}}"
    )
}

/// Gemini API, "GenerateContentResponse".
pub(crate) fn find_texts(object: &Object<'_>, finder: &mut Finder<'_>) {
    for (place, candidate) in objects(object.get("candidates")).enumerate() {
        let index = number(&candidate, "index").unwrap_or(place as u64);
        if candidate.get("finishReason").is_some_and(|reason| reason.kind == Kind::String) {
            finder.found.ends.add(index);
        }
        let content = candidate.get("content").and_then(|content| content.as_object());
        for part in objects(content.and_then(|content| content.get("parts"))) {
            let is_thought = part.get("thought").and_then(|value| value.as_bool()) == Some(true);
            if let Some(said) = part.get("text") {
                let open = if is_thought { "\"thought\":true,\"text\":" } else { "\"text\":" };
                finder.piece(index, open.to_owned(), "", Channel::Text, &said);
            }
            let call = part.get("functionCall").and_then(|call| call.as_object()).unwrap_or_default();
            for argument in objects(call.get("partialArgs")) {
                if let Some(said) = argument.get("stringValue") {
                    let path = argument.get("jsonPath").map_or("\"$\"", |path| path.raw);
                    let open =
                        format!("\"functionCall\":{{\"partialArgs\":[{{\"jsonPath\":{path},\"stringValue\":");
                    finder.piece(index, open, "}]}", Channel::Text, &said);
                }
            }
        }
    }
}
