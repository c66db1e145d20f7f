//! OpenAI's Responses API, and the typed events of its images, speech and transcription streams
//! (OpenAI API reference, "Responses", "Streaming events").
//!
//! All messages of a response are one choice. Deltas say what was said; the last event repeats all
//! of it, so of that only status and usage are read.

use super::transcript::{Channel, ToolPart};
use super::{Notes, says_something};
use crate::json::Object;

/// Where the events that bring something hold it.
const BROUGHT: [&str; 7] = ["delta", "audio", "b64_json", "partial_image_b64", "url", "text", "code"];
/// The last events of these APIs.
const ENDS: [&str; 8] = [
    "response.completed",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
    "image_generation.completed",
    "image_edit.completed",
    "speech.audio.done",
    "transcript.text.done",
];
/// Items of the output that are told by deltas of their own, not as calls.
const NO_CALLS: [&str; 2] = ["message", "reasoning"];

/// Reads a response in one piece.
pub(super) fn read(object: &Object<'_>, notes: &mut Notes<'_>) {
    read_response(object, notes);
    for (place, item) in super::objects(object.get("output")).enumerate() {
        for part in super::objects(item.get("content")) {
            read_text(&part, "text", Channel::Text, notes);
            read_text(&part, "refusal", Channel::Refusal, notes);
        }
        for part in super::objects(item.get("summary")) {
            read_text(&part, "text", Channel::Reasoning, notes);
        }
        read_item(place as u64, &item, true, notes);
    }
    // A transcription is a text and little else.
    read_text(object, "text", Channel::Text, notes);
}

/// Reads the data of one event. Returns whether it brought a token.
pub(super) fn read_event(object: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let kind = object.text("type");
    let index = object.get("output_index").and_then(|index| index.as_u64()).unwrap_or(0);
    match kind.as_ref() {
        "response.output_text.delta" | "transcript.text.delta" | "response.audio.transcript.delta" => {
            read_text(object, "delta", Channel::Text, notes)
        }
        "response.refusal.delta" => read_text(object, "delta", Channel::Refusal, notes),
        "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
            read_text(object, "delta", Channel::Reasoning, notes)
        }
        "response.function_call_arguments.delta"
        | "response.custom_tool_call_input.delta"
        | "response.mcp_call_arguments.delta"
        | "response.code_interpreter_call_code.delta" => object
            .get("delta")
            .is_some_and(|delta| notes.transcript.tool_call(0, index, ToolPart::Arguments, &delta)),
        "response.output_item.added" | "response.output_item.done" => {
            if let Some(item) = object.get("item").and_then(|item| item.as_object()) {
                read_item(index, &item, kind.ends_with("done"), notes);
            }
            false
        }
        _ => {
            if ENDS.contains(&kind.as_ref()) {
                notes.end.reach();
            }
            match object.get("response").and_then(|response| response.as_object()) {
                Some(response) => read_response(&response, notes),
                // Images, speech and transcription have no response around their usage.
                None => notes.common(object),
            }
            // What a delta or a picture holds has several names: any text of it counts but the event's own.
            let brings = kind.ends_with(".delta")
                || kind.ends_with(".partial_image")
                || kind.ends_with("_generation.completed")
                || kind.ends_with("_edit.completed");
            brings
                && BROUGHT.into_iter().any(|key| object.get(key).is_some_and(|value| says_something(&value)))
        }
    }
}

fn read_text(object: &Object<'_>, key: &str, channel: Channel, notes: &mut Notes<'_>) -> bool {
    object.get(key).is_some_and(|text| notes.transcript.text(0, channel, &text))
}

fn read_response(response: &Object<'_>, notes: &mut Notes<'_>) {
    notes.common(response);
    let incomplete = response.get("incomplete_details").and_then(|details| details.as_object());
    match response.text("status").as_ref() {
        "" | "queued" | "in_progress" => {}
        _ => {
            match incomplete {
                Some(details) => notes.finish_reason(0, &details, "reason"),
                None => notes.finish_reason(0, response, "status"),
            };
        }
    }
}

/// Notes an item of the output that is a call of a tool.
fn read_item(index: u64, item: &Object<'_>, is_done: bool, notes: &mut Notes<'_>) {
    let kind = item.text("type");
    if kind.is_empty() || NO_CALLS.contains(&kind.as_ref()) {
        return;
    }
    let id = item.get("call_id").or_else(|| item.get("id"));
    let parts = [
        (ToolPart::Id, id),
        (ToolPart::Name, item.get("name")),
        (ToolPart::Type, item.get("type").filter(|_| kind != "function_call")),
    ];
    for (part, value) in parts {
        if let Some(value) = value {
            notes.transcript.tool_call(0, index, part, &value);
        }
    }
    let arguments = ["arguments", "input", "code", "action"].into_iter().find_map(|key| item.get(key));
    if let Some(arguments) = arguments.filter(|_| is_done) {
        notes.transcript.tool_arguments(0, index, &arguments);
    }
}
