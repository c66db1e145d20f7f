//! Anthropic's messages (Messages API, "Create a Message", "Streaming messages").
//!
//! A message is one choice; its blocks come one after the other, by index, which begins anew with another message. The
//! usage of `message_delta` is cumulative and may revise what `message_start` said.

use weir_event::v1;

use crate::api::anthropic::stream::{find_texts, write_text};
use crate::api::family::operation::{Dialect, ErrorEvent};
use crate::api::family::reading::notes::Notes;
use crate::api::family::reading::usage::beside::Beside;
use crate::api::family::reading::usage::figures::Figures;
use crate::api::family::reading::usage::names::{CACHE_READ, CACHE_WRITE, INPUT, OUTPUT, REASONING};
use crate::api::family::reading::usage::terms::sum;
use crate::capture::calls::{Begins, Piece, Slot};
use crate::capture::transcript::{CallAt, CallPart, Channel};
use crate::json::scan::{Kind, Object, Value};
use crate::json::values::says_something;

/// How Anthropic's responses are written.
pub(crate) const DIALECT: Dialect = Dialect {
    read,
    read_event,
    find_texts,
    write_text,
    identity: |_| String::new(),
    has_identity_per_event: false,
    error_event: ErrorEvent::Body(Some("error")),
    done: None,
};

/// Reads a message in one piece.
fn read(object: &Object<'_>, notes: &mut Notes<'_>) {
    notes.common(object);
    service_tier(object, notes);
    notes.finish_reason(0, object, "stop_reason");
    for (place, block) in
        object.get("content").and_then(|it| it.as_array()).unwrap_or_default().iter().enumerate()
    {
        read_block(place as u64, block, Begins::Always, notes);
    }
}

/// Reads the data of one event. Returns whether it brought a token.
fn read_event(object: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let index = object.get("index").and_then(|index| index.as_u64()).unwrap_or(0);
    // Bedrock adds what it measured to the last event.
    notes.usage.read_members(object);
    let member = |key| object.get(key).and_then(|value| value.as_object()).unwrap_or_default();
    match object.text("type").as_ref() {
        "message_start" => {
            let message = member("message");
            notes.identity(&message);
            service_tier(&message, notes);
            notes.usage.read_members(&message);
            false
        }
        "content_block_start" => object
            .get("content_block")
            .is_some_and(|block| read_block(index, &block, Begins::UnlessKnown, notes)),
        "content_block_delta" => read_delta(index, &member("delta"), notes),
        // A tool without parameters has no deltas, and its input is the empty object.
        "content_block_stop" => {
            let at = notes.transcript.last_call(0, Slot::Index(index));
            if at.is_some() {
                notes.transcript.call_arguments(at, &Value { raw: "{}", kind: Kind::Object, start: 0 });
            }
            false
        }
        "message_delta" => {
            notes.finish_reason(0, &member("delta"), "stop_reason");
            false
        }
        "message_stop" => {
            notes.end.reach();
            false
        }
        _ => {
            notes.error_of(object);
            false
        }
    }
}

/// Anthropic reports the tier among the usage.
fn service_tier(message: &Object<'_>, notes: &mut Notes<'_>) {
    let usage = message.get("usage").and_then(|usage| usage.as_object()).unwrap_or_default();
    notes.set(|response| &mut response.service_tier, &usage, "service_tier");
}

fn read_delta(index: u64, delta: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let text = |key, channel, notes: &mut Notes<'_>| {
        delta.get(key).is_some_and(|text| notes.transcript.text(0, channel, &text))
    };
    match delta.text("type").as_ref() {
        "text_delta" => text("text", Channel::Text, notes),
        "thinking_delta" => text("thinking", Channel::Reasoning, notes),
        "input_json_delta" => delta.get("partial_json").filter(says_something).is_some_and(|json| {
            let at = call(index, &Object::default(), Begins::IfNew, notes);
            // Some servers give the input whole as the block starts, and once more in deltas.
            notes.transcript.is_complete(at) || notes.transcript.call_part(at, CallPart::Arguments, &json)
        }),
        // A summary comes in one piece.
        "compaction_delta" => delta.get("content").filter(says_something).is_some_and(|content| {
            let json = format!("{{\"type\":\"compaction\",\"content\":{}}}", content.raw);
            notes.transcript.part(0, "compaction", &Value { raw: &json, kind: Kind::Object, start: 0 });
            notes.transcript.counted(&content)
        }),
        _ => false,
    }
}

/// Reads a block, whole or as it starts. Returns whether it brought a token.
fn read_block(index: u64, value: &Value<'_>, begins: Begins, notes: &mut Notes<'_>) -> bool {
    let Some(block) = value.as_object().filter(|_| says_something(value)) else { return false };
    let kind = block.text("type");
    match kind.as_ref() {
        "text" => block.get("text").is_some_and(|text| notes.transcript.text(0, Channel::Text, &text)),
        "thinking" => {
            block.get("thinking").is_some_and(|text| notes.transcript.text(0, Channel::Reasoning, &text))
        }
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            let at = call(index, &block, begins, notes);
            for (part, key) in [(CallPart::Id, "id"), (CallPart::Name, "name"), (CallPart::Type, "type")] {
                if let Some(value) = block.get(key).filter(|_| part != CallPart::Type || kind != "tool_use") {
                    notes.transcript.call_part(at, part, &value);
                }
            }
            // At the start of a streamed block the input is an empty object: it comes in deltas.
            if let Some(input) =
                block.get("input").filter(|input| begins == Begins::Always || !is_empty(input))
            {
                notes.transcript.call_arguments(at, &input);
            }
            true
        }
        // What a tool of the provider's brought, a thought that is redacted, and what is not known.
        kind => {
            notes.transcript.part(0, kind, value);
            false
        }
    }
}

/// The call that a block is, or that a delta of one goes on with.
fn call(index: u64, block: &Object<'_>, begins: Begins, notes: &mut Notes<'_>) -> Option<CallAt> {
    let (id, name) = (block.text("id"), block.text("name"));
    let piece =
        Piece { id: &id, item: "", name: &name, slot: Slot::Index(index), has_arguments: false, begins };
    notes.transcript.call(0, &piece)
}

fn is_empty(object: &Value<'_>) -> bool {
    object.as_object().is_none_or(|object| object.iter().next().is_none())
}

/// Anthropic's (Messages API, "Usage"): input tokens exclude those read from and written to the cache.
pub(crate) fn usage(usage: &Figures, beside: &Beside, _: bool) -> v1::Usage {
    let more = |total: Option<u64>, more: u64| {
        total.map_or((more > 0).then_some(more), |total| Some(total.saturating_add(more)))
    };
    let read = usage.first_of(&CACHE_READ);
    let written = usage.first_of(&CACHE_WRITE);
    let input = usage.first_of(&INPUT).and_then(|input| sum([Some(input), read, written]));
    v1::Usage {
        input_tokens: more(input, beside.all.input_in_all()),
        output_tokens: more(usage.first_of(&OUTPUT), beside.all.output),
        cache_read_tokens: more(read, beside.all.cache_read),
        cache_write_tokens: more(written, beside.all.cache_write),
        reasoning_tokens: usage.first_of(&REASONING),
        others: beside.others(),
        ..Default::default()
    }
}

/// Fields of a response, or of an event of one, that carry no content, sorted.
#[rustfmt::skip]
pub(crate) const FIELDS: &[&str] = &[
    "content.data", "content.id", "content.signature", "content.tool_use_id", "content.type",
    "content_block.data", "content_block.id", "content_block.signature", "content_block.tool_use_id",
    "content_block.type", "delta.signature", "delta.stop_reason", "delta.type", "error.type", "id", "message.id",
    "message.model", "message.role", "message.stop_reason", "message.type", "model", "request_id", "role",
    "stop_reason", "type",
];
