//! Reads every provider's fixtures and compares them with `tests/fixtures/expected.json`: whole, split at every
//! offset, byte by byte, and with CRLF line ends. A stream for which the gateway requested usage reaches the
//! caller as it would have without.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;

use serde_json::{Value, json};
use weir_event::v1;
use weir_filter::api::Api;
use weir_filter::api::call::Call;
use weir_filter::capture::budget::{Budget, BudgetPermit};
use weir_filter::capture::transcript::Transcript;
use weir_filter::headers::Headers;
use weir_filter::json::truncate::Limits;
use weir_filter::json::truncate::pieces::Pieces;
use weir_filter::response::body::ResponseBody;
use weir_filter::response::framing::form::Form;
use weir_filter::response::framing::framer::Framer;
use weir_filter::response::parser::ResponseParser;
use weir_filter::response::reader::Destination;

const LIMITS: Limits = Limits { string: 64 << 10, total: 64 << 10 };

fn fixtures() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(fixtures().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// The expectations, by fixture.
fn expected() -> BTreeMap<String, Value> {
    serde_json::from_slice(&bytes("expected.json")).unwrap()
}

fn api(expected: &Value) -> Api {
    let path = expected["path"].as_str().unwrap().replace("{model}", "m").replace("{deployment}", "m");
    Call::of(b"POST", &path).unwrap_or_else(|why| panic!("{path}: {why}")).api
}

fn headers(expected: &Value) -> Headers {
    Headers(vec![("content-type".to_owned(), expected["content_type"].as_str().unwrap().into())])
}

/// What was read of a response.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    response: v1::Response,
    outputs: Vec<v1::Output>,
    error_message: String,
    tokens: u32,
}

fn transcript() -> Transcript {
    let budget = Rc::new(Budget::default());
    budget.set(1 << 20);
    Transcript::capturing(64 << 10, BudgetPermit::new(&budget))
}

fn finish(answer: ResponseParser, expected: &Value, mut response: v1::Response, tokens: u32) -> Read {
    let whole = expected["usage_source"] != "partial";
    let (outputs, error_message, shortened) = answer.finish(0, whole, &mut response).finish();
    assert!(!shortened);
    Read { response, outputs, error_message, tokens }
}

fn read_stream<'p>(expected: &Value, pieces: impl IntoIterator<Item = &'p [u8]>) -> Read {
    let (api, mut response, mut tokens) = (api(expected), status(expected), 0);
    let mut framer = Framer::new(Form::of(api, &headers(expected)), LIMITS).expect("a stream");
    let mut answer = ResponseParser::new(api, transcript());
    for piece in pieces {
        framer.read(piece, false, |event| tokens += u32::from(answer.read_message(event, &mut response)));
    }
    framer.read(&[], true, |event| tokens += u32::from(answer.read_message(event, &mut response)));
    assert_eq!(framer.skipped(), 0);
    finish(answer, expected, response, tokens)
}

fn status(expected: &Value) -> v1::Response {
    v1::Response {
        status: u32::try_from(expected["status"].as_u64().unwrap()).unwrap(),
        ..Default::default()
    }
}

fn read_whole(expected: &Value, body: &[u8]) -> Read {
    let (mut response, mut answer) = (status(expected), ResponseParser::new(api(expected), transcript()));
    assert!(answer.read(body, &mut response));
    finish(answer, expected, response, 0)
}

fn or_null(text: &str) -> Value {
    if text.is_empty() { Value::Null } else { json!(text) }
}

fn check(name: &str, expected: &Value, read: &Read) {
    let Read { response, outputs, .. } = read;
    assert_eq!(or_null(&response.id), expected["id"], "{name}: id");
    assert_eq!(or_null(&response.model), expected["model"], "{name}: model");
    // Where the provider does not name an error, one within a stream is called "error".
    let unnamed = expected["error_type"].is_null() && response.error_type == "error";
    assert!(unnamed || or_null(&response.error_type) == expected["error_type"], "{name}: {response:?}");
    for (field, value) in
        [("service_tier", &response.service_tier), ("system_fingerprint", &response.system_fingerprint)]
    {
        assert_eq!(or_null(value), expected[field], "{name}: {field}");
    }
    let mut reasons = expected["finish_reasons"].clone();
    if let Some(blocked) = expected.get("block_reason") {
        reasons = json!([blocked]);
    }
    assert_eq!(json!(response.finish_reasons), reasons, "{name}: finish reasons");
    check_usage(name, expected, response);
    if let Some(counted) = expected["counted"].as_u64() {
        let figures = &response.usage.as_ref().unwrap().figures;
        assert!(figures.values().any(|figure| *figure == counted), "{name}: {figures:?}");
    }
    let nothing = json!({"text": null, "refusal": null, "reasoning": null, "tool_calls": []});
    let expected_outputs = expected["outputs"].as_array().unwrap().iter();
    let expected_outputs: Vec<&Value> = expected_outputs.filter(|output| **output != nothing).collect();
    let said: Vec<&v1::Output> = outputs.iter().filter(|output| **output != empty(output.index)).collect();
    assert_eq!(said.len(), expected_outputs.len(), "{name}: {said:?}");
    for (output, expected) in said.iter().zip(expected_outputs) {
        let mut text = expected["text"].clone();
        if text.is_null() {
            text = expected["transcript"].clone();
        }
        let mut reasoning = expected["reasoning"].clone();
        if reasoning.is_null() {
            reasoning = expected["tool_plan"].clone();
        }
        assert_eq!(or_null(&output.text), text, "{name}: text");
        assert_eq!(or_null(&output.refusal), expected["refusal"], "{name}: refusal");
        assert_eq!(or_null(&output.reasoning), reasoning, "{name}: reasoning");
        let calls = expected["tool_calls"].as_array().unwrap();
        let servers = expected["server_tool_calls"].as_array().into_iter().flatten();
        let reported: Vec<Value> = output.tool_calls.iter().map(tool_call).collect();
        for call in calls.iter().chain(servers) {
            let call =
                json!({"id": call["id"], "name": call["name"], "arguments": compact(&call["arguments"])});
            assert!(reported.contains(&call), "{name}: no {call} among {reported:?}");
        }
        assert!(reported.len() >= calls.len(), "{name}: {reported:?}");
    }
}

fn empty(index: u32) -> v1::Output {
    v1::Output { index, ..Default::default() }
}

fn tool_call(call: &v1::ToolCall) -> Value {
    json!({"id": or_null(&call.id), "name": or_null(&call.name), "arguments": compact(&json!(call.arguments))})
}

/// Arguments without insignificant white space.
fn compact(arguments: &Value) -> String {
    let text = arguments.as_str().unwrap_or_default();
    serde_json::from_str::<Value>(text).map_or_else(|_| text.to_owned(), |value| value.to_string())
}

fn check_usage(name: &str, expected: &Value, response: &v1::Response) {
    let usage = response.usage.as_ref();
    let Some(figures) = expected["usage"].as_object() else {
        let reported = usage.is_some_and(|usage| {
            usage.input_tokens.is_some() && usage.source() != v1::UsageSource::Estimated
        });
        assert!(!reported, "{name}: {usage:?}");
        return;
    };
    let usage = usage.unwrap_or_else(|| panic!("{name}: no usage"));
    let mut figures = figures.clone();
    if let Some(seen) = expected.get("seen_output_tokens") {
        figures.insert("output_tokens".to_owned(), seen.clone());
    }
    let reported = json!({
        "input_tokens": usage.input_tokens,
        "output_tokens": usage.output_tokens,
        "cache_read_tokens": usage.cache_read_tokens,
        "cache_write_tokens": usage.cache_write_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    });
    assert_eq!(reported, Value::Object(figures), "{name}: usage");
    let source = match expected["usage_source"].as_str() {
        Some("partial") => v1::UsageSource::Partial,
        _ => v1::UsageSource::Provider,
    };
    assert_eq!(usage.source(), source, "{name}: source");
}

/// The JSON fixtures, by name.
fn of_json() -> impl Iterator<Item = (String, Value)> {
    expected().into_iter().filter(|(_, expected)| {
        let media_type = expected["content_type"].as_str().unwrap();
        media_type.contains("json") || media_type.contains("event-stream")
    })
}

#[test]
fn every_response_in_one_piece_is_read() {
    let mut count = 0;
    for (name, expected) in of_json().filter(|(_, expected)| expected["stream"] == false) {
        count += 1;
        let body = bytes(&name);
        // Gemini's errors come as an array where a stream was asked for.
        let is_array = Form::of(api(&expected), &headers(&expected)).is_stream();
        let read = match is_array {
            true => read_stream(&expected, [body.as_slice()]),
            false => read_whole(&expected, &body),
        };
        check(&name, &expected, &read);
        if expected["status"].as_u64() >= Some(400) {
            assert!(!read.error_message.is_empty(), "{name}: the error's message");
        }
    }
    assert!(count > 40, "{count}");
}

#[test]
fn every_stream_is_read_the_same_however_it_is_cut() {
    let mut count = 0;
    for (name, expected) in of_json().filter(|(_, expected)| expected["stream"] == true) {
        count += 1;
        let stream = bytes(&name);
        let whole = read_stream(&expected, [stream.as_slice()]);
        check(&name, &expected, &whole);
        let says_something = whole.outputs.iter().any(|output| !output.text.is_empty());
        assert!(!says_something || whole.tokens > 0, "{name}: tokens");
        for at in 1..stream.len() {
            let (head, tail) = stream.split_at(at);
            assert_eq!(read_stream(&expected, [head, tail]), whole, "{name} split at {at}");
        }
        assert_eq!(read_stream(&expected, stream.chunks(1)), whole, "{name} byte by byte");
        if name.ends_with(".sse") {
            let crlf = String::from_utf8(stream).unwrap().replace("\r\n", "\n").replace('\n', "\r\n");
            assert_eq!(read_stream(&expected, [crlf.as_bytes()]), whole, "{name} with CRLF");
            assert_eq!(
                read_stream(&expected, crlf.as_bytes().chunks(7)),
                whole,
                "{name} with CRLF in pieces"
            );
        }
    }
    assert!(count > 30, "{count}");
}

#[test]
fn a_stream_with_usage_that_the_caller_did_not_ask_for_is_as_it_would_have_been_without() {
    let mut count = 0;
    for (name, expected) in expected() {
        let Some(plain) = expected["plain"].as_str() else { continue };
        count += 1;
        let (with, without) = (bytes(&name), bytes(plain));
        assert_ne!(with, without);
        for size in (1..60).chain([500, 1000, with.len()]) {
            let destination =
                Destination { transcript: transcript(), whole: Pieces::default(), long_messages: LIMITS };
            let mut body = ResponseBody::default().stripping_usage(true);
            body = body.read(&headers(&expected), api(&expected), destination);
            let (mut held, mut delivered) = (Vec::new(), Vec::new());
            let pieces = with.chunks(size).count();
            for (place, piece) in with.chunks(size).enumerate() {
                held.extend_from_slice(piece);
                let is_end = place + 1 == pieces;
                if body.open(&held, is_end) {
                    let held = std::mem::take(&mut held);
                    let passed = body.cut(&held, is_end, &mut v1::Response::default());
                    delivered.extend(passed.instead.unwrap_or(held));
                }
            }
            let (delivered, without) =
                (String::from_utf8_lossy(&delivered), String::from_utf8_lossy(&without));
            assert_eq!(delivered, without, "{name} in pieces of {size}");
        }
    }
    assert!(count >= 6, "{count}");
}
