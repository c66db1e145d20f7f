//! One labelled trace, to send to a destination past the stream, and what came back in a sentence.

use std::{
    ops::Range,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use weir_event::{
    EventId,
    v1::{Api, Attempt, Ending, Request, Resolution, Response, Timing, TraceEvent, Usage, UsageSource},
};

use super::{
    encode::{Encoder, Fragments},
    sink::Sink,
};
use crate::{
    destination::DestinationSettings,
    otlp::{EncodeError, Outcome, advice},
    spans,
};

/// The model that the trace is about, so that it is found and not mistaken.
pub const MODEL: &str = "weir-test";

/// One trace that is found and not mistaken.
#[derive(Clone, Debug)]
pub struct LabelledTrace {
    /// The request to post.
    pub body: Bytes,
    /// Its trace id, in hex.
    pub id: String,
}

impl LabelledTrace {
    /// One for this destination.
    ///
    /// # Errors
    ///
    /// [`EncodeError`] where it cannot be encoded.
    pub fn new(one: &DestinationSettings, sink: &Sink) -> Result<Self, EncodeError> {
        let (body, id) = body(one, sink)?;
        Ok(Self { body: body.into(), id })
    }
}

fn body(one: &DestinationSettings, sink: &Sink) -> Result<(Vec<u8>, String), EncodeError> {
    let event = event();
    let id = EventId { source: fastrand::u128(..).to_be_bytes(), sequence: 1 };
    let spans = spans::of(id, &event, &one.profile);
    let trace_id = spans.first().map(|span| span.trace_id.clone()).unwrap_or_default();
    let trace_id = trace_id.iter().map(|byte| format!("{byte:02x}")).collect();
    let encoder = Encoder::new(sink.format(), &one.resource)?;
    let mut fragments = Fragments::default();
    encoder.add(&mut fragments, &spans, &event.resource)?;
    let all: Range<usize> = 0..1;
    let body = encoder.body(&fragments.seal(), &all).compress(sink.compression())?;
    Ok((body.into(), trace_id))
}

/// What came back, and what to do about it.
pub fn report(outcome: &Outcome, took: Duration) -> String {
    let ms = took.as_millis();
    match outcome {
        Outcome::Delivered { rejected: 0 } => format!("It was taken, in {ms} ms."),
        Outcome::Delivered { rejected } => {
            format!(
                "It was taken, but {rejected} of its spans were refused (partial success): ask the backend why."
            )
        }
        Outcome::Retry { reason, after } => {
            let after = after.map(|after| format!(", Retry-After: {} s", after.as_secs()));
            format!(
                "It was not taken: {reason}{}. That may pass: the exporter would go on trying and keep the events.",
                after.unwrap_or_default()
            )
        }
        Outcome::Unanswered { reason } => format!(
            "No answer came: {reason}. It may have been taken. The exporter would go on trying and keep the events."
        ),
        Outcome::Misconfigured { reason } => format!("It was refused: {reason}. {}", advice(reason)),
        Outcome::Refused { reason } => format!(
            "It was refused: {reason}. The endpoint is there and lets us in, but does not like what it got: is it an \
             OTLP endpoint for traces, of this protocol?"
        ),
    }
}

fn event() -> TraceEvent {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_nanos());
    let now = u64::try_from(now).unwrap_or_default();
    let at = |milliseconds: u64| now.saturating_sub((100 - milliseconds) * 1_000_000);
    let text = str::to_owned;
    TraceEvent {
        request: Some(Request {
            api: Api::OpenaiChat.into(),
            method: text("POST"),
            path: text("/v1/chat/completions"),
            route: text("/v1/chat/completions"),
            scheme: text("http"),
            authority: text("weir-test"),
            user_agent: text("weir-exporter test-destination"),
            model: text(MODEL),
            ..Request::default()
        }),
        resolution: Some(Resolution { rule: text("test-destination"), targets: 1, ..Resolution::default() }),
        attempts: vec![Attempt {
            number: 1,
            provider: text("weir-test"),
            scheme: text("http"),
            host: text("weir-test"),
            port: 80,
            path: text("/v1/chat/completions"),
            model: text(MODEL),
            started_ns: at(2),
            response_headers_ns: at(90),
            ended_ns: at(100),
            status: 200,
            ..Attempt::default()
        }],
        response: Some(Response {
            status: 200,
            model: text(MODEL),
            finish_reasons: vec![text("stop")],
            usage: Some(Usage {
                source: UsageSource::Estimated.into(),
                input_tokens: Some(1),
                output_tokens: Some(1),
                ..Usage::default()
            }),
            ..Response::default()
        }),
        timing: Some(Timing {
            received_ns: at(0),
            body_received_ns: at(1),
            resolved_ns: at(2),
            first_byte_ns: at(90),
            done_ns: at(100),
            ..Timing::default()
        }),
        ending: Ending::Completed.into(),
        ..TraceEvent::default()
    }
}
