//! The events of Cohere's streams, rewritten.

use serde_json::json;

use crate::api::family::error_details::ErrorDetails;
use crate::api::family::operation::Continuation;
use crate::api::family::texts::{Ends, Finder, NO_GROUP, Text};
use crate::json::scan::Object;
use crate::json::values::number;
use crate::redact::Channel;

pub(crate) fn write_text(text: &Text, more: &Continuation<'_>) -> String {
    format!("{{{}{}{}}}", text.open, more.json, text.close)
}

/// Cohere API v2, "Chat with Streaming": an error is reported where the message ends.
pub(crate) fn error_event(error: &ErrorDetails<'_>, _: Option<u64>) -> (Option<&'static str>, String) {
    let delta = json!({"error": error.message, "code": error.code, "finish_reason": "ERROR"});
    (Some("message-end"), json!({"type": "message-end", "delta": delta}).to_string())
}

/// Cohere API v2, "Chat with Streaming".
pub(crate) fn find_texts(object: &Object<'_>, finder: &mut Finder<'_>) {
    let index = number(object, "index");
    let group = index.unwrap_or(NO_GROUP);
    match object.text("type").as_ref() {
        "content-end" | "tool-call-end" => finder.found.ends.add(group),
        "message-end" => finder.found.ends = Ends::All,
        _ => {}
    }
    let delta = object.get("delta").and_then(|delta| delta.as_object());
    let message = delta.and_then(|delta| delta.get("message")?.as_object()).unwrap_or_default();
    let at = index.map(|index| format!("\"index\":{index},")).unwrap_or_default();
    let content = message.get("content").and_then(|content| content.as_object()).unwrap_or_default();
    for key in ["text", "thinking"] {
        if let Some(said) = content.get(key) {
            let open =
                format!("\"type\":\"content-delta\",{at}\"delta\":{{\"message\":{{\"content\":{{\"{key}\":");
            finder.named(Some("content-delta"), group, open, "}}}", Channel::Text, &said);
        }
    }
    if let Some(said) = message.get("tool_plan") {
        let open = "\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":".to_owned();
        finder.named(Some("tool-plan-delta"), NO_GROUP, open, "}}", Channel::Text, &said);
    }
    let call = message.get("tool_calls").and_then(|call| call.as_object());
    let function = call.and_then(|call| call.get("function")?.as_object()).unwrap_or_default();
    if let Some(said) = function.get("arguments") {
        let open = format!(
            "\"type\":\"tool-call-delta\",{at}\"delta\":{{\"message\":{{\"tool_calls\":{{\"function\":{{\"arguments\":"
        );
        finder.named(Some("tool-call-delta"), group, open, "}}}}", Channel::Json, &said);
    }
}
