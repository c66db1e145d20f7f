//! Reads what was captured of a request and its response.

use serde_json::Value;
use weir_event::v1::{self, Capture, Content, Output, Response, ToolCall};

use super::{
    conversation::Conversation,
    part::{Message, Part},
    spec::ApiSpec,
    value::{Object, arguments, is_blank},
};

/// Reads what was captured of a request and its response.
///
/// `response` has the finish reasons by choice, for a stream whose body is not there; `broken` says that it did not
/// come to its end.
pub(in crate::spans) fn read(
    api: &ApiSpec,
    content: &Content,
    response: &Response,
    broken: bool,
) -> Conversation {
    let mut conversation = object(&content.request).map(|body| (api.request)(body)).unwrap_or_default();
    conversation.system.retain(|part| !part.is_blank());
    conversation.tools.retain(says_something);
    conversation.output = if !content.outputs.is_empty() {
        content.outputs.iter().map(|output| said_in_pieces(api, output)).collect()
    } else if !content.response.is_empty() {
        let said = answered(api, &content.response).into_iter();
        said.map(|message| if api.is_chat { message.put_together() } else { message }).collect()
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
            None if api.is_without_reasons => "stop".to_owned(),
            None => "unknown".to_owned(),
        });
    }
    conversation
}

fn object(body: &[u8]) -> Option<Object> {
    serde_json::from_slice(body).ok()
}

fn answered(api: &ApiSpec, body: &[u8]) -> Vec<Message> {
    match serde_json::from_slice(body) {
        Ok(Value::Object(body)) => (api.response)(body),
        // Gemini's stream may be a JSON array, each item of it a response.
        Ok(Value::Array(bodies)) => {
            let objects = bodies.into_iter().filter_map(|body| match body {
                Value::Object(body) => Some(body),
                _ => None,
            });
            objects.flat_map(api.response).collect()
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

/// A choice of a stream, put together by the gateway.
fn said_in_pieces(api: &ApiSpec, output: &Output) -> Message {
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
fn written(api: &ApiSpec, part: &v1::Part) -> Vec<Part> {
    serde_json::from_str(&part.json).map(|value| (api.part)(&part.r#type, value)).unwrap_or_default()
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
