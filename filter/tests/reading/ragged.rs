//! Complete streams that violate the standard in small ways, however they are split.

use serde_json::json;
use weir_event::v1::{Ending, TraceEvent, UsageSource};

use super::host::{CONFIG, Stream};
use weir_filter::roles::Role as _;

const PIER: &str = r#"data: {"choices":[{"index":0,"delta":{"content":"At the pier."}}]}"#;
const STOP: &str = r#"data: {"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":10,"completion_tokens":5}}"#;

/// Lets a provider respond with this body in pieces of one size, and returns the event.
fn answered(path: &str, content_type: &str, body: &str, size: usize) -> TraceEvent {
    let api = if path.ends_with("messages") { "anthropic" } else { "openai" };
    let config = CONFIG.replace("\"api\": \"openai\"", &format!("\"api\": \"{api}\"")).replace(
        "\"exporter\": {",
        "\"redaction\": {\"exported\": {\"content\": \"keep\"}}, \"exporter\": {",
    );
    let asked = json!({"model": "m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "Where?"}]});
    let mut stream = Stream::with(&config, &[(":path", path)], asked.to_string().as_bytes());
    stream.arrive();
    let mut attempt = stream.attempt();
    let headers = [(":status", "200"), ("content-type", content_type)];
    stream.host.set_response(&headers);
    attempt.on_response_headers(&stream.host, false);
    stream.receive(&headers, body.as_bytes(), &[size]);
    attempt.on_response_trailers(&stream.host);
    stream.event().unwrap()
}

/// The ending of a chat stream, its error, and whether anything was unreadable; the same however it is split.
fn read(body: &str) -> (Ending, String, bool, TraceEvent) {
    let event = |size| answered("/v1/chat/completions", "text/event-stream", body, size);
    let said = |event: &TraceEvent| {
        let response = event.response.clone().unwrap();
        (event.ending(), response.error_type, response.unread, response.usage, event.content.clone())
    };
    let whole = event(body.len());
    for size in [1, 2, 7, 64] {
        assert_eq!(said(&event(size)), said(&whole), "pieces of {size}: {body}");
    }
    let (ending, error, unread, ..) = said(&whole);
    (ending, error, unread, whole)
}

#[test]
fn the_last_event_counts_without_the_empty_line_behind_it() {
    for end in ["", "\n", "\r\n", "\n\n"] {
        let (ending, error, unread, event) = read(&format!("{PIER}\n\n{STOP}{end}"));
        assert_eq!((ending, error.as_str(), unread), (Ending::Completed, "", false), "{end:?}");
        let usage = event.response.unwrap().usage.unwrap();
        assert_eq!((usage.source(), usage.output_tokens), (UsageSource::Provider, Some(5)), "{end:?}");
        let (ending, _, unread, _) = read(&format!("{PIER}\n\ndata: [DONE]{end}"));
        assert_eq!((ending, unread), (Ending::Completed, false), "{end:?}");
    }
    for cut in [STOP.get(..60).unwrap(), "data: [DO", "data: ", "da"] {
        let (ending, error, unread, _) = read(&format!("{PIER}\n\n{cut}"));
        assert_eq!((ending, error.as_str(), unread), (Ending::Truncated, "", false), "{cut}");
    }
    let start = r#"data: {"type":"message_start","message":{"id":"m1","usage":{"input_tokens":10,"output_tokens":1}}}"#;
    let delta =
        r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":7}}"#;
    let body =
        format!("{start}\n\n{delta}\n\nevent: message_stop\ndata: {}", json!({"type": "message_stop"}));
    let event = answered("/v1/messages", "text/event-stream", &body, 9);
    assert_eq!(event.ending(), Ending::Completed);
    assert_eq!(event.response.unwrap().usage.unwrap().source(), UsageSource::Provider);
}

#[test]
fn what_keeps_a_connection_open_is_no_message() {
    for beat in ["data:\n\n", "data: \n\n", "event: ping\ndata: null\n\n", ": ping\n\n", "data: {}\n\n"] {
        let (ending, error, unread, _) = read(&format!("{beat}{PIER}\n\n{beat}{STOP}\n\n{beat}"));
        assert_eq!((ending, error.as_str(), unread), (Ending::Completed, "", false), "{beat:?}");
    }
    let (_, error, unread, _) = read("data:\n\ndata: \n\n");
    assert_eq!((error.as_str(), unread), ("empty_response", true));
}

#[test]
fn the_last_event_of_openais_is_known_however_it_is_written() {
    for done in ["data:[DONE]", "data:  [DONE]", "data: [DONE] ", "data: \"[DONE]\""] {
        let (ending, error, unread, _) = read(&format!("{PIER}\n\n{done}\n\n"));
        assert_eq!((ending, error.as_str(), unread), (Ending::Completed, "", false), "{done}");
    }
}

#[test]
fn an_event_that_is_named_an_error_is_one() {
    for (event, kind, message) in [
        ("event: error\ndata: upstream timed out", "error", "upstream timed out"),
        ("event:error\r\ndata: \"too late\"", "error", "too late"),
        ("event: error\ndata: timeout", "timeout", "timeout"),
        ("event: error\ndata: {\"reason\":\"late\"}", "error", ""),
        ("event: error\ndata: {\"status_code\":504,\"text\":\"late\"}", "504", ""),
        ("event: error\ndata: {\"message\":\"late\",\"code\":\"slow\"}", "slow", "late"),
        ("event: error\ndata: {\"error\":{\"type\":\"slow\",\"message\":\"late\"}}", "slow", "late"),
        ("event: error\ndata: {\"type\":\"error\",\"message\":\"late\"}", "error", "late"),
        // llama.cpp's.
        ("error: {\"code\":500,\"message\":\"late\",\"type\":\"server_error\"}", "server_error", "late"),
    ] {
        let (ending, error, unread, read) = read(&format!("{PIER}\n\n{event}\n\n"));
        assert_eq!((ending, error.as_str(), unread), (Ending::Completed, kind, false), "{event}");
        assert_eq!(read.content.unwrap().error_message, message, "{event}");
    }
    for event in ["event: message\ndata: {\"choices\":[]}", "error: none", "event: errors\ndata: {}"] {
        let (ending, error, unread, _) = read(&format!("{PIER}\n\n{event}\n\n{STOP}\n\n"));
        assert_eq!((ending, error.as_str(), unread), (Ending::Completed, "", false), "{event}");
    }
}

#[test]
fn json_behind_a_byte_order_mark_is_read() {
    let body = "\u{feff}\r\n{\"choices\":[{\"index\":0,\"message\":{\"content\":\"At the pier.\"},\"finish_reason\":\"stop\"}],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}}";
    for size in [body.len(), 1, 4, 9] {
        let event = answered("/v1/chat/completions", "application/json", body, size);
        let response = event.response.unwrap();
        assert_eq!((response.error_type.as_str(), response.unread), ("", false), "pieces of {size}");
        assert_eq!(response.usage.unwrap().output_tokens, Some(5));
    }
}
