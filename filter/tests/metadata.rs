//! Metadata that the caller sends with its request is redacted, whatever becomes of the content.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use std::cell::RefCell;
use std::rc::Rc;

use serde_json::json;
use weir_event::v1;
use weir_filter::event::vm::{ENTROPY, Vm};
use weir_filter::host::Step;
use weir_filter::roles::Role as _;
use weir_filter::roles::observer::Observer;

use host::{CONFIG, FakeHost, Stream, checked};

const SAID: [(&str, &str); 3] = [
    ("x-weir-user", "jane.doe@acme.io"),
    ("x-weir-conversation-id", "call from jane.doe@acme.io"),
    (
        "x-weir-metadata",
        r#"{"note":"card 4111 1111 1111 1111","password":"swordfish9","ghp_16C7e42F292c6912E7710c838347Ae178B4a":"x"}"#,
    ),
];
const EXCLUDE: (&str, &str) = ("x-weir-content", "exclude");
const WITH_KEY: (&str, &str) = ("authorization", "Bearer secret");
const KEY: &str =
    r#""name": "k", "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b""#;

fn with(redaction: &str, more: &str) -> String {
    CONFIG.replace(r#""limits": {"request_body": 1000}"#, &format!(r#""redaction": {redaction}{more}"#))
}

fn chat(model: &str) -> String {
    json!({"model": model, "messages": [{"role": "user", "content": "hi"}]}).to_string()
}

/// The event of a request with all kinds of metadata, which is answered if it is forwarded.
fn exported(config: &str, headers: &[(&str, &str)], body: &str) -> v1::TraceEvent {
    let headers = [SAID.as_slice(), headers].concat();
    let mut stream = Stream::with(config, &headers, body.as_bytes());
    if stream.arrive() == Step::Continue {
        let mut attempt = stream.attempt();
        stream.respond(&mut attempt, "200", "application/json", &["{}"]);
    }
    stream.event().unwrap()
}

/// Asserts that all of it is there and nothing identifies anybody.
fn assert_redacted(event: &v1::TraceEvent, why: &str) {
    let caller = event.caller.as_ref().unwrap();
    assert_eq!(
        (caller.user.as_str(), caller.conversation_id.as_str()),
        ("[EMAIL]", "call from [EMAIL]"),
        "{why}"
    );
    let metadata: Vec<_> =
        caller.metadata.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    let expected = [("[GITHUB]", "x"), ("note", "card [CREDIT_CARD]"), ("password", "[GENERIC_SECRET]")];
    assert_eq!(metadata, expected, "{why}");
    let found = event.redactions.iter().filter(|found| found.scope() == v1::RedactedFor::Export);
    assert_eq!(found.map(|found| found.count).sum::<u64>(), 5, "{why}");
}

#[test]
fn it_is_redacted_where_content_is_excluded() {
    let redact = r#"{"exported": {"content": "redact"}}"#;
    let of_key = format!(r#", "keys": [{{{KEY}, "redaction": {{"exported": {{"content": "exclude"}}}}}}]"#);
    let of_model = with(redact, "").replace(
        r#""model": "upstream-m"}]"#,
        r#""model": "upstream-m"}], "redaction": {"exported": {"content": "exclude"}}"#,
    );
    for (config, headers, why) in [
        (with(redact, ""), vec![EXCLUDE], "by the request"),
        (with(redact, ""), vec![("x-tfy-logging-config", r#"{"enabled": false}"#)], "by its other header"),
        (with(r#"{"exported": {"content": "keep"}}"#, ""), vec![EXCLUDE], "where it would be kept"),
        (with(r#"{"exported": {"content": "exclude"}}"#, ""), vec![], "by the gateway"),
        (with(redact, &of_key), vec![WITH_KEY], "by the key"),
        (of_model, vec![], "by the model"),
    ] {
        let event = exported(&config, &headers, &chat("m"));
        assert_eq!(event.content.as_ref().unwrap().capture(), v1::Capture::Excluded, "{why}");
        assert_redacted(&event, why);
    }
}

#[test]
fn it_is_redacted_where_the_request_is_refused() {
    let redact = with(r#"{"exported": {"content": "redact"}}"#, "");
    let block = r#"{"exported": {"content": "redact"}, "forwarded": {"action": "block"}}"#;
    let key = format!(r#", "keys": [{{{KEY}, "models": ["same"]}}]"#);
    let keep = with(r#"{"exported": {"content": "keep"}}"#, "").replace(
        r#""model": "upstream-m"}]"#,
        r#""model": "upstream-m"}], "redaction": {"exported": {"content": "redact"}, "forwarded": {"action": "block"}}"#,
    );
    let with_mail = chat("m").replace("\"hi\"", "\"bob@acme.io\"");
    for (config, headers, body, status) in [
        (redact.clone(), vec![], chat("unknown"), 404),
        (redact.clone(), vec![EXCLUDE], chat("unknown"), 404),
        (redact.clone(), vec![], "{".to_owned(), 400),
        (redact.clone(), vec![("content-encoding", "gzip")], chat("m"), 415),
        (redact.clone(), vec![("content-length", "99999999999")], chat("m"), 413),
        (with(block, ""), vec![], with_mail.clone(), 400),
        (with(r#"{"exported": {"content": "redact"}}"#, &key), vec![WITH_KEY], chat("m"), 403),
        // By the model's policy.
        (keep, vec![], with_mail, 400),
    ] {
        let event = exported(&config, &headers, &body);
        assert_eq!((event.response.as_ref().unwrap().status, event.content.as_ref()), (status, None));
        assert_redacted(&event, &format!("{status} {body}"));
    }
    // Nothing is recorded of an unknown caller.
    let event = exported(&with(r#"{"exported": {"content": "redact"}}"#, &key), &[], &chat("m"));
    assert_eq!(event.response.as_ref().unwrap().status, 401);
    assert_eq!(event.caller, Some(v1::Caller::default()));
}

#[test]
fn it_is_redacted_where_the_request_is_passed_through() {
    let key = format!(r#", "keys": [{{{KEY}, "models": ["up/*"], "grants": ["files"]}}]"#);
    let config = with(r#"{"exported": {"content": "redact"}}"#, &key)
        .replace(r#"base/v1""#, r#"base/v1", "grants": ["files"]"#);
    let headers = [SAID.as_slice(), &[WITH_KEY, (":path", "/v1/files"), ("x-weir-provider", "up")]].concat();
    let mut stream = Stream::with(&config, &headers, b"");
    assert_eq!(stream.gateway.on_request_headers(&stream.host, false), Step::Continue);
    let event = stream.event().unwrap();
    assert_eq!((event.request.as_ref().unwrap().api(), &event.content), (v1::Api::Passthrough, &None));
    assert_redacted(&event, "passed through");
}

#[test]
fn it_is_redacted_where_requests_are_observed() {
    for (redaction, more, large) in [
        (r#"{"exported": {"content": "redact"}}"#, vec![EXCLUDE], false),
        (r#"{"exported": {"content": "exclude"}}"#, vec![], false),
        // Refused, because it is too large to be searched.
        (r#"{"exported": {"content": "redact"}, "forwarded": {"action": "mask"}}"#, vec![], true),
    ] {
        let config = checked(&format!(
            r#"{{"mode": "observe", "redaction": {redaction}, "limits": {{"request_body": 1000}},
                "exporter": {{"cluster": "weir.exporter", "authority": "exporter"}}}}"#
        ));
        let vm = Rc::new(Vm::new(&[5; ENTROPY]));
        let length = if large { "5000" } else { "2" };
        let place =
            [(":method", "POST"), (":path", "/v1/chat/completions"), (":authority", "api.openai.com")];
        let headers = [place.as_slice(), &SAID, &more, &[("content-length", length)]].concat();
        let host = FakeHost { request_headers: RefCell::new(host::pairs(&headers)), ..FakeHost::default() };
        let mut observer = Observer::new(config, Rc::clone(&vm));
        let step = observer.on_request_headers(&host, false);
        assert_eq!(step == Step::Hold, large);
        observer.on_log(&host);
        assert_redacted(&host::next_event(&vm).unwrap(), redaction);
    }
}

#[test]
fn it_is_exported_as_it_stands_where_content_is_kept_or_nothing_is_said_of_it() {
    for config in [CONFIG.to_owned(), with(r#"{"exported": {"content": "keep"}}"#, "")] {
        for model in ["m", "unknown"] {
            let caller = exported(&config, &[], &chat(model)).caller.unwrap();
            assert_eq!(caller.user, "jane.doe@acme.io");
            assert!(caller.metadata["note"].contains("4111"));
        }
    }
}
