//! OpenAI's chat completions and legacy completions, and what is compatible with them (OpenAI API
//! reference, "Chat Completions", "Streaming events", "Completions").
//!
//! A whole message and the delta of a stream have the same members, so they are read alike.

use super::transcript::{Channel, ToolPart};
use super::{Notes, error, says_something};
use crate::json::{Kind, Object, Value};

/// The names under which providers give a model's reasoning: DeepSeek's and others', and that of
/// vLLM, OpenRouter and Groq.
const REASONING: [&str; 2] = ["reasoning_content", "reasoning"];

/// Reads a response in one piece, or the data of one event. Returns whether it brought a token: content,
/// refusal, reasoning or a tool call; the first chunk, which only names the role, does not.
pub(super) fn read(object: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    notes.common(object);
    // Groq tells of an error in a stream in a member of its own.
    if let Some(found) = object.get("x_groq").and_then(|own| error::member(&own.as_object()?)) {
        notes.error(&found);
    }
    let mut token = false;
    for (place, choice) in super::objects(object.get("choices")).enumerate() {
        let index = choice.get("index").and_then(|index| index.as_u64()).unwrap_or(place as u64);
        if let Some(found) = error::member(&choice) {
            notes.error(&found);
        }
        notes.last_of_choice(index, &choice, "finish_reason");
        // Moonshot tells the usage of a stream within its last choice.
        notes.usage.read_members(&choice);
        if let Some(text) = choice.get("text") {
            token |= notes.transcript.text(index, Channel::Text, &text);
        }
        for key in ["delta", "message"] {
            if let Some(message) = choice.get(key).and_then(|message| message.as_object()) {
                token |= read_message(index, &message, notes);
            }
        }
    }
    token
}

fn read_message(choice: u64, message: &Object<'_>, notes: &mut Notes<'_>) -> bool {
    let mut token = false;
    for (key, value) in message.iter().filter(|(_, value)| says_something(value)) {
        token |= match key {
            "role" => false,
            "content" => read_content(choice, value, notes),
            "refusal" => notes.transcript.text(choice, Channel::Refusal, &value),
            "tool_calls" => {
                for (place, call) in super::objects(Some(value)).enumerate() {
                    read_tool_call(choice, place as u64, &call, notes);
                }
                true
            }
            "function_call" => {
                let call = value.as_object().unwrap_or_default();
                read_function(choice, 0, &call, notes);
                true
            }
            "audio" => {
                if let Some(transcript) = value.as_object().and_then(|audio| audio.get("transcript")) {
                    notes.transcript.text(choice, Channel::Text, &transcript);
                }
                true
            }
            _ if REASONING.contains(&key) => notes.transcript.text(choice, Channel::Reasoning, &value),
            // What is not known may be anything that the caller waits for.
            _ => true,
        };
    }
    token
}

/// Content is a text, or a list of parts that have one.
fn read_content(choice: u64, content: Value<'_>, notes: &mut Notes<'_>) -> bool {
    if content.kind == Kind::String {
        return notes.transcript.text(choice, Channel::Text, &content);
    }
    let mut token = false;
    for part in super::objects(Some(content)) {
        if let Some(text) = part.get("text") {
            token |= notes.transcript.text(choice, Channel::Text, &text);
        }
        // Mistral's reasoning models think in a part of its own.
        for thought in super::objects(part.get("thinking")) {
            if let Some(text) = thought.get("text") {
                token |= notes.transcript.text(choice, Channel::Reasoning, &text);
            }
        }
    }
    token
}

fn read_tool_call(choice: u64, place: u64, call: &Object<'_>, notes: &mut Notes<'_>) {
    let index = call.get("index").and_then(|index| index.as_u64()).unwrap_or(place);
    if let Some(id) = call.get("id") {
        notes.transcript.tool_call(choice, index, ToolPart::Id, &id);
    }
    if let Some(kind) = call.get("type").filter(|kind| kind.raw != "\"function\"") {
        notes.transcript.tool_call(choice, index, ToolPart::Type, &kind);
    }
    for holder in ["function", "custom"] {
        if let Some(function) = call.get(holder).and_then(|function| function.as_object()) {
            read_function(choice, index, &function, notes);
        }
    }
}

fn read_function(choice: u64, index: u64, function: &Object<'_>, notes: &mut Notes<'_>) {
    if let Some(name) = function.get("name") {
        notes.transcript.tool_call(choice, index, ToolPart::Name, &name);
    }
    for part in ["arguments", "input"] {
        if let Some(arguments) = function.get(part) {
            notes.transcript.tool_call(choice, index, ToolPart::Arguments, &arguments);
        }
    }
}
