//! The configuration as written: what an operator may say, with every default.
//!
//! Unknown fields are refused. Nothing here is checked against anything else; that is done once,
//! by [`crate::config::Config::new`].

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use weir_settings::{ByteSize, Duration};

use crate::api::Feature;
use crate::api::kind::Kind;
use crate::auth::Key;
use crate::balancing::{HealthSettings, Sticky, Strategy, When};
use crate::capture::sampling::AlwaysKeep;
use crate::redact::{Redaction, Stricter};

/// What one instance of the plugin is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The downstream HTTP filter: reads, decides, records.
    #[default]
    Gateway,
    /// The upstream HTTP filter of a provider's cluster: rewrites one attempt.
    Attempt,
}

/// What the gateway does with requests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Routes every request: resolves its model, chooses its target, and sends it there.
    #[default]
    Route,
    /// Leaves routing and credentials to others and reports requests and responses; redacts where that is
    /// asked for. The only mode where the filter cannot hold a request's headers, as in Istio's WasmPlugin
    /// and Envoy Gateway's EnvoyExtensionPolicy.
    Observe,
}

impl Mode {
    fn is_route(&self) -> bool {
        *self == Self::Route
    }
}

/// The plugin's configuration as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// What this instance is for; with `attempt` nothing else is given.
    #[serde(default)]
    pub role: Role,
    /// What is done with requests.
    #[serde(default, skip_serializing_if = "Mode::is_route")]
    pub mode: Mode,
    /// The providers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, Provider>,
    /// The models that callers may ask for, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Model>,
    /// The keys of callers. Without any, everybody may call.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub keys: Vec<Key>,
    /// Identity from a token that Envoy's jwt_authn filter has verified.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub jwt: Option<Jwt>,
    /// Limits on requests and responses.
    #[serde(default)]
    pub limits: Limits,
    /// Which requests are traced, and how much of their content is captured.
    #[serde(default)]
    pub trace: Trace,
    /// How content is redacted. Absent: traces hold none, and nothing is searched.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Redaction>,
    /// Whether responses have headers that say how they were produced (`x-weir-trace-id`, `x-weir-model`,
    /// `x-weir-attempts`, `server-timing`).
    #[serde(default = "yes")]
    pub response_headers: bool,
    /// Whether this filter also runs as an upstream filter of the providers' clusters. Without it
    /// (Istio's WasmPlugin alone, or an Envoy before 1.39) a request goes to its first healthy
    /// target, and nowhere else: no retry, no fallback, no limit on the first token.
    #[serde(default = "yes")]
    pub upstream_filter: bool,
    /// Where trace events go; absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Exporter>,
}

impl Default for PluginConfig {
    fn default() -> Self {
        Self {
            role: Role::default(),
            mode: Mode::default(),
            providers: BTreeMap::new(),
            models: BTreeMap::new(),
            keys: Vec::new(),
            jwt: None,
            limits: Limits::default(),
            trace: Trace::default(),
            redaction: None,
            response_headers: true,
            upstream_filter: true,
            exporter: None,
        }
    }
}

/// A provider as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The API it speaks.
    pub api: Kind,
    /// Its base URL, such as `https://api.openai.com/v1`.
    pub url: String,
    /// Azure's `api-version`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub api_version: Option<String>,
    /// Whether the gateway asks it for the usage of a stream on behalf of callers that do not
    /// (`stream_options.include_usage`), and removes it from the response. Set `false` for a provider that
    /// sends usage without being asked: else its callers lose the chunk that they would have without the
    /// gateway, and `"usage":null` of the others. Absent: unless the provider is known to send it anyway
    /// (DeepSeek, Groq, Hugging Face, Mistral, Moonshot, OpenRouter, Perplexity, Together, xAI, by their own
    /// hosts) or to refuse that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub include_usage: Option<bool>,
    /// What it lets callers use beyond the calls that are understood, if their key grants it too.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Feature>,
    /// The Envoy cluster that leads to it; `provider.<name>` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// A model as written: either another name for a model, or targets.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// The model that this is another name for; then nothing else is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub alias: Option<String>,
    /// Where requests for it go.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub targets: Vec<Target>,
    /// How the targets are put in order.
    #[serde(default)]
    pub strategy: Strategy,
    /// Which requests go to the same target.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sticky: Option<Sticky>,
    /// When a target counts as unhealthy and goes to the end of the order.
    #[serde(default)]
    pub health: HealthSettings,
    /// When a target is tried again.
    #[serde(default)]
    pub retry: Retry,
    /// When the next target is tried.
    #[serde(default)]
    pub fallback: Fallback,
    /// How long things may take.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// What is stricter for requests for it than for others, by its name, by an alias, or for one of its
    /// targets as `provider/model`. Another model of the table with the same target has its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redaction: Option<Stricter>,
}

/// A target as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The provider's name.
    pub provider: String,
    /// The model's name at the provider; the name of the model by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Its part of the requests, in relation to the others' (strategy `weighted`).
    #[serde(default = "one")]
    pub weight: u32,
    /// When it is considered; absent: always.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub when: Option<When>,
    /// Parameters that every request to it has, whatever the caller says.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub params: BTreeMap<String, serde_json::Value>,
    /// Highest values of numeric parameters; a caller's higher one is lowered.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub caps: BTreeMap<String, serde_json::Number>,
    /// Headers of requests to it.
    #[serde(default)]
    pub headers: TargetHeaders,
    /// Whether it may be tried after another target has failed.
    #[serde(default = "yes")]
    pub fallback: bool,
    /// Whether the provider receives the trace context: on by default for private hosts, off
    /// for public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagate: Option<bool>,
}

/// Headers of requests to a target as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TargetHeaders {
    /// Headers that are set, by lowercase name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub set: BTreeMap<String, String>,
    /// Headers of the caller's that do not go on, by lowercase name.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub remove: Vec<String>,
}

/// Retries on the same target as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// How often a target is tried in all, from 1 to 5.
    pub attempts: u32,
    /// The statuses after which it is tried again; by default those that mean "not now".
    pub on: Vec<u16>,
    /// The pause before another attempt, which doubles with each up to ten times as much, with
    /// jitter; 25ms by default. A pause of at most 2 s that the provider asks for goes before it, rounded up
    /// to whole seconds (`retry-after-ms`, `retry-after` in seconds or as a date, `retryDelay` of a Gemini
    /// error). After a longer one, after one for which no time is left, and after `x-should-retry: false`
    /// this target is not tried again; another one may be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backoff: Option<Duration>,
}

/// The statuses that mean "not now": of HTTP's, of Cloudflare's (520 to 524), which stands before many
/// providers, and Anthropic's 529, "overloaded".
const NOT_NOW: [u16; 13] = [408, 425, 429, 500, 502, 503, 504, 520, 521, 522, 523, 524, 529];
/// The statuses after which another target may do what this one does not: other keys, other models.
const NOT_HERE: [u16; 3] = [401, 403, 404];

impl Default for Retry {
    fn default() -> Self {
        Self { attempts: 1, on: NOT_NOW.to_vec(), backoff: None }
    }
}

/// Fallback to the next target as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Fallback {
    /// The statuses after which the next target is tried; by default those that mean "not now" or "not
    /// here". One that cannot be reached, breaks off before its response begins, or is too late with its first token
    /// or fails before it (`timeouts.first_token`) is always followed by the next.
    pub on: Vec<u16>,
}

impl Default for Fallback {
    fn default() -> Self {
        Self { on: [&NOT_HERE[..], &NOT_NOW].concat() }
    }
}

/// Time limits as written; absent: the gateway's own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// Longest wait of a stream for its first token; then the next target is tried. So it is where the stream
    /// begins with an error, and where nothing comes or something that is no response of the API, whatever the
    /// status; the last target's response goes to the caller as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Duration>,
    /// Longest time for the whole request, all attempts included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub request: Option<Duration>,
}

/// Identity from jwt_authn's dynamic metadata as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Jwt {
    /// The key under which jwt_authn leaves the token's payload (`payload_in_metadata`).
    pub payload: String,
    /// The claim that names the user.
    #[serde(default = "sub")]
    pub user_claim: String,
    /// The claim that names the team; absent: none does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub team_claim: Option<String>,
    /// Patterns of the models that holders of a token may use; absent: every model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// What holders of a token may use beyond calls for those models, of a provider that grants the same.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Feature>,
}

/// Caps as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body, such as `10MiB` (the default).
    pub request_body: ByteSize,
    /// Largest response in one piece, and largest event of a stream, that is searched before it is returned
    /// (`redaction.returned`), or in which values are restored (`redaction.forwarded.restore`), such as
    /// `10MiB` (the default).
    pub response_body: ByteSize,
    /// Most memory that a worker may use for all requests in progress together, such as `256MiB` (the default):
    /// bodies while they are rewritten, events and values that are held, captured content
    /// (`trace.capture_budget` is a part of it), and events on their way to the exporter. At its end further
    /// requests are refused with 503, and a stream that needs more ends with an error.
    pub memory_budget: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            request_body: ByteSize(10 << 20),
            response_body: ByteSize(10 << 20),
            memory_budget: ByteSize(256 << 20),
        }
    }
}

/// Tracing as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Trace {
    /// The part of all traces that is sent, from 0 to 1; decided by the trace id.
    pub sample: f64,
    /// What is sent whatever `sample` says: `error`, `slow>10s`.
    pub always_keep: Vec<AlwaysKeep>,
    /// Whether the sampled flag of a caller's traceparent decides in place of `sample`.
    pub follow_caller: bool,
    /// How much is captured of a request's content, and as much again of its response's.
    pub capture_limit: ByteSize,
    /// How much content the requests that are under way may hold together, for each worker. Beyond it
    /// they are traced without.
    pub capture_budget: ByteSize,
}

impl Default for Trace {
    fn default() -> Self {
        Self {
            sample: 1.0,
            always_keep: vec![AlwaysKeep::Error],
            follow_caller: false,
            capture_limit: ByteSize(64 << 10),
            capture_budget: ByteSize(32 << 20),
        }
    }
}

/// The way to the exporter as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Exporter {
    /// The Envoy cluster that leads to its ingest. It must not carry this filter.
    pub cluster: String,
    /// The value of `:authority` for calls to it.
    pub authority: String,
    /// The token that it demands, where this filter is to send it; absent: nothing does, or Envoy itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub token: Option<TokenSource>,
}

/// Where the exporter's token is. Never the token itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TokenSource {
    /// An environment variable of Envoy's process that the plugin's VM may read.
    pub env: String,
}

fn yes() -> bool {
    true
}

fn one() -> u32 {
    1
}

fn sub() -> String {
    "sub".to_owned()
}
