//! A provider's response to a call of each API, in one piece and in several: the caller receives every byte,
//! the event is the same however it is split, memory is bounded, and no planted address is exported.
#![no_main]

use libfuzzer_sys::fuzz_target;
use prost::Message;
use weir_event::v1::TraceEvent;
use weir_filter::api::call::Call;
use weir_filter::host::Step;
use weir_filter::roles::role::Role as _;
use weir_fuzz::{CANARY, PATHS, controls, is_clean, pieces, plant, respond, stream};

/// Most bytes of a message that are held where its content is captured, and overhead: the default of
/// `trace.capture_limit`, and the parts of a stream.
const HELD: usize = (64 << 10) + (16 << 10);
/// Less of a longer response is captured if it arrives in pieces.
const ALIKE: usize = 4 << 10;

fuzz_target!(|data: &[u8]| {
    let ([path, flags, seed], body) = controls(data);
    // The last two take forms.
    let path = PATHS[usize::from(path) % (PATHS.len() - 2)];
    let content_type = ["application/json", "text/event-stream", "application/x-ndjson", "text/plain"];
    let content_type = content_type[usize::from(flags) % 4];
    let status = if flags & 4 == 0 { "200" } else { "429" };
    let asks = flags & 8 == 0;
    let body = plant(body);
    if body.is_empty() {
        return;
    }
    let (whole, delivered) = answered(path, content_type, status, asks, &[&body]);
    let (parted, delivered_parted) = answered(path, content_type, status, asks, &pieces(&body, seed));
    if !asks {
        assert_eq!(delivered, body);
        assert_eq!(delivered_parted, body);
    }
    if body.len() <= ALIKE {
        assert_eq!(delivered, delivered_parted);
        assert_eq!(whole, parted);
    }
    let fields = Call::of(b"POST", path).expect("a call").api.family().response_fields;
    for event in [&whole, &parted] {
        assert!(event.encoded_len() < 300 << 10);
        let content = event.content.clone().unwrap_or_default();
        assert!(is_clean(&content.response, fields));
        assert!(!content.error_message.contains(CANARY));
        for output in &content.outputs {
            let calls = output.tool_calls.iter().map(|call| &call.arguments);
            let said = [&output.text, &output.reasoning, &output.refusal].into_iter().chain(calls);
            assert!(said.into_iter().all(|text| !text.contains(CANARY)), "{output:?}");
        }
    }
});

/// The event of a response, without its times, and what the caller received. `asks`: whether the gateway must
/// request usage.
fn answered(
    path: &str,
    content_type: &str,
    status: &str,
    asks: bool,
    pieces: &[&[u8]],
) -> (TraceEvent, Vec<u8>) {
    let options = if asks { "" } else { r#","stream_options":{"include_usage":true}"# };
    let body = format!(r#"{{"model":"m","messages":[],"stream":true{options}}}"#);
    let body = if path.contains("beta") { "{}".to_owned() } else { body };
    let mut stream = stream(path, Vec::new(), body.as_bytes());
    assert_eq!(stream.arrive(), Step::Continue, "{:?}", stream.host.answered);
    let mut attempt = stream.attempt();
    respond(&mut stream, &mut attempt, status, content_type);
    let mut delivered = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        // Held data comes again, followed by the next piece.
        stream.host.response_body.borrow_mut().extend_from_slice(piece);
        let size = stream.host.response_body.borrow().len();
        let step = stream.gateway.on_response_body(&stream.host, size, at + 1 == pieces.len());
        assert!(stream.gateway.held() <= HELD + piece.len());
        if step == Step::Continue {
            delivered.append(&mut stream.host.response_body.borrow_mut());
        }
    }
    attempt.on_response_trailers(&stream.host);
    let mut event = stream.event().expect("an event");
    assert_eq!(stream.vm.budget.used(), 0, "all room is given back");
    event.timing = None;
    for attempt in &mut event.attempts {
        (attempt.started_ns, attempt.response_headers_ns, attempt.ended_ns) = (0, 0, 0);
    }
    (event, delivered)
}
