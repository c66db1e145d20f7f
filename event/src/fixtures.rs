//! Events made by hand, for tests, benchmarks and examples.

use crate::{
    EventId,
    v1::{
        Api, Attempt, Ending, Parameters, Request, Resolution, Response, Timing, TraceContext, TraceEvent,
        Usage, UsageSource,
    },
};

/// The id of events at the fixed moment.
pub const ID: EventId = EventId { source: [0xab; 16], sequence: 7 };

/// The fixed moment, as a Unix time in nanoseconds.
const MOMENT: u64 = 1_700_000_000_000_000_000;

/// A Unix time in nanoseconds, so many microseconds after the fixed moment.
pub fn at(microseconds: u64) -> u64 {
    MOMENT + microseconds * 1000
}

/// Every API of the contract: their numbers follow one another.
pub fn apis() -> impl Iterator<Item = Api> {
    (1..).map_while(|number| Api::try_from(number).ok())
}

/// A streamed response, one attempt.
pub fn streamed() -> TraceEvent {
    streamed_at(ID, MOMENT)
}

/// The same with this id, received at this Unix time in nanoseconds.
pub fn streamed_at(id: EventId, received_ns: u64) -> TraceEvent {
    let text = str::to_owned;
    let at = |microseconds: u64| received_ns + microseconds * 1000;
    TraceEvent {
        source: id.source.to_vec().into(),
        sequence: id.sequence,
        trace: Some(TraceContext {
            trace_id: (1..=16).collect::<Vec<u8>>().into(),
            span_id: vec![0x21; 8].into(),
            parent_span_id: vec![0x22; 8].into(),
            flags: 1,
            trace_state: text("vendor=1"),
        }),
        request: Some(Request {
            api: Api::OpenaiChat.into(),
            method: text("POST"),
            path: text("/v1/chat/completions"),
            scheme: text("http"),
            authority: text("gateway:8080"),
            client_address: text("10.0.0.9"),
            user_agent: text("openai-python/1.0"),
            body_bytes: 120,
            model: text("smart"),
            stream: true,
            parameters: Some(Parameters {
                temperature: Some(0.5),
                max_tokens: Some(100),
                seed: Some(-1),
                choice_count: Some(1),
                stop_sequences: vec![text("END")],
                output_format: text("json_schema"),
                ..Parameters::default()
            }),
            ..Request::default()
        }),
        resolution: Some(Resolution { rule: text("models.smart"), targets: 1, ..Resolution::default() }),
        attempts: vec![attempt_at(received_ns, 1, 0x31, 200, "", (2000, 800_000))],
        response: Some(Response {
            status: 200,
            id: text("chatcmpl-1"),
            model: text("gpt-4o-2024-08-06"),
            finish_reasons: vec![text("stop")],
            usage: Some(Usage {
                source: UsageSource::Provider.into(),
                input_tokens: Some(12),
                output_tokens: Some(34),
                cache_read_tokens: Some(4),
                reasoning_tokens: Some(2),
                ..Usage::default()
            }),
            system_fingerprint: text("fp_1"),
            service_tier: text("default"),
            body_bytes: 2000,
            streamed: true,
            chunks: 9,
            ..Response::default()
        }),
        timing: Some(Timing {
            received_ns: at(0),
            body_received_ns: at(1000),
            resolved_ns: at(1500),
            first_byte_ns: at(90_000),
            first_token_ns: at(100_000),
            last_token_ns: at(700_000),
            done_ns: at(800_000),
            ..Timing::default()
        }),
        ending: Ending::Completed.into(),
        ..TraceEvent::default()
    }
}

/// A streamed response after a first attempt that failed with 503.
pub fn failed_over() -> TraceEvent {
    let mut event = streamed();
    event.attempts =
        vec![attempt(1, 0x31, 503, "", (2000, 50_000)), attempt(2, 0x32, 200, "", (51_000, 800_000))];
    event
}

/// A request for an unknown model.
pub fn rejected() -> TraceEvent {
    let mut event = streamed();
    event.attempts.clear();
    event.resolution = None;
    event.response =
        Some(Response { status: 404, error_type: "model_not_found".to_owned(), ..Response::default() });
    event.timing = Some(Timing {
        received_ns: at(0),
        body_received_ns: at(1000),
        resolved_ns: at(1500),
        done_ns: at(2000),
        ..Timing::default()
    });
    event.ending = Ending::Rejected.into();
    event
}

/// An attempt that began and ended so many microseconds after the fixed moment.
pub fn attempt(number: u32, id: u8, status: u32, error: &str, times: (u64, u64)) -> Attempt {
    attempt_at(MOMENT, number, id, status, error, times)
}

fn attempt_at(received_ns: u64, number: u32, id: u8, status: u32, error: &str, times: (u64, u64)) -> Attempt {
    let at = |microseconds: u64| received_ns + microseconds * 1000;
    Attempt {
        number,
        span_id: vec![id; 8].into(),
        provider: "openai".to_owned(),
        provider_kind: "openai".to_owned(),
        scheme: "https".to_owned(),
        host: "api.openai.com".to_owned(),
        port: 443,
        path: "/v1/chat/completions".to_owned(),
        model: "gpt-4o".to_owned(),
        started_ns: at(times.0),
        response_headers_ns: at(times.0 + 1000),
        ended_ns: at(times.1),
        status,
        error: error.to_owned(),
    }
}
