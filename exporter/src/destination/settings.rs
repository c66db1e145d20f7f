//! A destination's settings as they are used.

use std::{fmt, path::PathBuf, sync::Arc, time::Duration};

use reqwest::{Url, header::HeaderMap};

use super::{guard::Guard, tls::ClientTls, when::When};
use crate::{
    config::{
        ConfigError,
        wire::{self, Compression, Protocol, WhenAway},
    },
    process::env::Env,
    spans::{ExportProfile, prices::Prices, resource::Resource},
};

/// Default timeout of one POST, response included.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// An OTLP endpoint and what goes with every POST to it.
#[derive(Clone, PartialEq)]
pub struct OtlpSettings {
    /// Where they are posted, whole; of gRPC, scheme, host and port.
    pub url: Url,
    /// How.
    pub protocol: Protocol,
    /// Sent with every POST; marked sensitive.
    pub headers: HeaderMap,
    /// How bodies are compressed.
    pub compression: Compression,
    /// How long one POST may take.
    pub timeout: Duration,
    /// Whom to trust, and who we are.
    pub tls: ClientTls,
    /// Whether the environment's proxy is used.
    pub proxy: bool,
    /// Whether a passing error of the server's own is retried where the specification says that it is final.
    pub retry_server_errors: bool,
    /// What is not connected to; nothing is left out where the configuration names it.
    pub guard: Option<Guard>,
}

impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values are marked sensitive, but a query may carry a key too.
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("OtlpSettings")
            .field("url", &shown(&self.url))
            .field("protocol", &self.protocol)
            .field("headers", &names)
            .finish_non_exhaustive()
    }
}

/// A file and how it is rotated.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileSettings {
    /// The current file; older ones have `.1`, `.2` … after it.
    pub path: PathBuf,
    /// How large it may grow.
    pub max_bytes: u64,
    /// How many files are retained.
    pub max_files: u32,
}

/// What a destination does with spans.
#[derive(Clone, Debug, PartialEq)]
pub enum Kind {
    /// Posts them.
    Otlp(Box<OtlpSettings>),
    /// Prints them.
    Console,
    /// Writes them to a file.
    File(FileSettings),
}

/// How events are put together for one POST.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BatchSettings {
    /// At most this many events.
    pub events: usize,
    /// At most this many bytes before compression, one event excepted.
    pub bytes: usize,
    /// How long a batch waits for more events.
    pub delay: Duration,
}

/// How long failures wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetrySettings {
    /// The first pause after a passing failure, at most.
    pub first: Duration,
    /// The longest.
    pub longest: Duration,
    /// The pause while a refusal stands.
    pub slow: Duration,
}

/// An external recognizer, and what is done with what it finds.
#[derive(Clone, Debug, PartialEq)]
pub struct RecognizerSettings {
    /// Where texts are posted.
    pub url: Url,
    /// The language of the texts, such as `en`.
    pub language: String,
    /// What is looked for; empty for all that it knows.
    pub entities: Vec<String>,
    /// The lowest score that counts, from 0 to 1.
    pub score: f64,
    /// How long one request may take.
    pub timeout: Duration,
    /// What becomes of events while it does not answer.
    pub when_away: WhenAway,
}

/// A destination as it is used.
#[derive(Clone, Debug, PartialEq)]
pub struct DestinationSettings {
    /// Its name: part of its consumer's name and the metrics' label.
    pub name: Arc<str>,
    /// What it does.
    pub kind: Kind,
    /// What its spans hold.
    pub profile: ExportProfile,
    /// By what its content is searched before.
    pub recognizer: Option<Box<RecognizerSettings>>,
    /// Where its metrics are pushed.
    pub metrics: Option<Box<OtlpSettings>>,
    /// Which events it gets.
    pub when: Option<When>,
    /// Attributes of the resource that its spans and metrics belong to.
    pub resource: Resource,
    /// How events are put together.
    pub batch: BatchSettings,
    /// How long failures wait.
    pub retry: RetrySettings,
    /// POSTs under way at once.
    pub concurrency: usize,
}

impl DestinationSettings {
    /// Where it leads, for people: no key, no query.
    pub fn target(&self) -> String {
        match &self.kind {
            Kind::Otlp(otlp) => shown(&otlp.url),
            Kind::Console => "standard output".to_owned(),
            Kind::File(file) => file.path.display().to_string(),
        }
    }
}

/// What a destination's settings are checked with.
pub(crate) struct Context<'a> {
    pub(crate) env: &'a Env,
    pub(crate) resource: &'a Resource,
    pub(crate) batch: &'a wire::Batch,
    pub(crate) retry: &'a wire::Retry,
    pub(crate) prices: &'a Arc<Prices>,
    /// The longest value of an attribute, where a destination does not say.
    pub(crate) value_limit: Option<u32>,
    /// What is not connected to.
    pub(crate) guard: Option<Guard>,
    /// Whether the environment's proxy is used, where a destination does not say.
    pub(crate) proxy: bool,
}

/// A URL for logs: scheme, host, port and path.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

pub(super) fn endpoint(path: &str, value: &str) -> Result<Url, ConfigError> {
    let refused =
        || ConfigError::at(path, "must be an http:// or https:// URL without user, password or fragment");
    let url = Url::parse(value.trim()).map_err(|_| refused())?;
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let http = matches!(url.scheme(), "http" | "https") && url.has_host();
    if plain && http { Ok(url) } else { Err(refused()) }
}

/// Path of OTLP/HTTP for traces (OpenTelemetry Protocol specification, "OTLP/HTTP Request").
pub(super) const TRACES_PATH: &str = "v1/traces";

/// The same for metrics.
pub(super) const METRICS_PATH: &str = "v1/metrics";

/// Appends a signal's path to a base URL's.
pub(super) fn with_path(mut url: Url, path: &str) -> Url {
    let path = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

/// Whether what is sent to this URL can be read on the way.
pub fn travels_in_the_clear(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !loopback
}
