//! OpenAI's responses: instructions apart, and a list of items where a message is one kind among many.

use serde_json::Value;

use super::{
    chat::{message, tool},
    parts::{content, joined},
};
use crate::spans::messages::{
    conversation::Conversation,
    part::{Message, Part},
    value::{Object, arguments, is_blank, take, take_first, take_items, take_object, take_text, text},
};

pub(in crate::spans) fn request(mut body: Object) -> Conversation {
    let instructions = take_items(&mut body, "instructions");
    let system = instructions.into_iter().flat_map(|item| entry(item).parts).collect();
    let input = take_items(&mut body, "input").into_iter().map(entry).collect();
    let tools = take_items(&mut body, "tools").into_iter().map(tool).collect();
    Conversation { system, input, tools, output: Vec::new() }
}

/// All items of a response are one message: they are what the model did in one turn.
pub(in crate::spans) fn response(mut body: Object) -> Vec<Message> {
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
pub(in crate::spans) fn entry(value: Value) -> Message {
    let Value::Object(mut item) = value else { return message(value) };
    let kind = item.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    match kind.as_str() {
        "" | "message" => message(Value::Object(item)),
        "function_call" | "custom_tool_call" => {
            let id = take_text(&mut item, "call_id");
            let name = take_text(&mut item, "name");
            let arguments = arguments(take_first(&mut item, &["arguments", "input"]));
            Message::new("assistant", vec![Part::call(&kind, id, name, arguments)])
        }
        "reasoning" => Message::new("assistant", reasoning(item)),
        kind if kind.ends_with("_call_output") => {
            let id = take_text(&mut item, "call_id");
            let part = Part::tool_response(id, take(&mut item, "output"));
            Message::new("tool", vec![part])
        }
        kind if kind.ends_with("_call") || SERVER_ITEMS.contains(&kind) => {
            Message::new("assistant", server_call(kind, item))
        }
        // A part without a message around it, such as input_text.
        _ => Message::new("user", content(Value::Object(item))),
    }
}

/// Items about tools of the provider's own that are not named a call.
const SERVER_ITEMS: [&str; 2] = ["mcp_list_tools", "mcp_approval_request"];

/// Members of an item that say what its tool was asked.
const ASKED: [&str; 4] = ["arguments", "input", "code", "action"];

/// Members that hold its result.
const ANSWERED: [&str; 6] = ["results", "outputs", "output", "tools", "result", "error"];

/// The item whose result is a picture in base64.
const PICTURE: &str = "image_generation_call";

/// Members that say neither.
const ASIDE: [&str; 4] = ["type", "id", "call_id", "status"];

/// A tool of the provider's own: its call under the tool's name, what it was asked under `arguments`, and what it
/// answered.
fn server_call(kind: &str, mut item: Object) -> Vec<Part> {
    let id = text(take_first(&mut item, &["call_id", "id"]));
    let name = take_text(&mut item, "name");
    let asked = take_first(&mut item, &ASKED);
    let picture = (kind == PICTURE).then(|| picture(&mut item));
    let answered = take_first(&mut item, &ANSWERED);
    item.retain(|key, value| !ASIDE.contains(&key.as_str()) && !is_blank(value));
    let asked = if asked.is_null() && !item.is_empty() { Value::Object(item) } else { asked };
    let mut parts = vec![Part::call(kind, id.clone(), name, arguments(asked))];
    if !answered.is_null() {
        parts.push(Part::server_result(&format!("{kind}_result"), id, answered));
    }
    parts.extend(picture);
    parts
}

fn picture(item: &mut Object) -> Part {
    let format = item.get("output_format").and_then(Value::as_str).unwrap_or("png");
    let mime_type = format!("image/{format}");
    Part::data(&take_text(item, "result"), &mime_type, "image")
}

/// The summaries and the text of a thought; one that is encrypted says nothing.
fn reasoning(mut item: Object) -> Vec<Part> {
    let thoughts = [joined(take(&mut item, "content")), joined(take(&mut item, "summary"))];
    thoughts.into_iter().map(|content| Part::Reasoning { content }).collect()
}
