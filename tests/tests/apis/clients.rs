//! The official Python packages of the providers, which is how most callers call: through the gateway
//! each sees its provider's answer whole, and the span's tokens are the library's view of usage.

use serde_json::{Map, Value, json};
use weir_tests::{
    callers::{client::Trace, python},
    fakes::{fixtures, provider::Answer},
    stack::{CALLER_KEY, Options, Upstream},
    telemetry::spans::{self, Span},
};

/// A call of a package, and the fixture that answers it.
type Case = (&'static str, &'static str);

const OPENAI: [Case; 27] = [
    ("chat", "openai/chat.json"),
    ("chat", "openai/chat_tools_parallel.json"),
    ("chat", "openai/chat_n2.json"),
    ("chat", "openai/chat_refusal.json"),
    ("chat", "openai/chat_cached.json"),
    ("chat", "openai/chat_reasoning_content.json"),
    ("chat", "openai/error_400.json"),
    ("chat", "openai/error_429.json"),
    ("chat_stream", "openai/chat_stream.sse"),
    ("chat_stream", "openai/chat_stream_tools_parallel.sse"),
    ("chat_stream", "openai/chat_stream_n2.sse"),
    ("chat_stream", "openai/chat_stream_refusal.sse"),
    ("chat_stream", "openai/vllm_chat_stream.sse"),
    ("chat_stream", "openai/chat_stream_error.sse"),
    ("responses", "openai/responses.json"),
    ("responses", "openai/responses_tools.json"),
    ("responses_stream", "openai/responses_stream.sse"),
    ("responses_stream", "openai/responses_stream_tools.sse"),
    ("responses_stream", "openai/responses_stream_incomplete.sse"),
    ("completions", "openai/completions.json"),
    ("embeddings", "openai/embeddings_base64.json"),
    ("images", "openai/images.json"),
    ("images_stream", "openai/images_stream.sse"),
    ("speech", "openai/speech.mp3"),
    ("transcription", "openai/transcription.json"),
    ("transcription_stream", "openai/transcription_stream.sse"),
    ("moderations", "openai/moderations.json"),
];

const ANTHROPIC: [Case; 9] = [
    ("messages", "anthropic/message.json"),
    ("messages", "anthropic/message_tools.json"),
    ("messages", "anthropic/error_400.json"),
    ("messages", "anthropic/error_529.json"),
    ("messages_stream", "anthropic/message_stream.sse"),
    ("messages_stream", "anthropic/message_stream_tools.sse"),
    ("messages_stream", "anthropic/message_stream_search.sse"),
    ("messages_stream", "anthropic/message_stream_error.sse"),
    ("count_tokens", "anthropic/count_tokens.json"),
];

const GEMINI: [Case; 11] = [
    ("generate_content", "gemini/generate.json"),
    ("generate_content", "gemini/generate_thoughts.json"),
    ("generate_content", "gemini/generate_tools.json"),
    ("generate_content", "gemini/generate_blocked.json"),
    ("generate_content", "gemini/error_429.json"),
    ("generate_content_stream", "gemini/stream.sse"),
    ("generate_content_stream", "gemini/stream_thoughts.sse"),
    ("generate_content_stream", "gemini/stream_tools.sse"),
    ("generate_content_stream", "gemini/stream_error.sse"),
    ("count_tokens", "gemini/count_tokens.json"),
    ("embed_content", "gemini/batch_embed.json"),
];

/// What the scripts print of an output; what a fixture has beside these, they leave out.
const OUTPUT: [&str; 4] = ["text", "refusal", "reasoning", "tool_calls"];

/// The attributes of a span that hold what a library calls by these names.
const TOKENS: [(&str, &str); 5] = [
    ("input_tokens", "gen_ai.usage.input_tokens"),
    ("output_tokens", "gen_ai.usage.output_tokens"),
    ("cache_read_tokens", "gen_ai.usage.cache_read.input_tokens"),
    ("cache_write_tokens", "gen_ai.usage.cache_creation.input_tokens"),
    ("reasoning_tokens", "gen_ai.usage.reasoning.output_tokens"),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_openai_package_and_the_span_agree_on_every_answer() {
    agree(openai(), "gpt-4o", "calls/openai_calls.py", &OPENAI, "").await;
}

/// Nothing is found in the fixtures, so each library must see what it would without the search.
#[tokio::test(flavor = "multi_thread")]
async fn every_package_sees_every_answer_whole_that_is_searched_on_its_way() {
    const MASKED: &str =
        "redaction: { exported: { content: keep }, returned: { action: mask, on_unreadable: pass } }";
    agree(openai(), "gpt-4o", "calls/openai_calls.py", &OPENAI, MASKED).await;
    let anthropic = Upstream::new("anthropic", "anthropic", "");
    agree(anthropic, "claude-sonnet-4-5", "calls/anthropic_calls.py", &ANTHROPIC, MASKED).await;
    let gemini = Upstream::new("gemini", "gemini", "");
    agree(gemini, "gemini-2.5-flash", "calls/genai_calls.py", &GEMINI, MASKED).await;
}

fn openai() -> Upstream {
    Upstream::openai("openai", "/v1")
}

#[tokio::test(flavor = "multi_thread")]
async fn the_anthropic_package_and_the_span_agree_on_every_answer() {
    agree(
        Upstream::new("anthropic", "anthropic", ""),
        "claude-sonnet-4-5",
        "calls/anthropic_calls.py",
        &ANTHROPIC,
        "",
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_google_genai_package_and_the_span_agree_on_every_answer() {
    agree(Upstream::new("gemini", "gemini", ""), "gemini-2.5-flash", "calls/genai_calls.py", &GEMINI, "")
        .await;
}

/// Runs the script once for all the cases, and compares what its library saw with what the provider
/// said, and the spans with what the library saw.
async fn agree(upstream: Upstream, model: &str, script: &str, cases: &[Case], more: &str) {
    let models = format!("{{ {model}: {{ targets: [{{ provider: {} }}] }} }}", upstream.name());
    let stack = Options::default().upstreams([upstream]).models(&models).with(more).start().await;
    let traces: Vec<Trace> = cases.iter().map(|_| Trace::new()).collect();
    let mut arguments = Vec::new();
    for ((call, fixture), trace) in cases.iter().zip(&traces) {
        stack.provider.answers_once(Answer::fixture(fixture));
        arguments.push(format!("{call}={}", trace.parent()));
    }
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let url = stack.url("");
    let printed =
        python::run(script, &arguments, &[("GATEWAY_URL", &url), ("GATEWAY_KEY", CALLER_KEY)]).await;
    let seen: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(seen.len(), cases.len(), "{printed}");
    assert_eq!(stack.provider.count(), cases.len(), "one request for each call");

    let expected = fixtures::expected();
    let mut wrong = Vec::new();
    for (((call, fixture), trace), seen) in cases.iter().zip(&traces).zip(&seen) {
        let case = format!("{call} answered by {fixture}");
        let said = &expected[*fixture];
        wrong.extend(
            unlike(said, fixture, seen).into_iter().map(|what| format!("{case}: the library saw {what}")),
        );
        let all = stack.otlp.wait_for(trace).await;
        wrong
            .extend(untold(said, seen, &all).into_iter().map(|what| format!("{case}: the span says {what}")));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    stack.assert_vm_is_well().await;
}

/// Where what the library saw is not what the provider said.
fn unlike(said: &Value, fixture: &str, seen: &Value) -> Vec<String> {
    let mut said = said.clone();
    for output in said["outputs"].as_array_mut().expect("a list") {
        let output = output.as_object_mut().expect("an object");
        output.retain(|key, _| OUTPUT.contains(&key.as_str()));
    }
    let mut seen = seen.clone();
    for value in [&mut said, &mut seen] {
        parse_arguments(value);
    }
    if fixture.ends_with(".mp3") {
        let hex: String = fixtures::bytes(fixture).iter().map(|byte| format!("{byte:02x}")).collect();
        said["hex"] = json!(hex);
    }
    let facts = ["id", "model", "finish_reasons", "usage", "outputs", "error_type", "status"];
    let more = ["counted", "dimensions", "hex", "failed"];
    facts
        .into_iter()
        .chain(more)
        .filter(|fact| seen[fact] != said[fact])
        .map(|fact| format!("{fact} {}, not {}", seen[fact], said[fact]))
        .collect()
}

/// Libraries parse the arguments of tool calls, and print them with other spaces.
fn parse_arguments(value: &mut Value) {
    let calls = value["outputs"].as_array_mut().into_iter().flatten();
    for call in calls.filter_map(|output| output["tool_calls"].as_array_mut()).flatten() {
        let arguments = call["arguments"].as_str().expect("a text");
        call["arguments"] = serde_json::from_str(arguments).expect(arguments);
    }
}

/// Where the span of the operation is not what the library saw.
fn untold(said: &Value, seen: &Value, all: &[Span]) -> Vec<String> {
    let operation =
        spans::only(all, "the operation", |span| span.attributes.contains_key("gen_ai.operation.name"));
    let mut told = Map::new();
    let mut expected = Map::new();
    if seen["usage"].is_object() {
        for (name, attribute) in TOKENS {
            told.insert(attribute.to_owned(), operation.attribute(attribute).clone());
            expected.insert(attribute.to_owned(), seen["usage"][name].clone());
        }
        // Of a stream that broke off a library has what was said at its beginning, and the span what was seen.
        if let Some(tokens) = said.get("seen_output_tokens") {
            expected.insert("gen_ai.usage.output_tokens".to_owned(), tokens.clone());
        }
    }
    for (name, attribute) in [
        ("id", "gen_ai.response.id"),
        ("model", "gen_ai.response.model"),
        ("finish_reasons", "gen_ai.response.finish_reasons"),
        ("error_type", "error.type"),
    ] {
        told.insert(attribute.to_owned(), operation.attribute(attribute).clone());
        let nothing = seen[name] == json!([]);
        expected.insert(attribute.to_owned(), if nothing { Value::Null } else { seen[name].clone() });
    }
    // A prompt that was blocked has no answer that could finish: the span says why in its place.
    if let Some(reason) = said.get("block_reason") {
        expected.insert("gen_ai.response.finish_reasons".to_owned(), json!([reason]));
    }
    told.into_iter()
        .filter(|(attribute, told)| expected[attribute] != *told)
        .map(|(attribute, told)| format!("{attribute} {told}, not {}", expected[&attribute]))
        .collect()
}
