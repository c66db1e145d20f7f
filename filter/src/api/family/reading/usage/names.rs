//! The names that figures of usage go by.
//!
//! Every figure has one list of names, whoever reports it: gateways hand a provider's own names on, and servers of a
//! compatible API have theirs.

/// Input tokens: OpenAI, Anthropic and the Responses API, Gemini, Bedrock.
pub(crate) const INPUT: [&str; 7] = [
    "prompt_tokens",
    "input_tokens",
    "promptTokenCount",
    "inputTokens",
    "promptTokens",
    "inputTokenCount",
    "prompt_token_count",
];
/// Output tokens of the same.
pub(crate) const OUTPUT: [&str; 7] = [
    "completion_tokens",
    "output_tokens",
    "candidatesTokenCount",
    "outputTokens",
    "completionTokens",
    "outputTokenCount",
    "candidates_token_count",
];
/// Input and output together.
pub(crate) const TOTAL: [&str; 4] = ["total_tokens", "totalTokenCount", "totalTokens", "total_token_count"];
/// Input tokens read from a cache: OpenAI; Mistral; DeepSeek; Moonshot and Together; Anthropic; Bedrock; Gemini.
pub(crate) const CACHE_READ: [&str; 15] = [
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "prompt_token_details.cached_tokens",
    "prompt_cache_hit_tokens",
    "num_cached_tokens",
    "cached_tokens",
    "cache_read_input_tokens",
    "cache_read_tokens",
    "cacheReadInputTokens",
    "cacheReadInputTokenCount",
    "cachedContentTokenCount",
    "cached_content_token_count",
    "prompt_tokens_details.cache_read_input_tokens",
    "input_tokens_details.cached_read_tokens",
    "prompt_tokens_details.cached_read_tokens",
];
/// Input tokens written to a cache.
pub(crate) const CACHE_WRITE: [&str; 10] = [
    "prompt_tokens_details.cache_write_tokens",
    "input_tokens_details.cache_write_tokens",
    "prompt_tokens_details.cache_creation_tokens",
    "cache_creation_input_tokens",
    "cache_write_tokens",
    "cacheWriteInputTokens",
    "cacheWriteInputTokenCount",
    "prompt_tokens_details.cache_creation_input_tokens",
    "input_tokens_details.cached_write_tokens",
    "prompt_tokens_details.cached_write_tokens",
];
/// Output tokens spent on reasoning: OpenAI, Perplexity, Anthropic, Gemini.
pub(crate) const REASONING: [&str; 7] = [
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "reasoning_tokens",
    "output_tokens_details.thinking_tokens",
    "completion_tokens_details.thinking_tokens",
    "thoughtsTokenCount",
    "thoughts_token_count",
];
/// What is billed, and what was processed, where a provider counts both.
pub(crate) const BILLED: [&str; 2] = ["billed_units.input_tokens", "billed_units.output_tokens"];
pub(crate) const PROCESSED: [&str; 2] = ["tokens.input_tokens", "tokens.output_tokens"];
/// Whether a figure is one of those above.
pub(crate) fn is_total(path: &str) -> bool {
    let all = [&INPUT[..], &OUTPUT, &TOTAL, &CACHE_READ, &CACHE_WRITE, &REASONING, &BILLED, &PROCESSED];
    all.iter().any(|names| names.contains(&path))
}
