//! Redaction end to end: what was planted in prompts and answers is found nowhere that it must not be.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::cell::Cell;
use std::path::Path;
use std::time::Instant;

use serde_json::{Value, json};
use weir_tests::{
    callers::client::Trace,
    fakes::provider::{Answer, Received},
    stack::{Answered, Options, Stack, Upstream, canary, question},
    telemetry::spans::named,
};

/// What every planted value begins with.
const CANARY: &str = "canary-";
/// Calls, and whether their answers are streams.
const CALLS: [(&str, bool); 9] = [
    ("/v1/chat/completions", false),
    ("/v1/chat/completions", true),
    ("/v1/responses", false),
    ("/v1/responses", true),
    ("/v1/messages", false),
    ("/v1/messages", true),
    ("/v1beta/models/gemini:generateContent", false),
    ("/v1beta/models/gemini:streamGenerateContent", true),
    ("/v2/chat", false),
];

/// Hands out planted values: mail addresses, none twice.
#[derive(Default)]
struct Planter(u32);

impl Planter {
    fn next(&mut self) -> String {
        self.0 += 1;
        format!("{CANARY}{}@planted.example.com", self.0)
    }

    /// Arguments of a tool: JSON in a string, with JSON in a string of its own.
    fn arguments(&mut self) -> String {
        let inner = json!({ "to": self.next() }).to_string();
        json!({ "to": [self.next()], self.next(): true, "again": inner }).to_string()
    }
}

async fn stack(redaction: &str) -> Stack {
    let upstreams = [
        Upstream::openai("openai", "/v1"),
        Upstream::new("anthropic", "anthropic", ""),
        Upstream::new("gemini", "gemini", ""),
        Upstream::new("cohere", "cohere", ""),
    ];
    let models = "{ openai: { targets: [{ provider: openai }] }, anthropic: { targets: [{ provider: anthropic }] }, \
                   gemini: { targets: [{ provider: gemini }] }, cohere: { targets: [{ provider: cohere }] } }";
    let options = Options::default().upstreams(upstreams).models(models);
    let stack = options.with(&format!("redaction: {redaction}")).start().await;
    stack.provider.answers_by(answer);
    for name in ["anthropic", "gemini", "cohere"] {
        stack.other(name).answers_by(answer);
    }
    stack
}

/// A request with something planted wherever content can stand.
fn request(path: &str, stream: bool, plant: &mut Planter) -> Value {
    match path {
        "/v1/chat/completions" => json!({
            "model": "openai", "stream": stream, "user": plant.next(), "metadata": { "who": plant.next() },
            "messages": [
                { "role": "system", "content": plant.next() },
                { "role": "user", "name": "ann", "content": [{ "type": "text", "text": plant.next() },
                    { "type": "image_url", "image_url": { "url": format!("https://h/{}", plant.next()) } }] },
                { "role": "assistant", "content": null, "reasoning_content": plant.next(), "tool_calls": [{ "id": "t",
                    "type": "function", "function": { "name": "f", "arguments": plant.arguments() } }] },
                { "role": "tool", "tool_call_id": "t", "content": json!({ "found": plant.next() }).to_string() },
            ],
            "tools": [{ "type": "function", "function": { "name": "f", "description": plant.next(),
                "parameters": { "type": "object", "properties": { plant.next(): { "description": plant.next() } } } } }],
            "unknown": [null, { "deep": plant.next() }],
        }),
        "/v1/responses" => json!({
            "model": "openai", "stream": stream, "instructions": plant.next(), "input": [
                { "role": "user", "content": [{ "type": "input_text", "text": plant.next() }] },
                { "type": "function_call", "call_id": "c", "name": "f", "arguments": plant.arguments() },
                { "type": "function_call_output", "call_id": "c", "output": plant.next() },
            ],
        }),
        "/v1/messages" => json!({
            "model": "anthropic", "max_tokens": 9, "stream": stream, "metadata": { "user_id": plant.next() },
            "system": [{ "type": "text", "text": plant.next() }], "messages": [
                { "role": "user", "content": plant.next() },
                { "role": "assistant", "content": [{ "type": "tool_use", "id": "t", "name": "f", "input": { "to": plant.next() } }] },
                { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "t", "content": plant.next() }] },
            ],
        }),
        "/v2/chat" => json!({
            "model": "cohere", "stream": stream,
            "messages": [{ "role": "user", "content": plant.next() }], "documents": [{ "data": { "text": plant.next() } }],
        }),
        _ => json!({
            "systemInstruction": { "parts": [{ "text": plant.next() }] },
            "contents": [{ "role": "user", "parts": [{ "text": plant.next() },
                { "functionResponse": { "name": "f", "response": { "of": plant.next() } } }] }],
        }),
    }
}

/// What a provider answers: more of the same, the addresses of streams in two pieces.
fn answer(received: &Received) -> Answer {
    let mut plant = Planter(1000);
    let whole = plant.next();
    let (head, tail) = whole.split_at(12);
    let asks_stream =
        serde_json::from_slice::<Value>(&received.body).is_ok_and(|body| body["stream"] == true);
    let events = |events: &[Value]| {
        let events = events.iter().map(|event| format!("data: {event}\n\n"));
        Answer::events(events.collect::<String>())
    };
    let path = received.path.split('?').next().expect("a path");
    match (path, asks_stream) {
        ("/v1/chat/completions", true) => {
            let delta = |delta: Value| json!({ "choices": [{ "index": 0, "delta": delta }] });
            events(&[
                delta(json!({ "content": head })),
                delta(json!({ "content": tail })),
                delta(json!({ "reasoning_content": plant.next(), "refusal": plant.next() })),
                delta(json!({ "tool_calls": [{ "index": 0, "id": "t", "function": { "name": "f", "arguments": plant.arguments() } }] })),
                json!({ "error": { "message": plant.next(), "type": "server_error" } }),
            ])
        }
        ("/v1/chat/completions", false) => Answer::text(
            json!({ "choices": [{ "index": 0, "finish_reason": "stop", "message": { "content": whole, "refusal": plant.next(),
                "tool_calls": [{ "id": "t", "function": { "name": "f", "arguments": plant.arguments() } }] } }] })
            .to_string(),
        ),
        ("/v1/responses", true) => events(&[
            json!({ "type": "response.output_text.delta", "delta": head }),
            json!({ "type": "response.output_text.delta", "delta": tail }),
            json!({ "type": "response.reasoning_summary_text.delta", "delta": plant.next() }),
            json!({ "type": "response.completed", "response": { "id": "r", "status": "completed", "output": [{ "x": plant.next() }] } }),
        ]),
        ("/v1/responses", false) => Answer::text(
            json!({ "id": "r", "status": "completed", "output": [{ "type": "message",
                "content": [{ "type": "output_text", "text": whole }] }], "instructions": plant.next() })
            .to_string(),
        ),
        ("/v1/messages", true) => events(&[
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": head } }),
            json!({ "type": "content_block_delta", "index": 0, "delta": { "type": "text_delta", "text": tail } }),
            json!({ "type": "content_block_delta", "index": 1, "delta": { "type": "thinking_delta", "thinking": plant.next() } }),
            json!({ "type": "error", "error": { "type": "overloaded_error", "message": plant.next() } }),
        ]),
        ("/v1/messages", false) => Answer::text(
            json!({ "type": "error", "error": { "type": "invalid_request_error", "message": whole } }).to_string(),
        )
        .status(400),
        ("/v2/chat", _) => {
            Answer::text(json!({ "message": { "content": [{ "type": "text", "text": whole }] } }).to_string())
        }
        (path, _) => {
            let piece = |text: &str| json!({ "candidates": [{ "content": { "parts": [{ "text": text }] } }] });
            let call = json!({ "candidates": [{ "content": { "parts": [{ "functionCall": { "name": "f", "args": { "to": plant.next() } } }] } }] });
            let is_stream = path.ends_with(":streamGenerateContent");
            let answer = if is_stream { json!([piece(head), piece(tail), call]) } else { piece(&whole) };
            Answer::text(answer.to_string())
        }
    }
}

/// Makes every call, and gives the answers once their traces are there. What the caller says beside the
/// body is no content, but it is redacted too: `beside` has something planted there.
async fn call_all(stack: &Stack, plant: &mut Planter, beside: bool) -> Vec<Answered> {
    let mut answers = Vec::new();
    for (path, stream) in CALLS {
        let trace = Trace::new();
        // Escaped as well as plain: what is sent is the same to who reads it.
        let body = request(path, stream, plant).to_string().replace("@planted", "\\u0040planted");
        let mut request = stack.post(path, &trace, body);
        if beside {
            let metadata = json!({ "owner": plant.next() }).to_string();
            request =
                request.header("x-weir-metadata", metadata).header("x-weir-conversation-id", plant.next());
        }
        let answered = Answered::to(trace, request).await;
        stack.otlp.wait_for(&answered.trace).await;
        answers.push(answered);
    }
    answers
}

/// Every file below a directory.
fn files(dir: &Path, found: &mut Vec<(String, String)>) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            files(&path, found);
        } else {
            let bytes = std::fs::read(&path).expect("a file");
            // Some of NATS's files are empty; a place with nothing in it proves nothing, so they say so.
            let text = if bytes.is_empty() {
                "(empty)".into()
            } else {
                String::from_utf8_lossy(&bytes).into_owned()
            };
            found.push((path.display().to_string(), text));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_planted_in_prompts_and_answers_reaches_no_disk_no_log_and_no_backend() {
    for mode in ["redact", "exclude"] {
        let mut stack = stack(&format!("{{ exported: {{ content: {mode} }} }}")).await;
        let mut plant = Planter::default();
        let answers = call_all(&stack, &mut plant, mode == "redact").await;
        assert!(plant.0 >= 50, "{} values were planted", plant.0);
        for answered in &answers {
            let body = String::from_utf8_lossy(&answered.body);
            assert!(body.contains(CANARY), "the caller has its answer whole: {body}");
        }
        let received = stack.provider.received();
        let sent = String::from_utf8_lossy(&received[0].body).into_owned();
        assert!(sent.contains(CANARY), "the provider has the prompt whole: {sent}");
        if mode == "redact" {
            let all = stack.otlp.wait_for(&answers[0].trace).await;
            let messages = named(&all, "chat openai").attribute("gen_ai.input.messages").to_string();
            assert!(messages.contains("[EMAIL]"), "{messages}");
            let server = named(&all, "POST /v1/chat/completions");
            assert!(server.attribute("weir.redacted.export.email").as_u64().expect("a count") > 10);
        }
        let mut places = Vec::new();
        files(stack.nats.process.dir(), &mut places);
        assert!(
            places.iter().any(|(_, text)| text.contains("/v1/messages")),
            "NATS keeps events in its files"
        );
        canary::assert_nowhere(&mut stack, &[CANARY, "planted.example"], places).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_masked_reaches_no_provider_and_what_is_blocked_is_not_sent() {
    let stack = stack("{ forwarded: { action: mask, detectors: [email] } }").await;
    let mut plant = Planter::default();
    call_all(&stack, &mut plant, false).await;
    let others = ["anthropic", "gemini", "cohere"].map(|name| stack.other(name));
    let mut count = 0;
    for provider in [&stack.provider].into_iter().chain(others) {
        for received in provider.received() {
            count += 1;
            let body = String::from_utf8_lossy(&received.body).into_owned();
            assert!(!body.contains(CANARY) && !body.contains("planted"), "{body}");
            assert!(body.contains("[EMAIL]"), "{body}");
            serde_json::from_slice::<Value>(&received.body).expect("JSON still");
            assert_eq!(received.header("content-length"), Some(body.len().to_string().as_str()));
        }
    }
    assert_eq!(count, CALLS.len());
    stack.assert_vm_is_well().await;

    let stack = self::stack("{ forwarded: { action: block, detectors: [email] } }").await;
    let trace = Trace::new();
    let body = request("/v1/chat/completions", false, &mut plant).to_string();
    let answered = Answered::to(trace.clone(), stack.post("/v1/chat/completions", &trace, body)).await;
    assert_eq!((answered.status, &answered.json()["error"]["code"]), (400, &json!("content_blocked")));
    assert!(!String::from_utf8_lossy(&answered.body).contains(CANARY));
    assert_eq!(stack.provider.count(), 0);
    let all = stack.otlp.wait_for(&trace).await;
    assert_eq!(named(&all, "redact").attribute("error.type"), "content_blocked");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hash_follows_a_person_from_request_to_request_without_telling_who_it_is() {
    // The first provider's key serves as one of hashes too: it is in Envoy's environment.
    let stack = stack("{ exported: { replacement: hash }, hash_key: { env: WEIR_TEST_KEY_0 } }").await;
    let mut told = Vec::new();
    for who in ["ann", "ann", "bob"] {
        let trace = Trace::new();
        let content = format!("I am {who}@planted.example.com");
        let body = json!({ "model": "openai", "messages": [{ "role": "user", "content": content }] });
        Answered::to(trace.clone(), stack.post("/v1/chat/completions", &trace, body.to_string())).await;
        let all = stack.otlp.wait_for(&trace).await;
        let messages = named(&all, "chat openai").attribute("gen_ai.input.messages").to_string();
        assert!(messages.contains("[EMAIL:") && !messages.contains("planted"), "{messages}");
        told.push(messages);
    }
    assert_eq!(told[0], told[1]);
    assert_ne!(told[0], told[2]);
    stack.assert_vm_is_well().await;
}

/// Ten mebibytes, of words that detectors look at closely and of values that they find.
fn hostile_body() -> Value {
    const PART: &str =
        "dob 12.03.1980 né le my number: someone.with.a.long.name@planted.example.com \"dob\": \\\"dob ";
    let mut body = question();
    body["messages"][0]["content"] = "".into();
    // Every quote and backslash takes one more byte.
    let count = ((10 << 20) - body.to_string().len()) / (PART.len() + 5);
    body["messages"][0]["content"] = PART.repeat(count).into();
    body
}

#[tokio::test(flavor = "multi_thread")]
#[allow(
    clippy::print_stdout,
    reason = "how long others wait is a figure for documents, which no test depends on"
)]
async fn ten_mebibytes_made_to_be_slow_go_through_redacted_while_others_are_served() {
    let redaction = "redaction: { forwarded: { action: mask, restore: true } }";
    let stack = Options::default().workers(1).with(redaction).start().await;
    stack.chat().await;
    let (body, is_over) = (hostile_body().to_string(), Cell::new(false));
    let size = body.len();
    let slow = async {
        let begun = Instant::now();
        let answered = stack.send(body).await;
        is_over.set(true);
        (answered, begun.elapsed())
    };
    let others = async {
        let mut waits = Vec::new();
        while !is_over.get() {
            let begun = Instant::now();
            stack.chat().await;
            waits.push(begun.elapsed());
        }
        waits
    };
    let ((answered, took), mut waits) = tokio::join!(slow, others);
    assert_eq!(answered.status, 200, "{answered:?}");
    let received = stack.provider.received();
    let sent = received.iter().find(|received| received.body.len() > 1 << 20).expect("the long one");
    let text = String::from_utf8_lossy(&sent.body).into_owned();
    assert!(text.contains("[EMAIL_1]") && text.contains("[DATE_OF_BIRTH_1]") && !text.contains("planted"));
    serde_json::from_slice::<Value>(&sent.body).expect("JSON still");
    assert_eq!(sent.header("content-length"), Some(text.len().to_string().as_str()));
    assert!(received.len() > 3, "others were served in between");
    stack.assert_vm_is_well().await;

    waits.sort();
    let at = |share: usize| waits[(waits.len() - 1) * share / 100].as_secs_f64() * 1e3;
    println!(
        "{size} bytes took {took:.1?}; {} other requests meanwhile took {:.1} ms at p50, {:.1} at p99, {:.1} at most",
        waits.len(),
        at(50),
        at(99),
        at(100)
    );
}
