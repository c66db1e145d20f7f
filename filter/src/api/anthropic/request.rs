//! Anthropic's requests: their parameters, what they can refer to, and their fields without content.

use weir_event::v1;

use crate::api::family::feature::Feature;
use crate::api::family::parameters::Members;
use crate::api::family::places::{Place, When, at, files, leaf, named, url};

/// Anthropic API, "Create a Message".
pub(crate) fn parameters(body: &Members<'_>) -> v1::Parameters {
    v1::Parameters {
        max_tokens: body.count(&["max_tokens"]),
        top_k: body.number(&["top_k"]),
        service_tier: body.word(&["service_tier"]),
        ..body.sampling()
    }
}

/// Anthropic API, "Messages", "Files", "Code execution tool", "Agent Skills".
pub(crate) const PLACES: &[Place] = &[
    at("messages", &[at("content", &[files("file_id"), at("source", SOURCE), at("content", WITHIN)])]),
    Place {
        children: &[
            named("id", "container.id"),
            at("skills", &[leaf("type", "container.skills", Feature::Stored, When::Is("custom"))]),
        ],
        ..leaf("container", "container", Feature::Stored, When::Text)
    },
];
const WITHIN: &[Place] = &[at("source", SOURCE)];
const SOURCE: &[Place] =
    &[files("file_id"), url("url"), at("content", &[at("source", &[files("file_id"), url("url")])])];

/// Fields of a request that carry no content, sorted.
#[rustfmt::skip]
pub(crate) const FIELDS: &[&str] = &[
    "max_tokens", "messages.content.cache_control.ttl", "messages.content.cache_control.type",
    "messages.content.content.cache_control.type", "messages.content.content.source.media_type",
    "messages.content.content.source.type", "messages.content.content.type", "messages.content.data",
    "messages.content.id", "messages.content.signature", "messages.content.source.media_type",
    "messages.content.source.type", "messages.content.tool_use_id", "messages.content.type", "messages.role",
    "model", "service_tier", "system.cache_control.ttl", "system.cache_control.type", "system.type",
    "thinking.type", "tool_choice.type", "tools.cache_control.ttl", "tools.cache_control.type", "tools.type",
];
