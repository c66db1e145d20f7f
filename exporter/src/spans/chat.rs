//! The operation as the caller meant it (semantic conventions for GenAI client spans), and its stream.

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use weir_event::v1::{Attempt, Parameters, Request, Response, Timing, TraceEvent, Usage, UsageSource};

use super::{
    attempt,
    attributes::Attributes,
    broken_off,
    family::{Draft, Family},
    first_known, names,
};

/// The CLIENT span of the operation, over all attempts.
pub(super) fn span(family: &Family, id: &[u8], event: &TraceEvent) -> Span {
    let (request, response) =
        (event.request.clone().unwrap_or_default(), event.response.clone().unwrap_or_default());
    let timing = event.timing.unwrap_or_default();
    let last = event.attempts.last().cloned().unwrap_or_default();
    let start = start(&timing);
    let ended = event.attempts.iter().map(|attempt| attempt.ended_ns).max().unwrap_or_default();
    let model = if request.model.is_empty() { last.model.clone() } else { request.model.clone() };

    let mut attributes = Attributes::default();
    let operation = if request.operation.is_empty() { "chat" } else { &request.operation };
    let conversation = event.caller.as_ref().map(|caller| caller.conversation_id.clone()).unwrap_or_default();
    attributes
        .text(names::OPERATION_NAME, operation)
        .text(names::PROVIDER_NAME, last.provider_kind.clone())
        .text(names::CONVERSATION_ID, conversation);
    answered(&mut attributes, &response);
    if response.streamed {
        let first = first_known(&[timing.first_token_ns, timing.first_byte_ns]);
        attributes.number(names::TIME_TO_FIRST_CHUNK, (first > 0).then(|| seconds(start, first)));
    }
    asked(&mut attributes, &model, &request);
    attributes.text(names::SERVER_ADDRESS, last.host.clone()).some_count(names::SERVER_PORT, last.port);
    family.child(
        id.to_vec(),
        &family.server,
        Draft {
            name: format!("{operation} {model}").trim_end().to_owned(),
            kind: SpanKind::Client,
            times: (start, first_known(&[ended, timing.done_ns])),
            attributes,
            error: failure(event, &response, &last),
        },
    )
}

/// The span from the first token to the last; none where nothing was streamed.
pub(super) fn stream(family: &Family, chat: &[u8], event: &TraceEvent) -> Option<Span> {
    let timing = event.timing.unwrap_or_default();
    let response = event.response.as_ref().filter(|response| response.streamed)?;
    if timing.first_token_ns == 0 {
        return None;
    }
    let mut attributes = Attributes::default();
    attributes.count(names::WEIR_STREAM_CHUNKS, u64::from(response.chunks));
    let draft = Draft {
        name: "stream".to_owned(),
        kind: SpanKind::Internal,
        times: (timing.first_token_ns, timing.last_token_ns),
        attributes,
        error: None,
    };
    Some(family.child(family.span_id(&[], "stream"), chat, draft))
}

/// When the target was known, or the latest moment known before.
pub(crate) fn start(timing: &Timing) -> u64 {
    first_known(&[timing.resolved_ns, timing.body_received_ns, timing.received_ns])
}

/// What came back. It goes in first, so that a limit on attributes does not cut it.
fn answered(attributes: &mut Attributes, response: &Response) {
    let Usage { input_tokens, output_tokens, cache_read_tokens, reasoning_tokens, .. } =
        response.usage.clone().unwrap_or_default();
    attributes
        .count(names::INPUT_TOKENS, input_tokens)
        .count(names::OUTPUT_TOKENS, output_tokens)
        .count(names::CACHE_READ_TOKENS, cache_read_tokens)
        .count(names::REASONING_TOKENS, reasoning_tokens)
        .text(names::WEIR_USAGE_SOURCE, usage_source(response))
        .text(names::RESPONSE_ID, response.id.clone())
        .text(names::RESPONSE_MODEL, response.model.clone())
        .texts(names::FINISH_REASONS, &response.finish_reasons)
        .text(names::OPENAI_RESPONSE_TIER, response.service_tier.clone())
        .text(names::OPENAI_FINGERPRINT, response.system_fingerprint.clone())
        .flag(names::WEIR_RESPONSE_UNREAD, response.unread);
}

/// What was asked.
fn asked(attributes: &mut Attributes, model: &str, request: &Request) {
    let parameters = request.parameters.clone().unwrap_or_default();
    attributes
        .text(names::REQUEST_MODEL, model)
        .flag(names::REQUEST_STREAM, request.stream)
        .number(names::TEMPERATURE, parameters.temperature)
        .number(names::TOP_P, parameters.top_p)
        .number(names::FREQUENCY_PENALTY, parameters.frequency_penalty)
        .number(names::PRESENCE_PENALTY, parameters.presence_penalty)
        .count(names::MAX_TOKENS, parameters.max_tokens)
        .integer(names::SEED, parameters.seed)
        .count(names::CHOICE_COUNT, parameters.choice_count.filter(|count| *count != 1))
        .texts(names::STOP_SEQUENCES, &parameters.stop_sequences)
        .text(names::REASONING_LEVEL, parameters.reasoning_effort.clone())
        .text(names::OUTPUT_TYPE, output_type(&parameters))
        .text(names::OPENAI_REQUEST_TIER, parameters.service_tier);
}

fn output_type(parameters: &Parameters) -> &'static str {
    match parameters.output_format.as_str() {
        "json_object" | "json_schema" => "json",
        "text" => "text",
        _ => "",
    }
}

fn usage_source(response: &Response) -> &'static str {
    match response.usage.as_ref().map(Usage::source) {
        Some(UsageSource::Provider) => "provider",
        Some(UsageSource::Partial) => "partial",
        Some(UsageSource::Estimated) => "estimated",
        Some(UsageSource::Unspecified) | None => "",
    }
}

/// The `error.type` of an operation that failed: the word of whoever refused it, else how it broke off, else
/// the status.
pub(crate) fn failure(event: &TraceEvent, response: &Response, last: &Attempt) -> Option<String> {
    let refused = response.status >= 400;
    if refused && !response.error_type.is_empty() {
        return Some(response.error_type.clone());
    }
    if let Some(ending) = broken_off(event) {
        return Some(ending.to_owned());
    }
    if refused {
        return Some(response.status.to_string());
    }
    attempt::failure(last)
}

/// Seconds from one Unix time in nanoseconds to a later one.
fn seconds(from: u64, to: u64) -> f64 {
    std::time::Duration::from_nanos(to.saturating_sub(from)).as_secs_f64()
}
