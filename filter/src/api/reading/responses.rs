//! OpenAI's Responses API, and the typed events of its images, speech and transcription streams
//! (OpenAI API reference, "Responses", "Streaming events").
//!
//! All messages of a response are one choice. A text comes in deltas, and once more when it is done, when its part
//! and its item are, and with the last event: it is read where it comes first.

use std::collections::BTreeSet;

use crate::api::reading::calls::{Begins, Piece, Slot};
use crate::api::reading::{Notes, says_something};
use crate::capture::transcript::{CallAt, CallPart, Channel};
use crate::json::scan::{Object, Value};

/// Where the events that bring something hold it.
const BROUGHT: [&str; 7] = ["delta", "audio", "b64_json", "partial_image_b64", "url", "text", "code"];
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

/// How far a stream has come.
#[derive(Debug, Default)]
pub(crate) struct State {
    /// The texts of open items that have come: their item, their place in it, and whether they are reasoning.
    spoken: BTreeSet<(u64, u64, bool)>,
    /// Whether any item has come, or a piece of one.
    has_items: bool,
}

/// Reads a response in one piece.
pub(crate) fn read(object: &Object<'_>, notes: &mut Notes<'_>) {
    read_response(object, notes);
    read_output(object, notes);
    // A transcription is a text and little else.
    read_text(object, "text", Channel::Text, notes);
}

/// Reads the data of one event. Returns whether it brought a token.
pub(crate) fn read_event(object: &Object<'_>, state: &mut State, notes: &mut Notes<'_>) -> bool {
    let kind = object.text("type");
    if let Some((channel, key, is_delta)) = text_of(&kind) {
        let is_reasoning = channel == Channel::Reasoning;
        let place = number(object, "content_index").or(number(object, "summary_index")).unwrap_or(0);
        let text = (number(object, "output_index").unwrap_or(0), place, is_reasoning);
        return (is_delta || !state.spoken.contains(&text))
            && read_text(object, key, channel, notes)
            && state.speak(text);
    }
    let index = number(object, "output_index").unwrap_or(0);
    match kind.as_ref() {
        "response.function_call_arguments.delta" | "response.custom_tool_call_input.delta" => {
            state.has_items = true;
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
        // Their items say the same once more, as what they are.
        "response.mcp_call_arguments.delta" | "response.code_interpreter_call_code.delta" => {
            object.get("delta").is_some_and(|delta| notes.transcript.counted(&delta))
        }
        "response.output_item.added" | "response.output_item.done" => {
            state.has_items = true;
            object
                .get("item")
                .is_some_and(|item| read_item(index, &item, kind.ends_with("done"), Some(state), notes))
        }
        _ => {
            if ENDS.contains(&kind.as_ref()) {
                notes.end.reach();
            }
            match object.get("response").and_then(|response| response.as_object()) {
                Some(response) => {
                    read_response(&response, notes);
                    // A stream that told nothing before tells all of it here.
                    !state.has_items && read_output(&response, notes)
                }
                // Images, speech and transcription have no response around their usage.
                None => {
                    notes.common(object);
                    if kind == "transcript.text.done" {
                        return !state.has_items && read_text(object, "text", Channel::Text, notes);
                    }
                    brings_something(&kind, object)
                }
            }
        }
    }
}

impl State {
    /// Notes that a text has come.
    fn speak(&mut self, text: (u64, u64, bool)) -> bool {
        self.has_items = true;
        if self.spoken.len() < SPOKEN_MAX {
            self.spoken.insert(text);
        }
        true
    }

    /// An item is done: whether any of its texts of this kind has come. Another item may have its index.
    fn end_item(&mut self, index: u64, is_reasoning: bool) -> bool {
        let of_item = |text: &(u64, u64, bool)| text.0 == index && text.2 == is_reasoning;
        let has_spoken = self.spoken.iter().any(of_item);
        self.spoken.retain(|text| !of_item(text));
        has_spoken
    }
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

/// What a delta or a picture holds has several names: any text of it counts but the event's own type.
fn brings_something(kind: &str, object: &Object<'_>) -> bool {
    const BRINGING: [&str; 4] = [".delta", ".partial_image", "_generation.completed", "_edit.completed"];
    BRINGING.iter().any(|end| kind.ends_with(end))
        && BROUGHT.iter().any(|key| object.get(key).is_some_and(|value| says_something(&value)))
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
        token |= read_item(place as u64, item, true, None, notes);
    }
    token
}

/// Reads an item of the output, of a whole response or, with its state, of a stream, where it may only begin.
/// Returns whether it brought a token.
fn read_item(
    index: u64,
    value: &Value<'_>,
    is_done: bool,
    mut state: Option<&mut State>,
    notes: &mut Notes<'_>,
) -> bool {
    let Some(item) = value.as_object() else { return false };
    let kind = item.text("type");
    let mut has_spoken =
        |is_reasoning| state.as_deref_mut().is_some_and(|state| state.end_item(index, is_reasoning));
    match kind.as_ref() {
        "" => false,
        kind if CALLS.contains(&kind) => {
            read_call(index, &item, is_done, notes);
            false
        }
        _ if !is_done => false,
        "message" => !has_spoken(false) && read_texts(&item, notes),
        "reasoning" => {
            let is_told = !has_spoken(true) && read_thoughts(&item, notes);
            let is_encrypted =
                ["summary", "content"].iter().all(|key| !item.get(key).is_some_and(|it| says_something(&it)));
            if is_encrypted {
                notes.transcript.part(0, &kind, value);
            }
            is_told
        }
        kind => {
            notes.transcript.part(0, kind, value);
            false
        }
    }
}

fn read_texts(item: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let mut token = false;
    for part in crate::api::reading::objects(item.get("content")) {
        token |= read_text(&part, "text", Channel::Text, notes);
        token |= read_text(&part, "refusal", Channel::Refusal, notes);
    }
    token
}

/// The thoughts of an item: their text, and the summary of it.
fn read_thoughts(item: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let mut token = false;
    for key in ["content", "summary"] {
        for part in crate::api::reading::objects(item.get(key)) {
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

fn number(object: &Object<'_>, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}
