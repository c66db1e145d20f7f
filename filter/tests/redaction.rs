//! Redaction of a request: what is exported to telemetry, and what providers receive.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use serde_json::{Value, json};
use weir_event::v1;
use weir_filter::balancing::TargetIds;
use weir_filter::config::{Config, PluginConfig};
use weir_filter::host::Step;

use host::{CONFIG, Stream};

const EMAIL: &str = "ann.canary@example.com";
const CARD: &str = "4111 1111 1111 1111";

fn with(redaction: &str) -> String {
    CONFIG.replace(r#""limits": {"request_body": 1000}"#, &format!(r#""redaction": {redaction}"#))
}

fn chat(content: &str, stream: bool) -> Value {
    json!({"messages": [{"role": "user", "content": content}], "model": "m", "stream": stream})
}

fn ask(config: &str, headers: &[(&str, &str)], body: &Value) -> (Stream, Step) {
    let mut stream = Stream::with(config, headers, body.to_string().as_bytes());
    let step = stream.arrive();
    (stream, step)
}

/// Matches by scope and detector.
fn found(event: &v1::TraceEvent) -> Vec<(v1::RedactedFor, &str, u64)> {
    let found = event.redactions.iter();
    found.map(|found| (found.scope(), found.detector.as_str(), found.count)).collect()
}

#[test]
fn what_is_exported_is_redacted_wherever_it_stands_and_the_caller_and_the_provider_have_it_whole() {
    let config = with(r#"{"exported": {"content": "redact"}}"#);
    let metadata = json!({"owner": EMAIL}).to_string();
    let (mut stream, _) = ask(&config, &[("x-weir-metadata", &metadata)], &chat(EMAIL, true));
    let mut attempt = stream.attempt();
    let sent = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
    assert!(sent.contains(EMAIL), "{sent}");
    let (head, tail) = EMAIL.split_at(7);
    let arguments = json!({"to": [EMAIL], "again": json!({"to": EMAIL}).to_string()}).to_string();
    let pieces = [
        json!({"choices": [{"index": 0, "delta": {"content": head}}]}),
        json!({"choices": [{"index": 0, "delta": {"content": tail}}]}),
        json!({"choices": [{"index": 0, "delta": {"reasoning_content": EMAIL, "refusal": EMAIL}}]}),
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": arguments}}]}}]}),
        json!({"error": {"message": format!("no {EMAIL} here")}}),
    ]
    .map(|chunk| format!("data: {chunk}\n\n"));
    let pieces: Vec<&str> = pieces.iter().map(String::as_str).collect();
    stream.respond(&mut attempt, "200", "text/event-stream", &pieces);
    let event = stream.event().unwrap();
    let exported = format!("{event:?}");
    assert!(!exported.contains("canary") && !exported.contains("example.com"), "{exported}");
    let content = event.content.as_ref().unwrap();
    assert_eq!(content.capture(), v1::Capture::Redacted);
    assert!(String::from_utf8_lossy(&content.request).contains("[EMAIL]"));
    let output = &content.outputs[0];
    assert_eq!((output.text.as_str(), output.reasoning.as_str()), ("[EMAIL]", "[EMAIL]"));
    let arguments: Value = serde_json::from_str(&output.tool_calls[0].arguments).unwrap();
    assert_eq!(arguments, json!({"to": ["[EMAIL]"], "again": r#"{"to":"[EMAIL]"}"#}));
    assert_eq!(content.error_message, "no [EMAIL] here");
    assert_eq!(event.caller.as_ref().unwrap().metadata["owner"], "[EMAIL]");
    let [(scope, detector, count)] = found(&event)[..] else { panic!("{:?}", event.redactions) };
    assert_eq!((scope, detector), (v1::RedactedFor::Export, "email"));
    assert!(count >= 7, "{count}");
}

#[test]
fn a_secret_that_is_cut_at_the_limit_is_not_exported_by_halves() {
    let config = with(r#"{"exported": {"content": "redact"}}, "trace": {"capture_limit": 1024}"#);
    // Longer than any word that is dropped at a cut, and several words.
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.c2ln", "Q2FuYXJ5".repeat(200));
    for (secret, half) in [(jwt.as_str(), "Q2FuYXJ5"), (CARD, "4111")] {
        for padding in [300, 850, 860, 870, 880] {
            let text = format!("{} the value is {secret} and more", "x ".repeat(padding / 2));
            let (mut stream, _) = ask(&config, &[], &chat("hello", true));
            let mut attempt = stream.attempt();
            let chunk = json!({"choices": [{"index": 0, "delta": {"content": text}}]});
            stream.respond(&mut attempt, "200", "text/event-stream", &[&format!("data: {chunk}\n\n")]);
            let content = stream.event().unwrap().content.unwrap();
            let exported = &content.outputs[0].text;
            assert!(exported.starts_with("x x ") && !exported.contains(half), "{padding}: {exported}");
        }
    }
}

#[test]
fn of_a_body_that_is_too_long_to_be_held_no_half_of_a_secret_is_exported() {
    let config = with(r#"{"exported": {"content": "redact"}}, "trace": {"capture_limit": "16KiB"}"#);
    let jwt = format!("eyJhbGciOiJIUzI1NiJ9.eyJ{}.c2ln", "Q2FuYXJ5".repeat(200));
    // A string is cut at a quarter of the limit, and a key at 128 bytes.
    for (secret, half) in [(jwt.as_str(), "Q2FuYXJ5"), (CARD, "4111")] {
        for padding in [3000, 4080, 4084, 4088, 4092, 4096] {
            let text = format!("{} the value is {secret} and more", "x ".repeat(padding / 2 - 8));
            let key = format!("{} {secret}", "k".repeat(padding % 100 + 22));
            let (mut stream, _) = ask(&config, &[], &chat("hello", false));
            let mut attempt = stream.attempt();
            let body =
                json!({"choices": [{"message": {"content": text}}], "x": {key: 1}, "y": vec!["w"; 40_000]});
            let body = body.to_string();
            let pieces: Vec<&str> =
                body.as_bytes().chunks(1000).map(|it| std::str::from_utf8(it).unwrap()).collect();
            stream.respond(&mut attempt, "200", "application/json", &pieces);
            let content = stream.event().unwrap().content.unwrap();
            let exported = String::from_utf8(content.response.to_vec()).unwrap();
            assert!(content.response_shortened && exported.contains("x x x"), "{padding} {exported:.100}");
            assert!(!exported.contains(half), "{padding} {secret:.10}: {exported:.5000}");
        }
    }
    // The same for an event of a stream that arrives in pieces, and for a request.
    for padding in [16_000, 16_340, 16_360, 16_380] {
        let text = format!("{} the value is {jwt} and {CARD}", "x ".repeat(padding / 2 - 8));
        let (mut stream, _) = ask(&config, &[], &chat("hello", true));
        let mut attempt = stream.attempt();
        let event = format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {"content": text}}]}));
        let pieces: Vec<&str> =
            event.as_bytes().chunks(1000).map(|it| std::str::from_utf8(it).unwrap()).collect();
        stream.respond(&mut attempt, "200", "text/event-stream", &pieces);
        let content = stream.event().unwrap().content.unwrap();
        assert!(!content.outputs[0].text.contains("Q2FuYXJ5"), "{padding}");
    }
    for padding in [262_100, 262_120, 262_140] {
        let text = format!("{} the value is {jwt}", "x ".repeat(padding / 2 - 8));
        let large = config.replace("16KiB", "1MiB");
        let (mut stream, _) = ask(&large, &[], &chat(&text, false));
        let mut attempt = stream.attempt();
        stream.respond(&mut attempt, "200", "application/json", &["{}"]);
        let content = stream.event().unwrap().content.unwrap();
        assert!(
            !content.request.is_empty() && !String::from_utf8_lossy(&content.request).contains("Q2FuYXJ5"),
            "{padding}"
        );
    }
}

#[test]
fn the_caller_is_exported_as_content_is() {
    for (redaction, exported) in [
        (r#"{"exported": {"content": "redact"}}"#, "[EMAIL]"),
        (r#"{"exported": {"content": "keep"}}"#, EMAIL),
    ] {
        let (mut stream, _) = ask(&with(redaction), &[("x-weir-user", EMAIL)], &chat("hello", false));
        let mut attempt = stream.attempt();
        stream.respond(&mut attempt, "200", "application/json", &["{}"]);
        assert_eq!(stream.event().unwrap().caller.unwrap().user, exported);
    }
}

#[test]
fn what_repeats_a_response_token_by_token_is_not_exported() {
    let (mut stream, _) = ask(&with(r#"{"exported": {"content": "redact"}}"#), &[], &chat("hello", false));
    let mut attempt = stream.attempt();
    let answer = r#"{"choices":[{"message":{"content":"x"},"logprobs":{"content":[{"token":"canary"}]},"token_ids":[1,2]},{"logprobs":null}],"logprobs":["canary"],"prompt_logprobs":"canary"}"#;
    stream.respond(&mut attempt, "200", "application/json", &[answer]);
    let content = stream.event().unwrap().content.unwrap();
    assert_eq!(
        String::from_utf8_lossy(&content.response),
        r#"{"choices":[{"message":{"content":"x"},"logprobs":null,"token_ids":[]},{"logprobs":null}],"logprobs":[],"prompt_logprobs":null}"#
    );
}

#[test]
fn names_ids_and_types_of_a_stream_are_exported_as_those_of_a_response_in_one_piece() {
    const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let config = with(r#"{"exported": {"content": "redact"}}"#);
    let exported = |path: &str, events: &[Value]| {
        let body = match path {
            "/v1/responses" => json!({"model": "m", "input": "hello", "stream": true}),
            _ => chat("hello", true),
        };
        let mut stream = Stream::with(&config, &[(":path", path)], body.to_string().as_bytes());
        stream.arrive();
        let mut attempt = stream.attempt();
        let events: Vec<String> = events.iter().map(|event| format!("data: {event}\n\n")).collect();
        let events: Vec<&str> = events.iter().map(String::as_str).collect();
        stream.respond(&mut attempt, "200", "text/event-stream", &events);
        let event = stream.event().unwrap();
        assert!(!format!("{event:?}").contains("16C7e42F"), "{event:?}");
        event.content.unwrap().outputs.remove(0)
    };
    let call = |id: &str, kind: &str, name: &str| {
        let function = json!({"name": name, "arguments": "{}"});
        let call = json!({"index": 0, "id": id, "type": kind, "function": function});
        json!({"choices": [{"index": 0, "delta": {"tool_calls": [call]}}]})
    };
    let chat = "/v1/chat/completions";
    let call_of = |output: v1::Output| output.tool_calls.into_iter().next().unwrap();
    let of_name = call_of(exported(chat, &[call("t", "function", TOKEN)]));
    assert_eq!((of_name.id.as_str(), of_name.name.as_str()), ("t", "[GITHUB]"));
    let of_others = call_of(exported(chat, &[call(TOKEN, TOKEN, "get_weather")]));
    assert_eq!((of_others.id.as_str(), of_others.name.as_str()), ("[GITHUB]", "get_weather"));
    let item = json!({"type": "function_call", "id": "i", "call_id": "c", "name": TOKEN, "arguments": "{}"});
    let added = json!({"type": "response.output_item.added", "output_index": 0, "item": item});
    assert_eq!(call_of(exported("/v1/responses", &[added])).name, "[GITHUB]");
    let item = json!({"type": "web_search_call", "id": "w", "action": {"query": TOKEN}});
    let done = json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    assert!(exported("/v1/responses", &[done]).parts[0].json.contains("[GITHUB]"));
    // A name that did not fit leaves no half behind, and names that are complete stay.
    let small = with(r#"{"exported": {"content": "redact"}}, "trace": {"capture_limit": 1024}"#);
    let (mut stream, _) = ask(&small, &[], &json!({"model": "m", "messages": [], "stream": true}));
    let mut attempt = stream.attempt();
    let call = |index: u64, name: &str, arguments: usize| {
        let function = json!({"name": name, "arguments": "x ".repeat(arguments)});
        let delta = json!({"tool_calls": [{"index": index, "function": function}]});
        format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}))
    };
    let events = [call(0, "get_weather", 302), call(1, &format!("x{TOKEN}"), 9)];
    stream.respond(&mut attempt, "200", "text/event-stream", &[&events[0], &events[1]]);
    let content = stream.event().unwrap().content.unwrap();
    let names: Vec<&str> = content.outputs[0].tool_calls.iter().map(|call| call.name.as_str()).collect();
    assert_eq!((names, content.response_shortened), (vec!["get_weather", ""], true));
}

#[test]
fn a_response_that_cannot_be_read_is_not_exported() {
    let config = with(r#"{"exported": {"content": "redact"}}"#);
    let (mut stream, _) = ask(&config, &[], &chat("hello", false));
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, "200", "application/json", &[&format!("{{\"x\": {EMAIL}")]);
    let event = stream.event().unwrap();
    assert!(event.content.as_ref().unwrap().response.is_empty());
    assert!(!format!("{event:?}").contains("canary"));
}

#[test]
fn what_must_not_reach_a_provider_is_masked_and_everything_else_stays() {
    let config = with(
        r#"{"exported": {"content": "exclude"}, "forwarded": {"action": "mask", "detectors": ["email", "credit_card"]}}"#,
    );
    let body = chat(&format!("write to {EMAIL}, é"), false);
    let (mut stream, step) = ask(&config, &[], &body);
    assert_eq!(step, Step::Continue);
    let mut attempt = stream.attempt();
    let sent = stream.host.request_body.borrow().clone();
    let mut expected = body.to_string().replace(EMAIL, "[EMAIL]");
    expected = expected.replace("\"model\":\"m\"", "\"model\":\"upstream-m\"");
    assert_eq!(String::from_utf8_lossy(&sent), expected);
    assert_eq!(stream.host.header("content-length").unwrap(), sent.len().to_string());
    stream.respond(&mut attempt, "200", "application/json", &["{}"]);
    let event = stream.event().unwrap();
    assert_eq!(found(&event), [(v1::RedactedFor::Provider, "email", 1)]);
    let timing = event.timing.unwrap();
    assert!(timing.body_received_ns < timing.redacting_ns && timing.redacting_ns < timing.redacted_ns);
    assert_eq!(event.request.unwrap().body_bytes, body.to_string().len() as u64, "as it was received");
    assert_eq!(event.content.unwrap().capture(), v1::Capture::Excluded);
}

#[test]
fn where_nothing_is_found_not_a_byte_changes() {
    let config = with(r#"{"forwarded": {"action": "mask"}}"#);
    let body = b"{ \"messages\" : [ ] , \"model\":\"same\" , \"x\":\"plain \\u00e9 text\" }";
    let mut stream = Stream::with(&config, &[], body);
    stream.arrive();
    stream.attempt();
    assert_eq!(*stream.host.request_body.borrow(), body);
}

#[test]
fn a_request_that_holds_what_is_blocked_is_refused_and_the_value_is_in_nothing() {
    let config = with(
        r#"{"exported": {"content": "redact"}, "forwarded": {"action": "block", "detectors": ["credit_card"]}}"#,
    );
    let (mut stream, step) = ask(&config, &[], &chat(&format!("pay with {CARD}"), false));
    assert_eq!(step, Step::Hold);
    let (status, error) = stream.host.refused();
    assert_eq!((status, error["code"].as_str().unwrap()), (400, "content_blocked"));
    let message = error["message"].as_str().unwrap();
    assert!(message.contains("credit_card") && !message.contains("4111"), "{message}");
    let event = stream.event().unwrap();
    assert_eq!(event.ending(), v1::Ending::Rejected);
    assert!(!format!("{event:?}").contains("4111"));
    assert!(event.attempts.is_empty());
}

#[test]
fn a_form_cannot_be_searched_and_is_refused_unless_it_may_pass() {
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nm\r\n--b--\r\n";
    let headers =
        [(":path", "/v1/audio/transcriptions"), ("content-type", "multipart/form-data; boundary=b")];
    for (unreadable, expected) in [("refuse", Step::Hold), ("pass", Step::Continue)] {
        let config =
            with(&format!(r#"{{"forwarded": {{"action": "mask", "on_unreadable": "{unreadable}"}}}}"#));
        let mut stream = Stream::with(&config, &headers, form.as_bytes());
        assert_eq!(stream.arrive(), expected, "{unreadable}");
        if expected == Step::Hold {
            assert_eq!(stream.host.refused().1["code"], "content_unreadable");
        }
    }
}

#[test]
fn a_key_a_model_or_a_request_can_be_stricter_and_never_laxer() {
    let key = r#""keys": [{"name": "k", "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
        "redaction": {"exported": {"content": "exclude"}}}], "limits""#;
    let keep = with(r#"{"exported": {"content": "keep"}}"#);
    let of_key = keep.replace(r#""redaction": {"exp"#, &format!(r#"{key}: {{}}, "redaction": {{"exp"#));
    let of_model = keep.replace(
        r#""model": "upstream-m"}]"#,
        r#""model": "upstream-m"}], "redaction": {"exported": {"content": "redact"}}"#,
    );
    let excluding = ("x-weir-content", "exclude");
    let disabled = ("x-tfy-logging-config", r#"{"enabled": false}"#);
    let with_key = ("authorization", "Bearer secret");
    for (config, headers, expected) in [
        (&keep, vec![], v1::Capture::Kept),
        (&keep, vec![excluding], v1::Capture::Excluded),
        (&keep, vec![disabled], v1::Capture::Excluded),
        (&keep, vec![("x-weir-content", "keep")], v1::Capture::Kept),
        (&of_key, vec![with_key], v1::Capture::Excluded),
        (&of_model, vec![], v1::Capture::Redacted),
    ] {
        let (mut stream, _) = ask(config, &headers, &chat(EMAIL, false));
        let mut attempt = stream.attempt();
        stream.respond(&mut attempt, "200", "application/json", &["{}"]);
        let event = stream.event().unwrap();
        assert_eq!(event.content.unwrap().capture(), expected, "{headers:?}");
    }
}

#[test]
fn a_models_policy_holds_for_its_targets_by_whatever_name_they_are_asked_for() {
    let strict = r#""redaction": {"forwarded": {"action": "block"}, "exported": {"content": "exclude"}}"#;
    let models = format!(
        r#""strict": {{"targets": [{{"provider": "up"}}, {{"provider": "out", "model": "gpt"}}], {strict}}},
           "stricter": {{"targets": [{{"provider": "out", "model": "gpt"}}], "redaction": {{"returned": {{"action": "mask"}}}}}},
           "lax": {{"targets": [{{"provider": "out", "model": "gpt"}}]}},
           "other": {{"alias": "strict"}}, "same""#
    );
    let config = with(r#"{"exported": {"content": "redact"}}"#).replace(r#""same""#, &models);
    let body = |model: &str| {
        let mut body = chat(&format!("card {CARD}"), false);
        body["model"] = model.into();
        body
    };
    for name in ["strict", "other", "out/gpt", "up/strict"] {
        let (mut stream, step) = ask(&config, &[], &body(name));
        assert_eq!(step, Step::Hold, "{name}");
        assert_eq!(stream.host.refused().1["code"], "content_blocked", "{name}");
        assert_eq!(stream.event().unwrap().content, None);
    }
    let path = "/v1beta/models/out%2Fgpt:generateContent";
    let gemini = json!({"contents": [{"role": "user", "parts": [{"text": CARD}]}]});
    let (stream, step) = ask(&config.replace("openai", "gemini"), &[(":path", path)], &gemini);
    assert_eq!((step, stream.host.answered.borrow().as_ref().unwrap().0), (Step::Hold, 400));
    // Both policies apply to the target, and neither to what only looks like it.
    for (name, answered) in
        [("stricter", "[EMAIL]"), ("out/gpt", "[EMAIL]"), ("lax", EMAIL), ("out/strict", EMAIL)]
    {
        let mut body = body(name);
        body["messages"][0]["content"] = "hi".into();
        let (mut stream, step) = ask(&config, &[], &body);
        assert_eq!(step, Step::Continue, "{name}");
        let mut attempt = stream.attempt();
        let answer = json!({"choices": [{"message": {"content": EMAIL}}]}).to_string();
        stream.respond(&mut attempt, "200", "application/json", &[&answer]);
        let delivered = String::from_utf8(stream.host.response_body.borrow().clone()).unwrap();
        assert!(delivered.contains(answered), "{name}: {delivered}");
        let excluded = stream.event().unwrap().content.unwrap().capture() == v1::Capture::Excluded;
        assert_eq!(excluded, name == "out/gpt", "{name}");
    }
}

#[test]
fn a_hash_is_the_same_for_the_same_value_and_its_key_comes_from_the_environment() {
    let config = with(r#"{"exported": {"replacement": "hash"}, "hash_key": {"env": "KEY"}}"#);
    let plugin = PluginConfig::from_json(config.as_bytes()).unwrap();
    let load = |key: Option<&[u8]>| {
        let variable = |name: &str| key.filter(|_| name == "KEY").map(<[u8]>::to_vec);
        Config::with_variables(&plugin, &mut TargetIds::default(), &variable)
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    assert!(load(Some(&[7; 16])).is_ok());
    assert_eq!(
        load(None).unwrap_err(),
        "redaction.hash_key.env: the environment variable KEY is not set in Envoy's process"
    );
    assert_eq!(
        load(Some(b"short")).unwrap_err(),
        "redaction.hash_key.env: the key in KEY is shorter than 16 bytes"
    );
    let hashed = |text: &str| {
        let (mut stream, _) = ask(&config, &[], &chat(text, false));
        let mut attempt = stream.attempt();
        stream.respond(&mut attempt, "200", "application/json", &["{}"]);
        String::from_utf8(stream.event().unwrap().content.unwrap().request.to_vec()).unwrap()
    };
    let (one, other) = (hashed(&format!("a {EMAIL} b {EMAIL}")), hashed("x bob@example.com"));
    let hash = one.split_once("[EMAIL:").unwrap().1.get(..12).unwrap();
    assert_eq!(one.matches(hash).count(), 2, "{one}");
    assert!(!other.contains(hash) && other.contains("[EMAIL:"), "{other}");
}

#[test]
fn what_cannot_be_meant_is_refused_at_load_by_field() {
    let error = |redaction: &str| {
        let plugin = PluginConfig::from_json(with(redaction).as_bytes()).unwrap();
        Config::new(&plugin, &mut TargetIds::default()).unwrap_err().to_string()
    };
    for (redaction, says) in [
        (
            r#"{"exported": {"detectors": ["emial"]}}"#,
            "redaction.exported.detectors[0]: no detector named \"emial\"; did you mean \"email\"?",
        ),
        (
            r#"{"forwarded": {"action": "block", "restore": true}}"#,
            "redaction.forwarded.restore: there is nothing to restore unless `action` is `mask`",
        ),
        (
            r#"{"forwarded": {"action": "mask", "restore": true, "replacement": "mask"}}"#,
            "redaction.forwarded.replacement: only labels",
        ),
        (
            r#"{"returned": {"action": "mask", "replacement": "hash"}}"#,
            "redaction.returned.replacement: `hash` needs a key",
        ),
        (
            r#"{"returned": {"action": "block", "detectors": ["emial"]}}"#,
            "redaction.returned.detectors[0]: no detector named",
        ),
        (
            r#"{"exported": {"replacement": "hash"}}"#,
            "redaction.exported.replacement: `hash` needs a key: give `redaction.hash_key",
        ),
        (r#"{"custom": [{"name": "x", "pattern": "("}]}"#, "redaction.custom[0]"),
    ] {
        let error = error(redaction);
        assert!(error.starts_with(says), "{error}");
    }
}

#[test]
fn what_the_caller_says_beside_content_for_which_there_is_no_room_is_redacted_all_the_same() {
    let config = with(r#"{"exported": {"content": "redact"}}, "trace": {"capture_budget": 64}"#);
    let metadata = json!({"owner": EMAIL}).to_string();
    let headers = [("x-weir-metadata", metadata.as_str()), ("x-weir-conversation-id", EMAIL)];
    let (mut stream, _) = ask(&config, &headers, &chat(&"word ".repeat(50), false));
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, "200", "application/json", &[r#"{"choices": []}"#]);
    let event = stream.event().unwrap();
    assert_eq!(event.content.as_ref().unwrap().capture(), v1::Capture::NoRoom);
    let caller = event.caller.as_ref().unwrap();
    assert_eq!((caller.metadata["owner"].as_str(), caller.conversation_id.as_str()), ("[EMAIL]", "[EMAIL]"));
}
