//! Usage on every ending: one event each, with what is known and where it comes from.

use serde_json::{Value, json};
use weir_tests::{
    callers::client::Trace,
    fakes::{fixtures, provider::Answer},
    stack::{Options, Stack, Upstream},
    telemetry::spans::{Span, named},
};

const MODELS: &str =
    "{ gpt-4o: { targets: [{ provider: openai }] }, claude: { targets: [{ provider: anthropic }] } }";

async fn stack() -> Stack {
    let upstreams = [Upstream::openai("openai", "/v1"), Upstream::new("anthropic", "anthropic", "")];
    Options::default().upstreams(upstreams).models(MODELS).start().await
}

fn chat() -> Value {
    json!({ "model": "gpt-4o", "stream": true, "messages": [{ "role": "user", "content": "What is a weir?" }] })
}

/// What the trace says of the ending, and of usage: source, input, output.
fn reported(all: &[Span], operation: &str) -> (Value, Value, Value, Value) {
    let servers = all.iter().filter(|span| span.parent_id.is_empty() || span.name.starts_with("POST /"));
    assert_eq!(servers.count(), 1, "one event");
    let ending = all.iter().find_map(|span| span.attributes.get("weir.ending")).cloned();
    let chat = named(all, operation);
    let of = |key: &str| chat.attribute(key).clone();
    (
        ending.unwrap_or_default(),
        of("weir.usage.source"),
        of("gen_ai.usage.input_tokens"),
        of("gen_ai.usage.output_tokens"),
    )
}

/// Asks for a stream and goes away once so many bytes are here.
async fn go_away(stack: &Stack, path: &str, body: Value, after: usize) -> Vec<Span> {
    let trace = Trace::new();
    let mut response = stack.post(path, &trace, body.to_string()).send().await.expect("headers");
    let mut received = 0;
    while received < after {
        received += response.chunk().await.expect("a piece").expect("more").len();
    }
    drop(response);
    stack.otlp.wait_for(&trace).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_that_goes_away_before_usage_is_told_leaves_an_estimate() {
    let stack = stack().await;
    stack.provider.answers(Answer::stream("openai/chat_stream.sse").holding_after(1500));
    let all = go_away(&stack, "/v1/chat/completions", chat(), 1000).await;
    let (ending, source, input, output) = reported(&all, "chat gpt-4o");
    assert_eq!((ending, source), (json!("client_disconnected"), json!("estimated")));
    // "What is a weir?", "user" and "gpt-4o".
    assert_eq!(input, json!(7));
    assert!(output.as_u64().expect("a figure") > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_resets_in_mid_stream_leaves_what_it_told_as_partial() {
    let stack = stack().await;
    let start = "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"msg_1\",\"model\":\"claude\",\"usage\":{\"input_tokens\":25,\"cache_read_input_tokens\":5,\"output_tokens\":1}}}\n\n";
    let text = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"A weir\"}}\n\n";
    let stream = format!("{start}{text}{text}");
    let length = start.len() + text.len();
    stack.other("anthropic").answers(Answer::events(stream).breaking_after(length));
    let body = json!({ "model": "claude", "max_tokens": 9, "stream": true, "messages": [] });
    let trace = Trace::new();
    let mut response = stack.post("/v1/messages", &trace, body.to_string()).send().await.expect("headers");
    while let Ok(Some(_)) = response.chunk().await {}
    let all = stack.otlp.wait_for(&trace).await;
    // The beginning says one token; "A weir", of which more came, is two.
    let expected = (json!("upstream_reset"), json!("partial"), json!(30), json!(2));
    assert_eq!(reported(&all, "chat claude"), expected);
}

#[tokio::test(flavor = "multi_thread")]
async fn usage_that_the_caller_did_not_ask_for_is_in_the_trace_and_not_in_its_stream() {
    let stack = stack().await;
    let with = String::from_utf8(fixtures::bytes("openai/chat_stream.sse").to_vec()).expect("text");
    let usage = with.split_inclusive("\n\n").find(|event| event.contains("\"choices\":[]")).expect("usage");
    let without = with.replace(usage, "").replace(",\"usage\":null", "");
    for pieces in [1000, 97, 13] {
        stack.provider.answers_once(Answer::stream("openai/chat_stream.sse").in_pieces_of(pieces));
        let answered = stack.send(chat().to_string()).await;
        assert_eq!(String::from_utf8_lossy(&answered.body), without, "pieces of {pieces}");
        let all = stack.otlp.wait_for(&answered.trace).await;
        assert_eq!(
            reported(&all, "chat gpt-4o"),
            (json!("completed"), json!("provider"), json!(21), json!(11))
        );
    }
    let asked = stack.provider.last().await;
    let asked: Value = serde_json::from_slice(&asked.body).expect("JSON");
    assert_eq!(asked["stream_options"], json!({ "include_usage": true }));
    stack.assert_vm_is_well().await;
}
