//! A request in one line.

use serde::Serialize;
use utoipa::{ToSchema, openapi::Object};
use weir_event::{
    EventId,
    v1::{Api, Attempt, Caller, Capture, Content, Request, Response, TraceEvent},
};

use crate::{
    http::schema::one_of,
    metrics::genai::observe::request_model,
    spans::{self, first_known, prices::Prices},
};

/// The longest text of a line, in characters: callers and providers choose them.
const MAX_TEXT: usize = 160;

/// A request in one line.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = Request)]
pub(in crate::page) struct Row {
    /// Its sequence in the stream.
    pub(in crate::page) n: u64,
    /// The event's id.
    pub(in crate::page) id: String,
    pub(in crate::page) trace_id: String,
    /// When it came, in Unix milliseconds.
    pub(in crate::page) at_ms: u64,
    pub(in crate::page) duration_ms: f64,
    #[schema(required)]
    pub(in crate::page) first_token_ms: Option<f64>,
    pub(in crate::page) method: String,
    pub(in crate::page) path: String,
    pub(in crate::page) operation: String,
    /// As requested.
    pub(in crate::page) model: String,
    /// As the provider responded.
    pub(in crate::page) answered: String,
    pub(in crate::page) provider: String,
    pub(in crate::page) key: String,
    pub(in crate::page) user: String,
    pub(in crate::page) conversation: String,
    pub(in crate::page) response_id: String,
    pub(in crate::page) status: u32,
    /// Why it failed, where it did.
    #[schema(required)]
    pub(in crate::page) error: Option<String>,
    pub(in crate::page) streamed: bool,
    #[schema(required)]
    pub(in crate::page) input: Option<u64>,
    #[schema(required)]
    pub(in crate::page) output: Option<u64>,
    /// In dollars.
    #[schema(required)]
    pub(in crate::page) cost: Option<f64>,
    pub(in crate::page) attempts: usize,
    /// What became of its content; empty where that is not known.
    #[schema(schema_with = captures)]
    pub(in crate::page) content: &'static str,
    /// The model that figures are grouped by; empty where a caller invented it.
    #[serde(skip)]
    pub(in crate::page) known_model: String,
    /// When it was over, in Unix milliseconds.
    #[serde(skip)]
    pub(in crate::page) done_ms: u64,
}

impl Row {
    /// The line of an event; `None` where it has no id.
    pub(in crate::page) fn new(n: u64, event: &TraceEvent, prices: &Prices) -> Option<Self> {
        let id = EventId::of(event)?;
        let (request, response) = (Request::default(), Response::default());
        let (caller, attempt) = (Caller::default(), Attempt::default());
        let request = event.request.as_ref().unwrap_or(&request);
        let response = event.response.as_ref().unwrap_or(&response);
        let caller = event.caller.as_ref().unwrap_or(&caller);
        let last = event.attempts.last().unwrap_or(&attempt);
        let timing = event.timing.unwrap_or_default();
        let usage = response.usage.clone().unwrap_or_default();
        let ended = event.attempts.iter().map(|attempt| attempt.ended_ns).max().unwrap_or_default();
        let done = first_known(&[timing.done_ns, ended, timing.received_ns]);
        let first = first_known(&[timing.first_token_ns, timing.first_byte_ns]);
        let start = spans::start(&timing);
        let answered = (response.status > 0).then(|| response.status.to_string());
        let operation = if request.api() == Api::Passthrough { "" } else { request.operation.as_str() };
        let trace_id = event.trace.as_ref().map(|trace| hex(&trace.trace_id)).unwrap_or_default();
        Some(Self {
            n,
            id: id.to_string(),
            trace_id,
            at_ms: first_known(&[timing.received_ns, done]) / 1_000_000,
            duration_ms: ms(first_known(&[timing.received_ns, start]), done),
            first_token_ms: (response.streamed && first > 0).then(|| ms(start, first)),
            method: short(&request.method),
            path: short(&request.path),
            operation: short(operation),
            model: short(&request.model),
            answered: short(&response.model),
            provider: short(&last.provider),
            key: short(&caller.key_name),
            user: short(&caller.user),
            conversation: short(&caller.conversation_id),
            response_id: short(&response.id),
            status: response.status,
            error: spans::failure(event, response, last)
                .or(answered.filter(|_| response.status >= 400))
                .map(|error| short(&error)),
            streamed: response.streamed,
            input: usage.input_tokens,
            output: usage.output_tokens,
            cost: prices.of(event).map(|cost| cost.total()),
            attempts: event.attempts.len(),
            content: capture(event.content.as_ref().map_or(Capture::Unspecified, Content::capture)),
            known_model: short(request_model(event, request, response)),
            done_ms: done / 1_000_000,
        })
    }

    /// Whether it failed.
    pub(in crate::page) fn failed(&self) -> bool {
        self.error.is_some()
    }

    /// About how many bytes it takes in memory.
    pub(in crate::page) fn weight(&self) -> usize {
        let texts = [
            &self.id,
            &self.trace_id,
            &self.method,
            &self.path,
            &self.operation,
            &self.model,
            &self.answered,
            &self.provider,
            &self.key,
            &self.user,
            &self.conversation,
            &self.response_id,
            &self.known_model,
        ];
        size_of::<Self>() + texts.iter().map(|text| text.len()).sum::<usize>()
    }
}

/// Every outcome of capture; [`capture`] names each.
const CAPTURES: [Capture; 5] =
    [Capture::Unspecified, Capture::Kept, Capture::Redacted, Capture::Excluded, Capture::NoRoom];

fn capture(capture: Capture) -> &'static str {
    match capture {
        Capture::Unspecified => "",
        Capture::Kept => "kept",
        Capture::Redacted => "redacted",
        Capture::Excluded => "excluded",
        Capture::NoRoom => "no_room",
    }
}

fn captures() -> Object {
    one_of(CAPTURES.map(capture))
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

fn ms(from: u64, to: u64) -> f64 {
    to.saturating_sub(from) as f64 / 1e6
}

pub(in crate::page) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
pub(in crate::page) fn of(event: &TraceEvent, n: u64) -> Row {
    Row::new(n, event, &Prices::built_in()).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::fixture::{failed_over, rejected, streamed};

    #[test]
    fn a_line_tells_what_the_event_says() {
        let row = of(&streamed(), 9);
        assert_eq!((row.n, row.status, row.attempts, row.failed()), (9, 200, 1, false));
        assert_eq!(
            (row.model.as_str(), row.answered.as_str(), row.provider.as_str()),
            ("smart", "gpt-4o-2024-08-06", "openai")
        );
        assert_eq!((row.input, row.output, row.streamed), (Some(12), Some(34), true));
        assert!((row.duration_ms - 800.0).abs() < 1e-6 && (row.first_token_ms.unwrap() - 98.5).abs() < 1e-6);
        assert!(row.cost.unwrap() > 0.0);
        assert_eq!(of(&failed_over(), 1).attempts, 2);
    }

    #[test]
    fn a_refusal_failed_and_an_invented_model_is_shown_but_not_counted_by_its_name() {
        let row = of(&rejected(), 1);
        assert!(row.failed() && row.provider.is_empty() && row.cost.is_none());
        assert!(!row.model.is_empty() && row.known_model.is_empty());
    }

    #[test]
    fn texts_of_any_length_are_cut() {
        let mut event = streamed();
        event.request.as_mut().unwrap().path = "/é".repeat(100_000);
        assert!(of(&event, 1).weight() < 4000);
    }
}
