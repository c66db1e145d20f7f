//! What arrives at the OTLP endpoint, read from the bytes that arrived.

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use serde_json::json;
use weir_tests::{
    callers::client::Trace,
    fakes::{otlp::Received, provider::Answer},
    stack::{OTLP_KEY, Stack, question},
    telemetry::spans::{self, named},
};

fn header<'a>(received: &'a Received, name: &str) -> &'a str {
    received.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_is_exported_as_otlp_protobuf_with_the_raw_key() {
    let stack = Stack::start().await;
    stack.traced_chat().await;
    for received in stack.otlp.received() {
        assert_eq!((received.method.as_str(), received.path.as_str()), ("POST", "/v1/traces"));
        assert_eq!(header(&received, "content-type"), "application/x-protobuf");
        assert_eq!(header(&received, "content-encoding"), "gzip");
        assert_eq!(header(&received, "authorization"), OTLP_KEY);
        assert_ne!(received.raw, received.body);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_becomes_a_tree_of_spans_under_the_callers_own() {
    let stack = Stack::start().await;
    let trace = Trace::new();
    let request = stack.request(&trace, question().to_string()).header("tracestate", "vendor=abc,other=1");
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let all = stack.otlp.wait_for(&trace).await;

    let server = named(&all, "POST /v1/chat/completions");
    assert_eq!((server.kind, &server.parent_id), (SpanKind::Server, &trace.span_id));
    let resolve = named(&all, "resolve_model");
    assert_eq!((resolve.kind, &resolve.parent_id), (SpanKind::Internal, &server.span_id));
    let chat = named(&all, "chat gpt-4o");
    assert_eq!((chat.kind, &chat.parent_id), (SpanKind::Client, &server.span_id));
    let attempt = named(&all, "POST");
    assert_eq!((attempt.kind, &attempt.parent_id), (SpanKind::Client, &chat.span_id));
    assert_eq!(all.len(), 4, "{}", spans::outline(&all));

    for span in &all {
        assert_eq!(span.trace_state, "vendor=abc,other=1", "{}", span.name);
        assert_ne!(span.status, StatusCode::Error, "{}", span.name);
        assert!(server.start_ns <= span.start_ns && span.start_ns <= span.end_ns, "{}", span.name);
        assert!(span.end_ns <= server.end_ns, "{}", span.name);
        assert!(span.resource["service.name"].as_str().is_some_and(|name| !name.is_empty()));
    }
    assert_eq!(server.attribute("http.request.method"), "POST");
    assert_eq!(server.attribute("url.path"), "/v1/chat/completions");
    assert_eq!(server.attribute("http.response.status_code"), 200);
    assert_eq!(attempt.attribute("http.response.status_code"), 200);
    assert_eq!(attempt.attribute("server.address"), "127.0.0.1");
    assert_eq!(attempt.attribute("server.port"), stack.provider.address().port());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_chat_span_tells_model_tokens_and_finish_reason_by_the_genai_conventions() {
    let stack = Stack::start().await;
    let mut body = question();
    body["temperature"] = json!(0.25);
    body["max_completion_tokens"] = json!(64);
    let answered = stack.send(body.to_string()).await;
    let all = stack.otlp.wait_for(&answered.trace).await;
    let chat = named(&all, "chat gpt-4o");
    for (key, expected) in [
        ("gen_ai.operation.name", json!("chat")),
        ("gen_ai.provider.name", json!("openai")),
        ("gen_ai.request.model", json!("gpt-4o")),
        ("gen_ai.request.temperature", json!(0.25)),
        ("gen_ai.request.max_tokens", json!(64)),
        ("gen_ai.response.id", json!("chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT")),
        ("gen_ai.response.model", json!("gpt-4o-2024-11-20")),
        ("gen_ai.response.finish_reasons", json!(["stop"])),
        ("gen_ai.usage.input_tokens", json!(19)),
        ("gen_ai.usage.output_tokens", json!(14)),
        ("gen_ai.usage.cache_read.input_tokens", json!(4)),
        ("gen_ai.usage.reasoning.output_tokens", json!(3)),
    ] {
        assert_eq!(chat.attribute(key), &expected, "{key} of {}", json!(chat.attributes));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_without_a_valid_traceparent_starts_a_trace_of_its_own() {
    let stack = Stack::start().await;
    let trace = Trace::new();
    let invalid = format!("00-{}-{}-01", "0".repeat(32), trace.span_id);
    let request = stack.request(&trace, question().to_string()).header("traceparent", "");
    let mut request = request.build().expect("a request");
    request.headers_mut().insert("traceparent", invalid.parse().expect("a header"));
    let response = weir_tests::callers::client::http().execute(request).await.expect("an answer");
    assert_eq!(response.status(), 200);
    weir_tests::system::wait::until("the trace", || !stack.otlp.spans().is_empty()).await;
    let all = stack.otlp.spans();
    let server = named(&all, "POST /v1/chat/completions");
    assert_eq!(server.parent_id, "");
    assert_ne!(server.trace_id, "0".repeat(32));
    assert!(all.iter().all(|span| span.trace_id == server.trace_id));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_error_of_the_provider_reaches_the_caller_as_it_is_and_marks_the_spans() {
    let stack = Stack::start().await;
    stack.provider.answers(Answer::json("openai/error_429.json").status(429).header("retry-after", "1"));
    let answered = stack.send(question().to_string()).await;
    assert_eq!(answered.status, 429);
    assert_eq!(answered.body, weir_tests::fakes::fixtures::bytes("openai/error_429.json"));
    assert_eq!(answered.headers["retry-after"], "1");
    let all = stack.otlp.wait_for(&answered.trace).await;
    let chat = named(&all, "chat gpt-4o");
    assert_eq!(chat.status, StatusCode::Error);
    assert!(chat.attribute("error.type").is_string(), "{}", json!(chat.attributes));
    let attempt = named(&all, "POST");
    assert_eq!(attempt.status, StatusCode::Error);
    assert_eq!(attempt.attribute("http.response.status_code"), 429);
    assert_eq!(named(&all, "POST /v1/chat/completions").attribute("http.response.status_code"), 429);
}
