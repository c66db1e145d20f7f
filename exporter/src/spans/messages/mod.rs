//! What was said, from a provider's JSON to the messages of the GenAI conventions (v1.41). One module for
//! each API's way of writing.
//!
//! Reading is tolerant: whatever JSON comes, it yields messages and never fails, and what is not known
//! becomes a part of its own type. What says nothing is no part: members that a server wrote out although they are
//! empty, and what was encrypted. A body is parsed once and its strings are moved, not copied.
//!
//! A response in one piece becomes the same message as its stream, of which the gateway keeps what was thought, said
//! and refused as one text each, and the calls of tools.

mod anthropic;
mod cohere;
mod gemini;
mod openai_chat;
mod openai_other;
mod openai_parts;
mod openai_responses;
mod part;
#[cfg(test)]
mod same_tests;
#[cfg(test)]
pub(super) mod tests;
mod value;

use serde_json::Value;
use weir_event::v1::{self, Api, Capture, Content, Output, Response, ToolCall};

pub(super) use part::{Message, Part};
use value::{Object, arguments, is_blank};

/// The type of a part of a chat that stands for its sound.
const AUDIO: &str = "audio";

/// A conversation as one request held it and one response went on with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Conversation {
    /// What the model was told apart from the messages.
    pub system: Vec<Part>,
    pub input: Vec<Message>,
    /// One for each choice.
    pub output: Vec<Message>,
    /// Definitions of tools.
    pub tools: Vec<Value>,
}

/// Reads what was captured of a request and its response.
///
/// `response` has the finish reasons by choice, for a stream whose body is not there; `broken` says that it did not
/// come to its end.
pub(super) fn read(api: Api, content: &Content, response: &Response, broken: bool) -> Conversation {
    let mut conversation = object(&content.request).map(|body| asked(api, body)).unwrap_or_default();
    conversation.system.retain(|part| !part.is_blank());
    conversation.tools.retain(says_something);
    conversation.output = if !content.outputs.is_empty() {
        content.outputs.iter().map(|output| said_in_pieces(api, output)).collect()
    } else if !content.response.is_empty() {
        let said = answered(api, &content.response).into_iter();
        said.map(|message| if is_chat(api) { message.put_together() } else { message }).collect()
    } else if response.streamed && is_captured(content) {
        // A stream that said nothing, and why.
        response.finish_reasons.iter().map(|_| Message::new("assistant", Vec::new())).collect()
    } else {
        Vec::new()
    };
    for (place, message) in conversation.output.iter_mut().enumerate() {
        let choice = content.outputs.get(place).and_then(|output| usize::try_from(output.index).ok());
        let index = choice.unwrap_or(place);
        let own = message.finish_reason.take().filter(|reason| !reason.is_empty());
        let reason =
            own.or_else(|| response.finish_reasons.get(index).filter(|reason| !reason.is_empty()).cloned());
        let calls = message.parts.iter().any(|part| matches!(part, Part::ToolCall { .. }));
        message.finish_reason = Some(match reason {
            // The responses API does not say that it stopped for a tool.
            Some(reason) if reason == "completed" && calls => "tool_call".to_owned(),
            Some(reason) => finish_reason(reason),
            None if broken => "error".to_owned(),
            None if is_without_reasons(api) => "stop".to_owned(),
            None => "unknown".to_owned(),
        });
    }
    conversation
}

fn object(body: &[u8]) -> Option<Object> {
    serde_json::from_slice(body).ok()
}

fn asked(api: Api, body: Object) -> Conversation {
    match api {
        Api::Unspecified | Api::Passthrough => Conversation::default(),
        Api::OpenaiChat => openai_chat::request(body),
        Api::OpenaiResponses => openai_responses::request(body),
        Api::OpenaiCompletions
        | Api::OpenaiEmbeddings
        | Api::OpenaiImages
        | Api::OpenaiSpeech
        | Api::OpenaiModerations
        | Api::OpenaiTranscription
        | Api::OpenaiTranslation
        | Api::OpenaiImageEdit
        | Api::OpenaiImageVariation => openai_other::request(body),
        Api::AnthropicMessages | Api::AnthropicCountTokens => anthropic::request(body),
        Api::GeminiGenerate | Api::GeminiStream | Api::GeminiEmbed | Api::GeminiCountTokens => {
            gemini::request(body)
        }
        Api::CohereChat => cohere::request(body),
        Api::CohereRerank => cohere::rerank(body),
    }
}

fn answered(api: Api, body: &[u8]) -> Vec<Message> {
    let read: fn(Object) -> Vec<Message> = match api {
        Api::OpenaiChat => openai_chat::response,
        Api::OpenaiResponses => openai_responses::response,
        Api::OpenaiCompletions => openai_other::completion,
        Api::OpenaiModerations => openai_other::moderation,
        Api::OpenaiImages | Api::OpenaiImageEdit | Api::OpenaiImageVariation => openai_other::images,
        Api::OpenaiTranscription | Api::OpenaiTranslation => openai_other::transcript,
        Api::AnthropicMessages => anthropic::response,
        Api::GeminiGenerate | Api::GeminiStream => gemini::response,
        Api::CohereChat => cohere::response,
        Api::CohereRerank => cohere::reranked,
        // Vectors, sound and counts are no messages.
        Api::OpenaiEmbeddings
        | Api::OpenaiSpeech
        | Api::AnthropicCountTokens
        | Api::GeminiEmbed
        | Api::GeminiCountTokens
        | Api::Unspecified
        | Api::Passthrough => return Vec::new(),
    };
    match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => read(body),
        // Gemini's stream may be a JSON array, each item of it a response.
        Ok(Value::Array(bodies)) => {
            let objects = bodies.into_iter().filter_map(|body| match body {
                Value::Object(body) => Some(body),
                _ => None,
            });
            objects.flat_map(read).collect()
        }
        _ => Vec::new(),
    }
}

/// Whether a tool is more than a type.
fn says_something(tool: &Value) -> bool {
    match tool {
        Value::Object(members) => members.iter().any(|(key, value)| key != "type" && !is_blank(value)),
        other => !is_blank(other),
    }
}

/// Whether all that was said was captured.
fn is_captured(content: &Content) -> bool {
    matches!(content.capture(), Capture::Kept | Capture::Redacted) && !content.response_shortened
}

/// Whether a model answers in a conversation, and may do so in pieces.
fn is_chat(api: Api) -> bool {
    matches!(
        api,
        Api::OpenaiChat
            | Api::OpenaiResponses
            | Api::AnthropicMessages
            | Api::GeminiGenerate
            | Api::GeminiStream
            | Api::CohereChat
    )
}

/// Whether responses never say why they ended.
fn is_without_reasons(api: Api) -> bool {
    matches!(
        api,
        Api::OpenaiTranscription
            | Api::OpenaiTranslation
            | Api::OpenaiModerations
            | Api::OpenaiImages
            | Api::OpenaiImageEdit
            | Api::OpenaiImageVariation
            | Api::OpenaiSpeech
            | Api::CohereRerank
    )
}

/// A choice of a stream, put together by the gateway.
fn said_in_pieces(api: Api, output: &Output) -> Message {
    let mut parts = vec![
        Part::Reasoning { content: output.reasoning.clone() },
        Part::text(output.text.clone()),
        Part::refusal(output.refusal.clone()),
    ];
    parts.extend(output.tool_calls.iter().map(called));
    parts.extend(output.parts.iter().flat_map(|part| written(api, part)));
    Message::new("assistant", parts).put_together()
}

/// A part that the event has as the API writes it, read as in a response in one piece.
fn written(api: Api, part: &v1::Part) -> Vec<Part> {
    let Ok(value) = serde_json::from_str(&part.json) else { return Vec::new() };
    match api {
        Api::AnthropicMessages => anthropic::blocks(value),
        Api::OpenaiResponses => openai_responses::entry(value).parts,
        Api::GeminiGenerate | Api::GeminiStream => vec![gemini::part(value)],
        Api::OpenaiChat if part.r#type == AUDIO => openai_chat::spoken(value),
        _ => openai_parts::content(value),
    }
}

fn called(call: &ToolCall) -> Part {
    let ToolCall { id, name, r#type, .. } = call.clone();
    Part::call(&r#type, id, name, arguments(Value::String(call.arguments.clone())))
}

/// A provider's finish reason in the conventions' word, where they have one.
fn finish_reason(reason: String) -> String {
    let known = match reason.to_ascii_lowercase().as_str() {
        "stop" | "end_turn" | "stop_sequence" | "complete" | "completed" | "eos" => "stop",
        "length" | "max_tokens" | "max_output_tokens" | "model_length" | "model_context_window_exceeded" => {
            "length"
        }
        "tool_call" | "tool_calls" | "tool_use" | "function_call" => "tool_call",
        "content_filter" | "refusal" | "safety" | "recitation" | "blocklist" | "prohibited_content"
        | "spii" | "image_safety" | "error_toxic" => "content_filter",
        "error" | "failed" => "error",
        _ => return reason,
    };
    known.to_owned()
}
