//! The fields of the APIs that carry no content: names of models, roles, types, ids, times.
//!
//! A field is named by its whole path from the body's root, arrays left out, so a field of the same
//! name in an object that the caller or the model fills as it likes (metadata, arguments of tools,
//! their results and schemas) is none of these. What is not named here is searched. Where a name ends
//! with `!`, the field repeats content token by token, so that nothing could be found in it: where
//! content is redacted, it is emptied.

use crate::api::Family;
use crate::redact::json::keys;

/// How the name of a field ends that repeats content.
const REPEATS: char = '!';

/// Fields without content in one direction of one family of APIs, sorted.
#[derive(Clone, Copy, Debug)]
pub struct Fields(&'static [&'static str]);

#[rustfmt::skip]
const OPENAI_REQUEST: &[&str] = &[
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
#[rustfmt::skip]
const OPENAI_RESPONSE: &[&str] = &[
    "audio", "b64_json", "choices.delta.audio.data", "choices.delta.audio.id", "choices.delta.role",
    "choices.delta.tool_calls.id", "choices.delta.tool_calls.type", "choices.finish_reason", "choices.logprobs!",
    "choices.message.annotations.type", "choices.message.audio.data", "choices.message.audio.expires_at",
    "choices.message.audio.id", "choices.message.role", "choices.message.tool_calls.id",
    "choices.message.tool_calls.type", "choices.prompt_logprobs!", "choices.prompt_token_ids!",
    "choices.token_ids!", "completed_at", "created", "created_at", "data.b64_json", "data.embedding",
    "error.code", "error.type", "id", "item.call_id", "item.content.logprobs!", "item.content.type",
    "item.encrypted_content", "item.id", "item.result", "item.role", "item.status", "item.type", "item_id",
    "logprobs!", "model", "obfuscation", "object", "output.call_id", "output.content.logprobs!",
    "output.content.type", "output.encrypted_content", "output.id", "output.result", "output.role",
    "output.status", "output.type", "part.logprobs!", "part.type", "partial_image_b64", "previous_response_id",
    "prompt_logprobs!", "prompt_token_ids!", "response.completed_at", "response.created_at",
    "response.error.code", "response.id", "response.model", "response.object", "response.output.call_id",
    "response.output.content.logprobs!", "response.output.content.type",
    "response.output.encrypted_content", "response.output.id", "response.output.result",
    "response.output.role", "response.output.status", "response.output.type", "response.previous_response_id",
    "response.service_tier", "response.status", "sequence_number", "service_tier", "status",
    "system_fingerprint", "type",
];
#[rustfmt::skip]
const ANTHROPIC_REQUEST: &[&str] = &[
    "max_tokens", "messages.content.cache_control.ttl", "messages.content.cache_control.type",
    "messages.content.content.cache_control.type", "messages.content.content.source.media_type",
    "messages.content.content.source.type", "messages.content.content.type", "messages.content.data",
    "messages.content.id", "messages.content.signature", "messages.content.source.media_type",
    "messages.content.source.type", "messages.content.tool_use_id", "messages.content.type", "messages.role",
    "model", "service_tier", "system.cache_control.ttl", "system.cache_control.type", "system.type",
    "thinking.type", "tool_choice.type", "tools.cache_control.ttl", "tools.cache_control.type", "tools.type",
];
#[rustfmt::skip]
const ANTHROPIC_RESPONSE: &[&str] = &[
    "content.data", "content.id", "content.signature", "content.tool_use_id", "content.type",
    "content_block.data", "content_block.id", "content_block.signature", "content_block.tool_use_id",
    "content_block.type", "delta.signature", "delta.stop_reason", "delta.type", "error.type", "id", "message.id",
    "message.model", "message.role", "message.stop_reason", "message.type", "model", "request_id", "role",
    "stop_reason", "type",
];
#[rustfmt::skip]
const GEMINI_REQUEST: &[&str] = &[
    "contents.parts.fileData.mimeType", "contents.parts.inlineData.mimeType", "contents.parts.inline_data.mime_type",
    "contents.parts.thoughtSignature", "contents.parts.thought_signature", "contents.role",
    "generationConfig.responseMimeType", "generationConfig.seed", "generation_config.response_mime_type",
    "generation_config.seed", "model", "safetySettings.category", "safetySettings.threshold",
    "safety_settings.category", "safety_settings.threshold", "systemInstruction.role",
    "system_instruction.role", "taskType", "toolConfig.functionCallingConfig.mode",
    "tool_config.function_calling_config.mode",
];
#[rustfmt::skip]
const GEMINI_RESPONSE: &[&str] = &[
    "candidates.content.parts.inlineData.data", "candidates.content.parts.inlineData.mimeType",
    "candidates.content.parts.thoughtSignature", "candidates.content.role", "candidates.finishReason",
    "candidates.logprobsResult!", "candidates.safetyRatings.category",
    "candidates.safetyRatings.probability", "createTime", "error.code", "error.status", "modelVersion",
    "promptFeedback.blockReason", "promptFeedback.safetyRatings.category",
    "promptFeedback.safetyRatings.probability", "responseId", "usageMetadata.promptTokensDetails.modality",
];
#[rustfmt::skip]
const COHERE_REQUEST: &[&str] = &[
    "citation_options.mode", "max_tokens", "messages.content.type", "messages.role", "messages.tool_call_id",
    "messages.tool_calls.id", "messages.tool_calls.type", "model", "reasoning_effort", "response_format.type",
    "safety_mode", "seed", "thinking.type", "tool_choice", "tools.type",
];
#[rustfmt::skip]
const COHERE_RESPONSE: &[&str] = &[
    "delta.finish_reason", "delta.message.content.type", "delta.message.role", "delta.message.tool_calls.id",
    "delta.message.tool_calls.type", "finish_reason", "generation_id", "id", "logprobs!", "message.content.type",
    "message.role", "message.tool_calls.id", "message.tool_calls.type", "response_id", "type",
];

impl Fields {
    /// No field is left out.
    pub const NONE: Self = Self(&[]);

    /// Those of requests.
    pub fn request(family: Family) -> Self {
        Self(match family {
            Family::OpenAi => OPENAI_REQUEST,
            Family::Anthropic => ANTHROPIC_REQUEST,
            Family::Gemini => GEMINI_REQUEST,
            Family::Cohere => COHERE_REQUEST,
        })
    }

    /// Those of responses, and of the events of a stream.
    pub fn response(family: Family) -> Self {
        Self(match family {
            Family::OpenAi => OPENAI_RESPONSE,
            Family::Anthropic => ANTHROPIC_RESPONSE,
            Family::Gemini => GEMINI_RESPONSE,
            Family::Cohere => COHERE_RESPONSE,
        })
    }

    /// The place of the body's root.
    pub(crate) fn root(self) -> Place {
        Place { fields: self.0, depth: 0, is_free: self.0.is_empty() }
    }
}

/// A place in a body: the fields without content that begin with its path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    fields: &'static [&'static str],
    /// How many bytes of them the path has, with its dot.
    depth: usize,
    /// Whether it is within an object that the caller or the model fills.
    is_free: bool,
}

impl Place {
    /// The place of a member of the object at this place.
    pub fn member(self, key: &str) -> Self {
        // They are in order, so those that begin with the key follow each other.
        let first = self.fields.partition_point(|field| field.get(self.depth..).unwrap_or_default() < key);
        let others = self.fields.get(first..).unwrap_or_default();
        let begins = |field: &&&str| {
            let rest = field.get(self.depth..).and_then(|rest| rest.strip_prefix(key));
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['.', REPEATS]))
        };
        let count = others.iter().take_while(begins).count();
        let is_free = self.is_free || keys::is_free(key, self.depth == 0);
        Self { fields: others.get(..count).unwrap_or_default(), depth: self.depth + key.len() + 1, is_free }
    }

    /// Whether an API defines a key of the object at this place.
    pub fn defines(self, key: &str) -> bool {
        !self.is_free && keys::is_defined(key)
    }

    /// Whether the scalar at this place carries no content.
    pub fn has_no_content(self) -> bool {
        self.fields.iter().any(|field| field.len() + 1 == self.depth)
    }

    /// Whether what stands here repeats content token by token.
    pub fn repeats_content(self) -> bool {
        self.fields.iter().any(|field| field.len() == self.depth && field.ends_with(REPEATS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_known_by_its_whole_path_and_nowhere_else() {
        let place = |path: &str| path.split('.').fold(Fields::request(Family::OpenAi).root(), Place::member);
        for path in ["model", "messages.role", "messages.content.type", "tool_choice", "tool_choice.type"] {
            assert!(place(path).has_no_content(), "{path}");
        }
        for path in
            ["messages", "messages.content", "metadata.model", "messages.rol", "role", "model.x", "mode"]
        {
            assert!(!place(path).has_no_content(), "{path}");
        }
        assert!(!Fields::NONE.root().member("model").has_no_content());
    }

    #[test]
    fn each_field_is_found_in_its_list() {
        for family in [Family::OpenAi, Family::Anthropic, Family::Gemini, Family::Cohere] {
            for fields in [Fields::request(family), Fields::response(family)] {
                assert!(fields.0.is_sorted(), "{family:?}");
                for field in fields.0 {
                    let path = field.trim_end_matches(REPEATS);
                    let place = path.split('.').fold(fields.root(), Place::member);
                    assert!(
                        place.has_no_content() != (path != *field)
                            && place.repeats_content() == (path != *field),
                        "{family:?}: {field} is not with those that begin as it does"
                    );
                }
            }
        }
    }
}
