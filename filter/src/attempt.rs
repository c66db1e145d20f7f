//! The attempt role: what the upstream filter does with one attempt at a provider.
//!
//! It runs once for each attempt, on a fresh copy of the body, after the connection was chosen. The
//! header map is shared with other attempts and with the downstream filter, so it is replaced
//! whole: nothing of the caller's, and nothing of another provider's, can be left in it.

use std::rc::Rc;

use weir_event::v1;

use crate::exchange::{Decision, Exchange, Shared};
use crate::headers::{Outgoing, name};
use crate::host::{Host, Step};
use crate::refusal::Refusal;
use crate::trace_context;
use crate::vm::Vm;

/// What OpenAI's API adds to a provider's base path for a chat completion.
const CHAT_PATH: &str = "/chat/completions";

/// One stream of the upstream filter.
#[derive(Debug)]
pub struct Attempt {
    vm: Rc<Vm>,
    exchange: Option<Shared>,
    /// Which of the request's attempts this is.
    index: usize,
    /// How many bytes at the body's start are to be replaced, and by what is behind them.
    splice: Option<(usize, usize)>,
}

impl Attempt {
    /// A stream in this VM.
    pub fn new(vm: Rc<Vm>) -> Self {
        Self { vm, exchange: None, index: 0, splice: None }
    }

    /// The headers of the attempt are here: writes those that the provider is to see.
    pub fn on_request_headers(&mut self, host: &impl Host) -> Step {
        let Some(shared) = self.find(host) else {
            host.refuse(&Refusal::undecided());
            return Step::Hold;
        };
        let started_ns = host.now_ns();
        let span_id = self.vm.random.borrow_mut().span_id();
        let mut exchange = shared.borrow_mut();
        let exchange = &mut *exchange;
        let Some(decision) = &exchange.decision else {
            host.refuse(&Refusal::undecided());
            return Step::Hold;
        };
        let route = &decision.route;
        let path = format!("{}{CHAT_PATH}", route.endpoint.path_prefix);
        set_headers(host, exchange, decision, &path, &span_id);
        if decision.model_as_written != route.model_json {
            self.splice = Some((decision.model_at.start, decision.model_at.end));
        }
        self.index = exchange.attempts.len();
        exchange.attempts.push(v1::Attempt {
            number: u32::try_from(self.index + 1).unwrap_or(u32::MAX),
            span_id: span_id.to_vec().into(),
            provider: route.provider.clone(),
            provider_kind: route.api.kind().to_owned(),
            scheme: route.endpoint.scheme.to_owned(),
            host: route.endpoint.host.clone(),
            port: route.endpoint.port.into(),
            path,
            model: route.model.clone(),
            started_ns,
            ..Default::default()
        });
        self.exchange = Some(Rc::clone(&shared));
        Step::Continue
    }

    /// `size` bytes of the body are buffered: replaces the model's name once it is there.
    pub fn on_request_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        let Some((start, end)) = self.splice else { return Step::Continue };
        if size < end && !end_of_stream {
            return Step::Hold;
        }
        self.splice = None;
        let Some(shared) = &self.exchange else { return Step::Continue };
        let exchange = shared.borrow();
        let Some(decision) = &exchange.decision else { return Step::Continue };
        // Only the bytes up to the name's end cross; everything behind it stays where it is.
        let mut head = host.request_body(end);
        head.truncate(start);
        head.extend_from_slice(decision.route.model_json.as_bytes());
        host.replace_request_start(end, &head);
        Step::Continue
    }

    /// The provider's headers are here.
    pub fn on_response_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        let now_ns = host.now_ns();
        let status = host.response_headers().number(name::STATUS).unwrap_or(0);
        self.with_record(|attempt| {
            attempt.status = u32::try_from(status).unwrap_or(0);
            attempt.response_headers_ns = now_ns;
            if end_of_stream {
                attempt.ended_ns = now_ns;
            }
        });
        Step::Continue
    }

    /// The last of the provider's body, or its trailers, is here.
    pub fn on_response_end(&mut self, host: &impl Host) {
        let now_ns = host.now_ns();
        self.with_record(|attempt| attempt.ended_ns = now_ns);
    }

    fn with_record(&self, change: impl FnOnce(&mut v1::Attempt)) {
        if let Some(shared) = &self.exchange
            && let Some(attempt) = shared.borrow_mut().attempts.get_mut(self.index)
        {
            change(attempt);
        }
    }

    fn find(&self, host: &impl Host) -> Option<Shared> {
        let number = <[u8; 8]>::try_from(host.state(name::STATE_STREAM)?.as_slice()).ok()?;
        self.vm.streams.borrow().find(u64::from_le_bytes(number))
    }
}

fn set_headers(host: &impl Host, exchange: &Exchange, decision: &Decision, path: &str, span_id: &[u8]) {
    let route = &decision.route;
    let length = (exchange.request.body_bytes as usize)
        .saturating_sub(decision.model_as_written.len())
        .saturating_add(route.model_json.len())
        .to_string();
    let traceparent = trace_context::traceparent(&exchange.trace, span_id);
    let mut headers = Outgoing::default();
    headers.add(name::METHOD, b"POST");
    headers.add(name::SCHEME, route.endpoint.scheme.as_bytes());
    headers.add(name::AUTHORITY, route.endpoint.authority.as_bytes());
    headers.add(name::PATH, path.as_bytes());
    headers.add(name::CONTENT_LENGTH, length.as_bytes());
    for (key, value) in &decision.forwarded {
        headers.add(key, value);
    }
    if route.propagate {
        headers.add(name::TRACEPARENT, traceparent.as_bytes());
        if !exchange.trace.trace_state.is_empty() {
            headers.add(name::TRACESTATE, exchange.trace.trace_state.as_bytes());
        }
        if let Some(baggage) = &decision.baggage {
            headers.add(name::BAGGAGE, baggage);
        }
    }
    host.set_request_headers(&headers);
}
