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
use weir_event::{
    EventId, fixtures,
    v1::{EventBatch, TraceContext, TraceEvent},
};

fn main() -> io::Result<()> {
    let mut arguments = std::env::args().skip(1).map(|argument| argument.parse::<u64>().unwrap_or(1));
    let (count, first) = (arguments.next().unwrap_or(1), arguments.next().unwrap_or(1));
    let source = [u8::try_from(arguments.next().unwrap_or(7)).unwrap_or(7); 16];
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let now = u64::try_from(now).unwrap_or_default();
    let events = (first..first + count).map(|sequence| event(source, sequence, now).encode_to_vec().into());
    let batch = EventBatch { source: source.to_vec().into(), events: events.collect(), ..Default::default() };
    io::stdout().write_all(&batch.encode_to_vec())
}

fn event(source: [u8; 16], sequence: u64, now: u64) -> TraceEvent {
    let [id, ..] = source;
    let trace_id = [[id; 8], sequence.to_be_bytes()].concat();
    let trace = TraceContext {
        trace_id: trace_id.into(),
        span_id: vec![id.max(1); 8].into(),
        flags: 1,
        ..TraceContext::default()
    };
    TraceEvent { trace: Some(trace), ..fixtures::streamed_at(EventId { source, sequence }, now) }
}
