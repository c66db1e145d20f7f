//! What was decided about a request, as its attempts use it.

use crate::api::call::Call;
use crate::capture::budget::ALLOCATION;
use crate::json::edit::BodyEdits;
use crate::routing::attempts::Plan;

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
    pub usage_asked_of: Vec<bool>,
    /// How long the body is that the edits are made in.
    pub body_bytes: usize,
    /// The caller's headers that go on to the provider.
    pub forwarded: Vec<(&'static str, Vec<u8>)>,
    /// The caller's baggage, for targets that receive the trace context.
    pub baggage: Option<Vec<u8>>,
    /// Whether the response is held until its first token, so that a late one can be given up.
    pub hold_for_token: bool,
    /// Longest time for the request, all attempts included, in ms; absent: Envoy's own.
    pub time_limit_ms: Option<u64>,
    /// Whether the caller itself has narrowed the time limit.
    pub hurried: bool,
}

impl Decision {
    /// Bytes allocated for what grows with a request.
    pub fn allocated(&self) -> usize {
        let edits: usize = self.edits.iter().map(BodyEdits::allocated).sum();
        let headers = self.forwarded.iter().map(|(_, value)| value).chain(&self.baggage);
        edits + headers.map(|value| value.capacity() + ALLOCATION).sum::<usize>()
    }

    /// Whether the target of the current attempt was asked for usage that the caller did not ask for.
    pub fn asks_for_usage(&self) -> bool {
        self.usage_asked_of.get(self.plan.at()) == Some(&true)
    }
}
