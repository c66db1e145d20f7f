//! OpenAI's chat completions, also as Mistral, DeepSeek, Groq, vLLM and others speak it.

use serde_json::Value;

use super::parts::{content, joined};
use crate::spans::messages::{
    conversation::Conversation,
    part::{Message, Part},
    value::{
        Object, arguments, definition, items, take, take_first, take_items, take_object, take_text, text,
    },
};

/// The names under which a message has its reasoning, of which some servers write several: DeepSeek's and others',
/// that of vLLM, Groq and OpenRouter, Copilot's, OpenRouter's and MiniMax' with its kinds, Ollama's, LiteLLM's, and
/// a plan of the tools to call.
const REASONING: [&str; 7] = [
    "reasoning_content",
    "reasoning",
    "reasoning_text",
    "reasoning_details",
    "thinking",
    "thinking_blocks",
    "tool_plan",
];

pub(in crate::spans) fn request(mut body: Object) -> Conversation {
    let mut input: Vec<_> = take_items(&mut body, "messages").into_iter().map(message).collect();
    if let Some(prediction) = take_object(&mut body, "prediction") {
        input.push(Message::new("assistant", vec![Part::other(Value::Object(prediction))]));
    }
    let mut tools: Vec<_> = take_items(&mut body, "tools").into_iter().map(tool).collect();
    tools.extend(take_items(&mut body, "functions").into_iter().map(function));
    Conversation { input, tools, ..Conversation::default() }
}

pub(in crate::spans) fn response(mut body: Object) -> Vec<Message> {
    take_items(&mut body, "choices").into_iter().filter_map(choice).collect()
}

fn choice(value: Value) -> Option<Message> {
    let Value::Object(mut choice) = value else { return None };
    // Servers of streams alone call it a delta. It is one or the other, and never a text beside it.
    let mut said = message(take_first(&mut choice, &["message", "delta"]));
    if said.role.is_empty() {
        said.role = "assistant".to_owned();
    }
    said.finish_reason = Some(take_text(&mut choice, "finish_reason"));
    Some(said)
}

/// One message of either side.
pub(in crate::spans) fn message(value: Value) -> Message {
    let mut object = match value {
        Value::Object(object) => object,
        Value::Null => return Message::default(),
        Value::String(said) => return Message::new("user", vec![Part::text(said)]),
        other => return Message::new("user", vec![Part::other(other)]),
    };
    let role = take_text(&mut object, "role");
    let name = take_text(&mut object, "name");
    if matches!(role.as_str(), "tool" | "function") {
        let id = take_text(&mut object, "tool_call_id");
        let part = Part::tool_response(id, take(&mut object, "content"));
        return Message { name, ..Message::new("tool", vec![part]) };
    }
    let mut parts = Vec::new();
    parts.push(Part::Reasoning { content: joined(take_first(&mut object, &REASONING)) });
    parts.extend(content(take(&mut object, "content")));
    parts.push(Part::refusal(take_text(&mut object, "refusal")));
    parts.extend(spoken(take(&mut object, "audio")));
    parts.extend(take_items(&mut object, "images").into_iter().flat_map(content));
    parts.extend(take_items(&mut object, "tool_calls").into_iter().map(call));
    if let Some(function) = take_object(&mut object, "function_call") {
        parts.push(called("", String::new(), function));
    }
    Message { name, ..Message::new(role, parts) }
}

/// What the model spoke: its words, and that there is sound, or only which sound it was.
pub(in crate::spans) fn spoken(value: Value) -> Vec<Part> {
    let Value::Object(mut audio) = value else { return Vec::new() };
    let (transcript, data) = (take_text(&mut audio, "transcript"), take_text(&mut audio, "data"));
    if transcript.is_empty() && data.is_empty() {
        return vec![Part::file(take_text(&mut audio, "id"), String::new(), "audio")];
    }
    vec![Part::text(transcript), Part::data(&data, "", "audio")]
}

fn call(value: Value) -> Part {
    let Value::Object(mut call) = value else { return Part::other(value) };
    let (id, kind) = (take_text(&mut call, "id"), take_text(&mut call, "type"));
    match take_first(&mut call, &["function", "custom"]) {
        Value::Object(function) => called(&kind, id, function),
        inner => {
            call.remove("index");
            let rest = if inner.is_null() { Value::Object(call) } else { inner };
            Part::call(&kind, id, String::new(), arguments(rest))
        }
    }
}

fn called(kind: &str, id: String, mut function: Object) -> Part {
    let name = take_text(&mut function, "name");
    Part::call(kind, id, name, arguments(take_first(&mut function, &["arguments", "input"])))
}

/// A tool: what is a function or custom is in an object of its own, and a tool of OpenAI's own has no name
/// but its type.
pub(in crate::spans) fn tool(value: Value) -> Value {
    let Value::Object(mut tool) = value else { return value };
    if let Some(inner) = take_object(&mut tool, "function") {
        return function(Value::Object(inner));
    }
    if let Some(custom) = take_object(&mut tool, "custom") {
        tool.extend(custom);
    }
    if !tool.contains_key("name")
        && let Some(kind) = tool.get("type").cloned()
    {
        tool.insert("name".to_owned(), kind);
    }
    Value::Object(tool)
}

fn function(value: Value) -> Value {
    let Value::Object(mut object) = value else { return value };
    let name = text(take(&mut object, "name"));
    let description = take(&mut object, "description");
    definition("function", name, description, take(&mut object, "parameters"))
}

/// A prompt as completions, embeddings and moderations take it: a text, texts, parts, or tokens.
pub(in crate::spans) fn prompt(value: Value) -> Vec<Message> {
    let tokens = |item: &Value| item.is_number();
    let messages = match value {
        Value::Array(list) if !list.is_empty() && list.iter().all(tokens) => vec![counted(&list)],
        value => items(value)
            .into_iter()
            .flat_map(|item| match item {
                Value::Array(list) if list.iter().all(tokens) => vec![counted(&list)],
                item => content(item),
            })
            .collect(),
    };
    messages.into_iter().map(|part| Message::new("user", vec![part])).collect()
}

/// Tokens say nothing without their vocabulary, so only their number is shown.
fn counted(tokens: &[Value]) -> Part {
    Part::typed("tokens", tokens.len().into())
}
