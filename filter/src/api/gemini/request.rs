//! Gemini's requests: their parameters, what they can refer to, and their fields without content.

use weir_event::v1;

use crate::api::family::feature::Feature;
use crate::api::family::parameters::Members;
use crate::api::family::places::{Place, When, at, leaf, stored};

/// Gemini API, "GenerationConfig" and "EmbedContentRequest". Its JSON may be in either case.
pub(crate) fn parameters(body: &Members<'_>) -> v1::Parameters {
    let config = body.nested(&["generationConfig", "generation_config"]);
    let config = Members(&config);
    v1::Parameters {
        temperature: config.number(&["temperature"]),
        top_p: config.number(&["topP", "top_p"]),
        top_k: config.number(&["topK", "top_k"]),
        frequency_penalty: config.number(&["frequencyPenalty", "frequency_penalty"]),
        presence_penalty: config.number(&["presencePenalty", "presence_penalty"]),
        max_tokens: config.count(&["maxOutputTokens", "max_output_tokens"]),
        seed: config.whole(&["seed"]),
        choice_count: config.count(&["candidateCount", "candidate_count"]),
        output_format: config.media_type(&["responseMimeType", "response_mime_type"]),
        dimensions: body.count(&["outputDimensionality", "output_dimensionality"]),
        ..Default::default()
    }
}

/// Gemini API, "Generating content", "Caching", "Files", "File search"; Vertex AI, "Grounding".
pub(crate) const PLACES: &[Place] = &[
    stored("cachedContent"),
    stored("cached_content"),
    at("contents", CONTENT),
    at("content", CONTENT),
    at("systemInstruction", CONTENT),
    at("system_instruction", CONTENT),
    at("tools", &[at("fileSearch", STORES), at("file_search", STORES), stored("retrieval")]),
];
/// Whole requests within one.
pub(crate) const NESTED_PLACES: &[Place] =
    &[at("generateContentRequest", PLACES), at("generate_content_request", PLACES), at("requests", PLACES)];
const STORES: &[Place] = &[stored("fileSearchStoreNames"), stored("file_search_store_names")];
const CONTENT: &[Place] = &[at(
    "parts",
    &[
        at("fileData", FILE),
        at("file_data", FILE),
        at("functionResponse", RESPONSE),
        at("function_response", RESPONSE),
    ],
)];
const RESPONSE: &[Place] = &[at("parts", &[at("fileData", FILE), at("file_data", FILE)])];
const FILE: &[Place] = &[
    leaf("fileUri", "fileUri", Feature::Files, When::NotPublic),
    leaf("file_uri", "file_uri", Feature::Files, When::NotPublic),
];

/// Fields of a request that carry no content, sorted.
#[rustfmt::skip]
pub(crate) const FIELDS: &[&str] = &[
    "contents.parts.fileData.mimeType", "contents.parts.inlineData.mimeType", "contents.parts.inline_data.mime_type",
    "contents.parts.thoughtSignature", "contents.parts.thought_signature", "contents.role",
    "generationConfig.responseMimeType", "generationConfig.seed", "generation_config.response_mime_type",
    "generation_config.seed", "model", "safetySettings.category", "safetySettings.threshold",
    "safety_settings.category", "safety_settings.threshold", "systemInstruction.role",
    "system_instruction.role", "taskType", "toolConfig.functionCallingConfig.mode",
    "tool_config.function_calling_config.mode",
];
