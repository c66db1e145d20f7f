//! Long bodies are searched slice by slice while their requests are held, and others are served in between.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use std::rc::Rc;

use serde_json::{Value, json};
use weir_filter::config::Config;
use weir_filter::event::vm::Vm;
use weir_filter::host::Step;
use weir_filter::redact::{Allow, Detectors, Replacement, SLICE, redact_json, steps};
use weir_filter::roles::Role as _;
use weir_filter::roles::turns::AT_ONCE;

use host::{CONFIG, Stream, checked};

const MIB: usize = 1 << 20;
/// Steps that a slice may take beyond what it was given: those of one part of a text.
const OVER: u64 = 150_000;

fn config(redaction: &str) -> Rc<Config> {
    let limits = r#""limits": {"request_body": 20000000}"#;
    checked(
        &CONFIG.replace(
            r#""limits": {"request_body": 1000}"#,
            &format!(r#"{limits}, "redaction": {redaction}"#),
        ),
    )
}

fn masking() -> Rc<Config> {
    config(r#"{"forwarded": {"action": "mask"}}"#)
}

fn chat(part: &str, size: usize) -> Vec<u8> {
    let text = part.repeat(size / part.len() + 1);
    json!({"model": "m", "messages": [{"role": "user", "content": text}]}).to_string().into_bytes()
}

/// A request that is here and not searched yet.
fn held(config: &Rc<Config>, body: &[u8]) -> Stream {
    let mut stream = Stream::under(config, &[], body);
    assert_eq!(stream.gateway.on_request_headers(&stream.host, false), Step::Hold);
    assert_eq!(stream.gateway.on_request_body(&stream.host, body.len() / 2, false), Step::Hold);
    assert_eq!(stream.gateway.on_request_body(&stream.host, body.len(), true), Step::Hold);
    assert_eq!(stream.gateway.long_work(), Some(body.len()));
    stream
}

/// What the provider gets of a body that is searched at once.
fn at_once(body: &[u8]) -> Vec<u8> {
    let detectors = Detectors::new(&[], &Allow::default(), "redaction").unwrap();
    let fields = weir_filter::api::openai::FAMILY.request_fields;
    let redacted = redact_json(body, &detectors, detectors.all(), fields, &mut Replacement::Label);
    redacted.unwrap().body.into_owned()
}

fn no_longer_held(vm: &Vm) {
    assert!(vm.streams.borrow().is_empty(), "no request is under way");
    assert_eq!(vm.budget.used(), 0, "nothing is reserved");
}

/// Searches a body in slices of so many steps; returns what the provider gets.
fn in_slices(config: &Rc<Config>, body: &[u8], size: u64) -> Vec<u8> {
    let mut stream = held(config, body);
    let _ = steps();
    let step = stream.work(size, |_| {
        let taken = steps();
        assert!(taken <= size + OVER, "a slice of {taken} steps");
    });
    assert_eq!(step, Some(Step::Continue));
    stream.host.request_body.take()
}

#[test]
fn every_hostile_body_is_searched_in_slices_with_the_same_result() {
    let parts =
        ["a@b.co ", "dob 1.2.1980 ", "password=a1", "\u{200b}1", "4111 1111 1111 1111 ", "\\\\née leNO11"];
    for part in parts {
        let body = chat(part, 8 * AT_ONCE);
        let expected = at_once(&body);
        for size in [20_000, SLICE] {
            assert!(in_slices(&masking(), &body, size) == expected, "{part:?} in slices of {size}");
        }
    }
}

#[test]
fn ten_mebibytes_are_searched_in_slices_and_another_request_is_served_after_each() {
    let config = masking();
    let body = chat("dob 1.2.80 ", 10 * MIB);
    let mut stream = held(&config, &body);
    let (mut slices, mut served) = (0, 0);
    let step = stream.work(SLICE, |stream| {
        slices += 1;
        if slices % 100 == 0 {
            let mut other = stream.beside(&config, &chat("ask me ", 100));
            assert_eq!(other.arrive(), Step::Continue);
            served += 1;
        }
    });
    assert_eq!(step, Some(Step::Continue));
    assert!(slices > 100 && served > 0, "{slices} slices, {served} others");
    assert!(stream.host.request_body.borrow().len() > body.len(), "labels are longer than dates");
}

#[test]
fn a_short_body_and_one_that_nothing_searches_are_not_held() {
    for (config, size) in [(masking(), AT_ONCE / 2), (config(r#"{"exported": {"content": "redact"}}"#), MIB)]
    {
        let body = chat("jo@example.com ", size);
        let mut stream = Stream::under(&config, &[], &body);
        stream.gateway.on_request_headers(&stream.host, false);
        assert_eq!(stream.gateway.on_request_body(&stream.host, body.len(), true), Step::Continue);
        assert_eq!(stream.gateway.long_work(), None);
    }
}

#[test]
fn a_long_body_that_is_blocked_or_cannot_be_used_is_refused_as_a_short_one_is() {
    let blocking = config(r#"{"forwarded": {"action": "block", "detectors": ["email"]}}"#);
    let mut stream = held(&blocking, &chat("jo@example.com ", 4 * AT_ONCE));
    assert_eq!(stream.work(SLICE, |_| {}), Some(Step::Hold));
    assert_eq!(stream.host.refused().1["code"], "content_blocked");
    let mut stream = held(&masking(), &b" ".repeat(4 * AT_ONCE));
    assert_eq!(stream.work(SLICE, |_| {}), Some(Step::Hold));
    assert_eq!(stream.host.refused().0, 400);
    let event = stream.event().unwrap();
    assert_eq!(event.ending(), weir_event::v1::Ending::Rejected);
}

#[test]
fn a_caller_that_goes_away_meanwhile_leaves_nothing_behind() {
    let mut stream = held(&masking(), &chat("dob 1.2.80 ", MIB));
    for _ in 0..3 {
        assert_eq!(stream.gateway.go_on(&stream.host, SLICE), None);
    }
    stream.gateway.on_log(&stream.host);
    assert_eq!(stream.gateway.long_work(), None);
    assert_eq!(stream.gateway.go_on(&stream.host, SLICE), None);
    no_longer_held(&stream.vm);
}

#[test]
fn a_request_that_envoy_answers_meanwhile_goes_nowhere() {
    let body = chat("dob 1.2.80 ", MIB);
    let mut stream = held(&masking(), &body);
    assert_eq!(stream.gateway.go_on(&stream.host, SLICE), None);
    stream.host.details = "request_overall_timeout".to_owned();
    stream.receive(&[(":status", "408"), ("content-type", "text/plain")], b"request timeout", &[100]);
    assert_eq!(stream.gateway.long_work(), None);
    assert_eq!(stream.gateway.go_on(&stream.host, SLICE), None);
    assert!(stream.host.request_body.borrow().as_slice() == body, "it was not touched");
    stream.gateway.on_log(&stream.host);
    no_longer_held(&stream.vm);
}

#[test]
fn the_callers_values_come_back_after_a_long_search() {
    let config = config(r#"{"forwarded": {"action": "mask", "restore": true}}"#);
    let mut body: Value = serde_json::from_slice(&chat("nothing here, ", 4 * AT_ONCE)).unwrap();
    body["messages"][0]["content"] =
        format!("{} and jo@example.com", body["messages"][0]["content"].as_str().unwrap()).into();
    let mut stream = held(&config, body.to_string().as_bytes());
    assert_eq!(stream.work(10_000, |_| {}), Some(Step::Continue));
    let sent = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
    assert!(sent.contains("and [EMAIL_1]") && !sent.contains("jo@"));
    let mut attempt = stream.attempt();
    let answer =
        json!({"choices": [{"index": 0, "message": {"role": "assistant", "content": "To [EMAIL_1]."}}]});
    stream.host.set_response(&[(":status", "200"), ("content-type", "application/json")]);
    attempt.on_response_headers(&stream.host, false);
    let delivered = stream.deliver(answer.to_string().as_bytes(), &[1000]);
    assert!(String::from_utf8(delivered).unwrap().contains("To jo@example.com."));
}

#[test]
fn content_that_takes_long_to_redact_is_exported_later_and_others_before_it() {
    let redaction = r#"{"exported": {"content": "redact"}}, "trace": {"capture_limit": "1MiB"}"#;
    let config = config(redaction);
    let mut stream = Stream::under(&config, &[], &chat("dob 1.2.1980 ", MIB / 4));
    assert_eq!(stream.arrive(), Step::Continue);
    stream.gateway.on_log(&stream.host);
    assert!(host::next_event(&stream.vm).is_none());
    assert!(stream.vm.budget.used() > 0, "what waits is reserved");

    let mut other = stream.beside(&config, &chat("dob 1.2.1980 ", 50));
    assert_eq!(other.arrive(), Step::Continue);
    other.gateway.on_log(&other.host);
    let event = host::next_event(&stream.vm).unwrap();
    assert!(event.content.unwrap().request.len() < 1000, "the short one is the first");

    let mut slices = 0;
    while !stream.vm.unfinished.borrow().is_empty() {
        let _ = steps();
        stream.vm.finish_event(false);
        let taken = steps();
        assert!(taken <= SLICE + OVER, "a slice of {taken} steps");
        slices += 1;
    }
    assert!(slices > 1, "{slices}");
    let content = host::next_event(&stream.vm).unwrap().content.unwrap();
    let text = String::from_utf8(content.request.to_vec()).unwrap();
    assert!(text.contains("dob [DATE_OF_BIRTH] dob") && !text.contains("1980"));
    no_longer_held(&stream.vm);
}

#[test]
fn a_long_body_that_ends_with_trailers_is_searched_too() {
    let body = chat("dob 1.2.1980 ", 4 * AT_ONCE);
    let mut stream = Stream::under(&masking(), &[], &body);
    stream.gateway.on_request_headers(&stream.host, false);
    assert_eq!(stream.gateway.on_request_body(&stream.host, body.len(), false), Step::Hold);
    assert_eq!(stream.gateway.on_request_trailers(&stream.host), Step::Hold);
    assert_eq!(stream.work(SLICE, |_| {}), Some(Step::Continue));
    assert!(stream.host.request_body.take() == at_once(&body));
}
