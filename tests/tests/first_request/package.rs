//! The official `openai` package of Python, which is how most callers call.

use weir_tests::{
    callers::{client::Trace, python},
    fakes::provider::Answer,
    stack::{CALLER_KEY, Options, Stack, Upstream},
    telemetry::spans::named,
};

/// Runs one part of `python/openai_client.py` against the gateway.
async fn run(stack: &Stack, part: &str) -> Trace {
    let trace = Trace::new();
    let (url, parent) = (stack.url("/v1"), trace.parent());
    let env = [("OPENAI_BASE_URL", &*url), ("OPENAI_API_KEY", CALLER_KEY), ("TRACEPARENT", &parent)];
    python::run("openai_client.py", &[part], &env).await;
    trace
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_makes_a_call_a_stream_and_sees_an_error() {
    let stack = Stack::start().await;
    let trace = run(&stack, "call").await;
    let spans = stack.otlp.wait_for(&trace).await;
    assert_eq!(named(&spans, "chat gpt-4o").attribute("gen_ai.usage.input_tokens"), 19);

    stack.provider.answers_once(Answer::stream("openai/chat_stream.sse"));
    let trace = run(&stack, "stream").await;
    let spans = stack.otlp.wait_for(&trace).await;
    named(&spans, "stream");
    assert_eq!(named(&spans, "chat gpt-4o").attribute("gen_ai.usage.output_tokens"), 11);

    let trace = run(&stack, "unknown_model").await;
    let spans = stack.otlp.wait_for(&trace).await;
    assert_eq!(named(&spans, "POST /v1/chat/completions").attribute("http.response.status_code"), 404);

    run(&stack, "models").await;
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_sends_forms_and_uses_what_is_granted() {
    let upstream = Upstream::openai("openai", "/v1").settings("grants: [stored, files]");
    let stack = Options::default().upstreams([upstream]).start().await;
    stack.provider.answers(Answer::text(r#"{"text":"A weir.","id":"x","object":"x"}"#));
    run(&stack, "forms").await;
    run(&stack, "granted").await;
    let seen: Vec<String> = stack
        .provider
        .take()
        .iter()
        .map(|received| format!("{} {}", received.method, received.path))
        .collect();
    let expected = [
        "POST /v1/audio/transcriptions",
        "POST /v1/audio/translations",
        "POST /v1/images/edits",
        "POST /v1/images/variations",
        "POST /v1/files",
        "DELETE /v1/files/file-1",
        "GET /v1/responses/resp_1",
        "POST /v1/responses",
    ];
    assert_eq!(seen, expected);
    stack.assert_vm_is_well().await;
}
