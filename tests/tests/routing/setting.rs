//! What the tests of routing share: several providers, questions for a model, attempts as spans.

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use weir_tests::{
    callers::client::Trace,
    fakes::provider::Received,
    stack::{Answered, Options, Stack, Upstream},
    telemetry::spans::{self, Span},
};

/// Three providers that speak OpenAI's API, each at a path of its own.
pub fn three() -> [Upstream; 3] {
    [Upstream::openai("a", "/of-a/v1"), Upstream::openai("b", "/of-b/v1"), Upstream::openai("c", "/of-c/v1")]
}

/// A stack with those three and these models, in YAML.
pub async fn stack(models: &str) -> Stack {
    Options::default().upstreams(three()).models(models).start().await
}

/// The body of a chat request for a model.
pub fn chat(model: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": "What is a weir?" }] })
}

/// The same, as a stream that tells its usage, and so reaches the caller as it came.
pub fn stream(model: &str) -> Value {
    let mut body = chat(model);
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body
}

/// Sends a chat request for a model.
pub async fn ask(stack: &Stack, model: &str) -> Answered {
    stack.send(chat(model).to_string()).await
}

/// Sends a chat request for a model with one more header.
pub async fn ask_with(stack: &Stack, model: &str, name: &str, value: &str) -> Answered {
    let trace = Trace::new();
    let request = stack.request(&trace, chat(model).to_string()).header(name, value);
    Answered::to(trace, request).await
}

/// The body that a provider received, as JSON.
pub fn json_of(received: &Received) -> Value {
    serde_json::from_slice(&received.body).expect("JSON")
}

/// One attempt, as its span tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The provider's name.
    pub provider: String,
    /// The status; 0 where none came.
    pub status: u64,
    /// Whether the span is an error.
    pub failed: bool,
}

impl Attempt {
    /// One that brought this status.
    pub fn with(provider: &str, status: u64) -> Self {
        Self { provider: provider.to_owned(), status, failed: status == 0 || status >= 400 }
    }
}

/// The spans of a trace's attempts in order, checked to be siblings under the operation, numbered
/// from 1, and one after the other.
pub fn attempt_spans(all: &[Span]) -> Vec<Span> {
    let mut found: Vec<Span> = all.iter().filter(|span| span.name == "POST").cloned().collect();
    found.sort_by_key(|span| span.attribute("weir.attempt.number").as_u64());
    for (place, span) in found.iter().enumerate() {
        let outline = spans::outline(all);
        assert_eq!(span.kind, SpanKind::Client, "{outline}");
        assert_eq!(span.parent_id, found[0].parent_id, "{outline}");
        assert_eq!(span.attribute("weir.attempt.number"), place + 1, "{outline}");
        let resent = span.attribute("http.request.resend_count").as_u64().unwrap_or(0);
        assert_eq!(resent, place as u64, "{outline}");
        assert!(place == 0 || found[place - 1].end_ns <= span.start_ns, "{outline}");
        let has_type = span.attribute("error.type").is_string();
        assert_eq!(span.status == StatusCode::Error, has_type, "{outline}");
    }
    found
}

/// The attempts of a trace in order.
pub fn attempts(all: &[Span]) -> Vec<Attempt> {
    let attempt = |span: &Span| Attempt {
        provider: span.attribute("weir.provider").as_str().unwrap_or_default().to_owned(),
        status: span.attribute("http.response.status_code").as_u64().unwrap_or(0),
        failed: span.status == StatusCode::Error,
    };
    attempt_spans(all).iter().map(attempt).collect()
}

/// The SERVER span of a trace.
pub fn server(all: &[Span]) -> &Span {
    spans::only(all, "the SERVER span", |span| span.kind == SpanKind::Server)
}

/// The digest of a key, as gateway.yaml names it.
pub fn digest(key: &str) -> String {
    Sha256::digest(key).iter().map(|byte| format!("{byte:02x}")).collect()
}
