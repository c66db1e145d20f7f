//! OpenAI's responses: instructions apart, and a list of items where a message is one kind among many.

use serde_json::Value;

use super::{
    Conversation,
    openai_chat::{message, tool},
    openai_parts::{content, joined},
    part::{Message, Part},
    value::{Object, arguments, take, take_first, take_items, take_object, take_text},
};

pub(super) fn request(mut body: Object) -> Conversation {
    let instructions = take_items(&mut body, "instructions");
    let system = instructions.into_iter().flat_map(|item| entry(item).parts).collect();
    let input = take_items(&mut body, "input").into_iter().map(entry).collect();
    let tools = take_items(&mut body, "tools").into_iter().map(tool).collect();
    Conversation { system, input, tools, output: Vec::new() }
}

/// All items of a response are one message: they are what the model did in one turn.
pub(super) fn response(mut body: Object) -> Vec<Message> {
    let items = take_items(&mut body, "output");
    if items.is_empty() {
        return Vec::new();
    }
    let parts: Vec<_> = items.into_iter().flat_map(|item| entry(item).parts).collect();
    let called = parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
    let incomplete = take_object(&mut body, "incomplete_details");
    let reason = match (take_text(&mut body, "status").as_str(), incomplete) {
        ("completed", _) if called => "tool_call".to_owned(),
        ("completed", _) => "stop".to_owned(),
        ("incomplete", Some(mut details)) => take_text(&mut details, "reason"),
        ("failed", _) => "error".to_owned(),
        (status, _) => status.to_owned(),
    };
    vec![Message { finish_reason: Some(reason), ..Message::new("assistant", parts) }]
}

/// One item, as a message.
fn entry(value: Value) -> Message {
    let Value::Object(mut item) = value else { return message(value) };
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    match kind.as_str() {
        "" | "message" => message(Value::Object(item)),
        "function_call" | "custom_tool_call" => {
            let id = take_text(&mut item, "call_id");
            let name = take_text(&mut item, "name");
            let arguments = arguments(take_first(&mut item, &["arguments", "input"]));
            Message::new("assistant", vec![Part::ToolCall { id, name, arguments }])
        }
        "reasoning" => Message::new("assistant", reasoning(item)),
        kind if kind.ends_with("_call_output") => {
            let id = take_text(&mut item, "call_id");
            let part = Part::tool_response(id, take(&mut item, "output"));
            Message::new("tool", vec![part])
        }
        kind => match kind.strip_suffix("_call") {
            Some(name) => {
                let id = take_text(&mut item, "id");
                let part =
                    Part::ServerToolCall { id, name: name.to_owned(), server_tool_call: Value::Object(item) };
                Message::new("assistant", vec![part])
            }
            // A part without a message around it, such as input_text.
            None => Message::new("user", content(Value::Object(item))),
        },
    }
}

/// The summaries and the text of a thought; one that is encrypted only is kept as it is.
fn reasoning(mut item: Object) -> Vec<Part> {
    let thoughts = [joined(take(&mut item, "content")), joined(take(&mut item, "summary"))];
    let parts: Vec<_> = thoughts
        .into_iter()
        .filter(|thought| !thought.is_empty())
        .map(|content| Part::Reasoning { content })
        .collect();
    if parts.is_empty() { vec![Part::other(Value::Object(item))] } else { parts }
}
