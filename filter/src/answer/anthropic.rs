//! Anthropic's messages (Messages API, "Create a Message", "Streaming messages").
//!
//! A message is one choice; its blocks come one after the other, by index. The usage of `message_delta` is
//! cumulative and may revise what `message_start` said.

use super::transcript::{Channel, ToolPart};
use super::{Notes, says_something};
use crate::json::{Kind, Object};

/// Reads a message in one piece.
pub(super) fn read(object: &Object<'_>, notes: &mut Notes<'_>) {
    notes.common(object);
    service_tier(object, notes);
    notes.finish_reason(0, object, "stop_reason");
    for (place, block) in super::objects(object.get("content")).enumerate() {
        read_block(place as u64, &block, notes);
    }
}

/// Reads the data of one event. Returns whether it brought a token.
pub(super) fn read_event(object: &Object<'_>, notes: &mut Notes<'_>) -> bool {
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
        "content_block_start" => read_block(index, &member("content_block"), notes),
        "content_block_delta" => {
            let delta = member("delta");
            let text = |key, channel, notes: &mut Notes<'_>| {
                delta.get(key).is_some_and(|text| notes.transcript.text(0, channel, &text))
            };
            match delta.text("type").as_ref() {
                "text_delta" => text("text", Channel::Text, notes),
                "thinking_delta" => text("thinking", Channel::Reasoning, notes),
                "input_json_delta" => delta
                    .get("partial_json")
                    .is_some_and(|json| notes.transcript.tool_call(0, index, ToolPart::Arguments, &json)),
                _ => false,
            }
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

/// Anthropic tells the tier among the usage.
fn service_tier(message: &Object<'_>, notes: &mut Notes<'_>) {
    let usage = message.get("usage").and_then(|usage| usage.as_object()).unwrap_or_default();
    notes.set(|response| &mut response.service_tier, &usage, "service_tier");
}

/// Reads a block, whole or as it starts. Returns whether it brought a token.
fn read_block(index: u64, block: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let kind = block.text("type");
    match kind.as_ref() {
        "text" => block.get("text").is_some_and(|text| notes.transcript.text(0, Channel::Text, &text)),
        "thinking" => {
            block.get("thinking").is_some_and(|text| notes.transcript.text(0, Channel::Reasoning, &text))
        }
        "tool_use" | "server_tool_use" | "mcp_tool_use" => {
            if !["id", "name", "input"].into_iter().any(|key| says(block, key)) {
                return false;
            }
            for (part, key) in [(ToolPart::Id, "id"), (ToolPart::Name, "name"), (ToolPart::Type, "type")] {
                if let Some(value) = block.get(key).filter(|_| part != ToolPart::Type || kind != "tool_use") {
                    notes.transcript.tool_call(0, index, part, &value);
                }
            }
            // At the start of a streamed block the input is an empty object: it comes in deltas.
            if let Some(input) =
                block.get("input").filter(|input| input.kind == Kind::Object && input.raw.len() > 2)
            {
                notes.transcript.tool_arguments(0, index, &input);
            }
            true
        }
        _ => false,
    }
}

fn says(object: &Object<'_>, key: &str) -> bool {
    object.get(key).is_some_and(|value| says_something(&value))
}
