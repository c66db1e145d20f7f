//! The names of all attributes that the exporter writes.
//!
//! OpenTelemetry semantic conventions: HTTP, URL, server, client and error as stable; GenAI and OpenAI as of
//! 1.41. What has no convention is under `weir.`.

/// Resource.
pub const SERVICE_NAME: &str = "service.name";
/// Resource, for Middleware.
pub const PROJECT_NAME: &str = "project.name";
/// Resource, for Middleware.
pub const MW_APP_LANG: &str = "mw.app.lang";

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
/// Why an operation failed.
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
/// GenAI: the effort asked for.
pub const REASONING_LEVEL: &str = "gen_ai.request.reasoning.level";
/// GenAI: "text" or "json".
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
/// GenAI: output tokens spent on reasoning.
pub const REASONING_TOKENS: &str = "gen_ai.usage.reasoning.output_tokens";
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
/// How the request ended.
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
