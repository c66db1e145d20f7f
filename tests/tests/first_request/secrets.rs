//! Keys and content: seen where they are needed, and nowhere else.

use serde_json::json;
use weir_tests::{
    client::Trace,
    process::Stopped,
    provider::Answer,
    stack::{CALLER_KEY, OTLP_KEY, PROVIDER_KEY, Stack, question},
    wait,
};

#[tokio::test(flavor = "multi_thread")]
async fn no_key_stands_in_a_log_in_envoys_configuration_or_in_a_span() {
    let mut stack = Stack::start().await;
    stack.traced_chat().await;
    // Requests that go wrong are those that are logged.
    stack.send("{").await;
    let trace = Trace::new();
    let request = stack.request(&trace, question().to_string()).header("x-api-key", CALLER_KEY);
    request.send().await.expect("an answer");
    stack.otlp.refuse_next(1, 503);
    stack.traced_chat().await;
    stack.provider.server().stop().await;
    let answered = stack.send(question().to_string()).await;
    stack.otlp.wait_for(&answered.trace).await;

    let mut places = vec![("config_dump", stack.admin("/config_dump?include_eds").await)];
    places.push(("the answer", String::from_utf8_lossy(&answered.body).into_owned()));
    places.push((
        "the bootstrap",
        std::fs::read_to_string(stack.envoy.process.dir().join("envoy.yaml")).expect("it"),
    ));
    for received in stack.otlp.received() {
        places.push(("the exported bytes", String::from_utf8_lossy(&received.body).into_owned()));
    }
    for process in [&mut stack.envoy.process, &mut stack.exporter.process, &mut stack.nats.process] {
        assert!(
            matches!(process.stop(wait::DEADLINE).await, Ok(Stopped::Gracefully(_))),
            "{}",
            process.name()
        );
        places.push((process.name(), process.log()));
    }
    for (place, text) in places {
        assert!(!text.is_empty(), "{place} is empty");
        for key in [CALLER_KEY, PROVIDER_KEY, OTLP_KEY] {
            assert!(!text.contains(key), "{key} stands in {place}");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_content_stands_in_a_log_or_in_the_exported_bytes() {
    let asked = "canary-of-the-prompt-51c8";
    let mut stack = Stack::start().await;
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

    let mut places = Vec::new();
    for received in stack.otlp.received() {
        places.push(("the exported bytes", String::from_utf8_lossy(&received.body).into_owned()));
    }
    for process in [&mut stack.envoy.process, &mut stack.exporter.process, &mut stack.nats.process] {
        assert!(
            matches!(process.stop(wait::DEADLINE).await, Ok(Stopped::Gracefully(_))),
            "{}",
            process.name()
        );
        places.push((process.name(), process.log()));
    }
    // The last two are what the provider's answers say.
    for content in [asked, "Voilà", "très"] {
        for (place, text) in &places {
            assert!(!text.contains(content), "{content} stands in {place}");
        }
    }
}
