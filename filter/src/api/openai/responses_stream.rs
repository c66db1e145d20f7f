//! The events of streams of the Responses API, rewritten, and those of images, speech and transcription.

use serde_json::json;

use crate::api::family::error_details::ErrorDetails;
use crate::api::family::operation::Continuation;
use crate::api::family::texts::{Ends, Finder, NO_GROUP, Text, comma, copied};
use crate::json::scan::Object;
use crate::json::values::number;
use crate::redact::Channel;

pub(crate) fn write_text(text: &Text, more: &Continuation<'_>) -> String {
    let (Text { open, close, .. }, json) = (text, more.json);
    match more.sequence {
        Some(number) => format!("{{{open}{json}{close},\"sequence_number\":{number}}}"),
        None => format!("{{{open}{json}{close}}}"),
    }
}

/// OpenAI API reference, "Responses", "Streaming events", "error".
pub(crate) fn error_event(error: &ErrorDetails<'_>, last: Option<u64>) -> (Option<&'static str>, String) {
    let number = last.map_or(0, |last| last.saturating_add(1));
    let data = json!({"type": "error", "code": error.code, "message": error.message,
        "param": null, "sequence_number": number});
    (Some("error"), data.to_string())
}

/// OpenAI API reference, "Responses", "Streaming events", and the streams of images, speech and
/// transcription, which have the same form.
pub(crate) fn find_texts(object: &Object<'_>, finder: &mut Finder<'_>) {
    const SOUND: [&str; 2] = ["response.audio.delta", "response.output_audio.delta"];
    const ARGUMENTS: [&str; 2] =
        ["response.function_call_arguments.delta", "response.mcp_call_arguments.delta"];
    const LAST: [&str; 5] =
        ["response.completed", "response.failed", "response.incomplete", "error", "transcript.text.done"];
    let kind = object.text("type");
    let group = number(object, "output_index");
    finder.found.sequence = number(object, "sequence_number");
    if LAST.contains(&kind.as_ref()) {
        finder.found.ends = Ends::All;
    } else if kind.ends_with(".done") {
        match group {
            Some(group) => finder.found.ends.add(group),
            None => finder.found.ends = Ends::All,
        }
    }
    let (Some(named), Some(delta)) = (object.get("type"), object.get("delta")) else { return };
    if !kind.ends_with(".delta") {
        return;
    }
    if SOUND.contains(&kind.as_ref()) {
        finder.leave(&delta);
        return;
    }
    let places = copied(object, &["item_id", "output_index", "content_index", "summary_index"]);
    let comma = comma(&places);
    let open = format!("\"type\":{},{places}{comma}\"delta\":", named.raw);
    let close = if kind == "response.output_text.delta" { ",\"logprobs\":[]" } else { "" };
    let channel = if ARGUMENTS.contains(&kind.as_ref()) { Channel::Json } else { Channel::Text };
    finder.named(Some(&kind), group.unwrap_or(NO_GROUP), open, close, channel, &delta);
}
