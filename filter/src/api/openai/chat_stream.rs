//! The events of streams of chat completions and legacy completions, rewritten.

use serde_json::Value as Json;

use crate::api::family::operation::Continuation;
use crate::api::family::texts::{Finder, Text, comma, copied};
use crate::json::scan::{Kind, Object, Value};
use crate::json::values::{number, objects};
use crate::redact::Channel;

/// Members that identify the response an event belongs to.
const IDENTITY: [&str; 6] = ["id", "object", "created", "model", "system_fingerprint", "service_tier"];

pub(crate) fn identity(object: &Object<'_>) -> String {
    copied(object, &IDENTITY)
}

pub(crate) fn write_text(text: &Text, more: &Continuation<'_>) -> String {
    let (Text { group, open, close, .. }, Continuation { identity, json, .. }) = (text, more);
    let comma = comma(identity);
    format!(
        "{{{identity}{comma}\"choices\":[{{\"index\":{group},{open}{json}{close},\"finish_reason\":null}}]}}"
    )
}

/// OpenAI API reference, "Chat Completions", "Streaming events"; "Completions".
pub(crate) fn find_texts(object: &Object<'_>, finder: &mut Finder<'_>) {
    for (place, choice) in objects(object.get("choices")).enumerate() {
        let index = number(&choice, "index").unwrap_or(place as u64);
        if choice.get("finish_reason").is_some_and(|reason| reason.kind == Kind::String) {
            finder.found.ends.add(index);
        }
        if let Some(text) = choice.get("text") {
            finder.piece(index, "\"text\":".to_owned(), "", Channel::Text, &text);
        }
        let delta = choice.get("delta").and_then(|delta| delta.as_object()).unwrap_or_default();
        for (key, value) in delta.iter() {
            find_member(finder, index, key, &value);
        }
    }
}

fn find_member(finder: &mut Finder<'_>, choice: u64, key: &str, value: &Value<'_>) {
    let text = Channel::Text;
    match (key, value.kind) {
        ("role", _) => {}
        ("content", Kind::Array) => {
            for part in objects(Some(*value)) {
                if let Some(said) = part.get("text") {
                    let open = "\"delta\":{\"content\":[{\"type\":\"text\",\"text\":".to_owned();
                    finder.piece(choice, open, "}]}", text, &said);
                }
                for thought in objects(part.get("thinking")) {
                    if let Some(said) = thought.get("text") {
                        let open = "\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":";
                        finder.piece(choice, open.to_owned(), "}]}]}", text, &said);
                    }
                }
            }
        }
        ("tool_calls", Kind::Array) => {
            for (place, call) in objects(Some(*value)).enumerate() {
                let index = number(&call, "index").unwrap_or(place as u64);
                for (holder, member, kind) in
                    [("function", "arguments", Channel::Json), ("custom", "input", text)]
                {
                    let held = call.get(holder).and_then(|held| held.as_object());
                    if let Some(said) = held.and_then(|held| held.get(member)) {
                        let open = format!(
                            "\"delta\":{{\"tool_calls\":[{{\"index\":{index},\"{holder}\":{{\"{member}\":"
                        );
                        finder.piece(choice, open, "}}]}", kind, &said);
                    }
                }
            }
        }
        ("function_call", Kind::Object) => {
            if let Some(said) = value.as_object().and_then(|call| call.get("arguments")) {
                let open = "\"delta\":{\"function_call\":{\"arguments\":".to_owned();
                finder.piece(choice, open, "}}", Channel::Json, &said);
            }
        }
        ("audio", Kind::Object) => {
            if let Some(said) = value.as_object().and_then(|audio| audio.get("transcript")) {
                finder.piece(choice, "\"delta\":{\"audio\":{\"transcript\":".to_owned(), "}}", text, &said);
            }
        }
        // OpenRouter's form of reasoning.
        ("reasoning_details", Kind::Array) => {
            for detail in objects(Some(*value)) {
                for member in ["text", "summary"] {
                    if let Some(said) = detail.get(member) {
                        let kind = copied(&detail, &["type", "index", "format"]);
                        let comma = comma(&kind);
                        let open = format!("\"delta\":{{\"reasoning_details\":[{{{kind}{comma}\"{member}\":");
                        finder.piece(choice, open, "}]}", text, &said);
                    }
                }
            }
        }
        // Reasoning by its various names, a refusal, and what is not known: likely a text.
        (_, Kind::String) => {
            let open = format!("\"delta\":{{{}:", Json::from(key));
            finder.piece(choice, open, "}", text, value);
        }
        _ => {}
    }
}
