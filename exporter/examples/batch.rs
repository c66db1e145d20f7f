//! Writes a batch of made-up events to standard output, to try ingest by hand:
//!
//! ```sh
//! cargo run -p weir-exporter --example batch -- 3 1 |
//!     curl -sS -i --data-binary @- -H 'content-type: application/x-protobuf' http://127.0.0.1:4319/v1/events
//! ```
//!
//! Arguments: how many events (1), the first sequence (1), a number from 0 to 255 that stands for the source (7).

use std::{
    io::{self, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

use prost::Message as _;
use weir_event::v1::{
    Api, Attempt, Ending, EventBatch, Request, Resolution, Response, Timing, TraceContext, TraceEvent, Usage,
    UsageSource,
};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().unwrap_or(1));
    let (count, first) = (arguments.next().unwrap_or(1), arguments.next().unwrap_or(1));
    let source = vec![u8::try_from(arguments.next().unwrap_or(7)).unwrap_or(7); 16];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let now = u64::try_from(now).unwrap_or_default();
    let events = (first..first + count).map(|sequence| event(&source, sequence, now).encode_to_vec().into());
    let batch = EventBatch { source: source.clone().into(), events: events.collect(), ..Default::default() };
    io::stdout().write_all(&batch.encode_to_vec())
}

fn event(source: &[u8], sequence: u64, now: u64) -> TraceEvent {
    let at = |milliseconds: u64| now + milliseconds * 1_000_000;
    let id = |kind: u8| [&[kind], source.get(..7).unwrap_or_default()].concat();
    let mut trace_id = source.get(..8).unwrap_or_default().to_vec();
    trace_id.extend(sequence.to_be_bytes());
    TraceEvent {
        source: source.to_vec().into(),
        sequence,
        trace: Some(TraceContext {
            trace_id: trace_id.into(),
            span_id: id(1).into(),
            flags: 1,
            ..TraceContext::default()
        }),
        request: Some(Request {
            api: Api::OpenaiChat.into(),
            method: "POST".to_owned(),
            path: "/v1/chat/completions".to_owned(),
            scheme: "http".to_owned(),
            authority: "127.0.0.1:8080".to_owned(),
            client_address: "127.0.0.1".to_owned(),
            user_agent: "example".to_owned(),
            body_bytes: 120,
            model: "gpt-4o".to_owned(),
            stream: true,
            ..Request::default()
        }),
        resolution: Some(Resolution {
            rule: "models.gpt-4o".to_owned(),
            targets: 1,
            ..Resolution::default()
        }),
        attempts: vec![Attempt {
            number: 1,
            span_id: id(2).into(),
            provider: "openai".to_owned(),
            provider_kind: "openai".to_owned(),
            scheme: "https".to_owned(),
            host: "api.openai.com".to_owned(),
            port: 443,
            path: "/v1/chat/completions".to_owned(),
            model: "gpt-4o".to_owned(),
            started_ns: at(2),
            response_headers_ns: at(200),
            ended_ns: at(900),
            status: 200,
            error: String::new(),
        }],
        response: Some(Response {
            status: 200,
            id: format!("chatcmpl-{sequence}"),
            model: "gpt-4o-2024-08-06".to_owned(),
            finish_reasons: vec!["stop".to_owned()],
            usage: Some(Usage {
                source: UsageSource::Provider.into(),
                input_tokens: Some(12),
                output_tokens: Some(34),
                ..Usage::default()
            }),
            streamed: true,
            chunks: 9,
            body_bytes: 1800,
            ..Response::default()
        }),
        timing: Some(Timing {
            received_ns: at(0),
            body_received_ns: at(1),
            resolved_ns: at(2),
            first_byte_ns: at(200),
            first_token_ns: at(210),
            last_token_ns: at(890),
            done_ns: at(900),
            ..Timing::default()
        }),
        ending: Ending::Completed.into(),
        ..TraceEvent::default()
    }
}
