//! OpenAI's Responses API (OpenAI API reference, "Responses", "Streaming events"). The other APIs stream typed events
//! too, which [`media`] reads.
//!
//! All messages of a response are one choice. A text comes in deltas, and once more when it is done, when its part
//! and its item are, and with the last event: it is read where it comes first.

use crate::api::family::operation::{Dialect, ErrorEvent};
use crate::api::family::reading::notes::{Notes, Seen};
use crate::api::openai::media;
use crate::api::openai::responses_stream::{error_event, find_texts, write_text};
use crate::capture::calls::{Begins, Piece, Slot};
use crate::capture::transcript::{CallAt, CallPart, Channel};
use crate::json::scan::{Object, Value};
use crate::json::values::{number, objects, says_something};

/// The last events of these APIs.
const ENDS: [&str; 9] = [
    "response.completed",
    // OpenRouter's.
    "response.done",
    "response.incomplete",
    "response.failed",
    "response.cancelled",
    "image_generation.completed",
    "image_edit.completed",
    "speech.audio.done",
    "transcript.text.done",
];
/// Items of the output that are calls of the caller's own tools; other tools' are items of their own kinds.
const CALLS: [&str; 2] = ["function_call", "custom_tool_call"];
/// Most texts of a stream that are known to have come.
const SPOKEN_MAX: usize = 256;

/// How responses are written, and the typed events of the other streams.
pub(crate) const DIALECT: Dialect = Dialect {
    read,
    read_event,
    find_texts,
    write_text,
    identity: |_| String::new(),
    has_identity_per_event: false,
    error_event: ErrorEvent::Own(error_event),
    done: None,
};

/// Reads a response in one piece.
fn read(object: &Object<'_>, notes: &mut Notes<'_>) {
    read_response(object, notes);
    read_output(object, notes);
    // A transcription is a text and little else.
    read_text(object, "text", Channel::Text, notes);
}

/// Reads the data of one event. Returns whether it brought a token.
fn read_event(object: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let kind = object.text("type");
    if let Some((channel, key, is_delta)) = text_of(&kind) {
        let is_reasoning = channel == Channel::Reasoning;
        let place = number(object, "content_index").or(number(object, "summary_index")).unwrap_or(0);
        let text = (number(object, "output_index").unwrap_or(0), place, is_reasoning);
        return (is_delta || !notes.seen.texts.contains(&text))
            && read_text(object, key, channel, notes)
            && note_text(notes.seen, text);
    }
    let index = number(object, "output_index").unwrap_or(0);
    match kind.as_ref() {
        "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
            notes.seen.has_begun = true;
            let delta = object.get("delta").filter(says_something);
            delta.is_some_and(|delta| {
                let at = call(index, "", &object.text("item_id"), "", notes);
                notes.transcript.call_part(at, CallPart::Arguments, &delta)
            })
        }
        "response.function_call_arguments.done" | "response.custom_tool_call_input.done" => {
            let arguments =
                ["arguments", "input"].iter().find_map(|key| object.get(key).filter(says_something));
            arguments.is_some_and(|arguments| {
                let at = call(index, "", &object.text("item_id"), "", notes);
                notes.transcript.call_arguments(at, &arguments)
            })
        }
        // Their items repeat it, with their own types.
        "response.mcp_call_arguments.delta" | "response.code_interpreter_call_code.delta" => {
            object.get("delta").is_some_and(|delta| notes.transcript.counted(&delta))
        }
        "response.output_item.added" | "response.output_item.done" => {
            notes.seen.has_begun = true;
            object
                .get("item")
                .is_some_and(|item| read_item(index, &item, kind.ends_with("done"), true, notes))
        }
        _ => {
            if ENDS.contains(&kind.as_ref()) {
                notes.end.reach();
            }
            match object.get("response").and_then(|response| response.as_object()) {
                Some(response) => {
                    read_response(&response, notes);
                    // A stream that reported nothing before reports all of it here.
                    !notes.seen.has_begun && read_output(&response, notes)
                }
                // Images, speech and transcription have no response around their usage.
                None => {
                    notes.common(object);
                    if kind == "transcript.text.done" {
                        return !notes.seen.has_begun && read_text(object, "text", Channel::Text, notes);
                    }
                    media::brings_something(&kind, object)
                }
            }
        }
    }
}

/// Notes that a text has come.
fn note_text(seen: &mut Seen, text: (u64, u64, bool)) -> bool {
    seen.has_begun = true;
    if seen.texts.len() < SPOKEN_MAX {
        seen.texts.insert(text);
    }
    true
}

/// An item is done: whether any of its texts of this kind has come. Another item may have its index.
fn end_item(seen: &mut Seen, index: u64, is_reasoning: bool) -> bool {
    let of_item = |text: &(u64, u64, bool)| text.0 == index && text.2 == is_reasoning;
    let has_spoken = seen.texts.iter().any(of_item);
    seen.texts.retain(|text| !of_item(text));
    has_spoken
}

/// Of an event that brings a text: which, under which name, and whether it is only a piece of it.
fn text_of(kind: &str) -> Option<(Channel, &'static str, bool)> {
    Some(match kind {
        "response.output_text.delta"
        | "transcript.text.delta"
        | "response.audio.transcript.delta"
        | "response.output_audio_transcript.delta" => (Channel::Text, "delta", true),
        "response.refusal.delta" => (Channel::Refusal, "delta", true),
        "response.reasoning_summary_text.delta" | "response.reasoning_text.delta" => {
            (Channel::Reasoning, "delta", true)
        }
        "response.output_text.done" => (Channel::Text, "text", false),
        "response.refusal.done" => (Channel::Refusal, "refusal", false),
        "response.reasoning_summary_text.done" | "response.reasoning_text.done" => {
            (Channel::Reasoning, "text", false)
        }
        _ => return None,
    })
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

/// Reads the items of a whole response. Returns whether there was any.
fn read_output(response: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let items = response.get("output").and_then(|output| output.as_array()).unwrap_or_default();
    let mut token = false;
    for (place, item) in items.iter().enumerate() {
        token |= read_item(place as u64, item, true, false, notes);
    }
    token
}

/// Reads an item of the output, of a whole response or of a stream, where it may only begin.
/// Returns whether it brought a token.
fn read_item(index: u64, value: &Value<'_>, is_done: bool, is_event: bool, notes: &mut Notes<'_>) -> bool {
    let Some(item) = value.as_object() else { return false };
    let kind = item.text("type");
    let has_spoken =
        |is_reasoning, notes: &mut Notes<'_>| is_event && end_item(notes.seen, index, is_reasoning);
    match kind.as_ref() {
        "" => false,
        kind if CALLS.contains(&kind) => {
            read_call(index, &item, is_done, notes);
            false
        }
        _ if !is_done => false,
        "message" => !has_spoken(false, notes) && read_texts(&item, notes),
        "reasoning" => {
            let has_token = !has_spoken(true, notes) && read_thoughts(&item, notes);
            let is_encrypted =
                ["summary", "content"].iter().all(|key| !item.get(key).is_some_and(|it| says_something(&it)));
            if is_encrypted {
                notes.transcript.part(0, &kind, value);
            }
            has_token
        }
        kind => {
            notes.transcript.part(0, kind, value);
            false
        }
    }
}

fn read_texts(item: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let mut token = false;
    for part in objects(item.get("content")) {
        token |= read_text(&part, "text", Channel::Text, notes);
        token |= read_text(&part, "refusal", Channel::Refusal, notes);
    }
    token
}

/// The thoughts of an item: their text, and the summary of it.
fn read_thoughts(item: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let mut token = false;
    for key in ["content", "summary"] {
        for part in objects(item.get(key)) {
            token |= read_text(&part, "text", Channel::Reasoning, notes);
        }
    }
    token
}

/// Reads an item that is a call of the caller's own tools.
fn read_call(index: u64, item: &Object<'_>, is_done: bool, notes: &mut Notes<'_>) {
    let (item_id, call_id, name) = (item.text("id"), item.text("call_id"), item.text("name"));
    let at = call(index, &call_id, &item_id, &name, notes);
    let id = item.get("call_id").or_else(|| item.get("id"));
    let kind = item.get("type").filter(|kind| kind.raw != "\"function_call\"");
    for (part, value) in [(CallPart::Id, id), (CallPart::Name, item.get("name")), (CallPart::Type, kind)] {
        if let Some(value) = value {
            notes.transcript.call_part(at, part, &value);
        }
    }
    let arguments = ["arguments", "input"].iter().find_map(|key| item.get(key).filter(says_something));
    if let Some(arguments) = arguments.filter(|_| is_done) {
        notes.transcript.call_arguments(at, &arguments);
    }
}

/// The call that an item is, or that a piece of its arguments goes on with.
fn call(index: u64, id: &str, item: &str, name: &str, notes: &mut Notes<'_>) -> Option<CallAt> {
    let slot = Slot::Index(index);
    let piece = Piece { id, item, name, slot, has_arguments: false, begins: Begins::IfNew };
    notes.transcript.call(0, &piece)
}

/// Fields of a response, or of an event of one, that carry no content, sorted.
#[rustfmt::skip]
pub(crate) const FIELDS: &[&str] = &[
    "audio", "b64_json", "choices.delta.audio.data", "choices.delta.audio.id", "choices.delta.role",
    "choices.delta.tool_calls.id", "choices.delta.tool_calls.type", "choices.finish_reason", "choices.logprobs!",
    "choices.message.annotations.type", "choices.message.audio.data", "choices.message.audio.expires_at",
    "choices.message.audio.id", "choices.message.role", "choices.message.tool_calls.id",
    "choices.message.tool_calls.type", "choices.prompt_logprobs!", "choices.prompt_token_ids!",
    "choices.token_ids!", "completed_at", "created", "created_at", "data.b64_json", "data.embedding",
    "error.code", "error.type", "id", "item.call_id", "item.content.logprobs!", "item.content.type",
    "item.encrypted_content", "item.id", "item.result", "item.role", "item.status", "item.type", "item_id",
    "logprobs!", "model", "obfuscation", "object", "output.call_id", "output.content.logprobs!",
    "output.content.type", "output.encrypted_content", "output.id", "output.result", "output.role",
    "output.status", "output.type", "part.logprobs!", "part.type", "partial_image_b64", "previous_response_id",
    "prompt_logprobs!", "prompt_token_ids!", "response.completed_at", "response.created_at",
    "response.error.code", "response.id", "response.model", "response.object", "response.output.call_id",
    "response.output.content.logprobs!", "response.output.content.type",
    "response.output.encrypted_content", "response.output.id", "response.output.result",
    "response.output.role", "response.output.status", "response.output.type", "response.previous_response_id",
    "response.service_tier", "response.status", "sequence_number", "service_tier", "status",
    "system_fingerprint", "type",
];
