//! What callers receive, end to end: through the official packages, the provider sees placeholders and the
//! caller its own values; what must not be returned is masked, or stops the answer.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use serde_json::{Value, json};
use weir_tests::{
    callers::{client::Trace, python},
    fakes::provider::{Answer, Provider, Received},
    stack::{Answered, CALLER_KEY, Options, Stack, Upstream, canary},
    telemetry::spans::{named, only},
};

const EMAIL: &str = "ann.canary@planted.example.com";
const CARD: &str = "4111 1111 1111 1111";

const OPENAI: &str = "calls/openai_calls.py";
const ANTHROPIC: &str = "calls/anthropic_calls.py";
const GENAI: &str = "calls/genai_calls.py";

async fn stack(redaction: &str) -> Stack {
    let upstreams = [
        Upstream::openai("openai", "/v1"),
        Upstream::new("anthropic", "anthropic", ""),
        Upstream::new("gemini", "gemini", ""),
    ];
    let models = "{ gpt-4o: { targets: [{ provider: openai }] }, claude-sonnet-4-5: { targets: [{ provider: anthropic }] }, \
                   gemini-2.5-flash: { targets: [{ provider: gemini }] } }";
    let options = Options::default().upstreams(upstreams).models(models);
    options.with(&format!("redaction: {redaction}")).start().await
}

/// Calls through a package, asking this; what its library saw, call by call, and the calls' traces.
async fn call(stack: &Stack, script: &str, calls: &[&str], question: &str) -> Vec<(Value, Trace)> {
    let traces: Vec<Trace> = calls.iter().map(|_| Trace::new()).collect();
    let named = calls.iter().zip(&traces).map(|(call, trace)| format!("{call}={}", trace.parent()));
    let arguments: Vec<String> = named.collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let url = stack.url("");
    let env = [("GATEWAY_URL", url.as_str()), ("GATEWAY_KEY", CALLER_KEY), ("QUESTION", question)];
    let printed = python::run(script, &arguments, &env).await;
    let seen: Vec<Value> = printed.lines().map(|line| serde_json::from_str(line).expect(line)).collect();
    assert_eq!(seen.len(), calls.len(), "{printed}");
    seen.into_iter().zip(traces).collect()
}

/// A text in pieces of three characters.
fn pieces(text: &str) -> Vec<String> {
    let characters: Vec<char> = text.chars().collect();
    characters.chunks(3).map(|piece| piece.iter().collect()).collect()
}

/// What a model says: a text, and the arguments of a tool, which hold JSON in a string of their own.
#[derive(Clone)]
struct Said {
    text: String,
    arguments: String,
}

impl Said {
    fn with(email: &str, card: &str) -> Self {
        let inner = json!({ "card": card }).to_string();
        Self {
            text: format!("You are {email}, and pay with {card}."),
            arguments: json!({ "to": email, "note": inner }).to_string(),
        }
    }

    /// As each provider says it, in one piece or as a stream.
    fn answer(&self, received: &Received) -> Answer {
        let body = serde_json::from_slice::<Value>(&received.body).expect("JSON");
        let stream = body["stream"] == true || received.path.contains("stream");
        let path = received.path.split(['?', ':']).next().expect("a path");
        match (path, stream) {
            ("/v1/chat/completions", false) => Answer::text(self.chat().to_string()),
            ("/v1/chat/completions", true) => self.chat_stream(),
            ("/v1/responses", _) => self.responses_stream(),
            ("/v1/messages", false) => Answer::text(self.message().to_string()),
            ("/v1/messages", true) => self.message_stream(),
            (_, true) => self.gemini_stream(),
            (_, false) => Answer::text(self.gemini(&self.text, Some("STOP")).to_string()),
        }
    }

    fn chat(&self) -> Value {
        let call = json!({ "id": "t", "type": "function", "function": { "name": "f", "arguments": self.arguments } });
        json!({ "id": "c", "object": "chat.completion", "created": 1, "model": "gpt-4o", "choices": [{ "index": 0,
            "finish_reason": "stop", "message": { "role": "assistant", "content": self.text, "tool_calls": [call] } }],
            "usage": { "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3 } })
    }

    fn chat_stream(&self) -> Answer {
        let chunk = |delta: Value, reason: Value| {
            let choice = json!({ "index": 0, "delta": delta, "finish_reason": reason });
            json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [choice] })
        };
        let mut events = vec![chunk(json!({ "role": "assistant", "content": "" }), Value::Null)];
        events.extend(pieces(&self.text).iter().map(|piece| chunk(json!({ "content": piece }), Value::Null)));
        let call = |call: Value| chunk(json!({ "tool_calls": [call] }), Value::Null);
        events.push(call(json!({ "index": 0, "id": "t", "type": "function", "function": { "name": "f", "arguments": "" } })));
        let arguments = pieces(&self.arguments);
        events.extend(
            arguments.iter().map(|piece| call(json!({ "index": 0, "function": { "arguments": piece } }))),
        );
        events.push(chunk(json!({}), json!("stop")));
        events.push(json!({ "id": "c", "object": "chat.completion.chunk", "created": 1, "model": "gpt-4o", "choices": [],
            "usage": { "prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3 } }));
        let events = events.iter().map(|event| format!("data: {event}\n\n"));
        Answer::events(events.collect::<String>() + "data: [DONE]\n\n")
    }

    fn responses_stream(&self) -> Answer {
        let whole = json!({ "id": "r", "object": "response", "created_at": 1, "status": "completed", "model": "gpt-4o",
            "output": [{ "id": "m", "type": "message", "role": "assistant", "status": "completed",
                "content": [{ "type": "output_text", "text": self.text, "annotations": [] }] },
                { "id": "i", "type": "function_call", "call_id": "t", "name": "f", "arguments": self.arguments, "status": "completed" }],
            "parallel_tool_calls": true, "tool_choice": "auto", "tools": [] });
        let mut all = vec![(
            "response.created",
            json!({ "response": { "id": "r", "object": "response", "created_at": 1,
            "status": "in_progress", "model": "gpt-4o", "output": [], "parallel_tool_calls": true, "tool_choice": "auto", "tools": [] } }),
        )];
        let at = |rest: Value| {
            let mut event = json!({ "item_id": "m", "output_index": 0, "content_index": 0 });
            event.as_object_mut().expect("an object").extend(rest.as_object().expect("an object").clone());
            event
        };
        all.extend(
            pieces(&self.text)
                .iter()
                .map(|piece| ("response.output_text.delta", at(json!({ "delta": piece, "logprobs": [] })))),
        );
        all.push(("response.output_text.done", at(json!({ "text": self.text, "logprobs": [] }))));
        all.push(("response.completed", json!({ "response": whole })));
        named_events(all)
    }

    fn message(&self) -> Value {
        let input: Value = serde_json::from_str(&self.arguments).expect("JSON");
        json!({ "id": "m", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5", "content": [
            { "type": "text", "text": self.text }, { "type": "tool_use", "id": "t", "name": "f", "input": input }],
            "stop_reason": "tool_use", "stop_sequence": null, "usage": { "input_tokens": 1, "output_tokens": 2 } })
    }

    fn message_stream(&self) -> Answer {
        let mut message = self.message();
        message["content"] = json!([]);
        message["stop_reason"] = Value::Null;
        let mut all = vec![("message_start", json!({ "message": message }))];
        all.push((
            "content_block_start",
            json!({ "index": 0, "content_block": { "type": "text", "text": "" } }),
        ));
        let delta =
            |index: u64, delta: Value| ("content_block_delta", json!({ "index": index, "delta": delta }));
        all.extend(
            pieces(&self.text).iter().map(|piece| delta(0, json!({ "type": "text_delta", "text": piece }))),
        );
        all.push(("content_block_stop", json!({ "index": 0 })));
        let call = json!({ "type": "tool_use", "id": "t", "name": "f", "input": {} });
        all.push(("content_block_start", json!({ "index": 1, "content_block": call })));
        let arguments = pieces(&self.arguments);
        all.extend(
            arguments
                .iter()
                .map(|piece| delta(1, json!({ "type": "input_json_delta", "partial_json": piece }))),
        );
        all.push(("content_block_stop", json!({ "index": 1 })));
        let stop = json!({ "delta": { "stop_reason": "tool_use", "stop_sequence": null }, "usage": { "output_tokens": 2 } });
        all.push(("message_delta", stop));
        all.push(("message_stop", json!({})));
        named_events(all)
    }

    fn gemini(&self, text: &str, reason: Option<&str>) -> Value {
        let mut parts = vec![json!({ "text": text })];
        if reason.is_some() {
            let args: Value = serde_json::from_str(&self.arguments).expect("JSON");
            parts.push(json!({ "functionCall": { "id": "t", "name": "f", "args": args } }));
        }
        json!({ "candidates": [{ "index": 0, "content": { "role": "model", "parts": parts }, "finishReason": reason }],
            "usageMetadata": { "promptTokenCount": 1, "candidatesTokenCount": 2 }, "modelVersion": "g", "responseId": "r" })
    }

    fn gemini_stream(&self) -> Answer {
        let mut events: Vec<Value> =
            pieces(&self.text).iter().map(|piece| self.gemini(piece, None)).collect();
        events.push(self.gemini("", Some("STOP")));
        Answer::events(events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>())
    }
}

/// A stream whose events have names, their types, and numbers.
fn named_events(all: Vec<(&str, Value)>) -> Answer {
    let events = all.into_iter().enumerate().map(|(number, (kind, mut event))| {
        event["type"] = json!(kind);
        if kind.starts_with("response.") {
            event["sequence_number"] = json!(number);
        }
        format!("event: {kind}\ndata: {event}\n\n")
    });
    Answer::events(events.collect::<String>())
}

/// Has every provider say this.
fn say(stack: &Stack, said: &Said) {
    for provider in [&stack.provider, stack.other("anthropic"), stack.other("gemini")] {
        let said = said.clone();
        provider.answers_by(move |received| said.answer(received));
    }
}

/// Fails unless a library saw all of this.
fn assert_saw(seen: &Value, said: &Said, call: &str) {
    let output = &seen["outputs"][0];
    assert_eq!(output["text"], said.text, "{call}: {seen}");
    let arguments = output["tool_calls"][0]["arguments"].as_str().unwrap_or_else(|| panic!("{call}: {seen}"));
    let parse = |json: &str| {
        serde_json::from_str::<Value>(json).unwrap_or_else(|error| panic!("{call}: {error}: {json}"))
    };
    assert_eq!(parse(arguments), parse(&said.arguments), "{call}");
}

const CALLS: [(&str, &[&str]); 3] = [
    (OPENAI, &["chat", "chat_stream", "responses_stream"]),
    (ANTHROPIC, &["messages", "messages_stream"]),
    (GENAI, &["generate_content", "generate_content_stream"]),
];

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_sees_placeholders_only_and_the_caller_its_own_values() {
    let redaction = "{ exported: { content: redact }, forwarded: { action: mask, detectors: [email, credit_card], restore: true } }";
    let mut stack = stack(redaction).await;
    say(&stack, &Said::with("[EMAIL_1]", "[CREDIT_CARD_1]"));
    let question = format!("I am {EMAIL}, my card is {CARD}. Who am I?");
    let mut places = Vec::new();
    for (script, calls) in CALLS {
        for ((seen, trace), name) in call(&stack, script, calls, &question).await.iter().zip(calls) {
            assert_saw(seen, &Said::with(EMAIL, CARD), name);
            let all = stack.otlp.wait_for(trace).await;
            let operation =
                only(&all, "the operation", |span| span.attributes.contains_key("gen_ai.operation.name"));
            let (asked, said) =
                (operation.attribute("gen_ai.input.messages"), operation.attribute("gen_ai.output.messages"));
            assert!(asked.to_string().contains("[EMAIL]"), "{name}: {asked}");
            assert!(said.to_string().contains("[EMAIL_1]"), "{name}: {said}");
            let of_answer = only(&all, "redact", |span| span.attribute("weir.redact.of") == "response");
            let restored = of_answer.attribute("weir.redacted.restored.email").as_u64().expect("a count");
            assert!(restored >= 2, "{name}: {restored}");
        }
    }
    let others = ["anthropic", "gemini"].map(|name| stack.other(name));
    for received in [&stack.provider].into_iter().chain(others).flat_map(Provider::received) {
        let body = String::from_utf8_lossy(&received.body).into_owned();
        assert!(body.contains("[EMAIL_1]") && body.contains("[CREDIT_CARD_1]"), "{body}");
        places.push(("what the provider received".to_owned(), body));
    }
    assert_eq!(places.len(), 7);
    canary::assert_nowhere(&mut stack, &["canary@", "planted.example", "4111 1111"], places).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_must_not_be_returned_is_masked_for_every_package() {
    let stack = stack("{ exported: { content: redact }, returned: { action: mask } }").await;
    say(&stack, &Said::with(EMAIL, CARD));
    for (script, calls) in CALLS {
        for ((seen, trace), name) in call(&stack, script, calls, "Who am I?").await.iter().zip(calls) {
            assert_saw(seen, &Said::with("[EMAIL]", "[CREDIT_CARD]"), name);
            let all = stack.otlp.wait_for(trace).await;
            let span = named(&all, "redact");
            assert!(span.attribute("weir.redacted.caller.email").as_u64().expect("a count") >= 2, "{name}");
            assert!(!format!("{all:?}").contains("canary@"), "{name}");
        }
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_blocked_stops_the_answer_as_each_package_understands_it() {
    let stack =
        stack("{ exported: { content: redact }, returned: { action: block, detectors: [email] } }").await;
    say(&stack, &Said::with(EMAIL, CARD));
    for (script, calls, errors) in [
        (OPENAI, &["chat", "chat_stream"][..], ["content_blocked", "content_blocked"]),
        (ANTHROPIC, &["messages", "messages_stream"], ["permission_error", "permission_error"]),
        (GENAI, &["generate_content", "generate_content_stream"], ["PERMISSION_DENIED", "PERMISSION_DENIED"]),
    ] {
        for (((seen, trace), name), error) in
            call(&stack, script, calls, "Who am I?").await.iter().zip(calls).zip(errors)
        {
            let text = seen.to_string();
            assert!(!text.contains("ann") && !text.contains("planted"), "{name}: {text}");
            assert_eq!(seen["error_type"], error, "{name}: {text}");
            if name.ends_with("stream") {
                assert_eq!(seen["outputs"][0]["text"], "You are ", "{name}: {text}");
            } else {
                assert_eq!(seen["status"], 403, "{name}: {text}");
            }
            let all = stack.otlp.wait_for(trace).await;
            assert_eq!(named(&all, "redact").attribute("error.type"), "content_blocked", "{name}");
        }
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_comes_in_many_pieces_or_is_too_large_is_held_and_told_its_length() {
    let redaction = "{ returned: { action: mask } }";
    let options = Options::default().limits("{ request_body: 64KiB, response_body: 256KiB }");
    let stack = options.with(&format!("redaction: {redaction}")).start().await;
    let body = |filler: usize| {
        json!({ "id": "c", "choices": [{ "index": 0, "finish_reason": "stop", "message": { "role": "assistant",
            "content": format!("{EMAIL} {}", "so it is. ".repeat(filler)) } }] })
        .to_string()
    };
    stack.provider.answers_once(Answer::text(body(20_000)).in_pieces_of(7001));
    stack.provider.answers_once(Answer::text(body(40_000)).in_pieces_of(7001));
    stack.provider.answers_once(Answer::text(body(1)).header("content-encoding", "gzip"));
    let (answered, _) = stack.traced_chat().await;
    assert_eq!(
        (answered.status, answered.body.len()),
        (200, body(20_000).len() - EMAIL.len() + "[EMAIL]".len())
    );
    assert_eq!(answered.header("content-length"), answered.body.len().to_string());
    assert!(
        answered.json()["choices"][0]["message"]["content"]
            .as_str()
            .expect("a text")
            .starts_with("[EMAIL] so")
    );
    for _ in 0..2 {
        let trace = Trace::new();
        let request = stack.request(&trace, weir_tests::stack::question().to_string());
        let answered = Answered::to(trace, request).await;
        assert_eq!((answered.status, &answered.json()["error"]["code"]), (502, &json!("content_unreadable")));
        assert_eq!(answered.header("content-length"), answered.body.len().to_string());
    }
    stack.assert_vm_is_well().await;
}
