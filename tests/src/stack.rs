//! Weir whole: nats-server, exporter and Envoy, between a fake provider and a fake OTLP endpoint.
//!
//! Every stack is on ports of its own and shares nothing with another, so tests run side by side.
//! Each component can be stopped and started again. When a test fails, the end of every log is
//! printed.

#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr, reason = "tests fail by panicking")]

use std::{ffi::OsString, net::SocketAddr, time::Duration};

use serde_json::{Value, json};

use crate::{
    client::{self, Trace},
    envoy::{Addresses, Envoy},
    exporter::Exporter,
    nats::Nats,
    otlp::Endpoint,
    process::Process,
    provider::Provider,
    spans::{self, Span},
};

/// The key by which Envoy speaks to the provider.
pub const PROVIDER_KEY: &str = "sk-provider-canary-6f1d";

/// The key by which the exporter speaks to the OTLP endpoint.
pub const OTLP_KEY: &str = "mw-otlp-canary-93ab";

/// The key that callers send.
pub const CALLER_KEY: &str = "sk-caller-canary-2c7e";

/// The addresses that a gateway.yaml is written with.
#[derive(Clone, Debug)]
pub struct Wiring {
    /// Where the gateway listens.
    pub gateway: Addresses,
    /// Where the fake provider listens.
    pub provider: SocketAddr,
    /// The URL of the exporter's ingest.
    pub exporter: String,
}

/// Writes a gateway.yaml.
type Render = Box<dyn Fn(&Wiring) -> String>;

/// What a stack is started with.
pub struct Options {
    models: String,
    limits: String,
    provider_path: String,
    yaml: Option<Render>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            models: "{ gpt-4o: { targets: [{ provider: openai, model: gpt-4o-2024-11-20 }] } }".to_owned(),
            limits: "{}".to_owned(),
            provider_path: "/v1".to_owned(),
            yaml: None,
        }
    }
}

impl Options {
    /// With this model table, in YAML; the provider's name is `openai`.
    #[must_use]
    pub fn models(self, models: &str) -> Self {
        Self { models: models.to_owned(), ..self }
    }

    /// With these limits, in YAML.
    #[must_use]
    pub fn limits(self, limits: &str) -> Self {
        Self { limits: limits.to_owned(), ..self }
    }

    /// With this path in the provider's URL.
    #[must_use]
    pub fn provider_path(self, path: &str) -> Self {
        Self { provider_path: path.to_owned(), ..self }
    }

    /// With another gateway.yaml altogether.
    #[must_use]
    pub fn yaml(self, yaml: impl Fn(&Wiring) -> String + 'static) -> Self {
        Self { yaml: Some(Box::new(yaml)), ..self }
    }

    fn render(&self, wiring: &Wiring) -> String {
        if let Some(yaml) = &self.yaml {
            return yaml(wiring);
        }
        let Wiring { gateway, provider, exporter } = wiring;
        let Self { models, limits, provider_path, .. } = self;
        format!(
            "listen: {}\n\
             admin: {}\n\
             providers:\n\
             \x20 openai: {{ api: openai, url: \"http://{provider}{provider_path}\", key: {{ env: WEIR_TEST_KEY }} }}\n\
             models: {models}\n\
             limits: {limits}\n\
             exporter: {{ url: \"{exporter}\" }}\n",
            gateway.listen, gateway.admin,
        )
    }

    /// Starts the stack.
    ///
    /// # Panics
    /// When a component does not come up.
    pub async fn start(self) -> Stack {
        let (provider, otlp) = (Provider::start().await, Endpoint::start().await);
        let nats = Nats::start().await.unwrap_or_else(|error| panic!("{error}"));
        let exporter_env = [
            ("MW_API_KEY".to_owned(), OsString::from(OTLP_KEY)),
            ("MW_TARGET".to_owned(), format!("http://{}", otlp.address()).into()),
        ];
        let exporter = Exporter::start(&nats.url(), &exporter_env, false).await;
        let exporter = exporter.unwrap_or_else(|error| panic!("{error}"));
        let envoy_env = [("WEIR_TEST_KEY".to_owned(), OsString::from(PROVIDER_KEY))];
        let yaml = |gateway| {
            self.render(&Wiring { gateway, provider: provider.address(), exporter: exporter.url() })
        };
        let envoy = Envoy::start(None, &envoy_env, yaml).await.unwrap_or_else(|error| panic!("{error}"));
        Stack { envoy, exporter, nats, otlp, provider }
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
    /// The provider.
    pub provider: Provider,
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
    /// The body as JSON.
    ///
    /// # Panics
    /// When it is not.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("not JSON: {self:?}"))
    }
}

impl Stack {
    /// Starts one with what most tests need: the model `gpt-4o`, which the provider knows as
    /// `gpt-4o-2024-11-20`.
    ///
    /// # Panics
    /// When a component does not come up.
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

    /// A chat request as an ordinary client sends it, under a trace of its own.
    pub fn request(&self, trace: &Trace, body: impl Into<reqwest::Body>) -> reqwest::RequestBuilder {
        client::http()
            .post(self.url("/v1/chat/completions"))
            .header("content-type", "application/json")
            .bearer_auth(CALLER_KEY)
            .header("traceparent", trace.parent())
            .body(body)
    }

    /// Sends a chat request with this body, as it is, and reads the answer whole.
    ///
    /// # Panics
    /// When no answer comes, or it breaks off.
    pub async fn send(&self, body: impl Into<reqwest::Body>) -> Answered {
        let trace = Trace::new();
        let response = self.request(&trace, body).send().await.expect("an answer");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        Answered { trace, status, headers, body: response.bytes().await.expect("the whole body") }
    }

    /// Sends an ordinary chat request that works, and checks that it did.
    ///
    /// # Panics
    /// When it did not.
    pub async fn chat(&self) -> Answered {
        let answered = self.send(question().to_string()).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        answered
    }

    /// Sends an ordinary chat request and waits for its trace.
    ///
    /// # Panics
    /// When either does not come.
    pub async fn traced_chat(&self) -> (Answered, Vec<Span>) {
        let answered = self.chat().await;
        let spans = self.otlp.wait_for(&answered.trace).await;
        (answered, spans)
    }

    /// A page of Envoy's admin interface.
    ///
    /// # Panics
    /// When it does not come.
    pub async fn admin(&self, path: &str) -> String {
        let url = format!("http://{}{path}", self.envoy.addresses.admin);
        let response = client::http().get(url).send().await.expect("an answer of the admin interface");
        response.text().await.expect("text")
    }

    /// Fails when a wasm VM has trapped or a filter could not be made.
    ///
    /// # Panics
    /// Then.
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
            eprintln!("--- the provider received {} requests", self.provider.received().len());
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
        let wiring = Wiring { gateway, provider, exporter: "http://127.0.0.1:4319".to_owned() };
        let yaml = Options::default().limits("{ request_body: 64KiB }").render(&wiring);
        weir_config::Gateway::parse(&yaml).expect(&yaml);
    }
}
