//! Keys of objects that the APIs define. Operators' patterns are not applied to them: if `messages` were
//! changed, no provider would accept the request.
//!
//! Keys of objects that the caller or the model fills freely are content, whatever their names.

/// Keys of requests and responses of all APIs, sorted.
#[rustfmt::skip]
const DEFINED: &[&str] = &[
    "accepted_prediction_tokens", "action", "add_generation_prompt", "allowedFunctionNames", "allowed_domains",
    "allowed_tools", "annotation", "annotations", "api_version", "approximate", "args", "arguments",
    "aspectRatio", "audio", "audio_tokens", "authorization_token", "avgLogprobs", "b64_json", "background",
    "behavior", "best_of", "betas", "billed_units", "blockReason", "blocked", "blocked_domains",
    "budget_tokens", "bytes", "cacheTokensDetails", "cache_control", "cache_creation",
    "cache_creation_input_tokens", "cache_read_input_tokens", "cachedContent", "cachedContentTokenCount",
    "cached_content", "cached_tokens", "call_id", "candidateCount", "candidates", "candidatesTokenCount",
    "candidatesTokensDetails", "categories", "category", "category_scores", "chat_template_kwargs", "choices",
    "chunking_strategy", "citationMetadata", "citationSources", "citation_options", "citations", "city", "code",
    "codeExecution", "codeExecutionResult", "completed_at", "completion_tokens", "completion_tokens_details",
    "connector_id", "container", "content", "content_block", "content_index", "contents", "context",
    "context_management", "conversation", "country", "createTime", "created", "created_at", "custom", "data",
    "definition", "delta", "description", "detail", "details", "dimensions", "disable_parallel_tool_use",
    "display_height", "display_width", "document", "documents", "echo", "effort", "embedding",
    "embedding_types", "embeddings", "enabled", "encoding_format", "encrypted_content", "environment",
    "ephemeral_1h_input_tokens", "ephemeral_5m_input_tokens", "error", "executableCode", "expires_at",
    "extra_body", "file", "fileData", "fileUri", "file_data", "file_id", "file_uri", "file_url", "filename",
    "filters", "finishMessage", "finishReason", "finish_reason", "flagged", "format", "frequencyPenalty",
    "frequency_penalty", "function", "functionCall", "functionCallingConfig", "functionDeclarations",
    "functionResponse", "function_call", "function_calling_config", "function_declarations", "functions",
    "generate_summary", "generationConfig", "generation_config", "generation_id", "googleSearch",
    "google_search", "grammar", "groundingChunks", "groundingMetadata", "groundingSupports", "guided_choice",
    "guided_json", "guided_regex", "headers", "id", "ignore_eos", "image", "imageConfig", "image_generation",
    "image_url", "images", "include", "includeThoughts", "include_obfuscation", "include_usage",
    "incomplete_details", "index", "inlineData", "inline_data", "input", "input_audio", "input_schema",
    "input_tokens", "input_tokens_details", "input_type", "inputs", "instructions", "is_error", "item",
    "item_id", "jsonPath", "json_schema", "k", "labels", "language", "languageCode", "logit_bias", "logprobs",
    "logprobsResult", "mask", "maxOutputTokens", "max_completion_tokens", "max_num_results",
    "max_output_tokens", "max_tokens", "max_tokens_per_doc", "max_tokens_to_sample", "max_tool_calls",
    "max_uses", "mcp_servers", "mediaResolution", "media_type", "message", "messages", "meta", "metadata",
    "mimeType", "mime_type", "min_p", "min_tokens", "modalities", "modality", "mode", "model", "modelVersion",
    "moderation", "n", "name", "obfuscation", "object", "outcome", "output", "outputDimensionality",
    "output_compression", "output_format", "output_index", "output_tokens", "output_tokens_details", "p",
    "parallel_tool_calls", "param", "parameters", "parametersJsonSchema", "part", "partialArgs",
    "partial_image_b64", "partial_images", "partial_json", "parts", "prebuiltVoiceConfig", "prediction",
    "prefix_padding_ms", "presencePenalty", "presence_penalty", "previous_response_id", "priority",
    "probability", "prompt", "promptFeedback", "promptTokenCount", "promptTokensDetails", "prompt_cache_key",
    "prompt_cache_retention", "prompt_logprobs", "prompt_token_ids", "prompt_tokens", "prompt_tokens_details",
    "quality", "queries", "query", "rank_fields", "ranker", "ranking_options", "raw_prompting", "reason",
    "reasoning", "reasoning_content", "reasoning_effort", "reasoning_tokens", "refusal", "region",
    "rejected_prediction_tokens", "relevance_score", "repetition_penalty", "request_id", "requests",
    "require_approval", "response", "responseId", "responseJsonSchema", "responseLogprobs", "responseMimeType",
    "responseModalities", "responseSchema", "response_format", "response_id", "response_mime_type",
    "response_schema", "result", "results", "return_documents", "revised_prompt", "role", "safetyRatings",
    "safetySettings", "safety_identifier", "safety_mode", "safety_settings", "schema", "score_threshold",
    "searchEntryPoint", "search_context_size", "search_units", "seed", "sequence_number", "server_description",
    "server_label", "server_tool_use", "server_url", "service_tier", "signature", "silence_duration_ms", "size",
    "skip_special_tokens", "source", "speechConfig", "speed", "status", "stop", "stopSequences", "stop_reason",
    "stop_sequence", "stop_sequences", "store", "stream", "stream_options", "strict", "strict_tools",
    "stringValue", "style", "suffix", "summary", "summary_index", "syntax", "system", "systemInstruction",
    "system_fingerprint", "system_instruction", "taskType", "temperature", "text", "texts", "thinking",
    "thinkingBudget", "thinkingConfig", "thinkingLevel", "thought", "thoughtSignature", "thought_signature",
    "thoughtsTokenCount", "threshold", "timestamp_granularities", "timezone", "title", "token", "tokenCount",
    "token_budget", "token_ids", "tokens", "toolConfig", "toolUsePromptTokenCount", "tool_call_id",
    "tool_calls", "tool_choice", "tool_config", "tool_configuration", "tool_plan", "tool_use_id", "tools",
    "topK", "topP", "top_k", "top_logprobs", "top_n", "top_p", "totalTokenCount", "total_tokens", "transcript",
    "truncate", "truncation", "ttl", "type", "url", "urlContext", "usage", "usageMetadata", "user", "user_id",
    "user_location", "values", "variables", "vector_store_ids", "verbosity", "version", "voice", "voiceConfig",
    "voiceName", "webSearchQueries", "web_search_options", "web_search_requests", "willContinue",
];

/// Objects filled by the caller or the model: metadata, tool arguments, results and schemas.
const FREE: [&str; 18] = [
    "args",
    "arguments",
    "documents",
    "env",
    "headers",
    "input_schema",
    "inputSchema",
    "labels",
    "logit_bias",
    "metadata",
    "parameters",
    "parametersJsonSchema",
    "properties",
    "responseJsonSchema",
    "responseSchema",
    "response_schema",
    "schema",
    "variables",
];
/// Also filled by them, except at the root, where an API defines them.
const FREE_BELOW_ROOT: [&str; 3] = ["data", "input", "response"];

/// Whether an API defines a key.
pub(crate) fn is_defined(key: &str) -> bool {
    DEFINED.binary_search(&key).is_ok()
}

/// Whether the value of a key is an object filled by the caller or the model.
pub(crate) fn is_free(key: &str, at_root: bool) -> bool {
    FREE.contains(&key) || !at_root && FREE_BELOW_ROOT.contains(&key)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_keys_are_in_order() {
        assert!(DEFINED.is_sorted());
        assert!(is_defined("messages") && is_defined("usageMetadata") && !is_defined("TCK-1"));
    }
}
