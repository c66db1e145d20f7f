//! Gemini's generateContent, streamGenerateContent, countTokens and embedContent. Its JSON is protobuf's:
//! every member may be in camelCase or in snake_case.

use serde_json::Value;
use weir_event::v1::Api;

use super::openai;
use crate::spans::messages::{
    conversation::Conversation,
    part::{DOCUMENT, Message, Part},
    spec::{ApiSpec, CHAIN},
    value::{
        Object, arguments, definition, items, take, take_first, take_items, take_string, take_text, text,
    },
};

const GENERATE_CONTENT: ApiSpec = ApiSpec {
    family: "google",
    operation: "generate_content",
    output_type: "",
    openai_type: "",
    openinference: "LLM",
    tfy: "ChatCompletion",
    is_chat: true,
    is_without_reasons: false,
    request,
    response,
    part: |_, value| vec![part(value)],
};

/// One without a conversation.
const OTHER: ApiSpec = ApiSpec {
    tfy: "",
    is_chat: false,
    response: |_| Vec::new(),
    part: |_, value| openai::content(value),
    ..GENERATE_CONTENT
};

static GENERATE: ApiSpec = GENERATE_CONTENT;
static EMBED: ApiSpec =
    ApiSpec { operation: "embeddings", openinference: "EMBEDDING", tfy: "Embedding", ..OTHER };
static COUNT_TOKENS: ApiSpec = ApiSpec { operation: "count_tokens", openinference: CHAIN, ..OTHER };

/// What an API of this family is like.
pub(super) fn spec(api: Api) -> Option<&'static ApiSpec> {
    Some(match api {
        Api::GeminiGenerate | Api::GeminiStream => &GENERATE,
        Api::GeminiEmbed => &EMBED,
        Api::GeminiCountTokens => &COUNT_TOKENS,
        _ => return None,
    })
}

pub(in crate::spans) fn request(mut body: Object) -> Conversation {
    // countTokens may hold a whole request.
    if let Value::Object(inner) =
        take_first(&mut body, &["generateContentRequest", "generate_content_request"])
    {
        body = inner;
    }
    let instruction = take_first(&mut body, &["systemInstruction", "system_instruction"]);
    let system = items(instruction).into_iter().flat_map(|said| content(said).parts).collect();
    let mut input: Vec<_> = take_items(&mut body, "contents").into_iter().map(content).collect();
    // embedContent has one content, batchEmbedContents one in each request.
    input.extend(take_items(&mut body, "content").into_iter().map(content));
    for one in take_items(&mut body, "requests") {
        let Value::Object(mut one) = one else { continue };
        input.extend(take_items(&mut one, "content").into_iter().map(content));
    }
    let tools = take_items(&mut body, "tools").into_iter().flat_map(tools).collect();
    Conversation { system, input, tools, output: Vec::new() }
}

pub(in crate::spans) fn response(mut body: Object) -> Vec<Message> {
    let mut said: Vec<_> = take_items(&mut body, "candidates").into_iter().filter_map(candidate).collect();
    let feedback = take_first(&mut body, &["promptFeedback", "prompt_feedback"]);
    if let (true, Value::Object(mut feedback)) = (said.is_empty(), feedback) {
        let reason = take_first(&mut feedback, &["blockReason", "block_reason"]);
        if !reason.is_null() {
            let finish_reason = Some(text(reason));
            said.push(Message { finish_reason, ..Message::new("assistant", Vec::new()) });
        }
    }
    said
}

fn candidate(value: Value) -> Option<Message> {
    let Value::Object(mut candidate) = value else { return None };
    let mut message = match take(&mut candidate, "content") {
        Value::Null => Message::default(),
        said => content(said),
    };
    message.role = "assistant".to_owned();
    message.finish_reason = Some(text(take_first(&mut candidate, &["finishReason", "finish_reason"])));
    Some(message)
}

/// A content: parts in a role, or a text alone.
fn content(value: Value) -> Message {
    let mut object = match value {
        Value::Object(object) => object,
        Value::String(said) => return Message::new("user", vec![Part::text(said)]),
        other => return Message::new("user", vec![Part::other(other)]),
    };
    let parts: Vec<_> = if object.contains_key("parts") {
        take_items(&mut object, "parts").into_iter().map(part).collect()
    } else {
        let role = take(&mut object, "role");
        let part = part(Value::Object(object));
        object = Object::from_iter([("role".to_owned(), role)]);
        vec![part]
    };
    let answers = |part: &Part| matches!(part, Part::ToolCallResponse { .. });
    let role = match take_text(&mut object, "role").as_str() {
        _ if !parts.is_empty() && parts.iter().all(answers) => "tool".to_owned(),
        "" => "user".to_owned(),
        "model" => "assistant".to_owned(),
        "function" => "tool".to_owned(),
        role => role.to_owned(),
    };
    Message::new(role, parts)
}

pub(in crate::spans) fn part(value: Value) -> Part {
    let mut object = match value {
        Value::Object(object) => object,
        Value::String(said) => return Part::text(said),
        other => return Part::other(other),
    };
    if let Some(content) = take_string(&mut object, "text") {
        let thought = object.get("thought").and_then(Value::as_bool).unwrap_or_default();
        return if thought { Part::Reasoning { content } } else { Part::text(content) };
    }
    for (key, read) in KNOWN {
        if let Some(Value::Object(_)) = object.get(key)
            && let Value::Object(inner) = take(&mut object, key)
        {
            return read(inner);
        }
    }
    // A signature of a thought is for the provider alone.
    object.retain(|key, _| !matches!(key.as_str(), "thought" | "thoughtSignature" | "thought_signature"));
    Part::other(Value::Object(object))
}

/// How the object that says what a part is is read.
type Read = fn(Object) -> Part;

/// The member that holds it.
const KNOWN: [(&str, Read); 12] = [
    ("inlineData", inline_data),
    ("inline_data", inline_data),
    ("fileData", file_data),
    ("file_data", file_data),
    ("functionCall", function_call),
    ("function_call", function_call),
    ("functionResponse", function_response),
    ("function_response", function_response),
    ("executableCode", executable_code),
    ("executable_code", executable_code),
    ("codeExecutionResult", code_result),
    ("code_execution_result", code_result),
];

fn inline_data(mut data: Object) -> Part {
    let mime_type = text(take_first(&mut data, &["mimeType", "mime_type"]));
    Part::data(&take_text(&mut data, "data"), &mime_type, DOCUMENT)
}

fn file_data(mut data: Object) -> Part {
    let mime_type = text(take_first(&mut data, &["mimeType", "mime_type"]));
    Part::at(text(take_first(&mut data, &["fileUri", "file_uri"])), &mime_type, DOCUMENT)
}

fn function_call(mut call: Object) -> Part {
    Part::ToolCall {
        id: take_text(&mut call, "id"),
        name: take_text(&mut call, "name"),
        arguments: arguments(take(&mut call, "args")),
    }
}

/// A result; Gemini knows it by the function's name where it has no id.
fn function_response(mut answer: Object) -> Part {
    let id = match take_text(&mut answer, "id") {
        id if id.is_empty() => take_text(&mut answer, "name"),
        id => id,
    };
    Part::tool_response(id, take(&mut answer, "response"))
}

fn executable_code(code: Object) -> Part {
    Part::call("executable_code", String::new(), String::new(), arguments(Value::Object(code)))
}

fn code_result(result: Object) -> Part {
    Part::server_result("code_execution_result", String::new(), Value::Object(result))
}

/// A tool may declare many functions; its other members are each a tool of Gemini's own.
fn tools(value: Value) -> Vec<Value> {
    let Value::Object(mut tool) = value else { return vec![value] };
    let declared = take_first(&mut tool, &["functionDeclarations", "function_declarations"]);
    let mut tools: Vec<_> = items(declared).into_iter().map(function).collect();
    for (name, settings) in tool {
        let mut own = Object::from_iter([("type".to_owned(), Value::String(name.clone()))]);
        own.insert("name".to_owned(), name.into());
        own.insert("settings".to_owned(), settings);
        tools.push(Value::Object(own));
    }
    tools
}

fn function(value: Value) -> Value {
    let Value::Object(mut function) = value else { return value };
    let name = take_text(&mut function, "name");
    let description = take(&mut function, "description");
    let schema = ["parameters", "parametersJsonSchema", "parameters_json_schema"];
    definition("function", name, description, take_first(&mut function, &schema))
}
