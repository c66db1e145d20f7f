//! The filter's core on wasm32, run in Node: the same code, on the target that it is built for.
//!
//! The logic is tested natively beside the code; this shows that 32-bit pointers, SIMD searches and the lack of
//! a clock and of entropy change nothing.

#![cfg(target_arch = "wasm32")]
// clippy does not know these test functions.
#![allow(clippy::unwrap_used)]

use std::sync::Arc;

use wasm_bindgen_test::wasm_bindgen_test;
use weir_event::v1;
use weir_filter::api::call::Call;
use weir_filter::api::openai;
use weir_filter::balancing::TargetIds;
use weir_filter::capture::transcript::Transcript;
use weir_filter::config::{Config, PluginConfig};
use weir_filter::event::outbox::{CallOutcome, Outbox};
use weir_filter::json::scan::{JsonError, MAX_DEPTH, Object};
use weir_filter::json::truncate::pieces::LONG;
use weir_filter::random::Random;
use weir_filter::redact::{
    Allow, Channel, Custom, Detectors, Fields, Replacement, StreamRedactor, redact_json,
};
use weir_filter::request::body::Body;
use weir_filter::response::framing::form::Form;
use weir_filter::response::framing::framer::Framer;
use weir_filter::response::parser::ResponseParser;

#[wasm_bindgen_test]
fn a_request_is_read_and_its_model_found_in_place() {
    let body = format!(
        r#"{{"messages":[{{"content":"{}"}}], "model": "gpt-4o", "stream": true}}"#,
        "é".repeat(5000)
    );
    let call = Call::of(b"POST", "/v1/chat/completions").unwrap();
    let request = Body::read(&call, b"application/json", body.as_bytes()).unwrap();
    assert_eq!(request.model_at.first().and_then(|at| body.get(at.clone())), Some("\"gpt-4o\""));
    assert!(request.stream);
}

#[wasm_bindgen_test]
fn hostile_depth_neither_traps_nor_overflows_the_stack() {
    let body = format!(r#"{{"a":{}"#, "[".repeat(1_000_000));
    assert!(
        matches!(Object::parse(body.as_bytes()), Err(JsonError::TooDeep(at)) if at < 2 * MAX_DEPTH as usize)
    );
}

#[wasm_bindgen_test]
fn a_stream_split_at_every_offset_is_read_the_same() {
    let stream = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ü\"}}]}\r\n\r\n\
                  data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}}\n\ndata: [DONE]\n\n";
    for at in 0..=stream.len() {
        let (head, tail) = stream.as_bytes().split_at(at);
        let mut framer = Framer::new(Form::Events, LONG).unwrap();
        let (mut response, mut tokens) = (v1::Response::default(), 0);
        let mut reader = ResponseParser::new(openai::CHAT, Transcript::counting());
        for piece in [head, tail] {
            framer.read(piece, false, |event| tokens += u32::from(reader.read_message(event, &mut response)));
        }
        reader.finish(0, true, &mut response);
        assert_eq!((tokens, response.chunks), (1, 2), "split at {at}");
        assert_eq!(response.finish_reasons, ["stop"]);
        assert_eq!(response.usage.unwrap().input_tokens, Some(7));
    }
}

#[wasm_bindgen_test]
fn a_configuration_is_checked() {
    let json = br#"{"providers":{"p":{"api":"openai","url":"https://h/v1"}},"models":{"m":{"targets":[{"provider":"q"}]}}}"#;
    let error = Config::new(&PluginConfig::from_json(json).unwrap(), &mut TargetIds::default()).unwrap_err();
    assert_eq!(error.path, "models.m.targets[0].provider");
}

#[wasm_bindgen_test]
fn an_event_goes_out_and_comes_back_when_the_call_fails() {
    let (mut outbox, mut random) = (Outbox::new([1; 16]), Random::from_seed([2; 32]));
    outbox.push(v1::TraceEvent::default());
    let batch = outbox.next_batch(0).unwrap();
    outbox.sent(7, batch, 0);
    outbox.answered(7, CallOutcome::Failed, 0, &mut random);
    assert!(outbox.next_batch(0).is_none());
    assert!(outbox.next_batch(1_000_000_000).is_some());
}

#[wasm_bindgen_test]
fn content_is_redacted_whole_and_in_pieces() {
    let ticket = Custom {
        name: "ticket".to_owned(),
        version: 1,
        pattern: r"TCK-\d{4,}".to_owned(),
        ..Custom::default()
    };
    let detectors = Arc::new(Detectors::new(&[ticket], &Allow::default(), "redaction").unwrap());
    let set = detectors.all();
    let body = r#"{"a":"jo\u0040example.com, TCK-12345, ４１１１ １１１１ １１１１ １１１１","b":[4111111111111111,1.5]}"#;
    let expected = r#"{"a":"[EMAIL], [TICKET], [CREDIT_CARD]","b":["[CREDIT_CARD]",1.5]}"#;
    let redacted =
        redact_json(body.as_bytes(), &detectors, set, Fields::NONE, &mut Replacement::Label).unwrap();
    assert_eq!(redacted.body.as_ref(), expected.as_bytes());
    let mut stream = StreamRedactor::new(Arc::clone(&detectors), set, Replacement::Label, Channel::Text);
    let pieces = ["Mail jo@exa", "mple.com or ring +49 3", "0 1234567", " now"];
    let mut out: String = pieces.iter().map(|piece| stream.feed(piece)).collect();
    out += &stream.finish();
    assert_eq!(out, "Mail [EMAIL] or ring [PHONE] now");
}
