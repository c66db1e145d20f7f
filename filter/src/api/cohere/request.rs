//! Cohere's requests: their parameters, what they can refer to, and their fields without content.

use weir_event::v1;

use crate::api::family::parameters::Members;
use crate::api::family::places::{Place, at, url_or_object};

/// Cohere API v2, "Chat".
pub(crate) fn parameters(body: &Members<'_>) -> v1::Parameters {
    v1::Parameters {
        top_p: body.number(&["p"]),
        top_k: body.number(&["k"]),
        max_tokens: body.count(&["max_tokens"]),
        output_format: body.format("response_format"),
        ..body.sampling()
    }
}

/// Cohere API v2, "Chat".
pub(crate) const PLACES: &[Place] = &[at("messages", &[at("content", &[url_or_object("image_url")])])];

/// Fields of a request that carry no content, sorted.
#[rustfmt::skip]
pub(crate) const FIELDS: &[&str] = &[
    "citation_options.mode", "max_tokens", "messages.content.type", "messages.role", "messages.tool_call_id",
    "messages.tool_calls.id", "messages.tool_calls.type", "model", "reasoning_effort", "response_format.type",
    "safety_mode", "seed", "thinking.type", "tool_choice", "tools.type",
];
