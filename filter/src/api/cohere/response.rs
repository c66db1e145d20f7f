//! Cohere's chat and rerank (Cohere API v2, "Chat", "Chat with Streaming", "Rerank").

use weir_event::v1;

use crate::api::cohere::stream::{error_event, find_texts, write_text};
use crate::api::family::operation::{Dialect, ErrorEvent};
use crate::api::family::reading::error;
use crate::api::family::reading::notes::Notes;
use crate::api::family::reading::usage::beside::Beside;
use crate::api::family::reading::usage::figures::Figures;
use crate::api::family::reading::usage::names::{BILLED, CACHE_READ, INPUT, OUTPUT, PROCESSED};
use crate::capture::calls::{Begins, Piece, Slot};
use crate::capture::transcript::{CallPart, Channel};
use crate::json::scan::{Kind, Object, Value};
use crate::json::values::{objects, says_something};

/// How Cohere's responses are written.
pub(crate) const DIALECT: Dialect = Dialect {
    read,
    read_event,
    find_texts,
    write_text,
    identity: |_| String::new(),
    has_identity_per_event: false,
    error_event: ErrorEvent::Own(error_event),
    done: Some("[DONE]"),
};

/// Reads a response in one piece.
fn read(object: &Object<'_>, notes: &mut Notes<'_>) {
    notes.common(object);
    notes.finish_reason(0, object, "finish_reason");
    // Rerank reports what it bills among its metadata.
    if let Some(meta) = object.get("meta") {
        notes.usage.read_usage("meta", &meta);
    }
    if let Some(message) = object.get("message").and_then(|message| message.as_object()) {
        read_message(None, &message, notes);
    }
}

/// Reads the data of one event. Returns whether it brought a token.
fn read_event(object: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let index = object.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
    let delta = object.get("delta").and_then(|delta| delta.as_object()).unwrap_or_default();
    match object.text("type").as_ref() {
        "message-start" => {
            notes.identity(object);
            false
        }
        "message-end" => {
            notes.end.reach();
            notes.finish_reason(0, &delta, "finish_reason");
            notes.usage.read_members(&delta);
            if let Some(found) = error::member(&delta) {
                notes.error(&found);
            }
            false
        }
        _ => {
            notes.error_of(object);
            let message = delta.get("message").and_then(|message| message.as_object()).unwrap_or_default();
            read_message(Some(index), &message, notes)
        }
    }
}

/// Reads a message, or a piece of one that says which part of it this is.
fn read_message(index: Option<u64>, message: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let mut token = false;
    for part in one_or_more(message.get("content")) {
        for (key, channel) in [("text", Channel::Text), ("thinking", Channel::Reasoning)] {
            if let Some(text) = part.get(key) {
                token |= notes.transcript.text(0, channel, &text);
            }
        }
    }
    if let Some(plan) = message.get("tool_plan") {
        token |= notes.transcript.text(0, Channel::Reasoning, &plan);
    }
    let calls = message.get("tool_calls").filter(says_something);
    for (place, call) in one_or_more(calls).enumerate() {
        token = true;
        let function = call.get("function").and_then(|function| function.as_object()).unwrap_or_default();
        let (id, name) = (call.text("id"), function.text("name"));
        let begins = if index.is_some() { Begins::IfNew } else { Begins::Always };
        let slot = index.map_or(Slot::Place(place as u64), Slot::Index);
        let has_arguments = function.get("arguments").is_some_and(|arguments| says_something(&arguments));
        let piece = Piece { id: &id, item: "", name: &name, slot, has_arguments, begins };
        let at = notes.transcript.call(0, &piece);
        let parts = [
            (CallPart::Id, call.get("id")),
            (CallPart::Name, function.get("name")),
            (CallPart::Arguments, function.get("arguments")),
        ];
        for (part, value) in parts {
            if let Some(value) = value {
                notes.transcript.call_part(at, part, &value);
            }
        }
    }
    token
}

/// What is a list in a whole message is one object in a piece of a stream.
fn one_or_more<'a>(value: Option<Value<'a>>) -> impl Iterator<Item = Object<'a>> {
    let alone = value.filter(|value| value.kind == Kind::Object).and_then(|value| value.as_object());
    alone.into_iter().chain(objects(value))
}

/// Cohere's (API v2, "Usage"): what is billed, which leaves out what Cohere puts around a prompt; else all tokens.
pub(crate) fn usage(usage: &Figures, _: &Beside, _: bool) -> v1::Usage {
    let [billed_input, billed_output] = BILLED.map(|path| usage.at(path));
    let [input, output] = PROCESSED.map(|path| usage.at(path));
    let input_tokens = billed_input.or(input).or_else(|| usage.first_of(&INPUT));
    // What was cached is part of all tokens, and may be more than what is billed.
    let fits = |cached: &u64| input_tokens.is_some_and(|input| *cached <= input);
    v1::Usage {
        input_tokens,
        output_tokens: billed_output.or(output).or_else(|| usage.first_of(&OUTPUT)),
        cache_read_tokens: usage.first_of(&CACHE_READ).filter(fits),
        ..Default::default()
    }
}

/// Fields of a response, or of an event of one, that carry no content, sorted.
#[rustfmt::skip]
pub(crate) const FIELDS: &[&str] = &[
    "delta.finish_reason", "delta.message.content.type", "delta.message.role", "delta.message.tool_calls.id",
    "delta.message.tool_calls.type", "finish_reason", "generation_id", "id", "logprobs!", "message.content.type",
    "message.role", "message.tool_calls.id", "message.tool_calls.type", "response_id", "type",
];
