//! The error that ends a stream, as the API that was called tells one within a stream.

use serde_json::json;

use crate::api::{Api, Family};
use crate::refusal::Refusal;

/// The event's name, where the API names events, and its data.
pub(crate) fn of(api: Api, refusal: &Refusal, sequence: Option<u64>) -> (Option<&'static str>, String) {
    match (api, api.family()) {
        (Api::OpenAiChat | Api::OpenAiCompletions, _) | (_, Family::Gemini) => {
            (None, refusal.body(api.family()))
        }
        // OpenAI API reference, "Responses", "Streaming events", "error".
        (_, Family::OpenAi) => {
            let number = sequence.map_or(0, |last| last.saturating_add(1));
            let data = json!({"type": "error", "code": refusal.code, "message": refusal.message,
                "param": null, "sequence_number": number});
            (Some("error"), data.to_string())
        }
        (_, Family::Anthropic) => (Some("error"), refusal.body(Family::Anthropic)),
        // Cohere API v2, "Chat with Streaming": an error is report where the message ends.
        (_, Family::Cohere) => {
            let delta = json!({"error": refusal.message, "code": refusal.code, "finish_reason": "ERROR"});
            (Some("message-end"), json!({"type": "message-end", "delta": delta}).to_string())
        }
    }
}

/// What follows it, where the API ends its streams with data of its own.
pub(crate) fn done(api: Api) -> Option<&'static str> {
    match (api, api.family()) {
        (Api::OpenAiChat | Api::OpenAiCompletions, _) | (_, Family::Cohere) => Some("[DONE]"),
        _ => None,
    }
}
