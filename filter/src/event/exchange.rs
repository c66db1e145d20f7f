//! What is known of one request while it is under way, and where attempts find it.
//!
//! The downstream filter and the upstream filters of one request are different contexts of the
//! same VM. They share an [`Exchange`], found by a number that this VM gave out and that only
//! filter state carries: nothing that a caller can choose.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use weir_event::v1;

use crate::api::Call;
use crate::balancing::TargetId;
use crate::event::content::{Content, Read};
use crate::json::edit::BodyEdits;
use crate::response::redact::Returning;
use crate::routing::attempts::Plan;

/// Most requests under way in one VM.
pub const STREAMS_MAX: usize = 1 << 16;

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
    /// Whether the last attempt brought an answer that is the caller's.
    pub answered: bool,
    /// What came back.
    pub response: v1::Response,
    /// When.
    pub timing: v1::Timing,
    /// What was said, as far as it is kept.
    pub content: Content,
    /// What was found in the request that must not reach the provider, and in the answer that must not
    /// reach the caller.
    pub redactions: Vec<v1::Redaction>,
    /// What is done with the answer on its way to the caller.
    pub returning: Option<Returning>,
    /// What an attempt needs; absent until the decision is made.
    pub decision: Option<Decision>,
}

/// The decision about a request. Attempts use it as it is, whatever configuration is current.
#[derive(Debug)]
pub struct Decision {
    /// What is called.
    pub call: Call,
    /// Where the request goes, attempt by attempt.
    pub plan: Plan,
    /// What each target of the plan changes in the body.
    pub edits: Vec<BodyEdits>,
    /// Which targets are asked for the usage of a stream that the caller did not ask for.
    pub asks_for_usage: Vec<bool>,
    /// How long the body is that the edits are made in.
    pub body_bytes: usize,
    /// The caller's headers that go on to the provider.
    pub forwarded: Vec<(&'static str, Vec<u8>)>,
    /// The caller's baggage, for targets that receive the trace context.
    pub baggage: Option<Vec<u8>>,
    /// Whether the answer is held until its first token, so that a late one can be given up.
    pub hold_for_token: bool,
    /// Longest time for the request, all attempts included, in ms; absent: Envoy's own.
    pub time_limit_ms: Option<u64>,
    /// Whether the caller itself has narrowed the time limit.
    pub hurried: bool,
}

impl Exchange {
    /// Whether the answer that came holds usage which the gateway asked for on the caller's behalf.
    pub fn asked_for_usage(&self) -> bool {
        let decision = self.decision.as_ref();
        decision.is_some_and(|decision| decision.asks_for_usage.get(decision.plan.at()) == Some(&true))
    }

    /// The attempt that is under way, or the last one.
    pub fn last_attempt(&mut self) -> Option<&mut v1::Attempt> {
        self.attempts.last_mut()
    }

    /// The finished event, with what was read of the response; its source and sequence are the outbox's
    /// to give.
    pub fn into_event(self, ending: v1::Ending, sampling: v1::Sampling, read: Read) -> v1::TraceEvent {
        let mut caller = self.caller;
        let (content, found) = self.content.finish(read, &mut caller);
        let mut redactions = self.redactions;
        redactions.extend(found);
        v1::TraceEvent {
            trace: Some(self.trace),
            caller: Some(caller),
            request: Some(self.request),
            resolution: self.resolution,
            attempts: self.attempts,
            response: Some(self.response),
            timing: Some(self.timing),
            ending: ending.into(),
            content,
            redactions,
            sampling: Some(sampling),
            ..Default::default()
        }
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
