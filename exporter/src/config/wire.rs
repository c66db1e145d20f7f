//! exporter.yaml as it is written. Every field is optional, an unknown one is refused.
//!
//! What a value must be beside the others is checked when it becomes [`crate::app::settings::Settings`].

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use weir_settings::{Size, Time};

use crate::process::logging::LogFormat;
pub use crate::secret::SecretRef;

/// The exporter, as written in exporter.yaml.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// Where the gateway posts batches of events.
    pub ingest: Ingest,
    /// Health, metrics and the ledger.
    pub admin: Admin,
    /// The page: settings, health and traces to look at. Served by a process that ships.
    pub page: Page,
    /// How NATS is reached.
    pub nats: Nats,
    /// The stream that events are stored in.
    pub stream: Stream,
    /// The service that spans belong to; `weir-gateway` by default.
    pub service_name: Option<String>,
    /// Attributes of the resource that all spans and metrics belong to, whatever a gateway or the environment says.
    pub resource: BTreeMap<String, String>,
    /// Whether the exporter's host, container and Kubernetes attributes are looked up (default: true): for its metrics,
    /// and for spans of gateways that do not say where they run.
    pub detect_resource: Option<bool>,
    /// How events are put together for one POST, where a destination does not say.
    pub batch: Batch,
    /// How long failures wait, where a destination does not say.
    pub retry: Retry,
    /// A YAML file of what tokens cost, by model, laid over the prices that come with the exporter. Read anew at
    /// every reload.
    pub prices: Option<PathBuf>,
    /// Where spans go, by name. Absent: what the environment says (MW_*, OTEL_EXPORTER_OTLP_*), else
    /// standard output.
    pub destinations: Option<BTreeMap<String, Destination>>,
    /// Settings that are made on the page and stored in NATS.
    pub settings: SavedSettings,
    /// What a log line looks like.
    pub log_format: Option<LogFormat>,
}

/// Settings that are made on the page and stored in NATS.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SavedSettings {
    /// Whether there are any (default: true). Where there are none, this file and the environment say everything.
    pub enabled: Option<bool>,
    /// What secrets are sealed with: 32 random bytes in base64, as `weir-exporter settings-key new` makes them;
    /// several, each on its own line, where the first seals and all open. Absent: WEIR_SETTINGS_KEY; where
    /// that is not set either, no secret can be saved.
    pub key: Option<SecretRef>,
    /// Whether what is entered on the page may be sent to this machine's loopback addresses (default: where the page
    /// listens on loopback and `page.hosts` is empty). Never to the exporter's own ports and Envoy's admin ports.
    pub loopback: Option<bool>,
    /// Whether destinations of the page are reached by the proxy that the environment names (default: false). The
    /// proxy looks names up itself, so it has to refuse what the page's users are not to reach.
    pub proxy_from_environment: Option<bool>,
}

/// Where the gateway posts batches of events.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Ingest {
    /// Address and port (default: 127.0.0.1:4319).
    pub listen: Option<SocketAddr>,
    /// A Unix socket to listen on besides; needs no token.
    pub socket: Option<PathBuf>,
    /// What callers must present as `Authorization: Bearer`; needed unless `listen` is loopback.
    pub token: Option<SecretRef>,
    /// TLS on `listen`.
    pub tls: Option<ServerTls>,
    /// The largest body of a batch (default: 8MiB).
    pub max_body: Option<Size>,
    /// Events of a batch (default: 4096).
    pub max_events: Option<u32>,
    /// Bytes of batches in handling at once; more are refused with 503 (default: 64MiB).
    pub max_in_flight: Option<Size>,
    /// Batches a second; more are refused with 503 (default: no limit).
    pub max_batches_per_second: Option<u32>,
    /// Connections open at once (default: 1024).
    pub max_connections: Option<u32>,
    /// About how many sources' ledgers are open; the one unheard of for longest is closed into the sums (default: 1024).
    pub max_sources: Option<u32>,
}

/// A listener's certificate.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ServerTls {
    /// Certificate chain, a PEM file.
    pub certificate: PathBuf,
    /// Its private key, a PEM file.
    pub key: PathBuf,
    /// Certificates of those whose clients are let in, a PEM file; absent: no client certificate is asked for.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// Health, metrics and the ledger.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Admin {
    /// Address and port (default: 127.0.0.1:4320).
    pub listen: Option<SocketAddr>,
}

/// The page: settings, health and traces to look at.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Page {
    /// Address and port (default: 127.0.0.1:4321), or `off`.
    pub listen: Option<PageListen>,
    /// What is asked for at the login; needed unless `listen` is loopback and `hosts` is empty. From 16 to 512
    /// visible ASCII characters.
    pub token: Option<SecretRef>,
    /// Names by which browsers reach it, such as `weir.example.com`, beside `localhost` and addresses. Under any
    /// other name every request is refused.
    pub hosts: Vec<String>,
    /// TLS on `listen`.
    pub tls: Option<ServerTls>,
    /// How many of the latest requests it holds to be looked at, up to 10000; 0: none (default: 1000).
    pub traces: Option<u32>,
    /// How many bytes these may have in memory (default: 32MiB).
    pub traces_bytes: Option<Size>,
    /// Where a trace is found elsewhere: by a label, a URL with `{trace_id}` in it.
    pub links: BTreeMap<String, String>,
}

/// Where the page is served.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(with = "String")]
pub enum PageListen {
    /// Nowhere.
    Off,
    /// At this address and port.
    At(SocketAddr),
}

/// How NATS is reached. At most one of `credentials`, `nkey`, `token` and `user`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Nats {
    /// Servers, separated by commas (default: nats://127.0.0.1:4222).
    pub url: Option<String>,
    /// A credentials file (`nsc generate creds`).
    pub credentials: Option<PathBuf>,
    /// An nkey's seed.
    pub nkey: Option<SecretRef>,
    /// A token.
    pub token: Option<SecretRef>,
    /// A user's name; needs `password`.
    pub user: Option<String>,
    /// The user's password.
    pub password: Option<SecretRef>,
    /// TLS; absent: only where the server asks for it.
    pub tls: Option<ClientTls>,
}

/// Whom to trust, and who we are.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ClientTls {
    /// Certificates to trust instead of the system's, a PEM file.
    pub ca: Option<PathBuf>,
    /// Our certificate chain, a PEM file; needs `key`.
    pub certificate: Option<PathBuf>,
    /// Its private key, a PEM file.
    pub key: Option<PathBuf>,
}

/// The stream that events are stored in.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Stream {
    /// How many bytes it may hold (default: 10GiB).
    pub max_bytes: Option<Size>,
    /// How long it stores an event at most (default: 72h).
    pub max_age: Option<Time>,
    /// How long it stores an event that every destination has (default: 15m).
    pub keep: Option<Time>,
    /// Within this time a repeated event is recognised (default: 10m).
    pub duplicate_window: Option<Time>,
    /// How many NATS servers keep a copy, from 1 to 5 (default: 1).
    pub replicas: Option<u8>,
    /// What happens when it is full.
    pub when_full: Option<WhenFull>,
}

/// What happens when the stream is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenFull {
    /// The oldest events make room, and are counted as evicted for each destination that had not had them.
    #[default]
    DropOldest,
    /// New batches are refused with 503, and stay with their senders.
    Refuse,
}

/// How events are put together for one POST.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Batch {
    /// At most this many events, from 1 to 4096 (default: 512).
    pub events: Option<u32>,
    /// At most this many bytes before compression, one event excepted (default: 2MiB).
    pub bytes: Option<Size>,
    /// How long a batch waits for more events (default: 200ms).
    pub delay: Option<Time>,
}

/// How long failures wait.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// The first pause after a passing failure; each is twice the one before, with jitter (default: 200ms).
    pub first: Option<Time>,
    /// The longest pause (default: 30s).
    pub longest: Option<Time>,
    /// The pause while a refusal stands that someone must mend (default: 30s).
    pub slow: Option<Time>,
    /// Whether statuses that the OTLP specification calls final (500, 501, 505 and above) are retried
    /// (default: true). Otherwise such a batch counts as refused, as after a 400.
    pub server_errors: Option<bool>,
}

/// What a destination is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Middleware: a tenant and a key are enough.
    Middleware,
    /// Any OTLP endpoint.
    Otlp,
    /// Standard output, one tree a trace.
    Console,
    /// A file of OTLP JSON lines.
    File,
}

/// How OTLP travels.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
pub enum Protocol {
    /// HTTP with binary protobuf.
    #[default]
    #[serde(rename = "http/protobuf")]
    HttpProtobuf,
    /// HTTP with JSON.
    #[serde(rename = "http/json")]
    HttpJson,
    /// gRPC.
    #[serde(rename = "grpc")]
    Grpc,
}

impl Protocol {
    /// As it is written.
    pub fn name(self) -> &'static str {
        match self {
            Self::HttpProtobuf => "http/protobuf",
            Self::HttpJson => "http/json",
            Self::Grpc => "grpc",
        }
    }
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compression {
    /// By gzip.
    #[default]
    Gzip,
    /// Not at all.
    None,
}

/// Further names that spans carry their facts by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Overlay {
    /// OpenInference (`openinference.span.kind`, `llm.*`, `input.value` …).
    Openinference,
    /// TrueFoundry's names (`tfy.*`).
    Tfy,
}

/// Where spans go.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// What it is.
    #[serde(rename = "type")]
    pub kind: Kind,
    /// middleware: the first part of your Middleware address; absent: MW_TENANT.
    #[serde(default)]
    pub tenant: Option<String>,
    /// middleware: your key; absent: MW_API_KEY.
    #[serde(default)]
    pub key: Option<SecretRef>,
    /// middleware: what `X-Trace-Source` says (default: openinference, with its overlay).
    #[serde(default)]
    pub trace_source: Option<String>,
    /// otlp: where to post, used as it is; absent: OTEL_EXPORTER_OTLP_*. middleware: a base URL in place of
    /// the tenant's.
    #[serde(default)]
    pub endpoint: Option<String>,
    /// otlp: how (default: http/protobuf).
    #[serde(default)]
    pub protocol: Option<Protocol>,
    /// otlp, middleware: headers that go with every POST.
    #[serde(default)]
    pub headers: BTreeMap<String, Header>,
    /// otlp, middleware: how bodies are compressed (default: gzip).
    #[serde(default)]
    pub compression: Option<Compression>,
    /// otlp, middleware: how long one POST may take, response included (default: 10s).
    #[serde(default)]
    pub timeout: Option<Time>,
    /// otlp, middleware: whom to trust, and who we are.
    #[serde(default)]
    pub tls: Option<ClientTls>,
    /// otlp, middleware: whether HTTPS_PROXY, HTTP_PROXY and NO_PROXY are followed (default: true; on the page as
    /// `settings.proxy_from_environment` says). gRPC goes through HTTP proxies by CONNECT.
    #[serde(default)]
    pub proxy_from_environment: Option<bool>,
    /// otlp, middleware: where metrics are pushed, used as it is, or `false` for nowhere. Absent: beside the
    /// traces, where an endpoint ends in `v1/traces` or speaks gRPC.
    #[serde(default)]
    pub metrics: Option<Metrics>,
    /// file: its path.
    #[serde(default)]
    pub path: Option<PathBuf>,
    /// file: how large it may grow before it is rotated (default: 100MiB).
    #[serde(default)]
    pub max_bytes: Option<Size>,
    /// file: how many files are retained, the current one included (default: 5).
    #[serde(default)]
    pub max_files: Option<u32>,
    /// Whether every carrier of content (prompts, completions, tool calls, error texts) is left out.
    #[serde(default)]
    pub exclude_request_data: bool,
    /// Searches content by an external recognizer before it goes there.
    #[serde(default)]
    pub recognizer: Option<Recognizer>,
    /// Further names that spans carry their facts by.
    #[serde(default)]
    pub overlays: Option<Vec<Overlay>>,
    /// The longest value of a span's attribute in characters; absent: OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT, else
    /// no limit.
    #[serde(default)]
    pub value_limit: Option<u32>,
    /// Which events go there; the others are counted as filtered. Absent: all.
    #[serde(default)]
    pub when: Option<When>,
    /// Further attributes of the resource.
    #[serde(default)]
    pub resource: BTreeMap<String, String>,
    /// How events are put together for one POST.
    #[serde(default)]
    pub batch: Batch,
    /// How long failures wait.
    #[serde(default)]
    pub retry: Retry,
    /// How many POSTs may be under way at once, from 1 to 32 (default: 4; console and file: always 1).
    #[serde(default)]
    pub concurrency: Option<u32>,
}

/// An external recognizer: finds in content what no pattern does, such as names of persons and places. It speaks
/// Presidio analyzer's HTTP API.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recognizer {
    /// Its URL; without a path, `/analyze` is asked.
    pub url: String,
    /// The language of the texts (default: en).
    #[serde(default)]
    pub language: Option<String>,
    /// What is looked for, such as PERSON and LOCATION (default: all that it knows).
    #[serde(default)]
    pub entities: Vec<String>,
    /// The lowest score that counts, from 0 to 1 (default: 0.5).
    #[serde(default)]
    pub score: Option<f64>,
    /// How long one request may take (default: 10s).
    #[serde(default)]
    pub timeout: Option<Time>,
    /// What becomes of events while it does not answer.
    #[serde(default)]
    pub when_away: WhenAway,
}

/// What becomes of events while their content cannot be searched.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum WhenAway {
    /// They wait in the stream until it answers.
    #[default]
    Wait,
    /// They go without their content.
    ExcludeContent,
}

/// Where metrics are pushed.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Metrics {
    /// There, by the destination's protocol, with its headers.
    Url(String),
    /// Nowhere: only `false` says so.
    Off(#[schemars(extend("const" = false))] bool),
}

/// Which events a destination gets: all that is named must hold. Names may have `*` in them.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct When {
    /// The caller's metadata, by key.
    pub metadata: BTreeMap<String, OneOrMany>,
    /// The model: requested, sent or reported in the response.
    pub model: Option<OneOrMany>,
    /// A provider that was tried, by its name in gateway.yaml.
    pub provider: Option<OneOrMany>,
    /// The name of the caller's key.
    pub key: Option<OneOrMany>,
    /// The status that the caller saw: `429`, or `5xx`.
    pub status: Option<OneOrMany>,
}

/// One text or several.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum OneOrMany {
    /// One.
    One(String),
    /// Any of several.
    Many(Vec<String>),
}

impl OneOrMany {
    /// All of them.
    pub fn all(&self) -> &[String] {
        match self {
            Self::One(text) => std::slice::from_ref(text),
            Self::Many(texts) => texts,
        }
    }
}

/// A header's value: a text, or where a secret one is found.
#[derive(Clone, PartialEq, Eq, JsonSchema)]
#[schemars(untagged)]
pub enum Header {
    /// A value that is no secret.
    Text(String),
    /// Where a secret value is found.
    Secret(SecretRef),
}
