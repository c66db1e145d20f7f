//! Names of TrueFoundry's AI gateway, as its documentation of request logs lists them.

/// The kind of span.
pub const SPAN_TYPE: &str = "tfy.span_type";
/// What went in, as JSON.
pub const INPUT: &str = "tfy.input";
/// What came out, as JSON.
pub const OUTPUT: &str = "tfy.output";
/// The input in short.
pub const INPUT_SHORT: &str = "tfy.input_short_hand";
/// What was said about a failure.
pub const ERROR_MESSAGE: &str = "tfy.error_message";
/// The model as asked.
pub const REQUEST_MODEL: &str = "tfy.request.model_name";
/// Who asked.
pub const SUBJECT: &str = "tfy.request.created_by_subject";
/// The teams of who asked.
pub const SUBJECT_TEAMS: &str = "tfy.request.created_by_subject_teams";
/// Metadata of the request, as JSON.
pub const METADATA: &str = "tfy.request.metadata";
/// The conversation.
pub const CONVERSATION_ID: &str = "tfy.request.conversation_id";
/// The model that answered.
pub const MODEL_NAME: &str = "tfy.model.name";
/// Provider and model.
pub const MODEL_FQN: &str = "tfy.model.fqn";
/// Where the model was asked.
pub const MODEL_URL: &str = "tfy.model.request_url";
/// Whether the answer was a stream.
pub const STREAMING: &str = "tfy.model.streaming";
/// The kind of request.
pub const REQUEST_TYPE: &str = "tfy.model.request_type";
/// Milliseconds.
pub const LATENCY: &str = "tfy.model.metric.latency_in_ms";
/// Milliseconds.
pub const TIME_TO_FIRST_TOKEN: &str = "tfy.model.metric.time_to_first_token_in_ms";
/// Milliseconds.
pub const INTER_TOKEN_LATENCY: &str = "tfy.model.metric.inter_token_latency_in_ms";
/// Input tokens.
pub const INPUT_TOKENS: &str = "tfy.model.metric.input_tokens";
/// Output tokens.
pub const OUTPUT_TOKENS: &str = "tfy.model.metric.output_tokens";
/// Input tokens that the cache had.
pub const CACHE_READ_TOKENS: &str = "tfy.model.metric.cache_read_input_tokens";
/// Input tokens that the cache took.
pub const CACHE_WRITE_TOKENS: &str = "tfy.model.metric.cache_creation_input_tokens";
/// Dollars.
pub const COST: &str = "tfy.model.metric.cost_in_usd";
