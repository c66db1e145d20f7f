//! Where a reference can stand in the body of each API. Lists are left out: an element stands where its list does.

use crate::api::{Family, Feature};

/// A member of an object, what it refers to, and what can stand within it.
#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) key: &'static str,
    /// What its value refers to, where that is no object or list that is descended.
    pub(crate) reference: Option<Reference>,
    /// What an object there refers to that has nothing but its id.
    pub(crate) by_id: Option<Reference>,
    pub(crate) children: &'static [Place],
}

/// What a member refers to.
#[derive(Debug)]
pub(crate) struct Reference {
    /// The member's name in a refusal.
    pub(crate) member: &'static str,
    /// The grant that it needs.
    pub(crate) feature: Feature,
    pub(crate) when: When,
}

/// Which values of a member refer to something.
#[derive(Clone, Copy, Debug)]
pub(crate) enum When {
    /// Any but null and an empty list.
    Given,
    /// A text.
    Text,
    /// This text.
    Is(&'static str),
    /// A text that is no URL of what anybody can fetch.
    NotPublic,
    /// The URL of something that not everybody can fetch.
    OtherScheme,
}

/// Of every API: they were OpenAI's first, and compatible servers take them elsewhere too.
const COMMON: &[Place] = &[stored("previous_response_id"), stored("conversation")];

/// OpenAI API reference, "Chat", "Responses", "Audio"; Azure OpenAI, "On your data"; and members of
/// compatible APIs (Mistral's libraries, xAI's collections, Gemini's caches).
const OPENAI: &[Place] = &[
    at("messages", &[at("content", OPENAI_PARTS), at("audio", &[named("id", "messages.audio.id")])]),
    Place {
        by_id: Some(Reference { member: "item_reference", feature: Feature::Stored, when: When::Given }),
        ..at(
            "input",
            &[
                leaf("type", "item_reference", Feature::Stored, When::Is("item_reference")),
                // A container that is still there is used again.
                stored("container_id"),
                at("content", OPENAI_PARTS),
                at("output", OPENAI_PARTS),
                url_or_object("image_url"),
            ],
        )
    },
    at(
        "prompt",
        &[named("id", "prompt.id"), at("variables", &[at(crate::request::references::ANY, OPENAI_PARTS)])],
    ),
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
            at("input_image_mask", OPENAI_PARTS),
        ],
    ),
    at("voice", &[named("id", "voice.id")]),
    at("audio", &[at("voice", &[named("id", "audio.voice.id")])]),
    stored("data_sources"),
    stored("dataSources"),
    at("extra_body", &[at("google", &[stored("cached_content"), stored("cachedContent")])]),
];
const OPENAI_PARTS: &[Place] = &[
    files("file_id"),
    at("file", &[files("file_id"), url("file_url")]),
    url("file_url"),
    url_or_object("document_url"),
    url_or_object("image_url"),
    url_or_object("video_url"),
    url_or_object("audio_url"),
];

const URL: &[Place] = &[url("url")];

/// Anthropic API, "Messages", "Files", "Code execution tool", "Agent Skills".
const ANTHROPIC: &[Place] = &[
    at(
        "messages",
        &[at(
            "content",
            &[files("file_id"), at("source", ANTHROPIC_SOURCE), at("content", ANTHROPIC_WITHIN)],
        )],
    ),
    Place {
        children: &[
            named("id", "container.id"),
            at("skills", &[leaf("type", "container.skills", Feature::Stored, When::Is("custom"))]),
        ],
        ..leaf("container", "container", Feature::Stored, When::Text)
    },
];
const ANTHROPIC_WITHIN: &[Place] = &[at("source", ANTHROPIC_SOURCE)];
const ANTHROPIC_SOURCE: &[Place] =
    &[files("file_id"), url("url"), at("content", &[at("source", &[files("file_id"), url("url")])])];

/// Gemini API, "Generating content", "Caching", "Files", "File search"; Vertex AI, "Grounding".
const GEMINI: &[Place] = &[
    stored("cachedContent"),
    stored("cached_content"),
    at("contents", GEMINI_CONTENT),
    at("content", GEMINI_CONTENT),
    at("systemInstruction", GEMINI_CONTENT),
    at("system_instruction", GEMINI_CONTENT),
    at("tools", &[at("fileSearch", GEMINI_STORES), at("file_search", GEMINI_STORES), stored("retrieval")]),
];
const GEMINI_NESTED: &[Place] =
    &[at("generateContentRequest", GEMINI), at("generate_content_request", GEMINI), at("requests", GEMINI)];
const GEMINI_STORES: &[Place] = &[stored("fileSearchStoreNames"), stored("file_search_store_names")];
const GEMINI_CONTENT: &[Place] = &[at(
    "parts",
    &[
        at("fileData", GEMINI_FILE),
        at("file_data", GEMINI_FILE),
        at("functionResponse", GEMINI_RESPONSE),
        at("function_response", GEMINI_RESPONSE),
    ],
)];
const GEMINI_RESPONSE: &[Place] =
    &[at("parts", &[at("fileData", GEMINI_FILE), at("file_data", GEMINI_FILE)])];
const GEMINI_FILE: &[Place] = &[
    leaf("fileUri", "fileUri", Feature::Files, When::NotPublic),
    leaf("file_uri", "file_uri", Feature::Files, When::NotPublic),
];

/// Cohere API v2, "Chat".
const COHERE: &[Place] = &[at("messages", &[at("content", &[url_or_object("image_url")])])];

impl Place {
    /// Those of the bodies of an API.
    pub(crate) fn of(family: Family) -> impl Iterator<Item = &'static Self> + Clone {
        let (own, nested): (&[Self], &[Self]) = match family {
            Family::OpenAi => (OPENAI, &[]),
            Family::Anthropic => (ANTHROPIC, &[]),
            Family::Gemini => (GEMINI, GEMINI_NESTED),
            Family::Cohere => (COHERE, &[]),
        };
        COMMON.iter().chain(own).chain(nested)
    }
}

/// What refers to nothing itself.
const fn at(key: &'static str, children: &'static [Place]) -> Place {
    Place { key, reference: None, by_id: None, children }
}

const fn leaf(key: &'static str, member: &'static str, feature: Feature, when: When) -> Place {
    Place { key, reference: Some(Reference { member, feature, when }), by_id: None, children: &[] }
}

const fn stored(key: &'static str) -> Place {
    named(key, key)
}

/// What is stored, by another name than its key where that alone says too little.
const fn named(key: &'static str, member: &'static str) -> Place {
    leaf(key, member, Feature::Stored, When::Given)
}

const fn files(key: &'static str) -> Place {
    leaf(key, key, Feature::Files, When::Given)
}

const fn url(key: &'static str) -> Place {
    leaf(key, key, Feature::Files, When::OtherScheme)
}

/// A URL, or an object that has it.
const fn url_or_object(key: &'static str) -> Place {
    Place { children: URL, ..url(key) }
}
