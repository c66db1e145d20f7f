//! Names of the OpenInference semantic conventions.

/// The kind of span.
pub const SPAN_KIND: &str = "openinference.span.kind";
/// What went in.
pub const INPUT_VALUE: &str = "input.value";
/// Its media type.
pub const INPUT_MIME_TYPE: &str = "input.mime_type";
/// What came out.
pub const OUTPUT_VALUE: &str = "output.value";
/// Its media type.
pub const OUTPUT_MIME_TYPE: &str = "output.mime_type";
/// The conversation.
pub const SESSION_ID: &str = "session.id";
/// Metadata, as JSON.
pub const METADATA: &str = "metadata";
/// The model that answered, else the one asked for.
pub const MODEL_NAME: &str = "llm.model_name";
/// The model asked for.
pub const REQUEST_MODEL: &str = "llm.request.model_name";
/// The model that answered.
pub const RESPONSE_MODEL: &str = "llm.response.model_name";
/// Who runs the model.
pub const PROVIDER: &str = "llm.provider";
/// Whose API it is.
pub const SYSTEM: &str = "llm.system";
/// Parameters of the request, as JSON.
pub const INVOCATION_PARAMETERS: &str = "llm.invocation_parameters";
/// Why the first choice ended.
pub const FINISH_REASON: &str = "llm.finish_reason";
/// Input tokens.
pub const PROMPT_TOKENS: &str = "llm.token_count.prompt";
/// Output tokens.
pub const COMPLETION_TOKENS: &str = "llm.token_count.completion";
/// Both.
pub const TOTAL_TOKENS: &str = "llm.token_count.total";
/// Input tokens that the cache had.
pub const CACHE_READ_TOKENS: &str = "llm.token_count.prompt_details.cache_read";
/// Input tokens that the cache took.
pub const CACHE_WRITE_TOKENS: &str = "llm.token_count.prompt_details.cache_write";
/// Output tokens spent on reasoning.
pub const REASONING_TOKENS: &str = "llm.token_count.completion_details.reasoning";
/// Dollars for the input.
pub const PROMPT_COST: &str = "llm.cost.prompt";
/// Dollars for the output.
pub const COMPLETION_COST: &str = "llm.cost.completion";
/// Dollars for both.
pub const TOTAL_COST: &str = "llm.cost.total";
/// Dollars for what the cache had.
pub const CACHE_READ_COST: &str = "llm.cost.prompt_details.cache_read";
/// Dollars for what the cache took.
pub const CACHE_WRITE_COST: &str = "llm.cost.prompt_details.cache_write";
/// Dollars for reasoning.
pub const REASONING_COST: &str = "llm.cost.completion_details.reasoning";
/// Before an index and `message`.
pub const INPUT_MESSAGES: &str = "llm.input_messages";
/// Before an index and `message`.
pub const OUTPUT_MESSAGES: &str = "llm.output_messages";
/// Before a member of a message.
pub const MESSAGE: &str = "message";
/// Before an index and `tool.json_schema`.
pub const TOOLS: &str = "llm.tools";
/// The embedding's model.
pub const EMBEDDING_MODEL: &str = "embedding.model_name";
/// Parameters of an embedding, as JSON.
pub const EMBEDDING_PARAMETERS: &str = "embedding.invocation_parameters";
/// Before an index and `embedding.text`.
pub const EMBEDDINGS: &str = "embedding.embeddings";
/// The reranker's model.
pub const RERANKER_MODEL: &str = "reranker.model_name";
/// What is looked for.
pub const RERANKER_QUERY: &str = "reranker.query";
/// Before an index and `document.content`.
pub const RERANKER_INPUT: &str = "reranker.input_documents";
/// Before an index and `document.id`, `document.score`.
pub const RERANKER_OUTPUT: &str = "reranker.output_documents";
