//! Gemini's responses (Gemini API, "GenerateContentResponse"): each piece of a stream has the shape of
//! a whole one, and its usage stands for all before.

use weir_event::v1;

use crate::api::family::operation::{Dialect, ErrorEvent};
use crate::api::family::reading::notes::Notes;
use crate::api::family::reading::usage::beside::Beside;
use crate::api::family::reading::usage::figures::Figures;
use crate::api::family::reading::usage::names::{CACHE_READ, INPUT, OUTPUT, REASONING, TOTAL};
use crate::api::family::reading::usage::terms::{sum, with_reasoning_of};
use crate::api::gemini::stream::{find_texts, identity, write_text};
use crate::capture::calls::{Begins, Piece, Slot};
use crate::capture::transcript::{CallPart, Channel};
use crate::json::scan::{Object, Value};
use crate::json::values::{objects, says_something};

/// Members that describe a part's content.
const MODIFIERS: [&str; 6] =
    ["thought", "thoughtSignature", "videoMetadata", "mediaResolution", "partMetadata", "thought_signature"];

/// How Gemini's responses are written.
pub(crate) const DIALECT: Dialect = Dialect {
    read: |object, notes| {
        read(object, notes);
    },
    read_event: read,
    find_texts,
    write_text,
    identity,
    has_identity_per_event: true,
    error_event: ErrorEvent::Body(None),
    done: None,
};

/// Reads a response, or a piece of one. Returns whether it brought a token.
fn read(object: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    notes.set(|response| &mut response.id, object, "responseId");
    notes.set(|response| &mut response.model, object, "modelVersion");
    notes.usage.read_members(object);
    notes.error_of(object);
    let mut token = false;
    for (place, candidate) in objects(object.get("candidates")).enumerate() {
        let index = candidate.get("index").and_then(|index| index.as_u64()).unwrap_or(place as u64);
        notes.last_of_choice(index, &candidate, "finishReason");
        let content = candidate.get("content").and_then(|content| content.as_object()).unwrap_or_default();
        for part in content.get("parts").and_then(|parts| parts.as_array()).unwrap_or_default() {
            token |= read_part(index, &part, notes);
        }
    }
    // A prompt that was blocked has no candidates.
    if let Some(feedback) = object.get("promptFeedback").and_then(|feedback| feedback.as_object())
        && notes.finish_reason(0, &feedback, "blockReason")
    {
        notes.end.reach();
    }
    token
}

/// Reads a part: one content, and members that describe it.
fn read_part(candidate: u64, value: &Value<'_>, notes: &mut Notes<'_>) -> bool {
    let Some(part) = value.as_object() else { return false };
    let is_thought = part.get("thought").and_then(|value| value.as_bool()).unwrap_or(false);
    let mut says = part.iter().filter(|(key, value)| !MODIFIERS.contains(key) && says_something(value));
    match says.next() {
        None => false,
        Some(("text", text)) => {
            let channel = if is_thought { Channel::Reasoning } else { Channel::Text };
            notes.transcript.text(candidate, channel, &text)
        }
        Some(("functionCall", call)) => {
            read_call(candidate, call, notes);
            true
        }
        Some((kind, _)) => {
            notes.transcript.part(candidate, kind, value);
            true
        }
    }
}

/// A call comes whole. One whose arguments Vertex streams has its id in each piece, or no name but in the first.
fn read_call(candidate: u64, call: Value<'_>, notes: &mut Notes<'_>) {
    let Some(call) = call.as_object() else { return };
    let (id, name) = (call.text("id"), call.text("name"));
    let begins = if name.is_empty() { Begins::IfNew } else { Begins::UnlessKnown };
    let piece = Piece { id: &id, item: "", name: &name, slot: Slot::Place(0), has_arguments: false, begins };
    let at = notes.transcript.call(candidate, &piece);
    for (part, key) in [(CallPart::Id, "id"), (CallPart::Name, "name")] {
        if let Some(value) = call.get(key) {
            notes.transcript.call_part(at, part, &value);
        }
    }
    if let Some(arguments) = call.get("args") {
        notes.transcript.call_arguments(at, &arguments);
    }
}

/// Gemini's (API reference, "UsageMetadata"): thoughts stand beside candidates, and what tools put into the prompt
/// beside the prompt; cached content is part of the prompt.
pub(crate) fn usage(usage: &Figures, _: &Beside, _: bool) -> v1::Usage {
    let thoughts = usage.first_of(&REASONING);
    let mut totals = v1::Usage {
        input_tokens: sum([usage.first_of(&INPUT), usage.at("toolUsePromptTokenCount")]),
        output_tokens: sum([usage.first_of(&OUTPUT), thoughts]),
        cache_read_tokens: usage.first_of(&CACHE_READ),
        reasoning_tokens: thoughts,
        ..Default::default()
    };
    // While a stream runs, its total may be ahead of its parts; at the end only thoughts are missing of them.
    if totals.output_tokens.is_some() {
        with_reasoning_of(usage.first_of(&TOTAL), &mut totals);
    }
    totals
}

/// Fields of a response, or of an event of one, that carry no content, sorted.
#[rustfmt::skip]
pub(crate) const FIELDS: &[&str] = &[
    "candidates.content.parts.inlineData.data", "candidates.content.parts.inlineData.mimeType",
    "candidates.content.parts.thoughtSignature", "candidates.content.role", "candidates.finishReason",
    "candidates.logprobsResult!", "candidates.safetyRatings.category",
    "candidates.safetyRatings.probability", "createTime", "error.code", "error.status", "modelVersion",
    "promptFeedback.blockReason", "promptFeedback.safetyRatings.category",
    "promptFeedback.safetyRatings.probability", "responseId", "usageMetadata.promptTokensDetails.modality",
];
