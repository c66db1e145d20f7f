//! Gemini's answers (Gemini API, "GenerateContentResponse"): each piece of a stream has the shape of
//! a whole one, and its usage stands for all before.

use super::transcript::{Channel, ToolPart};
use super::{Notes, says_something};
use crate::json::{Object, Value};

/// How far the answer has come.
#[derive(Debug, Default)]
pub(super) struct State {
    /// Calls of tools so far, of all candidates: they come whole and without an index.
    calls: u64,
}

/// Reads an answer, or a piece of one. Returns whether it brought a token.
pub(super) fn read(object: &Object<'_>, state: &mut State, notes: &mut Notes<'_>) -> bool {
    notes.set(|response| &mut response.id, object, "responseId");
    notes.set(|response| &mut response.model, object, "modelVersion");
    notes.usage.read_members(object);
    notes.error_of(object);
    let mut token = false;
    for (place, candidate) in super::objects(object.get("candidates")).enumerate() {
        let index = candidate.get("index").and_then(|index| index.as_u64()).unwrap_or(place as u64);
        notes.last_of_choice(index, &candidate, "finishReason");
        let content = candidate.get("content").and_then(|content| content.as_object()).unwrap_or_default();
        for part in super::objects(content.get("parts")) {
            token |= read_part(index, &part, state, notes);
        }
    }
    // A prompt that was blocked has no candidates.
    if let Some(feedback) = object.get("promptFeedback").and_then(|feedback| feedback.as_object()) {
        if notes.finish_reason(0, &feedback, "blockReason") {
            notes.end.reach();
        }
    }
    token
}

fn read_part(candidate: u64, part: &Object<'_>, state: &mut State, notes: &mut Notes<'_>) -> bool {
    let is_thought = part.get("thought").and_then(|value| value.as_bool()).unwrap_or(false);
    let mut token = false;
    for (key, value) in part.iter().filter(|(_, value)| says_something(value)) {
        token |= match key {
            "text" => {
                let channel = if is_thought { Channel::Reasoning } else { Channel::Text };
                notes.transcript.text(candidate, channel, &value)
            }
            "functionCall" => {
                read_call(candidate, value, state.calls, notes);
                state.calls = state.calls.saturating_add(1);
                true
            }
            "thought" | "thoughtSignature" => false,
            _ => true,
        };
    }
    token
}

fn read_call(candidate: u64, call: Value<'_>, index: u64, notes: &mut Notes<'_>) {
    let Some(call) = call.as_object() else { return };
    for (part, key) in [(ToolPart::Id, "id"), (ToolPart::Name, "name")] {
        if let Some(value) = call.get(key) {
            notes.transcript.tool_call(candidate, index, part, &value);
        }
    }
    if let Some(arguments) = call.get("args") {
        notes.transcript.tool_arguments(candidate, index, &arguments);
    }
}
