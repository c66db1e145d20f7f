//! What callers and providers write where an API has a word: what of it is exported, and what is blocked.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use serde_json::{Value, json};
use weir_filter::host::Step;

use host::Stream;

const EMAIL: &str = "ann.canary@example.com";
const CARD: &str = "4111 1111 1111 1111";

/// A path, and a request and a response whose words are all `it`.
struct Case {
    api: &'static str,
    path: &'static str,
    request: Value,
    response: Value,
}

fn cases(it: &str) -> Vec<Case> {
    let case = |api, path, request, response| Case { api, path, request, response };
    vec![
        case(
            "openai",
            "/v1/chat/completions",
            json!({
                "model": "m", "service_tier": it, "reasoning_effort": it, "user": it, "safety_identifier": it,
                "prompt_cache_key": it, "modalities": [it], "audio": {"voice": it, "format": it}, "stop": [it],
                "response_format": {"type": it}, "tool_choice": it, "verbosity": it,
                "messages": [{"role": it, "content": [{"type": it, "text": "x"}], "tool_call_id": it,
                    "tool_calls": [{"id": it, "type": it, "function": {"name": it, "arguments": "{}"}}]}],
            }),
            json!({
                "id": it, "model": it, "system_fingerprint": it, "service_tier": it,
                "choices": [{"index": 0, "finish_reason": it, "message": {"content": "x"}}],
                "usage": {"prompt_tokens": 1, (it): 2},
            }),
        ),
        case(
            "openai",
            "/v1/responses",
            json!({
                "model": "m", "service_tier": it, "reasoning": {"effort": it}, "truncation": it, "include": [it],
                "text": {"format": {"type": it}}, "tools": [{"type": it}],
                "input": [{"type": it, "role": it, "id": it, "call_id": it, "content": [{"type": it, "text": "x"}]}],
            }),
            json!({
                "id": it, "model": it, "service_tier": it, "status": "incomplete", "object": "response",
                "incomplete_details": {"reason": it},
                "output": [{"type": "message", "content": [{"type": "output_text", "text": "x"}]}],
            }),
        ),
        case(
            "openai",
            "/v1/embeddings",
            json!({"model": "m", "input": "x", "encoding_format": it, "user": it}),
            json!({"error": {"type": it, "code": it, "message": "x"}}),
        ),
        case(
            "openai",
            "/v1/audio/speech",
            json!({"model": "m", "input": "x", "voice": it, "response_format": it}),
            json!({"error": it}),
        ),
        case(
            "anthropic",
            "/v1/messages",
            json!({
                "model": "m", "max_tokens": 5, "service_tier": it, "stop_sequences": [it], "thinking": {"type": it},
                "tool_choice": {"type": it, "name": it}, "metadata": {"user_id": it},
                "messages": [{"role": it, "content": [{"type": it, "text": "x", "cache_control": {"type": it}}]}],
            }),
            json!({
                "id": it, "model": it, "type": "message", "role": "assistant", "stop_reason": it,
                "content": [{"type": "text", "text": "x"}], "usage": {"input_tokens": 1, "service_tier": it},
            }),
        ),
        case(
            "gemini",
            "/v1beta/models/m:generateContent",
            json!({
                "contents": [{"role": it, "parts": [{"inlineData": {"mimeType": it, "data": ""}}]}],
                "generationConfig": {"responseMimeType": it, "stopSequences": [it]},
                "safetySettings": [{"category": it, "threshold": it}],
            }),
            json!({
                "responseId": it, "modelVersion": it,
                "candidates": [{"index": 0, "finishReason": it, "content": {"parts": [{"text": "x"}]}}],
                "usageMetadata": {"promptTokenCount": 1, "trafficType": it},
            }),
        ),
        case(
            "cohere",
            "/v2/chat",
            json!({
                "model": "m", "safety_mode": it, "stop_sequences": [it], "tool_choice": it,
                "messages": [{"role": it, "content": [{"type": it, "text": "x"}], "tool_call_id": it}],
            }),
            json!({
                "id": it, "finish_reason": it,
                "message": {"role": "assistant", "content": [{"type": "text", "text": "x"}]},
            }),
        ),
    ]
}

fn config(api: &str, redaction: &str) -> String {
    json!({
        "providers": {"up": {"api": api, "url": "http://10.0.0.1:9000/v1"}},
        "models": {"m": {"targets": [{"provider": "up", "model": "upstream-m"}]}},
        "redaction": serde_json::from_str::<Value>(redaction).unwrap(),
        "exporter": {"cluster": "weir.exporter", "authority": "exporter"},
    })
    .to_string()
}

/// The strings of a value, by their path.
fn strings(value: &Value, path: &str, found: &mut Vec<String>) {
    match value {
        Value::Object(members) => {
            members.iter().for_each(|(key, value)| strings(value, &format!("{path}/{key}"), found));
        }
        Value::Array(list) => {
            list.iter().enumerate().for_each(|(at, value)| strings(value, &format!("{path}/{at}"), found));
        }
        Value::String(_) => found.push(path.to_owned()),
        _ => {}
    }
}

#[test]
fn a_card_in_any_string_member_of_a_request_is_blocked() {
    let mut members = 0;
    for number in [CARD, "4111111111111111", "4111-1111-1111-1111"] {
        for Case { api, path, request, .. } in cases("") {
            let config = config(api, r#"{"forwarded": {"action": "block", "detectors": ["credit_card"]}}"#);
            let mut found = Vec::new();
            strings(&request, "", &mut found);
            // A model by such a name is none, and so refused before.
            for member in found.iter().filter(|member| *member != "/model") {
                let mut body = request.clone();
                *body.pointer_mut(member).unwrap() = number.into();
                let mut stream = Stream::with(&config, &[(":path", path)], body.to_string().as_bytes());
                assert_eq!(stream.arrive(), Step::Hold, "{path} {member}");
                let (status, error) = stream.host.refused();
                assert_eq!(status, 400, "{path} {member}: {error}");
                let answer = stream.host.answered.borrow().clone().unwrap().1;
                assert!(
                    answer.contains("credit_card") && !answer.contains("4111"),
                    "{path} {member}: {answer}"
                );
                members += 1;
            }
        }
    }
    assert!(members > 150, "{members}");
}

#[test]
fn a_key_in_a_word_or_an_id_is_blocked_and_in_a_word_masked() {
    const TOKEN: &str = "ghp_16C7e42F292c6912E7710c838347Ae178B4a";
    let body = |role: &str, id: &str| json!({"model": "m", "messages": [{"role": role, "tool_call_id": id, "content": "x"}]});
    let arrive = |action: &str, body: &Value| {
        let config = config(
            "openai",
            &format!(r#"{{"forwarded": {{"action": "{action}", "detectors": ["secrets"]}}}}"#),
        );
        let mut stream = Stream::with(&config, &[], body.to_string().as_bytes());
        let step = stream.arrive();
        let sent = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
        (step, sent)
    };
    for body in [body(TOKEN, "call_1"), body("tool", TOKEN)] {
        assert_eq!(arrive("block", &body).0, Step::Hold);
    }
    let (step, sent) = arrive("mask", &body(TOKEN, "call_1"));
    assert!(step != Step::Hold && !sent.contains(TOKEN), "{sent}");
    // A replaced id would no longer be that of its call.
    let (step, sent) = arrive("mask", &body("tool", TOKEN));
    assert!(step != Step::Hold && sent.contains(TOKEN), "{sent}");
}

/// What is exported of a request and a response whose words are these.
fn exported(case: &Case, redaction: &str, headers: &[(&str, &str)], stream: bool) -> String {
    let mut request = case.request.clone();
    if stream && case.api != "gemini" {
        request["stream"] = true.into();
    }
    let headers = [&[(":path", case.path)], headers].concat();
    let body = request.to_string();
    let mut answered = Stream::with(&config(case.api, redaction), &headers, body.as_bytes());
    assert_ne!(answered.arrive(), Step::Hold, "{}", case.path);
    let mut attempt = answered.attempt();
    let event = format!("data: {}\n\n", case.response);
    let (media_type, piece) = match stream {
        true => ("text/event-stream", event),
        false => ("application/json", case.response.to_string()),
    };
    answered.respond(&mut attempt, "200", media_type, &[&piece]);
    let event = answered.event().unwrap();
    assert!(event.response.is_some());
    format!("{event:?}")
}

#[test]
fn a_sentence_where_a_word_should_be_is_exported_in_no_mode_without_content_and_redacted_where_content_is() {
    let sentence = format!("my patient {EMAIL}");
    for it in [sentence.as_str(), EMAIL] {
        for case in cases(it) {
            for stream in [false, true] {
                for (redaction, headers) in [
                    (r#"{"exported": {"content": "exclude"}}"#, &[][..]),
                    (r#"{"exported": {"content": "redact"}}"#, &[]),
                    (r#"{"exported": {"content": "keep"}}"#, &[("x-weir-content", "exclude")]),
                    (
                        r#"{"exported": {"content": "keep"}}"#,
                        &[("user-agent", it), ("x-weir-content", "exclude")],
                    ),
                    (
                        r#"{"exported": {"content": "redact"}}"#,
                        &[("user-agent", it), ("tracestate", "a=my patient")],
                    ),
                    ("{}", &[]),
                ] {
                    let told = exported(&case, redaction, headers, stream);
                    assert!(
                        !told.contains("canary"),
                        "{} {redaction} {headers:?} {stream}: {told}",
                        case.path
                    );
                }
            }
        }
    }
}

#[test]
fn every_header_that_asks_for_exclusion_counts_and_what_it_says_is_read_by_the_strictest() {
    let keep = r#"{"exported": {"content": "keep"}}"#;
    let said = |headers: &[(&str, &str)]| {
        let case = Case {
            api: "openai",
            path: "/v1/chat/completions",
            request: json!({"model": "m", "messages": [{"role": "user", "content": "a canary"}]}),
            response: json!({"choices": [{"message": {"content": "x"}}]}),
        };
        exported(&case, keep, headers, false).contains("canary")
    };
    for kept in [
        &[][..],
        &[("x-weir-content", "keep")],
        &[("x-weir-content", " KEEP , keep")],
        &[("x-weir-content", "")],
    ] {
        assert!(said(kept), "{kept:?}");
    }
    for excluded in [
        &[("x-weir-content", "keep"), ("x-weir-content", "exclude")][..],
        &[("x-weir-content", "keep, Exclude")],
        &[("x-weir-content", "exclude;q=1")],
        &[("x-weir-content", "no")],
        &[
            ("x-tfy-logging-config", r#"{"enabled": true}"#),
            ("x-tfy-logging-config", r#"{"enabled": false}"#),
        ],
        &[("x-tfy-logging-config", r#"{"enabled": "false"}"#)],
        &[("x-tfy-logging-config", "{")],
    ] {
        assert!(!said(excluded), "{excluded:?}");
    }
    assert!(said(&[("x-tfy-logging-config", r#"{"enabled": true}"#)]));
}
