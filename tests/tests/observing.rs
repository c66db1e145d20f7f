//! Observe mode on a real Envoy with routes of its own, whose wasm filter cannot hold headers and which has no
//! upstream filter: requests pass as they are, what must not be sent is masked, and traces arrive.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use weir_tests::{
    callers::client::{self, Trace},
    fakes::provider::Answer,
    stack::{Answered, CALLER_KEY, Options, Stack, question},
    telemetry::spans::{Span, named},
};

/// The host that callers ask for.
const HOST: &str = "llm.example";
/// What ingest demands, and the filter sends.
const TOKEN: &str = "ingest-token-canary-8d1c";
/// Masks addresses on their way to the provider, and gives them back.
const MASK: &str = "redaction: { exported: { content: keep }, \
                    forwarded: { action: mask, detectors: [email], restore: true } }";

async fn stack(more: &str) -> Stack {
    let more = more.to_owned();
    let yaml = move |wiring: &weir_tests::stack::Wiring| {
        format!(
            "mode: observe\nproviders: {{ llm: {{ api: openai, url: \"https://{HOST}/v1\" }} }}\n\
             exporter: {{ url: \"{}\", token: {{ env: WEIR_INGEST_TOKEN }} }}\n{more}\n",
            wiring.exporter
        )
    };
    Options::default().observing(TOKEN).yaml(yaml).start().await
}

async fn chat(stack: &Stack, body: &Value) -> Answered {
    let trace = Trace::new();
    let request =
        stack.request(&trace, body.to_string()).header("host", HOST).header("accept-encoding", "gzip");
    Answered::to(trace, request).await
}

fn operation(spans: &[Span]) -> &Span {
    named(spans, "chat gpt-4o")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_envoy_that_can_hold_no_headers_lets_requests_pass_and_tells_model_and_tokens() {
    let stack = stack("").await;
    let answered = chat(&stack, &question()).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(answered.body, weir_tests::fakes::fixtures::bytes("openai/chat.json"));
    assert_eq!(answered.header("x-weir-model"), "llm/gpt-4o");
    let received = stack.provider.last().await;
    assert_eq!(received.body, question().to_string());
    assert_eq!(received.header("content-length"), Some(question().to_string().len().to_string().as_str()));
    assert_eq!(received.header("authorization"), Some(format!("Bearer {CALLER_KEY}").as_str()));
    assert_eq!((received.header("host"), received.header("accept-encoding")), (Some(HOST), None));
    assert_eq!(received.header("traceparent"), Some(answered.trace.parent().as_str()));
    let spans = stack.otlp.wait_for(&answered.trace).await;
    let chat = operation(&spans);
    assert_eq!(chat.attribute("gen_ai.request.model"), "gpt-4o");
    assert_eq!(chat.attribute("server.address"), HOST);
    assert!(chat.attribute("gen_ai.usage.input_tokens").as_i64() > Some(0));
    assert!(chat.attribute("gen_ai.usage.output_tokens").as_i64() > Some(0));
    assert!(!format!("{spans:?}").contains(CALLER_KEY));
    let log = stack.envoy.process.log();
    assert!(
        !log.contains(TOKEN) && !stack.admin("/config_dump").await.contains(TOKEN),
        "the token is nowhere"
    );
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_told_as_it_passes_and_a_body_larger_than_envoy_holds_passes_too() {
    let stack = stack("redaction: { exported: { content: keep } }").await;
    stack.provider.answers(Answer::stream("openai/chat_stream.sse"));
    let mut body = question();
    body["stream"] = json!(true);
    // More than the 1 MiB that Envoy's buffers hold: it is never held.
    body["messages"][0]["content"] = json!("weir ".repeat(400_000));
    let answered = chat(&stack, &body).await;
    assert_eq!(answered.body, weir_tests::fakes::fixtures::bytes("openai/chat_stream.sse"));
    assert_eq!(stack.provider.last().await.body.len(), body.to_string().len());
    let spans = stack.otlp.wait_for(&answered.trace).await;
    assert!(operation(&spans).attribute("gen_ai.usage.output_tokens").as_i64() > Some(0));
    assert!(spans.iter().any(|span| span.name == "stream"), "{spans:?}");
    assert!(
        operation(&spans).attribute("gen_ai.output.messages").as_str().is_some_and(|text| text.len() > 20)
    );
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_call_passes_and_is_not_traced() {
    let stack = stack("").await;
    stack.provider.answers(Answer::text("[]"));
    let http = client::http();
    for (method, path, host) in [
        ("GET", "/v1/models", HOST),
        ("GET", "/healthz", HOST),
        ("GET", "/v1/chat/completions", HOST),
        ("POST", "/v1/files", HOST),
        ("POST", "/v1/messages", "shop.example"),
    ] {
        let method = method.parse().expect("a method");
        let answer =
            http.request(method, stack.url(path)).header("host", host).send().await.expect("an answer");
        assert_eq!(answer.status(), 200, "{path}");
        assert!(answer.headers().get("x-weir-trace-id").is_none(), "{path}");
        assert_eq!(stack.provider.last().await.path, path);
    }
    // What comes after them is traced, and they are not.
    stack.provider.answers(Answer::json("openai/chat.json"));
    let answered = chat(&stack, &question()).await;
    stack.otlp.wait_for(&answered.trace).await;
    assert!(stack.otlp.spans().iter().all(|span| span.trace_id == answered.trace.trace_id));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_sent_is_masked_with_a_length_and_without_with_trailers_and_without() {
    let stack = stack(MASK).await;
    let echo = |received: &weir_tests::fakes::provider::Received| {
        let asked = serde_json::from_slice::<Value>(&received.body).unwrap_or_default();
        let said = asked["messages"][0]["content"].clone();
        let choices = json!([{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant", "content": said } }]);
        Answer::text(
            json!({ "id": "c", "model": "m", "choices": choices, "usage": { "prompt_tokens": 3,
            "completion_tokens": 4 } })
            .to_string(),
        )
    };
    stack.provider.answers_by(echo);
    let mut body = question();
    // The long one is searched slice by slice, and goes on from a timer.
    for times in [1, 10_000] {
        let asked = "Write to ann.canary@example.com, please.".repeat(times);
        body["messages"][0]["content"] = json!(asked);
        let answered = chat(&stack, &body).await;
        assert_eq!(answered.status, 200, "{answered:?}");
        let said = answered.json()["choices"][0]["message"]["content"].clone();
        assert!(said == asked, "given back to the caller");
        let received = stack.provider.last().await;
        assert!(received.body.windows(9).any(|bytes| bytes == b"[EMAIL_1]"));
        assert!(!received.body.windows(6).any(|bytes| bytes == b"canary"));
        assert_eq!(received.header("content-length"), None);
        assert_eq!(received.header("transfer-encoding"), Some("chunked"));
        let spans = stack.otlp.wait_for(&answered.trace).await;
        assert_eq!(operation(&spans).attribute("gen_ai.usage.output_tokens"), 4);

        // Trailers end the body, where it is held and where it is not.
        let text = body.to_string();
        let (first, rest) = text.split_at(10);
        let request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: {HOST}\r\nconnection: close\r\ncontent-type: application/json\r\n\
         transfer-encoding: chunked\r\ntrailer: x-checksum\r\n\r\n{:x}\r\n{}\r\n{:x}\r\n{}\r\n0\r\nx-checksum: abc\r\n\r\n",
            first.len(),
            first,
            rest.len(),
            rest,
        );
        let answer = client::raw(stack.address(), request.as_bytes()).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));
        assert!(!stack.provider.last().await.body.windows(6).any(|bytes| bytes == b"canary"));
    }

    // What cannot be searched is not sent, in the API's shape, and the next request is served.
    let refused =
        Answered::to(Trace::new(), stack.request(&Trace::new(), "not json").header("host", HOST)).await;
    assert_eq!((refused.status, &refused.json()["error"]["code"]), (400, &json!("content_unreadable")));
    assert_eq!(chat(&stack, &body).await.status, 200);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_providers_refusal_and_one_that_cannot_be_reached_are_told_as_they_were() {
    let stack = stack("").await;
    stack.provider.answers_once(Answer::error(401));
    let answered = chat(&stack, &question()).await;
    assert_eq!(answered.status, 401);
    let spans = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(named(&spans, "POST").attribute("http.response.status_code"), 401);
    stack.provider.answers_once(Answer::cut_off());
    let answered = chat(&stack, &question()).await;
    assert_eq!(answered.status, 503, "Envoy's own answer stays as it is");
    let spans = stack.otlp.wait_for(&answered.trace).await;
    assert!(!operation(&spans).attribute("error.type").is_null(), "{spans:?}");
    stack.assert_vm_is_well().await;
}
