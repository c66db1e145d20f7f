//! Responses with a wrong content type: a stream that is not declared as one, and a single object that is
//! declared as a stream.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use serde_json::{Value, json};
use weir_event::v1;

use host::Stream;
use weir_filter::roles::Role as _;

/// A provider of each API.
const CONFIG: &str = r#"{
    "providers": {"openai": {"api": "openai", "url": "http://10.0.0.1/v1"},
                  "anthropic": {"api": "anthropic", "url": "http://10.0.0.2"},
                  "gemini": {"api": "gemini", "url": "http://10.0.0.3"},
                  "cohere": {"api": "cohere", "url": "http://10.0.0.4"}},
    "redaction": REDACTION,
    "exporter": {"cluster": "weir.exporter", "authority": "exporter"}
}"#;
const KEEP: &str = r#"{"exported": {"content": "keep"}}"#;
const MASK: &str =
    r#"{"exported": {"content": "keep"}, "returned": {"action": "mask", "detectors": ["email"]}}"#;

/// Everything but `text/event-stream`; the empty one is no type at all.
const OTHER_TYPES: [&str; 6] = [
    "text/plain; charset=utf-8",
    "application/octet-stream",
    "application/x-ndjson",
    "application/json",
    "text/html",
    "",
];

const CHAT: &str = "/v1/chat/completions";
const CHUNK: &str = r#"data: {"id":"c1","model":"gpt-4o","choices":[{"index":0,"delta":{"content":"At the pier."},"finish_reason":null}]}"#;
const STOP: &str =
    r#"data: {"id":"c1","model":"gpt-4o","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}"#;
const USAGE: &str = r#"data: {"id":"c1","model":"gpt-4o","choices":[],"usage":{"prompt_tokens":10,"completion_tokens":5,"total_tokens":15}}"#;
const DONE: &str = "data: [DONE]\n\n";

fn headers(content_type: &str) -> Vec<(&str, &str)> {
    let mut headers = vec![(":status", "200"), ("content-length", "1000")];
    headers.extend((!content_type.is_empty()).then_some(("content-type", content_type)));
    headers
}

fn ask(redaction: &str, path: &str, body: &Value) -> Stream {
    let config = CONFIG.replace("REDACTION", redaction);
    let mut stream = Stream::with(&config, &[(":path", path)], body.to_string().as_bytes());
    stream.arrive();
    assert!(stream.host.answered.borrow().is_none(), "{:?}", stream.host.answered.borrow());
    let mut attempt = stream.attempt();
    // This test only asks whether it is the caller's.
    *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), b"200".to_vec())];
    attempt.on_response_headers(&stream.host, false);
    stream
}

fn chat(is_stream: bool) -> Value {
    json!({"model": "openai/gpt-4o", "stream": is_stream, "messages": [{"role": "user", "content": "Where?"}]})
}

fn text(event: &v1::TraceEvent) -> &str {
    &event.content.as_ref().unwrap().outputs[0].text
}

#[test]
fn what_the_gateway_asked_for_comes_out_of_a_stream_whatever_it_is_called_and_however_it_begins() {
    for content_type in OTHER_TYPES.iter().chain(&["text/event-stream"]) {
        for before in
            ["", "\u{feff}", "\n\n", "\r\n", ": processing\n\n", "event: message\n", "id: 1\n", "retry: 9\n"]
        {
            let sent = format!("{before}{CHUNK}\n\n{STOP}\n\n{USAGE}\n\n{DONE}");
            let right = format!("{before}{CHUNK}\n\n{STOP}\n\n{DONE}");
            for size in [1, 2, 7, sent.len()] {
                let case = format!("{content_type:?} {before:?} in pieces of {size}");
                let mut stream = ask(KEEP, CHAT, &chat(true));
                let delivered = stream.receive(&headers(content_type), sent.as_bytes(), &[size]);
                assert_eq!(String::from_utf8(delivered).unwrap(), right, "{case}");
                let out = stream.host.response_headers.borrow().clone();
                assert!(out.iter().all(|(name, _)| name != "content-length"), "{case}");
                let event = stream.event().unwrap();
                assert_eq!(text(&event), "At the pier.", "{case}");
                let response = event.response.unwrap();
                assert_eq!((response.streamed, response.unread), (true, false), "{case}");
                assert_eq!(response.usage.unwrap().output_tokens, Some(5), "{case}");
                assert_eq!((response.model.as_str(), response.finish_reasons.len()), ("gpt-4o", 1), "{case}");
                assert_eq!(response.body_bytes, right.len() as u64, "{case}");
            }
        }
    }
}

#[test]
fn a_stream_of_every_api_is_read_whatever_it_is_called_and_also_where_none_was_asked_for() {
    let completion = "data: {\"choices\":[{\"index\":0,\"text\":\"At the pier.\"}]}\n\n";
    let responses = "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",\"output_index\":0,\"content_index\":0,\"delta\":\"At the pier.\"}\n\n";
    let anthropic = "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":\"At the pier.\"}}\n\n";
    let gemini =
        r#"{"candidates":[{"index":0,"content":{"role":"model","parts":[{"text":"At the pier."}]}}]}"#;
    let cohere = "data: {\"type\":\"content-delta\",\"index\":0,\"delta\":{\"message\":{\"content\":{\"text\":\"At the pier.\"}}}}\n\n";
    let messages = json!([{"role": "user", "content": "Where?"}]);
    for (path, body, answer) in [
        (CHAT, chat(false), format!("{CHUNK}\n\n{DONE}")),
        ("/v1/completions", json!({"model": "openai/m", "prompt": "Where?"}), completion.to_owned()),
        ("/v1/responses", json!({"model": "openai/m", "input": "Where?"}), responses.to_owned()),
        (
            "/v1/messages",
            json!({"model": "anthropic/m", "max_tokens": 9, "messages": messages}),
            anthropic.to_owned(),
        ),
        ("/v2/chat", json!({"model": "cohere/m", "messages": messages}), cohere.to_owned()),
        (
            "/v1beta/models/gemini%2Fm:streamGenerateContent",
            json!({"contents": []}),
            format!("data: {gemini}\n\n"),
        ),
        ("/v1beta/models/gemini%2Fm:streamGenerateContent", json!({"contents": []}), format!("[{gemini}\n]")),
        ("/v1beta/models/gemini%2Fm:generateContent", json!({"contents": []}), format!("\n[{gemini}]")),
    ] {
        for content_type in OTHER_TYPES {
            for size in [1, answer.len()] {
                let case = format!("{path} {content_type:?} in pieces of {size}");
                let mut stream = ask(KEEP, path, &body);
                let delivered = stream.receive(&headers(content_type), answer.as_bytes(), &[size]);
                assert_eq!(String::from_utf8(delivered).unwrap(), answer, "{case}");
                let event = stream.event().unwrap();
                assert_eq!(text(&event), "At the pier.", "{case}");
                assert!(event.response.unwrap().streamed, "{case}");
            }
        }
    }
}

#[test]
fn one_object_is_read_as_one_also_where_it_is_called_a_stream_or_text() {
    let chat_answer = r#"{"id":"c1","model":"gpt-4o","choices":[{"index":0,"message":{"role":"assistant","content":"At the pier."},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5}}"#;
    let message = r#"{"id":"m1","type":"message","role":"assistant","model":"gpt-4o","content":[{"type":"text","text":"At the pier."}],"stop_reason":"stop","usage":{"input_tokens":10,"output_tokens":5}}"#;
    let messages = json!({"model": "anthropic/m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "Where?"}]});
    for (path, body, answer) in [
        (CHAT, chat(true), chat_answer),
        ("/v1/messages", messages, message),
        (CHAT, chat(false), chat_answer),
    ] {
        for content_type in ["text/event-stream", "text/plain", "application/octet-stream"] {
            for (before, size) in [("", 1), ("\n\n", 3), ("\r\n", 5000)] {
                let case = format!("{path} {content_type} {before:?} in pieces of {size}");
                let mut stream = ask(KEEP, path, &body);
                let sent = format!("{before}{answer}");
                let delivered = stream.receive(&headers(content_type), sent.as_bytes(), &[size]);
                assert_eq!(String::from_utf8(delivered).unwrap(), sent, "{case}");
                let event = stream.event().unwrap();
                let kept = event.content.unwrap().response;
                assert!(String::from_utf8_lossy(&kept).contains("At the pier."), "{case}");
                let response = event.response.unwrap();
                assert_eq!((response.streamed, response.unread), (false, false), "{case}");
                assert_eq!(response.usage.unwrap().output_tokens, Some(5), "{case}");
            }
        }
    }
}

#[test]
fn what_is_returned_is_searched_by_what_it_is_and_not_by_what_it_is_called() {
    let chunk = |text: &str| {
        format!(
            "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n"
        )
    };
    // The events split the address, so only a search of the texts finds it.
    let sent = chunk("Ask ann@exam") + &chunk("ple.com now, please.") + &format!("{USAGE}\n\n{DONE}");
    for content_type in OTHER_TYPES.iter().chain(&["text/event-stream"]) {
        for size in [1, 50, sent.len()] {
            let case = format!("{content_type:?} in pieces of {size}");
            let mut stream = ask(MASK, CHAT, &chat(true));
            let delivered = stream.receive(&headers(content_type), sent.as_bytes(), &[size]);
            let delivered = String::from_utf8(delivered).unwrap();
            let said: String = delivered
                .split("\n\n")
                .filter_map(|event| serde_json::from_str::<Value>(event.strip_prefix("data: ")?).ok())
                .map(|event| event["choices"][0]["delta"]["content"].as_str().unwrap_or_default().to_owned())
                .collect();
            assert_eq!(said, "Ask [EMAIL] now, please.", "{case}: {delivered}");
            assert!(!delivered.contains("usage") && delivered.ends_with(DONE), "{case}: {delivered}");
            assert_eq!(
                stream.event().unwrap().response.unwrap().usage.unwrap().output_tokens,
                Some(5),
                "{case}"
            );
        }
    }
    let whole = r#"{"choices":[{"index":0,"message":{"content":"Ask ann@example.com."}}]}"#;
    for content_type in OTHER_TYPES.iter().chain(&["text/event-stream"]) {
        let mut stream = ask(MASK, CHAT, &chat(true));
        let delivered = stream.receive(&headers(content_type), whole.as_bytes(), &[10]);
        assert_eq!(
            String::from_utf8(delivered).unwrap(),
            whole.replace("ann@example.com", "[EMAIL]"),
            "{content_type}"
        );
    }
}

#[test]
fn white_space_that_keeps_a_connection_open_goes_on_at_once() {
    let mut stream = ask(KEEP, CHAT, &chat(true));
    let delivered = stream.receive(&headers("application/json"), b"\n", &[1]);
    assert_eq!(delivered, b"\n");
    assert_eq!(stream.event().unwrap().response.unwrap().error_type, "empty_response");
}
