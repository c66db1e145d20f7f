//! Weir whole: nats-server, exporter and Envoy, between a fake provider and a fake OTLP endpoint.
//!
//! Every stack is on ports of its own and shares nothing with another, so tests run side by side.
//! Each component can be stopped and started again. When a test fails, the end of every log is
//! printed.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr,
    reason = "tests fail by panicking"
)]

pub mod canary;
pub mod envoy;
pub mod exporter;
pub mod nats;

use std::{collections::BTreeMap, ffi::OsString, net::SocketAddr, time::Duration};

use serde_json::{Value, json};

use crate::{
    callers::client::{self, Trace},
    fakes::{otlp::Endpoint, provider::Provider},
    stack::{
        envoy::{Addresses, Envoy, Kind},
        exporter::Exporter,
        nats::Nats,
    },
    system::process::Process,
    telemetry::spans::{self, Span},
};

/// The key by which Envoy speaks to the provider.
pub const PROVIDER_KEY: &str = "sk-provider-canary-6f1d";

/// The key by which the exporter speaks to the OTLP endpoint.
pub const OTLP_KEY: &str = "mw-otlp-canary-93ab";

/// The key that callers send.
pub const CALLER_KEY: &str = "sk-caller-canary-2c7e";

/// One fake provider of a stack.
#[derive(Clone, Debug)]
#[must_use]
pub struct Upstream {
    name: &'static str,
    api: &'static str,
    path: &'static str,
    settings: &'static str,
    key: String,
}

impl Upstream {
    /// One by this name that speaks this API, at this path. Its key is its own.
    pub fn new(name: &'static str, api: &'static str, path: &'static str) -> Self {
        Self { name, api, path, settings: "", key: format!("sk-canary-of-{name}-5b0e") }
    }

    /// One that speaks OpenAI's API, at a path of its own.
    pub fn openai(name: &'static str, path: &'static str) -> Self {
        Self::new(name, "openai", path)
    }

    /// With more fields, in YAML's flow style, such as `api_version: preview`.
    pub fn settings(self, settings: &'static str) -> Self {
        Self { settings, ..self }
    }

    /// Its name.
    pub fn name(&self) -> &'static str {
        self.name
    }

    /// Its key.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// The environment variable that holds the key of the provider at this place.
fn key_variable(place: usize) -> String {
    format!("WEIR_TEST_KEY_{place}")
}

/// The addresses that a gateway.yaml is written with.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Where the gateway listens.
    pub gateway: Addresses,
    /// Where the fake provider listens, the first one where there are several.
    pub provider: SocketAddr,
    /// Where each of the fake providers listens.
    pub providers: Vec<SocketAddr>,
    /// The URL of the exporter's ingest.
    pub exporter: String,
}

/// Writes a gateway.yaml.
type Render = Box<dyn Fn(&Wiring) -> String>;

/// What a stack is started with.
#[must_use]
pub struct Options {
    models: String,
    limits: String,
    upstreams: Vec<Upstream>,
    more: String,
    yaml: Option<Render>,
    exporter_env: Vec<(String, OsString)>,
    workers: usize,
    destination: bool,
    is_hot: bool,
    observing: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            models: "{ gpt-4o: { targets: [{ provider: openai, model: gpt-4o-2024-11-20 }] } }".to_owned(),
            limits: "{}".to_owned(),
            upstreams: vec![Upstream { key: PROVIDER_KEY.to_owned(), ..Upstream::openai("openai", "/v1") }],
            more: String::new(),
            yaml: None,
            exporter_env: Vec::new(),
            workers: 1,
            destination: true,
            is_hot: false,
            observing: None,
        }
    }
}

impl Options {
    /// With this model table, in YAML; the provider's name is `openai`, unless others are given.
    pub fn models(self, models: &str) -> Self {
        Self { models: models.to_owned(), ..self }
    }

    /// With these limits, in YAML.
    pub fn limits(self, limits: &str) -> Self {
        Self { limits: limits.to_owned(), ..self }
    }

    /// With this path in the URL of the first provider.
    pub fn provider_path(mut self, path: &'static str) -> Self {
        self.upstreams[0].path = path;
        self
    }

    /// With these providers instead of the usual one.
    pub fn upstreams(self, upstreams: impl Into<Vec<Upstream>>) -> Self {
        Self { upstreams: upstreams.into(), ..self }
    }

    /// With more top-level fields, in YAML.
    pub fn with(mut self, yaml: &str) -> Self {
        self.more.push_str(yaml);
        self.more.push('\n');
        self
    }

    /// With one more variable in the exporter's environment.
    pub fn exporter_env(mut self, name: &str, value: &str) -> Self {
        self.exporter_env.push((name.to_owned(), value.into()));
        self
    }

    /// With so many workers of Envoy.
    pub fn workers(self, workers: usize) -> Self {
        Self { workers, ..self }
    }

    /// Without a destination for the exporter: what it has is its own, the console.
    pub fn without_destination(self) -> Self {
        Self { destination: false, ..self }
    }

    /// With another gateway.yaml altogether.
    pub fn yaml(self, yaml: impl Fn(&Wiring) -> String + 'static) -> Self {
        Self { yaml: Some(Box::new(yaml)), ..self }
    }

    /// With an Envoy whose configuration can change while it runs.
    pub fn hot(self) -> Self {
        Self { is_hot: true, ..self }
    }

    /// With an Envoy that has one route, to the provider, and a filter that only observes. This token is what
    /// ingest demands, and what stands in Envoy's environment as `WEIR_INGEST_TOKEN`.
    pub fn observing(self, token: &str) -> Self {
        Self { observing: Some(token.to_owned()), ..self }.exporter_env("WEIR_INGEST_TOKEN", token)
    }

    fn render(&self, wiring: &Wiring) -> String {
        if let Some(yaml) = &self.yaml {
            return yaml(wiring);
        }
        let Wiring { gateway, providers, exporter, .. } = wiring;
        let Self { models, limits, upstreams, more, .. } = self;
        let providers: String = upstreams
            .iter()
            .zip(providers)
            .enumerate()
            .map(|(place, (upstream, address))| {
                let Upstream { name, api, path, settings, .. } = upstream;
                let key = key_variable(place);
                let settings = if settings.is_empty() { String::new() } else { format!(", {settings}") };
                format!("  {name}: {{ api: {api}, url: \"http://{address}{path}\", key: {{ env: {key} }}{settings} }}\n")
            })
            .collect();
        format!(
            "listen: {}\n\
             admin: {}\n\
             providers:\n{providers}\
             models: {models}\n\
             limits: {limits}\n\
             exporter: {{ url: \"{exporter}\" }}\n\
             {more}",
            gateway.listen, gateway.admin,
        )
    }

    /// Starts the stack.
    pub async fn start(self) -> Stack {
        let mut providers = Vec::new();
        for _ in &self.upstreams {
            providers.push(Provider::start().await);
        }
        let otlp = Endpoint::start().await;
        let nats = Nats::start().await.unwrap_or_else(|error| panic!("{error}"));
        let mut exporter_env = vec![
            ("MW_API_KEY".to_owned(), OsString::from(OTLP_KEY)),
            ("MW_TARGET".to_owned(), format!("http://{}", otlp.address()).into()),
        ];
        if !self.destination {
            exporter_env.clear();
        }
        exporter_env.extend(self.exporter_env.iter().cloned());
        let exporter = Exporter::start(&nats.url(), &exporter_env, false).await;
        let exporter = exporter.unwrap_or_else(|error| panic!("{error}"));
        let keys = self.upstreams.iter().enumerate();
        let mut envoy_env: Vec<(String, OsString)> =
            keys.map(|(place, upstream)| (key_variable(place), upstream.key().into())).collect();
        envoy_env.extend(self.observing.iter().map(|token| ("WEIR_INGEST_TOKEN".to_owned(), token.into())));
        let addresses: Vec<SocketAddr> = providers.iter().map(Provider::address).collect();
        let yaml = |gateway| {
            let (provider, providers) = (addresses[0], addresses.clone());
            self.render(&Wiring { gateway, provider, providers, exporter: exporter.url() })
        };
        let kind = match (self.is_hot, &self.observing) {
            (_, Some(_)) => Kind::Observing(addresses[0]),
            (true, None) => Kind::Hot,
            (false, None) => Kind::Whole,
        };
        let options = envoy::Options { env: &envoy_env, listen: None, workers: self.workers, kind };
        let envoy = Envoy::start(&options, yaml).await.unwrap_or_else(|error| panic!("{error}"));
        let provider = providers.remove(0);
        let others = self.upstreams.iter().skip(1).map(|upstream| upstream.name).zip(providers).collect();
        Stack { envoy, exporter, nats, otlp, provider, others }
    }
}

/// A running stack.
pub struct Stack {
    // Dropped in this order: a component before those it speaks to.
    /// Envoy with the filter.
    pub envoy: Envoy,
    /// The exporter.
    pub exporter: Exporter,
    /// NATS.
    pub nats: Nats,
    /// The OTLP endpoint.
    pub otlp: Endpoint,
    /// The provider, the first one where there are several.
    pub provider: Provider,
    others: BTreeMap<&'static str, Provider>,
}

/// An answer of the gateway, whole.
#[derive(Clone, Debug)]
pub struct Answered {
    /// The trace that the request belonged to.
    pub trace: Trace,
    /// The status.
    pub status: u16,
    /// Every header.
    pub headers: reqwest::header::HeaderMap,
    /// The body.
    pub body: bytes::Bytes,
}

impl Answered {
    /// Sends a request and reads the answer whole.
    pub async fn to(trace: Trace, request: reqwest::RequestBuilder) -> Self {
        let response = request.send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Self { trace, status, headers, body: response.bytes().await.expect("the whole body") }
    }

    /// A header as text; empty where there is none.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The body as JSON.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

impl Stack {
    /// Starts one with what most tests need: the model `gpt-4o`, which the provider knows as
    /// `gpt-4o-2024-11-20`.
    pub async fn start() -> Self {
        Options::default().start().await
    }

    /// The address for callers.
    pub fn address(&self) -> SocketAddr {
        self.envoy.addresses.listen
    }

    /// A URL of the gateway.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address())
    }

    /// A provider beside the first one, by its name.
    pub fn other(&self, name: &str) -> &Provider {
        self.others.get(name).unwrap_or_else(|| panic!("no other provider named {name}"))
    }

    /// A request without a credential.
    pub fn post(&self, path: &str, trace: &Trace, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        let request = client::http().post(self.url(path)).header("content-type", "application/json");
        request.header("traceparent", trace.parent()).body(body)
    }

    /// A chat request as an ordinary client sends it, under a trace of its own.
    pub fn request(&self, trace: &Trace, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        self.post("/v1/chat/completions", trace, body).bearer_auth(CALLER_KEY)
    }

    /// Sends a chat request with this body, as it is, and reads the answer whole.
    pub async fn send(&self, body: impl Into<reqwest::Body>) -> Answered {
        let trace = Trace::new();
        let request = self.request(&trace, body);
        Answered::to(trace, request).await
    }

    /// Sends an ordinary chat request that works, and checks that it did.
    pub async fn chat(&self) -> Answered {
        let answered = self.send(question().to_string()).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        answered
    }

    /// Sends an ordinary chat request and waits for its trace.
    pub async fn traced_chat(&self) -> (Answered, Vec<Span>) {
        let answered = self.chat().await;
        let spans = self.otlp.wait_for(&answered.trace).await;
        (answered, spans)
    }

    /// A page of Envoy's admin interface.
    pub async fn admin(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.envoy.addresses.admin);
        let response = client::http().get(url).send().await.expect("an answer of the admin interface");
        response.text().await.expect("text")
    }

    /// Fails when a wasm VM has trapped or a filter could not be made.
    pub async fn assert_vm_is_well(&self) {
        let stats = self.admin("/stats?filter=wasm").await;
        for line in stats.lines() {
            let failure = ["crash", "fail", "error", "vm_reload"].iter().any(|word| line.contains(word));
            assert!(!failure || line.ends_with(": 0"), "{line}\n{}", self.envoy.process.log_end());
        }
        let log = self.envoy.process.log();
        for sign in ["[critical]", "panicked", "Uncaught RuntimeError", "unreachable"] {
            assert!(!log.contains(sign), "{sign} in Envoy's log:\n{}", self.envoy.process.log_end());
        }
    }

    /// The processes.
    pub fn processes(&self) -> [&Process; 3] {
        [&self.envoy.process, &self.exporter.process, &self.nats.process]
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if std::thread::panicking() {
            // Nothing depends on it, but the trace of what went wrong may be on its way.
            std::thread::sleep(Duration::from_secs(1));
            eprintln!("--- the provider received {} requests", self.provider.count());
            for (name, provider) in &self.others {
                eprintln!("--- the provider {name} received {} requests", provider.count());
            }
            eprintln!("--- the spans that arrived:\n{}", spans::outline(&self.otlp.spans()));
            for process in self.processes() {
                eprintln!("--- the end of the log of {}:\n{}", process.name(), process.log_end());
            }
        }
    }
}

/// The body of an ordinary chat request.
pub fn question() -> Value {
    json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": "What is a weir?" }] })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_usual_gateway_is_valid() {
        let gateway = Addresses::free(None).expect("ports");
        let provider = SocketAddr::from(([127, 0, 0, 1], 9));
        let providers = vec![provider];
        let wiring = Wiring { gateway, provider, providers, exporter: "http://127.0.0.1:4319".to_owned() };
        let yaml = Options::default().limits("{ request_body: 64KiB }").render(&wiring);
        weir_config::Gateway::parse(&yaml).expect(&yaml);
    }
}
