//! From a trace event to observations. Pure.
//!
//! An event counts where its operation reached a provider, by the same times and the same `error.type` as
//! its CLIENT span. Attributes are those of the last attempt.

use std::time::Duration;

use weir_event::{
    disclosure,
    v1::{Api, Attempt, Request, Response, TraceEvent, UsageSource},
};

use super::{
    aggregate::Observation,
    bounded,
    instrument::Instrument::{self, OperationDuration, TimePerOutputChunk, TimeToFirstChunk, TokenUsage},
    labels::Labels,
};
use crate::spans::{self, first_known, names};

/// `gen_ai.token.type`.
const TOKEN_TYPE: &str = "gen_ai.token.type";

/// How the rules begin that a configuration's own names are resolved by.
const CONFIGURED: &str = "models.";

/// What an event adds; nothing where no provider was tried or the operation is none of a model's.
pub fn observations(event: &TraceEvent) -> Vec<Observation> {
    let (unasked, unanswered) = (Request::default(), Response::default());
    // Whatever is done with content, metrics are for more eyes than traces.
    let event = &disclosure::reduced(event);
    let request = event.request.as_ref().unwrap_or(&unasked);
    let response = event.response.as_ref().unwrap_or(&unanswered);
    let Some(last) = event.attempts.last().filter(|_| request.api() != Api::Passthrough) else {
        return Vec::new();
    };
    let labels = labels(event, request, response, last);
    let mut found = Vec::new();
    tokens(&mut found, &labels, response);
    times(&mut found, &labels, event, response, last);
    found
}

fn labels(event: &TraceEvent, request: &Request, response: &Response, last: &Attempt) -> Labels {
    let operation = if request.operation.is_empty() { "chat" } else { &request.operation };
    let labels = Labels::default()
        .text(names::OPERATION_NAME, operation)
        .text(names::PROVIDER_NAME, &last.provider_kind)
        .text(names::REQUEST_MODEL, request_model(event, request, response))
        .text(names::RESPONSE_MODEL, bounded::response_model(&response.model, request, last));
    if last.host.is_empty() {
        return labels;
    }
    labels.text(names::SERVER_ADDRESS, &last.host).whole(names::SERVER_PORT, last.port)
}

/// The requested model, where it is known to be one. A caller can invent names: one that is not configured counts
/// only after a provider responded to it.
pub(crate) fn request_model<'e>(event: &TraceEvent, request: &'e Request, response: &Response) -> &'e str {
    let rule = event.resolution.as_ref().map_or("", |resolution| resolution.rule.as_str());
    let believed = !rule.is_empty() && (200..400).contains(&response.status);
    if rule.starts_with(CONFIGURED) || believed { &request.model } else { "" }
}

/// Tokens as the provider bills them. What the gateway estimated is not counted: the conventions allow that
/// only where a user asks for it.
fn tokens(found: &mut Vec<Observation>, labels: &Labels, response: &Response) {
    let Some(usage) = response.usage.as_ref() else { return };
    if !matches!(usage.source(), UsageSource::Provider | UsageSource::Partial) {
        return;
    }
    for (name, tokens) in [("input", usage.input_tokens), ("output", usage.output_tokens)] {
        if let Some(tokens) = tokens {
            let labels = labels.clone().text(TOKEN_TYPE, name);
            found.push(Observation { instrument: TokenUsage, labels, value: tokens as f64, times: 1 });
        }
    }
}

fn times(
    found: &mut Vec<Observation>,
    labels: &Labels,
    event: &TraceEvent,
    response: &Response,
    last: &Attempt,
) {
    let timing = event.timing.unwrap_or_default();
    let start = spans::start(&timing);
    let ended = event.attempts.iter().map(|attempt| attempt.ended_ns).max().unwrap_or_default();
    if let Some(value) = seconds(start, first_known(&[ended, timing.done_ns])) {
        let error = spans::failure(event, response, last).unwrap_or_default();
        let labels = labels.clone().text(names::ERROR_TYPE, &bounded::error_type(&error));
        found.push(Observation { instrument: OperationDuration, labels, value, times: 1 });
    }
    if !response.streamed {
        return;
    }
    let mut add = |instrument: Instrument, value: f64, times: u64| {
        found.push(Observation { instrument, labels: labels.clone(), value, times });
    };
    if let Some(value) = seconds(start, first_known(&[timing.first_token_ns, timing.first_byte_ns])) {
        add(TimeToFirstChunk, value, 1);
    }
    let gaps = response.chunks.saturating_sub(1);
    if let Some(value) = seconds(timing.first_token_ns, timing.last_token_ns).filter(|_| gaps > 0) {
        add(TimePerOutputChunk, value / f64::from(gaps), gaps.into());
    }
}

/// Seconds from one Unix time in nanoseconds to a later one, where both did happen in that order.
fn seconds(from: u64, to: u64) -> Option<f64> {
    let nanoseconds = to.checked_sub(from).filter(|_| from > 0)?;
    Some(Duration::from_nanos(nanoseconds).as_secs_f64())
}

#[cfg(test)]
mod tests {
    use weir_event::v1::{Ending, Resolution, Timing, Usage};

    use super::*;
    use crate::spans::fixture::{failed_over, rejected, streamed};

    fn base() -> Labels {
        Labels::default()
            .text("gen_ai.operation.name", "chat")
            .text("gen_ai.provider.name", "openai")
            .text("gen_ai.request.model", "smart")
            .text("gen_ai.response.model", "gpt-4o-2024-08-06")
            .text("server.address", "api.openai.com")
            .whole("server.port", 443)
    }

    fn of(event: &TraceEvent, instrument: Instrument) -> Vec<(Labels, f64, u64)> {
        let all = observations(event).into_iter().filter(|one| one.instrument == instrument);
        all.map(|one| (one.labels, one.value, one.times)).collect()
    }

    #[test]
    fn a_stream_tells_its_tokens_its_duration_and_its_chunks() {
        let event = streamed();
        let kind = |name| base().text("gen_ai.token.type", name);
        assert_eq!(of(&event, TokenUsage), [(kind("input"), 12.0, 1), (kind("output"), 34.0, 1)]);
        assert_eq!(of(&event, OperationDuration), [(base(), 0.7985, 1)]);
        assert_eq!(of(&event, TimeToFirstChunk), [(base(), 0.0985, 1)]);
        assert_eq!(of(&event, TimePerOutputChunk), [(base(), 0.075, 8)]);
        assert_eq!(observations(&event).len(), 5);
    }

    #[test]
    fn an_answer_in_one_piece_has_no_chunks() {
        let mut event = streamed();
        event.response.as_mut().unwrap().streamed = false;
        assert!(of(&event, TimeToFirstChunk).is_empty() && of(&event, TimePerOutputChunk).is_empty());
        assert_eq!(observations(&event).len(), 3);
    }

    #[test]
    fn a_failed_attempt_before_the_one_that_answered_is_no_error_and_no_second_operation() {
        let event = failed_over();
        assert_eq!(of(&event, OperationDuration), [(base(), 0.7985, 1)]);
    }

    #[test]
    fn an_operation_that_failed_says_why_and_only_its_duration_does() {
        let mut event = streamed();
        event.ending = Ending::UpstreamReset.into();
        let [(labels, ..)] = &of(&event, OperationDuration)[..] else { panic!() };
        assert_eq!(*labels, base().text("error.type", "upstream_reset"));
        assert_eq!(of(&event, TimeToFirstChunk)[0].0, base());
        let response = event.response.as_mut().unwrap();
        *response =
            Response { status: 429, error_type: "rate_limit_exceeded".to_owned(), ..Response::default() };
        let found = observations(&event);
        assert_eq!(found.len(), 1);
        let text = format!("{:?}", found[0].labels);
        assert!(text.contains("rate_limit_exceeded") && !text.contains("gen_ai.response.model"), "{text}");
    }

    #[test]
    fn what_reached_no_provider_or_was_only_passed_through_is_not_counted() {
        assert!(observations(&rejected()).is_empty());
        assert!(observations(&TraceEvent::default()).is_empty());
        let mut event = streamed();
        event.request.as_mut().unwrap().api = Api::Passthrough.into();
        assert!(observations(&event).is_empty());
    }

    #[test]
    fn a_model_that_no_configuration_holds_counts_only_once_a_provider_answered_to_it() {
        let mut event = streamed();
        let named = |event: &TraceEvent| format!("{:?}", observations(event)[0].labels).contains("smart");
        event.resolution = Some(Resolution { rule: "provider/model".to_owned(), ..Resolution::default() });
        assert!(named(&event));
        event.response.as_mut().unwrap().status = 404;
        assert!(!named(&event));
        event.resolution = Some(Resolution { rule: "models.smart".to_owned(), ..Resolution::default() });
        assert!(named(&event));
        event.resolution = None;
        event.response.as_mut().unwrap().status = 200;
        assert!(!named(&event));
    }

    #[test]
    fn tokens_count_as_the_provider_gave_them_and_estimates_do_not() {
        let mut event = streamed();
        let usage = |source: UsageSource, input_tokens, output_tokens| {
            Some(Usage { source: source.into(), input_tokens, output_tokens, ..Usage::default() })
        };
        event.response.as_mut().unwrap().usage = usage(UsageSource::Partial, Some(5), None);
        assert_eq!(of(&event, TokenUsage), [(base().text("gen_ai.token.type", "input"), 5.0, 1)]);
        event.response.as_mut().unwrap().usage = usage(UsageSource::Provider, None, Some(0));
        assert_eq!(of(&event, TokenUsage), [(base().text("gen_ai.token.type", "output"), 0.0, 1)]);
        for source in [UsageSource::Estimated, UsageSource::Unspecified] {
            event.response.as_mut().unwrap().usage = usage(source, Some(5), Some(5));
            assert!(of(&event, TokenUsage).is_empty());
        }
    }

    #[test]
    fn tokens_that_are_billed_count_and_not_those_that_were_processed() {
        let mut event = streamed();
        // Cohere's: the totals of an event are those that are billed, its figures hold both.
        let figures = [("tokens.input_tokens".to_owned(), 1394), ("billed_units.input_tokens".to_owned(), 8)];
        event.response.as_mut().unwrap().usage = Some(Usage {
            source: UsageSource::Provider.into(),
            input_tokens: Some(8),
            output_tokens: Some(50),
            figures: figures.into(),
            ..Usage::default()
        });
        let counted: Vec<_> = of(&event, TokenUsage).iter().map(|(_, tokens, _)| *tokens).collect();
        assert_eq!(counted, [8.0, 50.0]);
    }

    #[test]
    fn times_that_did_not_happen_or_run_backwards_are_not_counted() {
        let mut event = streamed();
        let times = Timing { resolved_ns: 900, first_token_ns: 800, last_token_ns: 700, ..Timing::default() };
        event.timing = Some(times);
        event.attempts[0].ended_ns = 100;
        let found = observations(&event);
        assert!(found.iter().all(|one| one.instrument == TokenUsage), "{found:?}");
        event.timing = None;
        assert_eq!(observations(&event).len(), 2);
        let mut single = streamed();
        single.response.as_mut().unwrap().chunks = 1;
        assert!(of(&single, TimePerOutputChunk).is_empty());
    }

    #[test]
    fn a_text_of_any_length_is_cut() {
        let mut event = streamed();
        event.response.as_mut().unwrap().model = "m".repeat(100_000);
        assert!(observations(&event).iter().all(|one| format!("{:?}", one.labels).len() < 1000));
    }
}
