//! What is known of one request while it is under way, and where attempts find it.
//!
//! The downstream filter and the upstream filters of one request are different contexts of the
//! same VM. They share an [`Exchange`], found by a number that this VM gave out and that only
//! filter state carries: nothing that a caller can choose.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use prost::Message;
use weir_event::v1;

use crate::balancing::TargetId;
use crate::capture::budget::BudgetPermit;
use crate::event::content::Content;
use crate::response::outgoing::GatewayHeaders;
use crate::response::reader::Read;
use crate::response::redact::ResponseRedaction;
use crate::routing::decision::Decision;
use crate::trace_context;

/// Most requests under way in one VM.
pub const STREAMS_MAX: usize = 1 << 16;

/// What a request takes in its contexts and tables, with a parser, the attempts and the start of an event, in
/// bytes.
const BASE: usize = 6 << 10;

/// One request: the decision about it, and the event that grows with it.
#[derive(Debug, Default)]
pub struct Exchange {
    /// W3C trace context.
    pub trace: v1::TraceContext,
    /// Who asked.
    pub caller: v1::Caller,
    /// What was asked.
    pub request: v1::Request,
    /// What was decided.
    pub resolution: Option<v1::Resolution>,
    /// Every attempt so far.
    pub attempts: Vec<v1::Attempt>,
    /// The target of each attempt.
    pub targets: Vec<TargetId>,
    /// Whether the last attempt brought a response that is the caller's.
    pub answered: bool,
    /// What came back.
    pub response: v1::Response,
    /// When.
    pub timing: v1::Timing,
    /// What was said, as far as it is captured.
    pub content: Content,
    /// What was found in the request that must not reach the provider, and in the response that must not
    /// reach the caller.
    pub redactions: Vec<v1::Redaction>,
    /// What is done with the response on its way to the caller.
    pub response_redaction: Option<ResponseRedaction>,
    /// What an attempt needs; absent until the decision is made.
    pub decision: Option<Decision>,
    /// The memory that is reserved for the request, beside its content and what is held of its response.
    pub permit: BudgetPermit,
    /// There was no memory left for it: it is refused, or its response was ended.
    pub overloaded: bool,
}

impl Exchange {
    /// Bytes allocated for the request, beside its content and what is held of its response.
    pub fn allocated(&self) -> usize {
        let facts = self.caller.encoded_len() + self.request.encoded_len() + self.trace.encoded_len();
        let decision = self.decision.as_ref().map_or(0, Decision::allocated);
        let values = self.response_redaction.as_ref().map_or(0, ResponseRedaction::allocated);
        BASE + 2 * facts + decision + values
    }

    /// Whether the response that came holds usage which the gateway asked for on the caller's behalf.
    pub fn asked_for_usage(&self) -> bool {
        self.decision.as_ref().is_some_and(Decision::asks_for_usage)
    }

    /// What its response says about how it came about, as far as that is known when its headers are here.
    pub fn gateway_headers(&self) -> GatewayHeaders {
        let attempt = self.attempts.last();
        let ms = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
        let timing = &self.timing;
        let decided = ms(timing.body_received_ns, timing.resolved_ns);
        let waited = attempt.map_or(0.0, |attempt| ms(attempt.started_ns, attempt.response_headers_ns));
        GatewayHeaders {
            trace_id: trace_context::trace_id(&self.trace),
            model: attempt
                .map(|attempt| format!("{}/{}", attempt.provider, attempt.model))
                // What is passed through names no model.
                .map(|target| target.trim_end_matches('/').to_owned())
                .unwrap_or_default(),
            attempts: self.attempts.len().to_string(),
            timing: format!("weir;dur={decided:.3}, provider;dur={waited:.3}"),
        }
    }

    /// The attempt that is under way, or the last one.
    pub fn last_attempt(&mut self) -> Option<&mut v1::Attempt> {
        self.attempts.last_mut()
    }

    /// The finished event, with what was read of the response, redacted slice by slice; its source and sequence are
    /// the outbox's to give.
    pub async fn into_event(self, ending: v1::Ending, sampling: v1::Sampling, read: Read) -> v1::TraceEvent {
        let mut event = v1::TraceEvent {
            trace: Some(self.trace),
            caller: Some(self.caller),
            request: Some(self.request),
            resolution: self.resolution,
            attempts: self.attempts,
            response: Some(self.response),
            timing: Some(self.timing),
            ending: ending.into(),
            redactions: self.redactions,
            sampling: Some(sampling),
            ..Default::default()
        };
        self.content.finish(read, &mut event).await;
        event
    }
}

/// A request as its contexts share it.
pub type Shared = Rc<RefCell<Exchange>>;

/// The requests under way in this VM, by number.
#[derive(Debug, Default)]
pub struct Streams {
    last: u64,
    by_number: HashMap<u64, Shared>,
}

impl Streams {
    /// Enters a request and gives its number; `None` when [`STREAMS_MAX`] are under way.
    pub fn enter(&mut self, exchange: &Shared) -> Option<u64> {
        if self.by_number.len() >= STREAMS_MAX {
            return None;
        }
        self.last += 1;
        self.by_number.insert(self.last, Rc::clone(exchange));
        Some(self.last)
    }

    /// The request of a number.
    pub fn find(&self, number: u64) -> Option<Shared> {
        self.by_number.get(&number).cloned()
    }

    /// Removes a request; its number is never given out again.
    pub fn leave(&mut self, number: u64) {
        self.by_number.remove(&number);
    }

    /// How many are under way.
    pub fn len(&self) -> usize {
        self.by_number.len()
    }

    /// Whether none is under way.
    pub fn is_empty(&self) -> bool {
        self.by_number.is_empty()
    }
}
