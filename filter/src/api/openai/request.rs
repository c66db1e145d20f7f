//! OpenAI's requests: their parameters, what they can refer to, and their fields without content.

use weir_event::v1;

use crate::api::family::feature::Feature;
use crate::api::family::parameters::{Members, first_of};
use crate::api::family::places::{
    ANY, Place, Reference, When, at, files, leaf, named, stored, url, url_or_object,
};

/// OpenAI API reference, "Chat", "Responses", "Completions", "Embeddings", "Images" and "Audio": what
/// two of them call by one name is the same thing.
pub(crate) fn parameters(body: &Members<'_>) -> v1::Parameters {
    let (reasoning, text) = (body.nested(&["reasoning"]), body.nested(&["text"]));
    let format = Members(&text).nested(&["format"]);
    v1::Parameters {
        max_tokens: body.count(&["max_completion_tokens", "max_output_tokens", "max_tokens"]),
        choice_count: body.count(&["n"]),
        reasoning_effort: first_of([body.word(&["reasoning_effort"]), Members(&reasoning).word(&["effort"])]),
        output_format: first_of([
            body.format("response_format"),
            Members(&format).word(&["type"]),
            body.word(&["output_format"]),
        ]),
        service_tier: body.word(&["service_tier"]),
        dimensions: body.count(&["dimensions"]),
        encoding_format: body.word(&["encoding_format"]),
        ..body.sampling()
    }
}

/// OpenAI API reference, "Chat", "Responses", "Audio"; Azure OpenAI, "On your data"; and members of
/// compatible APIs (Mistral's libraries, xAI's collections, Gemini's caches).
pub(crate) const PLACES: &[Place] = &[
    at("messages", &[at("content", PARTS), at("audio", &[named("id", "messages.audio.id")])]),
    Place {
        by_id: Some(Reference { member: "item_reference", feature: Feature::Stored, when: When::Given }),
        ..at(
            "input",
            &[
                leaf("type", "item_reference", Feature::Stored, When::Is("item_reference")),
                // A container that is still there is used again.
                stored("container_id"),
                at("content", PARTS),
                at("output", PARTS),
                url_or_object("image_url"),
            ],
        )
    },
    at("prompt", &[named("id", "prompt.id"), at("variables", &[at(ANY, PARTS)])]),
    at(
        "tools",
        &[
            stored("vector_store_ids"),
            stored("collection_ids"),
            stored("library_ids"),
            Place {
                children: &[files("file_ids")],
                ..leaf("container", "container", Feature::Stored, When::Text)
            },
            at(
                "environment",
                &[stored("container_id"), files("file_ids"), at("skills", &[stored("skill_id")])],
            ),
            at("input_image_mask", PARTS),
        ],
    ),
    at("voice", &[named("id", "voice.id")]),
    at("audio", &[at("voice", &[named("id", "audio.voice.id")])]),
    stored("data_sources"),
    stored("dataSources"),
    at("extra_body", &[at("google", &[stored("cached_content"), stored("cachedContent")])]),
];
const PARTS: &[Place] = &[
    files("file_id"),
    at("file", &[files("file_id"), url("file_url")]),
    url("file_url"),
    url_or_object("document_url"),
    url_or_object("image_url"),
    url_or_object("video_url"),
    url_or_object("audio_url"),
];

/// Fields of a request that carry no content, sorted.
#[rustfmt::skip]
pub(crate) const FIELDS: &[&str] = &[
    "background", "dimensions", "encoding_format", "include", "input.call_id", "input.content.type",
    "input.encrypted_content", "input.id", "input.role", "input.status", "input.type", "max_completion_tokens",
    "max_output_tokens", "max_tokens", "messages.audio.id", "messages.content.image_url.detail",
    "messages.content.input_audio.format", "messages.content.type", "messages.role", "messages.tool_call_id",
    "messages.tool_calls.id", "messages.tool_calls.type", "modalities", "model", "output_format",
    "prediction.type", "previous_response_id", "prompt.id", "prompt.version", "quality", "reasoning.effort",
    "reasoning.summary", "reasoning_effort", "response_format", "response_format.type", "seed", "service_tier",
    "size", "style", "text.format.type", "text.verbosity", "tool_choice", "tool_choice.type", "tools.type",
    "truncation", "verbosity", "voice",
];
