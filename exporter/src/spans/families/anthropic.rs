//! Anthropic's messages and count_tokens: the system prompt apart, content in typed blocks, a tool's result
//! in a message of the user's.

use serde_json::Value;
use weir_event::v1::Api;

use super::openai;
use crate::spans::messages::{
    conversation::Conversation,
    part::{DOCUMENT, Message, Part},
    spec::{ApiSpec, CHAIN},
    value::{
        Object, arguments, definition, items, take, take_first, take_items, take_object, take_string,
        take_text, text,
    },
};

static MESSAGES: ApiSpec = ApiSpec {
    family: "anthropic",
    operation: "chat",
    output_type: "",
    openai_type: "",
    openinference: "LLM",
    tfy: "ChatCompletion",
    is_chat: true,
    is_without_reasons: false,
    request,
    response,
    part: |_, value| blocks(value),
};
static COUNT_TOKENS: ApiSpec = ApiSpec {
    family: "anthropic",
    operation: "count_tokens",
    output_type: "",
    openai_type: "",
    openinference: CHAIN,
    tfy: "",
    is_chat: false,
    is_without_reasons: false,
    request,
    response: |_| Vec::new(),
    part: |_, value| openai::content(value),
};

/// What an API of this family is like.
pub(super) fn spec(api: Api) -> Option<&'static ApiSpec> {
    Some(match api {
        Api::AnthropicMessages => &MESSAGES,
        Api::AnthropicCountTokens => &COUNT_TOKENS,
        _ => return None,
    })
}

pub(in crate::spans) fn request(mut body: Object) -> Conversation {
    let system = blocks(take(&mut body, "system"));
    let input = take_items(&mut body, "messages").into_iter().map(message).collect();
    let tools = take_items(&mut body, "tools").into_iter().map(tool).collect();
    Conversation { system, input, tools, output: Vec::new() }
}

pub(in crate::spans) fn response(mut body: Object) -> Vec<Message> {
    if !body.contains_key("content") {
        return Vec::new();
    }
    let finish_reason = Some(take_text(&mut body, "stop_reason"));
    let parts = blocks(take(&mut body, "content"));
    vec![Message { finish_reason, ..Message::new("assistant", parts) }]
}

fn message(value: Value) -> Message {
    let Value::Object(mut object) = value else {
        return Message::new("user", vec![Part::other(value)]);
    };
    let parts = blocks(take(&mut object, "content"));
    let answers = |part: &Part| matches!(part, Part::ToolCallResponse { .. });
    if !parts.is_empty() && parts.iter().all(answers) {
        return Message::new("tool", parts);
    }
    Message::new(take_text(&mut object, "role"), parts)
}

pub(in crate::spans) fn blocks(value: Value) -> Vec<Part> {
    items(value).into_iter().filter(|block| !is_encrypted(block)).map(block).collect()
}

/// Reasoning that only the provider can decrypt.
fn is_encrypted(block: &Value) -> bool {
    block.get("type").and_then(Value::as_str) == Some("redacted_thinking")
}

fn block(value: Value) -> Part {
    let mut block = match value {
        Value::Object(block) => block,
        Value::String(said) => return Part::text(said),
        other => return Part::other(other),
    };
    let kind = block.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let known = match kind.as_str() {
        "text" => take_string(&mut block, "text").map(Part::text),
        "thinking" => take_string(&mut block, "thinking").map(|content| Part::Reasoning { content }),
        "image" => source(&mut block, "image"),
        "document" => source(&mut block, DOCUMENT),
        "tool_use" => Some(Part::ToolCall {
            id: take_text(&mut block, "id"),
            name: take_text(&mut block, "name"),
            arguments: input(&mut block),
        }),
        "tool_result" => Some(Part::ToolCallResponse {
            id: take_text(&mut block, "tool_use_id"),
            response: result(&mut block),
            is_error: block.get("is_error").and_then(Value::as_bool).unwrap_or_default(),
        }),
        // The provider's own tools (server_tool_use) and those of an MCP server.
        "server_tool_use" | "mcp_tool_use" => {
            let (id, name) = (take_text(&mut block, "id"), take_text(&mut block, "name"));
            Some(Part::call(&kind, id, name, input(&mut block)))
        }
        kind if kind.ends_with("_tool_result") => {
            let id = take_text(&mut block, "tool_use_id");
            Some(Part::server_result(kind, id, take(&mut block, "content")))
        }
        _ => None,
    };
    known.unwrap_or_else(|| Part::other(Value::Object(block)))
}

/// What a tool was asked; null where that is nothing, for which a stream has no text.
fn input(block: &mut Object) -> Value {
    arguments(take_first(block, &["input"]))
}

/// The result of a tool: its text alone where that is all there is, else its blocks as parts.
fn result(block: &mut Object) -> Value {
    let parts = match take(block, "content") {
        Value::Array(list) => list.into_iter().map(self::block).collect::<Vec<_>>(),
        plain => return plain,
    };
    match parts.as_slice() {
        [Part::Text { content }] => Value::String(content.clone()),
        parts => serde_json::to_value(parts).unwrap_or_default(),
    }
}

/// Where a picture or a document comes from.
fn source(block: &mut Object, modality: &'static str) -> Option<Part> {
    let mut source = take_object(block, "source")?;
    let mime_type = take_text(&mut source, "media_type");
    if let Some(url) = take_string(&mut source, "url") {
        return Some(Part::at(url, &mime_type, modality));
    }
    if let Some(file_id) = take_string(&mut source, "file_id") {
        return Some(Part::file(file_id, mime_type, modality));
    }
    match (take_text(&mut source, "type").as_str(), take_string(&mut source, "data")) {
        ("text", Some(said)) => Some(Part::text(said)),
        (_, Some(data)) => Some(Part::data(&data, &mime_type, modality)),
        (_, None) => {
            block.insert("source".to_owned(), Value::Object(source));
            None
        }
    }
}

fn tool(value: Value) -> Value {
    let Value::Object(mut tool) = value else { return value };
    match tool.get("type").and_then(Value::as_str) {
        None | Some("custom") => {
            let name = text(take(&mut tool, "name"));
            let description = take(&mut tool, "description");
            definition("function", name, description, take(&mut tool, "input_schema"))
        }
        Some(_) => Value::Object(tool),
    }
}
