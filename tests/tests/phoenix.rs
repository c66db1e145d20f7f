//! Arize Phoenix, an OTLP backend that is not ours: it takes the export and shows, by its own reading
//! of it, which model was asked, what was said and what was used.
//!
//! Not part of `make test`: `make test-phoenix` installs Phoenix, starts it, and says by
//! `WEIR_PHOENIX` where it is.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{env, time::Duration};

use serde_json::{Value, json};
use weir_tests::{
    callers::client::{self, Trace},
    fakes::{fixtures, provider::Answer},
    stack::{Answered, CALLER_KEY, Options, Stack, Upstream},
    system::wait,
};

/// Phoenix inserts spans in its own time.
const DEADLINE: Duration = Duration::from_secs(60);

const QUESTION: &str = "What is a weir? Réponds en une ligne.";

/// A question to a model, and the fixture that answers it.
struct Case {
    path: &'static str,
    model: &'static str,
    fixture: &'static str,
}

const fn case(path: &'static str, model: &'static str, fixture: &'static str) -> Case {
    Case { path, model, fixture }
}

const CASES: [Case; 7] = [
    case("/v1/chat/completions", "gpt-4o", "openai/chat_stream.sse"),
    case("/v1/chat/completions", "gpt-4o", "openai/chat.json"),
    case("/v1/chat/completions", "gpt-4o", "openai/chat_stream_tools_parallel.sse"),
    case("/v1/responses", "gpt-4o", "openai/responses_stream_tools.sse"),
    case("/v1/messages", "claude-sonnet-4-5", "anthropic/message_stream_tools.sse"),
    case("/v1beta/models/gemini-2.5-flash:streamGenerateContent", "gemini-2.5-flash", "gemini/stream.json"),
    case("/v1/chat/completions", "gpt-4o", "openai/error_429.json"),
];

impl Case {
    fn question(&self, expected: &Value) -> Value {
        let messages = json!([{ "role": "system", "content": "Answer briefly." }, { "role": "user", "content": QUESTION }]);
        let mut body = json!({ "model": self.model, "stream": expected["stream"] });
        match self.path {
            "/v1/chat/completions" => body["messages"] = messages,
            "/v1/responses" => body["input"] = json!(QUESTION),
            "/v1/messages" => {
                body["messages"] = json!([{ "role": "user", "content": QUESTION }]);
                body["max_tokens"] = json!(256);
            }
            _ => body = json!({ "contents": [{ "role": "user", "parts": [{ "text": QUESTION }] }] }),
        }
        body
    }
}

async fn stack(destination: &[(&str, &str)]) -> Stack {
    let upstreams = [
        Upstream::openai("openai", "/v1"),
        Upstream::new("anthropic", "anthropic", ""),
        Upstream::new("gemini", "gemini", ""),
    ];
    let models = "{ gpt-4o: { targets: [{ provider: openai }] }, \
                    claude-sonnet-4-5: { targets: [{ provider: anthropic }] }, \
                    gemini-2.5-flash: { targets: [{ provider: gemini }] } }";
    let options = Options::default().upstreams(upstreams).models(models);
    let options = options.with("redaction: { exported: { content: keep } }");
    // Phoenix takes spans only.
    let options = options.exporter_env("OTEL_METRICS_EXPORTER", "none");
    let options =
        destination.iter().fold(options, |options, (name, value)| options.exporter_env(name, value));
    options.start().await
}

/// A span as Phoenix tells of it.
struct Shown(Value);

impl Shown {
    fn attribute(&self, name: &str) -> &Value {
        &self.0["attributes"][name]
    }

    /// Every text below this name.
    fn texts(&self, prefix: &str) -> Vec<&str> {
        let attributes = self.0["attributes"].as_object().expect("attributes").iter();
        attributes
            .filter(|(name, _)| name.starts_with(prefix))
            .filter_map(|(_, value)| value.as_str())
            .collect()
    }
}

/// The span of the operation, by Phoenix's REST API, once it is there.
async fn read_back(phoenix: &str, trace: &Trace) -> Shown {
    let url = format!("{phoenix}/v1/projects/default/spans?trace_id={}&limit=100", trace.trace_id);
    let operation = |span: &Value| span["attributes"]["gen_ai.operation.name"].is_string();
    let look = || async {
        let answer = client::http().get(&url).send().await.ok()?.text().await.ok()?;
        let answer: Value = serde_json::from_str(&answer).ok()?;
        answer["data"].as_array()?.iter().find(|span| operation(span)).cloned()
    };
    match wait::poll(DEADLINE, look).await {
        Some(span) => Shown(span),
        None => panic!("{url} never had the operation's span"),
    }
}

/// Sends the case's question and checks what Phoenix shows of it. `first` is a trace id to use.
async fn shows(stack: &Stack, phoenix: &str, case: &Case, first: Option<String>) -> Shown {
    let expected = fixtures::expected()[case.fixture].clone();
    let provider = match case.fixture.split_once('/') {
        Some(("openai", _)) | None => &stack.provider,
        Some((name, _)) => stack.other(name),
    };
    provider.answers_once(Answer::fixture(case.fixture));
    let mut trace = Trace::new();
    trace.trace_id = first.unwrap_or(trace.trace_id);
    let request = stack.post(case.path, &trace, case.question(&expected).to_string());
    let answered = Answered::to(trace.clone(), request.header("x-api-key", CALLER_KEY)).await;
    assert_eq!(json!(answered.status), expected["status"], "{answered:?}");

    let span = read_back(phoenix, &trace).await;
    let at = format!("{}: {:#}", case.fixture, span.0);
    assert_eq!(span.0["span_kind"], "LLM", "{at}");
    let failed = expected["status"] != 200;
    assert_eq!(span.0["status_code"] == "ERROR", failed, "{at}");
    let model = span.attribute("llm.model_name");
    assert!(*model == case.model || *model == expected["model"], "{at}");
    assert!(span.texts("llm.input_messages.").contains(&QUESTION), "{at}");
    if failed {
        return span;
    }
    let usage = &expected["usage"];
    assert_eq!(*span.attribute("llm.token_count.prompt"), usage["input_tokens"], "{at}");
    assert_eq!(*span.attribute("llm.token_count.completion"), usage["output_tokens"], "{at}");
    let said = span.texts("llm.output_messages.");
    let output = &expected["outputs"][0];
    if let Some(text) = output["text"].as_str() {
        assert!(said.contains(&text), "{at}");
    }
    let arguments: Vec<Value> = said.iter().filter_map(|text| serde_json::from_str(text).ok()).collect();
    for call in output["tool_calls"].as_array().expect("calls") {
        assert!(said.contains(&call["name"].as_str().expect("a name")), "{at}");
        let asked: Value = serde_json::from_str(call["arguments"].as_str().expect("JSON")).expect("JSON");
        assert!(arguments.contains(&asked), "{at}");
    }
    span
}

fn phoenix() -> String {
    env::var("WEIR_PHOENIX").expect("WEIR_PHOENIX, the URL of a running Phoenix")
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Phoenix: make test-phoenix"]
async fn phoenix_reads_model_tokens_input_and_output_by_the_genai_conventions() {
    let phoenix = phoenix();
    let stack = stack(&[("OTEL_EXPORTER_OTLP_ENDPOINT", &phoenix)]).await;
    for case in &CASES {
        shows(&stack, &phoenix, case, None).await;
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Phoenix: make test-phoenix"]
async fn phoenix_reads_them_by_openinference_too_and_lists_input_and_output() {
    let phoenix = phoenix();
    // Spans for Middleware carry OpenInference's names.
    let stack = stack(&[("MW_TARGET", &phoenix)]).await;
    // Of this trace `make test-phoenix` takes a picture.
    let mut first = env::var("WEIR_PHOENIX_TRACE").ok();
    for case in &CASES {
        let span = shows(&stack, &phoenix, case, first.take()).await;
        let input = span.attribute("input.value").as_str().unwrap_or_default();
        assert!(input.contains(QUESTION), "{:#}", span.0);
        let text = &fixtures::expected()[case.fixture]["outputs"][0]["text"];
        let output = span.attribute("output.value").as_str().unwrap_or_default();
        assert!(output.contains(text.as_str().unwrap_or_default()), "{:#}", span.0);
    }
    stack.assert_vm_is_well().await;
}
