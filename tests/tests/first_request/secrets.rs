//! Keys and content: seen where they are needed, and nowhere else.

use serde_json::json;
use weir_tests::{
    callers::client::Trace,
    fakes::provider::Answer,
    stack::{CALLER_KEY, OTLP_KEY, Options, PROVIDER_KEY, canary, question},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_key_stands_in_a_log_in_envoys_configuration_or_in_a_span() {
    let mut stack = Options::default().with("access_log: stdout").start().await;
    stack.traced_chat().await;
    // Requests that go wrong are those that are logged.
    stack.send("{").await;
    let trace = Trace::new();
    let request = stack.request(&trace, question().to_string()).header("x-api-key", CALLER_KEY);
    request.send().await.expect("an answer");
    stack.otlp.refuse_next(1, 503);
    stack.traced_chat().await;
    stack.provider.server.stop().await;
    let answered = stack.send(question().to_string()).await;
    stack.otlp.wait_for(&answered.trace).await;

    let answered = ("the answer".to_owned(), String::from_utf8_lossy(&answered.body).into_owned());
    canary::assert_nowhere(&mut stack, &[CALLER_KEY, PROVIDER_KEY, OTLP_KEY], vec![answered]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_stands_in_a_log_or_in_the_exported_bytes() {
    let asked = "canary-of-the-prompt-51c8";
    let mut stack = Options::default().with("access_log: stdout").start().await;
    let mut body = question();
    body["messages"][0]["content"] = json!(asked);
    body["stop"] = json!([asked]);
    body["user"] = json!(asked);
    body["metadata"] = json!({ asked: asked });
    let (plain, bad) = (body.to_string(), format!("{body},"));
    body["stream"] = json!(true);
    stack.send(plain).await;
    stack.send(bad).await;
    stack.provider.answers(Answer::stream("openai/chat_stream.sse"));
    let last = stack.send(body.to_string()).await;
    stack.otlp.wait_for(&last.trace).await;

    // The last two are what the provider's answers say.
    canary::assert_nowhere(&mut stack, &[asked, "Voilà", "très"], Vec::new()).await;
}
