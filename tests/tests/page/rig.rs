//! An exporter with its page, between a real nats-server and a fake backend, and a program that asks the page.

use std::ffi::OsString;

use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use weir_tests::{
    callers::client,
    fakes::otlp::Endpoint,
    stack::{
        exporter::{Exporter, Options},
        nats::Nats,
    },
    system::wait,
};

/// A token that is long enough.
pub const TOKEN: &str = "page-token-canary-8c21d0";

/// A key to seal secrets with.
pub const SEALING: &str = "ZmFrZSBzZWFsaW5nIGtleSBvZiAzMiBieXRlcyEhISE=";

/// NATS, the exporter, and where its one destination leads.
pub struct Rig {
    pub exporter: Exporter,
    pub backend: Endpoint,
    _nats: Nats,
}

impl Rig {
    /// Starts one with these variables besides; its destination is called `otlp`.
    pub async fn start(variables: &[(&str, &str)]) -> Self {
        let (nats, backend) = (Nats::start().await.expect("NATS"), Endpoint::counting().await);
        let mut env: Vec<(String, OsString)> = vec![
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT".to_owned(), backend.url().into()),
            ("OTEL_METRICS_EXPORTER".to_owned(), "none".into()),
        ];
        env.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.into())));
        let options = Options { env: &env, ..Options::default() };
        let exporter = Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"));
        Self { exporter, backend, _nats: nats }
    }

    /// A request to the page, as a program sends it.
    pub fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        client::http()
            .request(method, self.exporter.page(path))
            .header("x-weir-page", "1")
            .header("content-type", "application/json")
    }

    /// What the page answers.
    pub async fn get(&self, path: &str) -> Value {
        json_of(self.ask(Method::GET, path)).await
    }

    /// Waits until what the page answers passes.
    pub async fn wait_for(&self, path: &str, passes: impl Fn(&Value) -> bool) -> Value {
        let mut last = Value::Null;
        for _ in 0..wait::DEADLINE.as_millis() / 50 {
            last = self.get(path).await;
            if passes(&last) {
                return last;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("{path} stays {last:#}")
    }
}

/// The JSON that answers a request, which must be a success.
pub async fn json_of(request: RequestBuilder) -> Value {
    let answer = request.send().await.expect("an answer");
    let status = answer.status();
    let body = answer.bytes().await.expect("a body");
    assert!(status.is_success(), "{status} {}", String::from_utf8_lossy(&body));
    serde_json::from_slice(&body).unwrap_or_default()
}

/// The status that answers a request.
pub async fn status_of(request: RequestBuilder) -> u16 {
    request.send().await.expect("an answer").status().as_u16()
}

/// A destination's settings that lead to a backend.
pub fn settings(endpoint: &str) -> Value {
    json!({ "type": "otlp", "endpoint": endpoint, "metrics": false })
}
