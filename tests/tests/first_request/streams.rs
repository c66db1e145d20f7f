//! Streams: forwarded byte for byte however they come, read on the way, and told how they ended.

use std::time::Duration;

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use serde_json::json;
use weir_tests::{
    callers::client::Trace,
    fakes::{fixtures, provider::Answer},
    stack::{Stack, question},
    system::wait,
    telemetry::spans::named,
};

const FIXTURE: &str = "openai/chat_stream.sse";

fn streaming_question() -> String {
    let mut body = question();
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    body.to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_reaches_the_caller_unchanged_and_its_trace_has_usage_and_times_however_it_is_cut() {
    let stack = Stack::start().await;
    let whole = || Answer::stream(FIXTURE);
    let answers = [whole(), whole().in_pieces_of(1000), whole().in_pieces_of(97), whole().in_pieces_of(13)];
    for answer in answers {
        stack.provider.answers_once(answer);
        let answered = stack.send(streaming_question()).await;
        assert_eq!(answered.status, 200);
        assert_eq!(answered.headers["content-type"], "text/event-stream; charset=utf-8");
        assert_eq!(answered.body, fixtures::bytes(FIXTURE));

        let all = stack.otlp.wait_for(&answered.trace).await;
        let chat = named(&all, "chat gpt-4o");
        for (key, expected) in [
            ("gen_ai.request.stream", json!(true)),
            ("gen_ai.response.id", json!("chatcmpl-BKx7Qm2yTz0vRq5nWc3LhPdE8sJfA")),
            ("gen_ai.response.model", json!("gpt-4o-2024-11-20")),
            ("gen_ai.response.finish_reasons", json!(["stop"])),
            ("gen_ai.usage.input_tokens", json!(21)),
            ("gen_ai.usage.output_tokens", json!(11)),
        ] {
            assert_eq!(chat.attribute(key), &expected, "{key} of {}", json!(chat.attributes));
        }
        let seconds = chat.attribute("gen_ai.response.time_to_first_chunk").as_f64().expect("a time");
        assert!(seconds > 0.0 && seconds < 30.0, "{seconds}");
        let stream = named(&all, "stream");
        assert_eq!((stream.kind, &stream.parent_id), (SpanKind::Internal, &chat.span_id));
        assert!(chat.start_ns <= stream.start_ns && stream.end_ns <= chat.end_ns);
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_by_another_name_is_read_too_and_what_the_gateway_asked_for_is_taken_out_of_it() {
    let stack = Stack::start().await;
    let chunk = |rest: &str| format!("data: {{\"id\":\"c1\",\"model\":\"gpt-4o\",\"choices\":[{rest}}}\n\n");
    let said = chunk(r#"{"index":0,"delta":{"content":"At the pier."},"finish_reason":"stop"}]"#);
    let usage = chunk(r#"],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}"#);
    let mut question = question();
    question["stream"] = json!(true);
    for (content_type, before, size) in [
        ("text/plain; charset=utf-8", "", 1000),
        ("application/octet-stream", "\n\n", 2),
        ("application/x-ndjson", "\u{feff}", 1),
        ("application/json", ": wait\n\n", 3),
    ] {
        let answer = Answer::text(format!("{before}{said}{usage}data: [DONE]\n\n")).called(content_type);
        stack.provider.answers_once(answer.in_pieces_of(size));
        let answered = stack.send(question.to_string()).await;
        let right = format!("{before}{said}data: [DONE]\n\n");
        assert_eq!(String::from_utf8_lossy(&answered.body), right, "{content_type}");
        let all = stack.otlp.wait_for(&answered.trace).await;
        let chat = named(&all, "chat gpt-4o");
        assert_eq!(chat.attribute("gen_ai.usage.output_tokens"), 5, "{content_type}");
        assert_eq!(chat.attribute("gen_ai.response.model"), "gpt-4o", "{content_type}");
        named(&all, "stream");
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_forwarded_as_it_comes() {
    let stack = Stack::start().await;
    stack.provider.answers(Answer::stream(FIXTURE).holding_after(700));
    let mut response = stack.request(&Trace::new(), streaming_question()).send().await.expect("headers");
    let mut body = Vec::new();
    // The provider sends no more until it is released, so this ends only if nothing is held back.
    while body.len() < 700 {
        body.extend(response.chunk().await.expect("a piece").expect("more"));
    }
    stack.provider.release();
    while let Some(piece) = response.chunk().await.expect("a piece") {
        body.extend(piece);
    }
    assert_eq!(body, fixtures::bytes(FIXTURE));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_without_usage_or_with_tool_calls_is_read_as_far_as_it_goes() {
    let stack = Stack::start().await;
    stack.provider.answers_once(Answer::stream("openai/chat_stream_plain.sse"));
    let answered = stack.send(streaming_question()).await;
    let all = stack.otlp.wait_for(&answered.trace).await;
    let chat = named(&all, "chat gpt-4o");
    assert_eq!(chat.attribute("gen_ai.response.finish_reasons"), &json!(["stop"]));
    assert_eq!(chat.attribute("weir.usage.source"), "estimated", "from characters, where nobody tells");
    assert_eq!(chat.attribute("gen_ai.usage.output_tokens"), 9);

    stack.provider.answers_once(Answer::stream("openai/chat_stream_tools.sse"));
    let answered = stack.send(streaming_question()).await;
    let all = stack.otlp.wait_for(&answered.trace).await;
    let chat = named(&all, "chat gpt-4o");
    assert_eq!(chat.attribute("gen_ai.response.finish_reasons"), &json!(["tool_calls"]));
    assert_eq!(chat.attribute("gen_ai.usage.output_tokens"), 17);
    named(&all, "stream");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_in_mid_stream_is_told_as_such() {
    let stack = Stack::start().await;
    stack.provider.answers(Answer::stream(FIXTURE).holding_after(1500));
    let trace = Trace::new();
    let mut response = stack.request(&trace, streaming_question()).send().await.expect("headers");
    response.chunk().await.expect("a piece").expect("more");
    drop(response);
    let all = stack.otlp.wait_for(&trace).await;
    let server = named(&all, "POST /v1/chat/completions");
    assert!(
        all.iter().any(|span| span.attributes.values().any(|value| value == "client_disconnected")),
        "{}",
        weir_tests::telemetry::spans::outline(&all),
    );
    assert_eq!(server.attribute("http.response.status_code"), 200);
    stack.provider.release();
    stack.provider.answers(Answer::stream(FIXTURE));
    assert_eq!(stack.send(streaming_question()).await.body, fixtures::bytes(FIXTURE));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_breaks_off_in_mid_stream_is_told_as_such() {
    let stack = Stack::start().await;
    let answer = Answer::stream(FIXTURE).pausing(Duration::from_millis(5)).breaking_after(1500);
    stack.provider.answers_once(answer);
    let trace = Trace::new();
    let mut response = stack.request(&trace, streaming_question()).send().await.expect("headers");
    let mut body = Vec::new();
    while let Ok(Some(piece)) = response.chunk().await {
        body.extend(piece);
    }
    assert_eq!(body.len(), 1500, "what the provider sent, and no more");
    assert!(fixtures::bytes(FIXTURE).starts_with(&body));
    let all = stack.otlp.wait_for(&trace).await;
    assert!(
        all.iter().any(|span| span.attributes.values().any(|value| value == "upstream_reset")),
        "{}",
        weir_tests::telemetry::spans::outline(&all),
    );
    assert_eq!(named(&all, "chat gpt-4o").status, StatusCode::Error);
    stack.chat().await;
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_streams_at_once_each_get_their_own_answer_and_trace() {
    let stack = Stack::start().await;
    stack.provider.answers(Answer::stream(FIXTURE).in_pieces_of(251));
    let (first, second, third) = tokio::join!(
        futures_util::future::join_all((0..20).map(|_| stack.send(streaming_question()))),
        futures_util::future::join_all((0..20).map(|_| stack.send("{}"))),
        futures_util::future::join_all((0..20).map(|_| stack.send(streaming_question()))),
    );
    for answered in first.iter().chain(&third) {
        assert_eq!(answered.body, fixtures::bytes(FIXTURE));
        named(&stack.otlp.wait_for(&answered.trace).await, "stream");
    }
    assert!(second.iter().all(|answered| answered.status == 400));
    wait::until("every trace", || {
        stack.otlp.spans().iter().filter(|span| span.kind == SpanKind::Server).count() == 60
    })
    .await;
    stack.assert_vm_is_well().await;
}
