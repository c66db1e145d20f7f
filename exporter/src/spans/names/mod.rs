//! The names of all attributes that the exporter writes.
//!
//! OpenTelemetry semantic conventions: HTTP, URL, server, client and error as stable; GenAI and OpenAI as of
//! 1.41. What has no convention is under `weir.`. The names of the overlays are in modules of their own.

pub mod openinference;
pub mod tfy;

/// Resource.
pub const SERVICE_NAME: &str = "service.name";
/// Resource: the exporter's version and build.
pub const SERVICE_VERSION: &str = "service.version";
/// Resource, for Middleware.
pub const PROJECT_NAME: &str = "project.name";
/// Resource, for Middleware.
pub const MW_APP_LANG: &str = "mw.app.lang";
/// The service, on each span, for Middleware.
pub const MW_SERVICE_DERIVED: &str = "mw.service.name.derived";
/// Who asked, for Middleware.
pub const GEN_AI_USER_ID: &str = "gen_ai.user.id";

/// HTTP.
pub const HTTP_METHOD: &str = "http.request.method";
/// HTTP.
pub const HTTP_ROUTE: &str = "http.route";
/// HTTP.
pub const HTTP_STATUS_CODE: &str = "http.response.status_code";
/// HTTP: bytes.
pub const HTTP_REQUEST_BODY_SIZE: &str = "http.request.body.size";
/// HTTP: bytes.
pub const HTTP_RESPONSE_BODY_SIZE: &str = "http.response.body.size";
/// HTTP: how often the request was sent again.
pub const HTTP_RESEND_COUNT: &str = "http.request.resend_count";
/// URL.
pub const URL_FULL: &str = "url.full";
/// URL.
pub const URL_PATH: &str = "url.path";
/// URL.
pub const URL_SCHEME: &str = "url.scheme";
/// The server's host name or address.
pub const SERVER_ADDRESS: &str = "server.address";
/// The server's port.
pub const SERVER_PORT: &str = "server.port";
/// The client's address.
pub const CLIENT_ADDRESS: &str = "client.address";
/// The client's user agent.
pub const USER_AGENT: &str = "user_agent.original";
/// Why an operation failed: the provider's or the gateway's word for it, else how it broke off (as in `weir.ending`),
/// else the status. A response that was cut without a reset failed as `truncated`, whatever its status.
pub const ERROR_TYPE: &str = "error.type";

/// GenAI: the operation.
pub const OPERATION_NAME: &str = "gen_ai.operation.name";
/// GenAI: the provider's kind.
pub const PROVIDER_NAME: &str = "gen_ai.provider.name";
/// GenAI: the model asked for.
pub const REQUEST_MODEL: &str = "gen_ai.request.model";
/// GenAI.
pub const TEMPERATURE: &str = "gen_ai.request.temperature";
/// GenAI.
pub const TOP_P: &str = "gen_ai.request.top_p";
/// GenAI.
pub const FREQUENCY_PENALTY: &str = "gen_ai.request.frequency_penalty";
/// GenAI.
pub const PRESENCE_PENALTY: &str = "gen_ai.request.presence_penalty";
/// GenAI.
pub const MAX_TOKENS: &str = "gen_ai.request.max_tokens";
/// GenAI.
pub const SEED: &str = "gen_ai.request.seed";
/// GenAI: only where it is not 1.
pub const CHOICE_COUNT: &str = "gen_ai.request.choice.count";
/// GenAI.
pub const STOP_SEQUENCES: &str = "gen_ai.request.stop_sequences";
/// GenAI: whether a stream was asked for.
pub const REQUEST_STREAM: &str = "gen_ai.request.stream";
/// GenAI.
pub const TOP_K: &str = "gen_ai.request.top_k";
/// GenAI: of embeddings.
pub const ENCODING_FORMATS: &str = "gen_ai.request.encoding_formats";
/// GenAI: the length of embeddings, as asked.
pub const DIMENSIONS: &str = "gen_ai.embeddings.dimension.count";
/// GenAI: the effort asked for.
pub const REASONING_LEVEL: &str = "gen_ai.request.reasoning.level";
/// GenAI: "text", "json", "image" or "speech".
pub const OUTPUT_TYPE: &str = "gen_ai.output.type";
/// GenAI: the provider's id of the response.
pub const RESPONSE_ID: &str = "gen_ai.response.id";
/// GenAI: the model that answered.
pub const RESPONSE_MODEL: &str = "gen_ai.response.model";
/// GenAI: one for each choice.
pub const FINISH_REASONS: &str = "gen_ai.response.finish_reasons";
/// GenAI: seconds.
pub const TIME_TO_FIRST_CHUNK: &str = "gen_ai.response.time_to_first_chunk";
/// GenAI: all input tokens, cached ones included.
pub const INPUT_TOKENS: &str = "gen_ai.usage.input_tokens";
/// GenAI: all output tokens, reasoning included.
pub const OUTPUT_TOKENS: &str = "gen_ai.usage.output_tokens";
/// GenAI: input tokens read from the provider's cache.
pub const CACHE_READ_TOKENS: &str = "gen_ai.usage.cache_read.input_tokens";
/// GenAI: input tokens written to the provider's cache.
pub const CACHE_CREATION_TOKENS: &str = "gen_ai.usage.cache_creation.input_tokens";
/// GenAI: output tokens spent on reasoning.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
/// GenAI: content, as JSON.
pub const SYSTEM_INSTRUCTIONS: &str = "gen_ai.system_instructions";
/// GenAI: content, as JSON.
pub const INPUT_MESSAGES: &str = "gen_ai.input.messages";
/// GenAI: content, as JSON.
pub const OUTPUT_MESSAGES: &str = "gen_ai.output.messages";
/// GenAI: content, as JSON.
pub const TOOL_DEFINITIONS: &str = "gen_ai.tool.definitions";
/// OpenAI: which of its chat APIs.
pub const OPENAI_API_TYPE: &str = "openai.api.type";
/// OpenAI: the tier asked for.
pub const OPENAI_REQUEST_TIER: &str = "openai.request.service_tier";
/// OpenAI: the tier used.
pub const OPENAI_RESPONSE_TIER: &str = "openai.response.service_tier";
/// OpenAI.
pub const OPENAI_FINGERPRINT: &str = "openai.response.system_fingerprint";

/// The user that the request was made for, where it is known.
pub const USER_ID: &str = "user.id";
/// GenAI: the conversation, only where the caller named one.
pub const CONVERSATION_ID: &str = "gen_ai.conversation.id";

/// The name of the caller's key.
pub const WEIR_KEY: &str = "weir.key.name";
/// The caller's team.
pub const WEIR_TEAM: &str = "weir.team";
/// Before the name of an entry of the request's metadata.
pub const WEIR_METADATA: &str = "weir.metadata.";
/// The strategy that put the targets in order.
pub const WEIR_STRATEGY: &str = "weir.strategy";
/// The event's id, as in `Nats-Msg-Id`.
pub const WEIR_EVENT_ID: &str = "weir.event.id";
/// How the request ended: "completed", "client_disconnected", "upstream_reset", "timeout", "rejected" by the gateway,
/// "truncated": the response ended before its API's own last event or closing brace, without a reset; or "overloaded":
/// the gateway had no memory left for it (`limits.memory_budget`), and refused it or ended its response.
pub const WEIR_ENDING: &str = "weir.ending";
/// The model's name as the caller asked.
pub const WEIR_MODEL_REQUESTED: &str = "weir.model.requested";
/// The rule that decided.
pub const WEIR_RULE: &str = "weir.rule";
/// How many targets were considered.
pub const WEIR_TARGETS: &str = "weir.targets";
/// The provider's name in the configuration.
pub const WEIR_PROVIDER: &str = "weir.provider";
/// The attempt's number, from 1.
pub const WEIR_ATTEMPT: &str = "weir.attempt.number";
/// Where the token counts come from.
pub const WEIR_USAGE_SOURCE: &str = "weir.usage.source";
/// Events of the stream that carried data.
pub const WEIR_STREAM_CHUNKS: &str = "weir.stream.chunks";
/// True where the response could not be read.
pub const WEIR_RESPONSE_UNREAD: &str = "weir.response.unread";
/// The service tier asked for, of APIs that are not OpenAI's.
pub const WEIR_REQUEST_TIER: &str = "weir.request.service_tier";
/// The service tier used, of APIs that are not OpenAI's.
pub const WEIR_RESPONSE_TIER: &str = "weir.response.service_tier";
/// The provider's own figures by their names there, as JSON.
pub const WEIR_USAGE_FIGURES: &str = "weir.usage.figures";
/// How many of the provider's figures there was no room for in the event.
pub const WEIR_USAGE_FIGURES_LEFT_OUT: &str = "weir.usage.figures_left_out";
/// Seconds from one token of a stream to the next, on average.
pub const WEIR_TIME_PER_OUTPUT_TOKEN: &str = "weir.response.time_per_output_token";
/// US dollars for the operation: what the provider says, else by the table of prices.
pub const WEIR_COST_TOTAL: &str = "weir.cost.total";
/// US dollars for its input, by the table alone.
pub const WEIR_COST_INPUT: &str = "weir.cost.input";
/// US dollars for its output, by the table alone.
pub const WEIR_COST_OUTPUT: &str = "weir.cost.output";
/// Who says what the operation cost: "provider", or "table" (exporter/prices.yaml, or a file of your own).
pub const WEIR_COST_SOURCE: &str = "weir.cost.source";
/// US dollars for an attempt that was answered.
pub const WEIR_ATTEMPT_COST: &str = "weir.attempt.cost";
/// The provider's own word for an error whose text the caller does not receive, such as "invalid_api_key".
pub const WEIR_ATTEMPT_ERROR: &str = "weir.attempt.error";
/// On the SERVER span: the model that answered.
pub const WEIR_MODEL_ANSWERED: &str = "weir.model.answered";
/// On the SERVER span: US dollars. Named apart from the operation's, so that no sum counts both.
pub const WEIR_TOTAL_COST: &str = "weir.total.cost";
/// On the SERVER span: input tokens.
pub const WEIR_TOTAL_INPUT_TOKENS: &str = "weir.total.input_tokens";
/// On the SERVER span: output tokens.
pub const WEIR_TOTAL_OUTPUT_TOKENS: &str = "weir.total.output_tokens";
/// Whether content was kept: "kept", "excluded" or "no_room".
pub const WEIR_CAPTURE: &str = "weir.capture";
/// True where the request's content was shortened.
pub const WEIR_REQUEST_SHORTENED: &str = "weir.request.shortened";
/// True where the response's content was shortened.
pub const WEIR_RESPONSE_SHORTENED: &str = "weir.response.shortened";
/// The part of all traces that were kept.
pub const WEIR_SAMPLING_RATIO: &str = "weir.sampling.ratio";
/// What kept this one.
pub const WEIR_SAMPLING_KEPT_FOR: &str = "weir.sampling.kept_for";
/// The fields of a form that held files.
pub const WEIR_FORM_FIELDS: &str = "weir.form.file.fields";
/// The media types of a form's files.
pub const WEIR_FORM_MEDIA_TYPES: &str = "weir.form.file.media_types";
/// The sizes of a form's files, in bytes.
pub const WEIR_FORM_SIZES: &str = "weir.form.file.sizes";
/// How often a detector matched in what was exported; its name follows.
pub const WEIR_REDACTED_EXPORT: &str = "weir.redacted.export.";
/// How often a detector matched in what was to be sent to the provider; its name follows.
pub const WEIR_REDACTED_PROVIDER: &str = "weir.redacted.provider.";
/// The same of what was to be returned to the caller.
pub const WEIR_REDACTED_CALLER: &str = "weir.redacted.caller.";
/// How often placeholders of a detector became the caller's values again; its name follows.
pub const WEIR_REDACTED_RESTORED: &str = "weir.redacted.restored.";
/// What a `redact` span is about: `request` or `response`.
pub const WEIR_REDACT_OF: &str = "weir.redact.of";
/// The model's name as the attempt sent it. Not `gen_ai.request.model`, by which backends would take the
/// attempt for an operation of its own.
pub const WEIR_ATTEMPT_MODEL: &str = "weir.attempt.model";
