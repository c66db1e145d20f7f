//! Redaction of responses on their way to the caller: masked, blocked, or with the original values restored, in
//! one piece and as streams of every API.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;
mod streams;

use proptest::prelude::*;
use serde_json::{Value, json};
use std::rc::Rc;
use weir_event::v1;
use weir_filter::config::Config;
use weir_filter::host::Step;
use weir_filter::roles::Role as _;

use host::{Stream, checked};
use streams::{KINDS, Kind, messages, texts};

const EMAIL: &str = "ann.canary@example.com";
const CARD: &str = "4111 1111 1111 1111";

/// A header's name and value.
type Header = (&'static str, &'static str);

/// A gateway with this redaction.
fn config(redaction: &str) -> Rc<Config> {
    checked(&text(redaction))
}

fn text(redaction: &str) -> String {
    let provider = |api: &str| format!(r#""{api}": {{"api": "{api}", "url": "http://10.0.0.1:9000/v1"}}"#);
    let model = |api: &str| format!(r#""{api}": {{"targets": [{{"provider": "{api}"}}]}}"#);
    let apis = ["openai", "anthropic", "gemini", "cohere"];
    format!(
        r#"{{"providers": {{{}}}, "models": {{{}}}, "redaction": {redaction}, "limits": {{"response_body": "64KiB"}},
            "exporter": {{"cluster": "weir.exporter", "authority": "exporter"}}}}"#,
        apis.map(provider).join(","),
        apis.map(model).join(",")
    )
}

fn ask(config: &Rc<Config>, path: &str, body: &Value) -> Stream {
    let mut stream = Stream::under(config, &[(":path", path)], body.to_string().as_bytes());
    assert_eq!(stream.arrive(), Step::Continue, "{:?}", stream.host.answered.borrow());
    stream
}

/// Responds with pieces of these sizes, repeated, and returns what the caller receives.
fn respond(stream: &mut Stream, headers: &[(&str, &str)], body: &[u8], sizes: &[usize]) -> Vec<u8> {
    let mut attempt = stream.attempt();
    stream.host.set_response(headers);
    attempt.on_response_headers(&stream.host, false);
    let delivered = stream.deliver(body, sizes);
    attempt.on_response_trailers(&stream.host);
    delivered
}

fn reply(stream: &mut Stream, content_type: &str, body: &str, size: usize) -> String {
    let headers = [(":status", "200"), ("content-type", content_type), ("content-length", "1")];
    String::from_utf8(respond(stream, &headers, body.as_bytes(), &[size])).unwrap()
}

fn found(event: &v1::TraceEvent, scope: v1::RedactedFor) -> Vec<(&str, u64)> {
    let found = event.redactions.iter().filter(|found| found.scope() == scope);
    found.map(|found| (found.detector.as_str(), found.count)).collect()
}

/// Splits a text into pieces of these sizes, repeated.
fn split(text: &str, sizes: &[usize]) -> Vec<String> {
    let (mut pieces, mut rest, mut sizes) = (Vec::new(), text, sizes.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) =
            rest.split_at(rest.ceil_char_boundary(*sizes.next().unwrap().clamp(&1, &rest.len())));
        pieces.push(piece.to_owned());
        rest = after;
    }
    pieces
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(6))]

    #[test]
    fn however_a_stream_is_split_its_texts_are_the_same_and_hold_nothing_that_was_planted(
        sizes in prop::collection::vec(1usize..12, 1..6),
        bytes in prop::collection::vec(1usize..200, 1..4),
        words in prop::collection::vec("[a-zé \\[]{0,8}", 3),
    ) {
        let masks = config(r#"{"returned": {"action": "mask"}}"#);
        let content = format!("{} {EMAIL} {} {CARD} {}", words[0], words[1], words[2]);
        let expected = format!("{} [EMAIL] {} [CREDIT_CARD] {}", words[0], words[1], words[2]);
        let arguments = json!({"to": [EMAIL], "again": json!({"card": CARD}).to_string(), "n": 1}).to_string();
        let masked = json!({"to": ["[EMAIL]"], "again": json!({"card": "[CREDIT_CARD]"}).to_string(), "n": 1}).to_string();
        for kind in KINDS {
            let body = kind.stream(&split(&content, &sizes), &split(&arguments, &sizes));
            let mut stream = ask(&masks, kind.path(), &kind.request("hello"));
            let headers = [(":status", "200"), ("content-type", kind.content_type())];
            let delivered = String::from_utf8(respond(&mut stream, &headers, body.as_bytes(), &bytes)).unwrap();
            prop_assert!(!delivered.contains("canary") && !delivered.contains("4111"), "{kind:?} {delivered}");
            let read = texts(&messages(kind, &delivered));
            prop_assert_eq!(&read["text 0"], &expected, "{:?} {}", kind, delivered);
            prop_assert_eq!(&read["arguments"], &masked, "{:?} {}", kind, delivered);
            if kind == Kind::Responses {
                prop_assert_eq!(&read["completed"], &read["text 0"]);
                prop_assert_eq!(&read["done"], &format!("{}{masked}", read["text 0"]));
            }
            // The same in one piece, with every text whole.
            let whole = kind.stream(&split(&content, &[4000]), &split(&arguments, &[4000]));
            let mut stream = ask(&masks, kind.path(), &kind.request("hello"));
            let delivered = String::from_utf8(respond(&mut stream, &headers, whole.as_bytes(), &[100_000])).unwrap();
            prop_assert_eq!(&texts(&messages(kind, &delivered)), &read, "{:?}", kind);
            let event = stream.event().unwrap();
            prop_assert!(found(&event, v1::RedactedFor::Caller).iter().all(|(name, count)| (*name == "email" || *name == "credit_card") && *count >= 2));
        }
    }

    #[test]
    fn however_a_stream_is_split_the_callers_values_are_restored_in_it(
        sizes in prop::collection::vec(1usize..12, 1..6),
        bytes in prop::collection::vec(1usize..200, 1..4),
    ) {
        let config = config(
            r#"{"forwarded": {"action": "mask", "restore": true}, "custom": [{"name": "odd", "pattern": "ODD<[^>]*>"}]}"#,
        );
        let secret = "ODD<a\"b\\c\n9xyz>";
        for kind in KINDS {
            let mut stream = ask(&config, kind.path(), &kind.request(&format!("I am {EMAIL}, {secret}")));
            let sent = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
            prop_assert!(sent.contains("[EMAIL_1]") && !sent.contains("canary") && !sent.contains("9xyz"), "{sent}");
            prop_assert!(sent.contains("[ODD_1]"), "{sent}");
            let content = "Hi [EMAIL_1], not [EMAIL_2] [x] or [EMAIL_1]";
            let arguments = json!({"to": ["[EMAIL_1]"], "again": json!({"to": "[ODD_1]"}).to_string()}).to_string();
            let body = kind.stream(&split(content, &sizes), &split(&arguments, &sizes));
            let headers = [(":status", "200"), ("content-type", kind.content_type())];
            let delivered = String::from_utf8(respond(&mut stream, &headers, body.as_bytes(), &bytes)).unwrap();
            let read = texts(&messages(kind, &delivered));
            prop_assert_eq!(&read["text 0"], &format!("Hi {EMAIL}, not [EMAIL_2] [x] or {EMAIL}"));
            let arguments: Value = serde_json::from_str(&read["arguments"]).unwrap();
            prop_assert_eq!(&arguments["to"][0], EMAIL);
            let again: Value = serde_json::from_str(arguments["again"].as_str().unwrap()).unwrap();
            prop_assert_eq!(&again["to"], secret);
            let event = stream.event().unwrap();
            let exported = format!("{event:?}");
            prop_assert!(!exported.contains("canary"), "{exported}");
            let outputs = &event.content.as_ref().unwrap().outputs;
            prop_assert_eq!(&outputs[0].text, content, "taken before anything was restored");
            prop_assert!(found(&event, v1::RedactedFor::Restored).iter().any(|(name, count)| *name == "email" && *count >= 3));
        }
    }

    #[test]
    fn what_holds_nothing_passes_byte_for_byte_and_with_everything_off_all_does(
        sizes in prop::collection::vec(1usize..30, 1..6),
        bytes in prop::collection::vec(1usize..200, 1..4),
    ) {
        let off = config(r#"{"exported": {"content": "redact"}}"#);
        // Spaces at the ends, so that nothing is held: a possible match begins with a word.
        let calm: Vec<String> = split("so calm it is, and so wide ! \n\" \\ é 日本 ", &sizes).into_iter().map(|piece| format!("{piece}. \n")).collect();
        let on = ["mask", "block"].map(|action| config(&format!(r#"{{"returned": {{"action": "{action}", "detectors": ["email"]}}}}"#)));
        for kind in KINDS {
            let headers = [(":status", "200"), ("content-type", kind.content_type()), ("x-own", "1")];
            let planted = kind.stream(&split(EMAIL, &sizes), &split(&json!({"to": EMAIL}).to_string(), &sizes));
            let mut stream = ask(&off, kind.path(), &kind.request("hello"));
            let delivered = respond(&mut stream, &headers, planted.as_bytes(), &bytes);
            prop_assert_eq!(String::from_utf8(delivered).unwrap(), planted);
            for on in &on {
                let body = kind.stream(&calm, &["{} \n".to_owned()]);
                let mut stream = ask(on, kind.path(), &kind.request("hello"));
                let delivered = respond(&mut stream, &headers, body.as_bytes(), &bytes);
                prop_assert_eq!(String::from_utf8(delivered).unwrap(), body, "{:?}", kind);
                prop_assert!(stream.gateway.held() < 8 << 10);
            }
        }
    }
}

#[test]
fn a_stream_that_holds_what_is_blocked_ends_with_the_apis_own_error_and_nothing_of_it_is_sent() {
    let config = config(r#"{"returned": {"action": "block", "detectors": ["email"]}}"#);
    for kind in KINDS {
        for size in [1, 7, 100_000] {
            let content = split(&format!("You are {EMAIL}, I know. And more, and more."), &[5]);
            let body = kind.stream(&content, &["{}".to_owned()]);
            let mut stream = ask(&config, kind.path(), &kind.request("hello"));
            let delivered = reply(&mut stream, kind.content_type(), &body, size);
            assert!(!delivered.contains("ann") && !delivered.contains("canary"), "{kind:?} {delivered}");
            assert!(!delivered.contains("more"), "{kind:?} {delivered}");
            let all = messages(kind, &delivered);
            let said = texts(&all);
            assert_eq!(said["text 0"], "You are ", "{kind:?} {delivered}");
            let last = all.last().unwrap();
            match kind {
                Kind::Chat | Kind::Completions => {
                    assert_eq!(last["error"]["code"], "content_blocked");
                    assert!(delivered.ends_with("data: [DONE]\n\n"));
                }
                Kind::Responses => {
                    assert_eq!((&last["type"], &last["code"]), (&json!("error"), &json!("content_blocked")));
                    assert!(delivered.contains("event: error\n"));
                }
                Kind::Anthropic => {
                    assert_eq!(
                        (&last["type"], &last["error"]["type"]),
                        (&json!("error"), &json!("permission_error"))
                    );
                    assert!(delivered.contains("event: error\n"));
                }
                Kind::Gemini | Kind::GeminiArray => assert_eq!(last["error"]["status"], "PERMISSION_DENIED"),
                Kind::Cohere => assert_eq!(last["delta"]["finish_reason"], "ERROR"),
            }
            assert_eq!(stream.host.response_header("content-length"), None);
            let event = stream.event().unwrap();
            assert_eq!(event.response.as_ref().unwrap().error_type, "content_blocked");
            assert_eq!(found(&event, v1::RedactedFor::Caller), [("email", 1)]);
            assert!(!format!("{event:?}").contains("canary"));
        }
    }
}

#[test]
fn a_response_in_one_piece_is_masked_restored_or_refused_and_its_length_reported() {
    let chat = |content: &str| {
        let arguments = json!({"to": content}).to_string();
        json!({"id": "c", "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": content,
            "tool_calls": [{"id": "t", "type": "function", "function": {"name": "f", "arguments": arguments}}]},
            "logprobs": {"content": [{"token": "ann"}, {"token": ".canary"}]}}]})
        .to_string()
    };
    let ask = |redaction: &str, content: &str| {
        ask(
            &config(redaction),
            "/v1/chat/completions",
            &json!({"model": "openai", "messages": [{"role": "user", "content": content}]}),
        )
    };
    for size in [9, 100_000] {
        let mut stream = ask(r#"{"returned": {"action": "mask"}}"#, "hello");
        let delivered = reply(&mut stream, "application/json", &chat(&format!("é {EMAIL}")), size);
        let expected =
            chat("é [EMAIL]").replace(r#"{"content":[{"token":"ann"},{"token":".canary"}]}"#, "null");
        assert_eq!(delivered, expected);
        assert_eq!(stream.host.response_header("content-length").unwrap(), delivered.len().to_string());
        assert!(stream.host.response_header("x-weir-trace-id").is_some());
        let event = stream.event().unwrap();
        assert_eq!(found(&event, v1::RedactedFor::Caller), [("email", 2)]);
        assert_eq!(event.response.as_ref().unwrap().body_bytes, delivered.len() as u64);
        let timing = event.timing.unwrap();
        assert!(timing.returning_ns > 0 && timing.returning_ns < timing.returned_ns);
        assert!(!format!("{event:?}").contains("canary"), "logprobs neither");

        let mut stream = ask(r#"{"forwarded": {"action": "mask", "restore": true}}"#, EMAIL);
        let delivered = reply(&mut stream, "application/json", &chat("é [EMAIL_1]"), size);
        assert_eq!(delivered, chat(&format!("é {EMAIL}")), "logprobs stay: they hold placeholders");
        let event = stream.event().unwrap();
        assert_eq!(found(&event, v1::RedactedFor::Restored), [("email", 2)]);
        assert!(String::from_utf8_lossy(&event.content.as_ref().unwrap().response).contains("[EMAIL_1]"));
        assert!(!format!("{event:?}").contains("canary"));

        let mut stream = ask(r#"{"returned": {"action": "block"}}"#, "hello");
        let delivered: Value =
            serde_json::from_str(&reply(&mut stream, "application/json", &chat(EMAIL), size)).unwrap();
        assert_eq!(delivered["error"]["code"], "content_blocked");
        assert_eq!(stream.host.response_header(":status").unwrap(), "403");
        assert_eq!(stream.event().unwrap().response.unwrap().status, 403);

        let mut stream = ask(r#"{"returned": {"action": "mask"}}"#, "hello");
        let same = "{ \"choices\" : [ ], \"x\" : \"\\u00e9\" }";
        assert_eq!(reply(&mut stream, "application/json", same, size), same);
        assert_eq!(stream.host.response_header("content-length").unwrap(), "1", "as the provider said");
    }
}

#[test]
fn a_text_is_searched_too() {
    let body = json!({"model": "openai", "messages": []});
    let mut stream = ask(&config(r#"{"returned": {"action": "mask"}}"#), "/v1/chat/completions", &body);
    assert_eq!(reply(&mut stream, "text/plain", &format!("I am {EMAIL}\n"), 4), "I am [EMAIL]\n");
}

#[test]
fn what_cannot_be_searched_is_not_returned_unless_it_may_pass_and_is_where_values_are_only_restored() {
    let large = json!({"choices": [], "x": "y ".repeat(40 << 10)}).to_string();
    let broken = format!("{{\"choices\": [{EMAIL}");
    let request = json!({"model": "openai", "messages": [{"role": "user", "content": EMAIL}]});
    let cases: [(&[Header], &[u8]); 5] = [
        (&[("content-type", "application/json"), ("content-encoding", "gzip")], b"\x1f\x8b"),
        (&[("content-type", "audio/mpeg")], b"\xff\xf3"),
        (&[("content-type", "application/json")], large.as_bytes()),
        (&[("content-type", "application/json")], broken.as_bytes()),
        (&[("content-type", "application/json")], b"{\"a\": \"\xff\"}"),
    ];
    for (headers, body) in cases {
        let headers: Vec<_> = [(":status", "200")].iter().chain(headers).copied().collect();
        for (redaction, passes) in [
            (r#"{"returned": {"action": "mask"}}"#, false),
            (r#"{"returned": {"action": "block"}}"#, false),
            (r#"{"returned": {"action": "mask", "on_unreadable": "pass"}}"#, true),
            (r#"{"forwarded": {"action": "mask", "restore": true}}"#, true),
        ] {
            let mut stream = ask(&config(redaction), "/v1/chat/completions", &request);
            let delivered = respond(&mut stream, &headers, body, &[1000]);
            if passes {
                assert_eq!(delivered, body, "{headers:?} {redaction}");
                continue;
            }
            assert_eq!(stream.host.response_header(":status").unwrap(), "502", "{headers:?} {redaction}");
            let error: Value = serde_json::from_slice(&delivered).unwrap();
            assert_eq!(error["error"]["code"], "content_unreadable", "{headers:?} {redaction}");
            assert_eq!(stream.host.response_header("content-length").unwrap(), delivered.len().to_string());
        }
    }
}

#[test]
fn an_event_that_cannot_be_searched_ends_the_stream_unless_it_may_pass() {
    let event = |content: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content:?}}}}}]}}\n\n")
    };
    let request = json!({"model": "openai", "stream": true, "stream_options": {"include_usage": true},
        "messages": [{"role": "user", "content": EMAIL}]});
    let large = event(&"x y ".repeat(20 << 10));
    for odd in [large.as_str(), "data: {\"choices\": nothing}\n\n", "data: text\n\n"] {
        let body = format!("{}{odd}{}", event("one. "), event("two. "));
        for (redaction, passes) in [
            (r#"{"returned": {"action": "mask"}}"#, false),
            (r#"{"returned": {"action": "mask", "on_unreadable": "pass"}}"#, true),
            (r#"{"forwarded": {"action": "mask", "restore": true}}"#, true),
        ] {
            let mut stream = ask(&config(redaction), "/v1/chat/completions", &request);
            let delivered = reply(&mut stream, "text/event-stream", &body, 999);
            if passes {
                assert_eq!(delivered, body, "{redaction}");
                continue;
            }
            let all = messages(Kind::Chat, &delivered);
            assert_eq!(all.last().unwrap()["error"]["code"], "content_unreadable", "{delivered:.200}");
            assert!(!delivered.contains("two"));
        }
    }
}

#[test]
fn names_comments_and_whatever_else_stands_in_a_stream_are_searched() {
    let masks = config(r#"{"returned": {"action": "mask"}}"#);
    let request = json!({"model": "gemini", "contents": []});
    for (body, expected) in [
        (format!(": for {EMAIL}\n\ndata: {{}}\n\n"), ": for [EMAIL]\n\ndata: {}\n\n".to_owned()),
        (format!("event: {EMAIL}\ndata: {{}}\n\n"), "event: [EMAIL]\ndata: {}\n\n".to_owned()),
        (
            format!("data: {{\ndata: \"a\":\"{EMAIL}\"}}\n\n"),
            "data: {\ndata: \"a\":\"[EMAIL]\"}\n\n".to_owned(),
        ),
        (
            format!("data: {{}}\n\n\n{{\n \"error\": {{\n\n\"message\": \"{EMAIL}\"}}}}\n"),
            "data: {}\n\n\n{\n \"error\": {\n\n\"message\": \"[EMAIL]\"}}\n".to_owned(),
        ),
        (
            format!("data: {{\"candidates\":[{{\"content\":{{\"parts\":[{{\"text\":\"{EMAIL}\"}}]}}}}]}}"),
            "data: {\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"[EMAIL]\"}]}}]}".to_owned(),
        ),
    ] {
        for size in [1, 5, 1000] {
            let mut stream = ask(&masks, Kind::Gemini.path(), &request);
            assert_eq!(reply(&mut stream, "text/event-stream", &body, size), expected, "pieces of {size}");
        }
    }
}

#[test]
fn a_key_can_be_stricter_in_what_it_is_returned() {
    let keys = r#""keys": [{"name": "k", "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
        "redaction": {"returned": {"action": "mask", "detectors": ["email"]}}}], "limits""#;
    let config = text(r#"{"exported": {"content": "keep"}}"#).replacen("\"limits\"", keys, 1);
    let body = json!({"model": "openai", "messages": []});
    let headers = [("authorization", "Bearer secret")];
    let mut stream = Stream::with(&config, &headers, body.to_string().as_bytes());
    assert_eq!(stream.arrive(), Step::Continue, "{:?}", stream.host.answered.borrow());
    let delivered = reply(&mut stream, "application/json", &json!({"x": [EMAIL, CARD]}).to_string(), 1000);
    assert_eq!(delivered, json!({"x": ["[EMAIL]", CARD]}).to_string());
}

#[test]
fn what_stands_behind_a_conversation_has_the_same_placeholders_with_every_turn() {
    let config = config(r#"{"forwarded": {"action": "mask", "restore": true}}"#);
    let sent = |turns: usize| {
        let turns: Vec<Value> =
            (0..turns).map(|n| json!({"role": "user", "content": format!("a{n}@example.com")})).collect();
        let body = json!({"max_tokens": 9, "messages": turns, "model": "anthropic", "system": format!("Help {EMAIL}"),
            "tools": [{"name": "f", "description": "ask b@example.com"}]});
        let stream = ask(&config, "/v1/messages", &body);
        serde_json::from_slice::<Value>(&stream.host.request_body.borrow()).unwrap()
    };
    let (one, three) = (sent(1), sent(3));
    assert_eq!(one["system"], "Help [EMAIL_1]");
    assert_eq!((&one["system"], &one["tools"]), (&three["system"], &three["tools"]));
    assert_eq!(one["messages"][0], three["messages"][0]);
}

/// Time to redact an event, in ms: the least of three.
fn redaction_takes(path: &str, event: &str) -> f64 {
    let config = checked(&text(r#"{"returned": {"action": "mask"}}"#).replace("64KiB", "10MiB"));
    let rounds = (0..3).map(|_| {
        let mut stream = ask(&config, path, &json!({"model": "openai", "stream": true, "messages": []}));
        let start = std::time::Instant::now();
        let delivered = reply(&mut stream, "text/event-stream", event, event.len());
        let took = start.elapsed().as_secs_f64() * 1e3;
        assert_eq!(delivered.matches("ab").count(), event.matches("ab").count(), "each text leaves");
        took
    });
    rounds.fold(f64::INFINITY, f64::min)
}

#[test]
#[ignore = "a measurement: its figures are those of the machine"]
fn an_event_with_many_texts_that_end_takes_as_long_as_it_is_and_no_longer() {
    let calls = |count: usize| -> Vec<Value> {
        (0..count).map(|index| json!({"index": index, "function": {"arguments": "ab"}})).collect()
    };
    let of_calls = |count| json!({"choices": [{"index": 0, "finish_reason": "tool_calls", "delta": {"tool_calls": calls(count)}}]});
    let of_choices = |count: usize| {
        let choice = |index| json!({"index": index, "finish_reason": "stop", "delta": {"content": "ab"}});
        json!({"choices": (0..count).map(choice).collect::<Vec<_>>()})
    };
    let of_an_error = |count| json!({"error": {"message": "no"}, "choices": [{"index": 0, "delta": {"tool_calls": calls(count)}}]});
    let events: [&dyn Fn(usize) -> Value; 3] = [&of_calls, &of_choices, &of_an_error];
    for event in events {
        let [short, long] = [500, 8000]
            .map(|count| redaction_takes("/v1/chat/completions", &format!("data: {}\n\n", event(count))));
        // Sixteen times as long; quadratic would be 256 times.
        assert!(long < 64.0 * short, "{short:.1} ms, then {long:.1} ms");
    }
}

#[test]
fn a_placeholder_that_the_caller_wrote_itself_stays_the_callers() {
    let config = config(r#"{"forwarded": {"action": "mask", "restore": true}}"#);
    let prompt = "literal [EMAIL_1] and real bob@acme-corp.io";
    let (said, restored) =
        ("first [EMAIL_1], second [EMAIL_2]", "first [EMAIL_1], second bob@acme-corp.io".to_owned());
    let sent = |stream: &Stream| String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
    for kind in KINDS {
        let mut stream = ask(&config, kind.path(), &kind.request(prompt));
        assert!(sent(&stream).contains("literal [EMAIL_1] and real [EMAIL_2]"), "{}", sent(&stream));
        let body = kind.stream(&split(said, &[3]), &split("{}", &[9]));
        let headers = [(":status", "200"), ("content-type", kind.content_type())];
        let delivered = String::from_utf8(respond(&mut stream, &headers, body.as_bytes(), &[50])).unwrap();
        assert_eq!(texts(&messages(kind, &delivered))["text 0"], restored, "{kind:?}");
    }
    // The next turn, with the response as the caller received it, has the same placeholders.
    let turns = json!([{"role": "user", "content": prompt}, {"role": "assistant", "content": restored},
        {"role": "tool", "content": "{\"to\": \"\\u005bEMAIL_3] ann@acme-corp.io\"}"}]);
    let body = json!({"model": "openai", "messages": turns});
    let mut stream = ask(&config, "/v1/chat/completions", &body);
    let sent = sent(&stream);
    assert!(sent.contains("real [EMAIL_2]") && sent.contains(said) && sent.contains("[EMAIL_4]"), "{sent}");
    let chat = |content: &str| json!({"choices": [{"message": {"content": content}}]}).to_string();
    let delivered =
        reply(&mut stream, "application/json", &chat("[EMAIL_1] [EMAIL_2] [EMAIL_3] [EMAIL_4]"), 9);
    assert_eq!(delivered, chat("[EMAIL_1] bob@acme-corp.io [EMAIL_3] ann@acme-corp.io"));
}

#[test]
fn what_keeps_a_stream_open_and_an_end_in_quotes_pass_as_they_are() {
    let config = config(r#"{"returned": {"action": "mask", "detectors": ["email"]}}"#);
    let chunk =
        json!({"choices": [{"index": 0, "delta": {"content": "At the pier."}, "finish_reason": "stop"}]});
    let body = format!("data: null\n\ndata:\n\ndata: {chunk}\n\ndata:  \"[DONE]\"\n\n");
    for size in [1, 7, body.len()] {
        let asked =
            json!({"model": "openai", "stream": true, "messages": [{"role": "user", "content": "Where?"}]});
        let mut stream = ask(&config, "/v1/chat/completions", &asked);
        let headers = [(":status", "200"), ("content-type", "text/event-stream")];
        let delivered = respond(&mut stream, &headers, body.as_bytes(), &[size]);
        assert_eq!(String::from_utf8(delivered).unwrap(), body, "pieces of {size}");
        let response = stream.event().unwrap().response.unwrap();
        assert_eq!((response.error_type.as_str(), response.unread), ("", false));
    }
}
