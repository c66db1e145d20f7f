//! The official `openai` package of Python, which is how most callers call.

use std::{path::Path, process::Stdio};

use tokio::process::Command;
use weir_tests::{
    client::Trace,
    provider::Answer,
    spans::named,
    stack::{CALLER_KEY, Options, Stack, Upstream},
    tools, wait,
};

/// Runs one part of `python/openai_client.py` against the gateway.
async fn python(stack: &Stack, part: &str) -> Trace {
    let trace = Trace::new();
    let python = tools::openai_python().unwrap_or_else(|error| panic!("{error}"));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/openai_client.py");
    let running = Command::new(python)
        .arg("-B")
        .arg(script)
        .arg(part)
        .env("OPENAI_BASE_URL", stack.url("/v1"))
        .env("OPENAI_API_KEY", CALLER_KEY)
        .env("TRACEPARENT", trace.parent())
        .env_remove("HTTP_PROXY")
        .env_remove("http_proxy")
        .env_remove("ALL_PROXY")
        .env_remove("all_proxy")
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .output();
    let output = tokio::time::timeout(wait::DEADLINE, running).await.expect("it ends").expect("it starts");
    assert!(
        output.status.success(),
        "{part}: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    trace
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_makes_a_call_a_stream_and_sees_an_error() {
    let stack = Stack::start().await;
    let trace = python(&stack, "call").await;
    let spans = stack.otlp.wait_for(&trace).await;
    assert_eq!(named(&spans, "chat gpt-4o").attribute("gen_ai.usage.input_tokens"), 19);

    stack.provider.answers_once(Answer::stream("openai/chat_stream.sse"));
    let trace = python(&stack, "stream").await;
    let spans = stack.otlp.wait_for(&trace).await;
    named(&spans, "stream");
    assert_eq!(named(&spans, "chat gpt-4o").attribute("gen_ai.usage.output_tokens"), 11);

    let trace = python(&stack, "unknown_model").await;
    let spans = stack.otlp.wait_for(&trace).await;
    assert_eq!(named(&spans, "POST /v1/chat/completions").attribute("http.response.status_code"), 404);

    python(&stack, "models").await;
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_sends_forms_and_uses_what_is_granted() {
    let upstream = Upstream::openai("openai", "/v1").settings("grants: [stored, files]");
    let stack = Options::default().upstreams([upstream]).start().await;
    stack.provider.answers(Answer::text(r#"{"text":"A weir.","id":"x","object":"x"}"#));
    python(&stack, "forms").await;
    python(&stack, "granted").await;
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
