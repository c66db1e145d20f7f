//! The attempt role: what the upstream filter does with one attempt at a provider.
//!
//! It runs once for each attempt, on a fresh copy of the body, after the connection was chosen. The
//! header map is shared with other attempts and with the downstream filter, so it is replaced
//! whole: nothing of the caller's, and nothing of another provider's, can be left in it. Whether
//! another attempt follows is marked on the response, for Envoy's retry policy.

use std::rc::Rc;

use weir_event::v1;

use crate::api::DEFAULT_FAMILY;
use crate::balancing::TargetId;
use crate::capture::budget::BudgetPermit;
use crate::config::Route;
use crate::event::exchange::{Exchange, Shared};
use crate::event::vm::Vm;
use crate::headers::{Headers, Outgoing, name};
use crate::host::{Host, Step};
use crate::refusal::Refusal;
use crate::response::headers::is_for_router;
use crate::response::retry_after::Asked;
use crate::roles::hold::{EMPTY, HELD_MAX, Held, Verdict};
use crate::roles::role::Role;
use crate::routing::decision::Decision;
use crate::trace_context;

/// Noted of an attempt without a response; Envoy reports details of the last attempt only.
const NO_RESPONSE: &str = "no_answer";
/// What is noted of an attempt whose first token was too late.
const LATE_TOKEN: &str = "first_token_timeout";

/// What a response waits for that is held.
#[derive(Debug)]
enum Waiting {
    /// For its first token, behind which there is no other attempt; or that it fails.
    Token(Box<Held>),
    /// For the body of a failure, which may ask for a pause.
    Pause(Headers, u16, Asked, BudgetPermit),
}

/// One stream of the upstream filter.
#[derive(Debug)]
pub struct Attempt {
    vm: Rc<Vm>,
    exchange: Option<Shared>,
    /// Which of the request's attempts this is.
    index: usize,
    /// Which of the plan's targets it goes to.
    target: usize,
    /// Whether the body still has to be rewritten.
    rewrites: bool,
    /// What the response waits for, where it is held.
    waiting: Option<Waiting>,
}

impl Attempt {
    /// A stream in this VM.
    pub fn new(vm: Rc<Vm>) -> Self {
        Self { vm, exchange: None, index: 0, target: 0, rewrites: false, waiting: None }
    }

    /// The last of the response is here.
    fn ended(&self, host: &impl Host) {
        let Some(shared) = &self.exchange else { return };
        if let Some(attempt) = shared.borrow_mut().attempts.get_mut(self.index) {
            attempt.ended_ns = host.now_ns();
        }
    }

    /// What came is a response with this status: it is the caller's, or another attempt follows.
    fn answered(
        &self,
        host: &impl Host,
        exchange: &mut Exchange,
        (headers, status, asked): (&Headers, u16, Asked),
        now_ns: u64,
    ) {
        let target = self.target_id(exchange);
        let resolved_ns = exchange.timing.resolved_ns;
        let Some(decision) = &mut exchange.decision else { return };
        let spent_ms = now_ns.saturating_sub(resolved_ns) / 1_000_000;
        let left_ms = decision.time_limit_ms.map(|limit| limit.saturating_sub(spent_ms));
        let again = decision.plan.answered(status, asked, left_ms);
        let health = &mut self.vm.targets.borrow_mut().health;
        if decision.plan.is_failure(status) {
            health.failed(target, now_ns);
        } else if status < 400 {
            health.succeeded(target);
        }
        if again {
            return try_again(host, decision, headers, asked.wait_ms);
        }
        if headers.get(name::WEIR_RETRY).is_some() {
            // The mark is the filter's alone to set: from a provider it would have Envoy try again.
            without_mark(host, headers);
        }
        exchange.answered = true;
    }

    /// What is held turned out to be a response, or a failure.
    fn judged(&self, host: &impl Host, verdict: Verdict) {
        let Some(shared) = &self.exchange else { return };
        let exchange = &mut *shared.borrow_mut();
        if let Verdict::Failed(error) = verdict {
            let now_ns = host.now_ns();
            self.failed(host, exchange, error, now_ns);
            return;
        }
        exchange.answered = true;
        self.vm.targets.borrow_mut().health.succeeded(self.target_id(exchange));
    }

    /// The attempt has failed before anything of its response went out, though its status says otherwise: it
    /// is followed by another one, as if nothing had come; the last one's response is the caller's.
    fn failed(&self, host: &impl Host, exchange: &mut Exchange, error: String, now_ns: u64) -> Step {
        self.vm.targets.borrow_mut().health.failed(self.target_id(exchange), now_ns);
        let Some(decision) = &mut exchange.decision else { return Step::Continue };
        decision.plan.without_response();
        let again = decision.plan.next_route().is_some();
        if again {
            try_again(host, decision, &host.response_headers(), None);
        }
        exchange.answered = !again;
        if let Some(attempt) = exchange.attempts.get_mut(self.index) {
            attempt.error = error;
            attempt.ended_ns = now_ns;
        }
        Step::Continue
    }

    fn target_id(&self, exchange: &Exchange) -> TargetId {
        exchange.targets.get(self.index).copied().unwrap_or(TargetId::UNTRACKED)
    }

    /// An attempt that is still open when another begins brought no response.
    fn give_up_former(&self, exchange: &mut Exchange, now_ns: u64) {
        let target = exchange.targets.last().copied();
        let Some(former) = exchange.attempts.last_mut().filter(|attempt| attempt.ended_ns == 0) else {
            return;
        };
        former.ended_ns = now_ns;
        let was_marked = former.status >= 400;
        if was_marked {
            return;
        }
        let error = if former.status == 0 { NO_RESPONSE } else { LATE_TOKEN };
        error.clone_into(&mut former.error);
        if let Some(target) = target {
            self.vm.targets.borrow_mut().health.failed(target, now_ns);
        }
    }

    fn find(&self, host: &impl Host) -> Option<Shared> {
        let number = <[u8; 8]>::try_from(host.state(name::STATE_STREAM)?.as_slice()).ok()?;
        self.vm.streams.borrow().find(u64::from_le_bytes(number))
    }
}

impl Role for Attempt {
    /// Writes the headers that the provider is to see.
    fn on_request_headers(&mut self, host: &impl Host, _end_of_stream: bool) -> Step {
        let started_ns = host.now_ns();
        let begun = self.find(host).and_then(|shared| {
            let mut exchange = shared.borrow_mut();
            self.give_up_former(&mut exchange, started_ns);
            let decision = exchange.decision.as_mut()?;
            let (target, route) = decision.plan.begin()?;
            let path = route.path(&decision.call)?;
            drop(exchange);
            Some((shared, target, route, path))
        });
        let Some((shared, target, route, path)) = begun else {
            host.refuse(&Refusal::undecided(), DEFAULT_FAMILY, "");
            return Step::Hold;
        };
        self.target = target;
        let span_id = self.vm.random.borrow_mut().span_id();
        let mut exchange = shared.borrow_mut();
        let exchange = &mut *exchange;
        exchange.answered = false;
        if let Some(decision) = &exchange.decision {
            set_headers(host, exchange, decision, &route, target, &path, &span_id);
            self.rewrites = decision.edits.get(target).is_some_and(|edits| !edits.is_empty());
            // What follows if no response comes has to be known before.
            if let Some(next) = decision.plan.next_route()
                && next.cluster() != route.cluster()
            {
                host.set_state(name::STATE_CLUSTER, next.cluster().as_bytes());
            }
        }
        let passed = exchange.decision.as_ref().is_some_and(|decision| decision.call.passed.is_some());
        // A query of the caller's own may hold anything.
        let noted = if passed { path.split('?').next().unwrap_or_default().to_owned() } else { path };
        self.index = exchange.attempts.len();
        exchange.targets.push(route.id);
        exchange.attempts.push(v1::Attempt {
            number: u32::try_from(self.index + 1).unwrap_or(u32::MAX),
            span_id: span_id.to_vec().into(),
            provider: route.provider().to_owned(),
            provider_kind: route.kind().provider_name().to_owned(),
            scheme: route.endpoint().scheme.to_owned(),
            host: route.endpoint().host.clone(),
            port: route.endpoint().port.into(),
            path: noted,
            model: route.model.clone(),
            started_ns,
            ..Default::default()
        });
        self.exchange = Some(Rc::clone(&shared));
        Step::Continue
    }

    /// `size` bytes of the body are buffered: rewrites its head once all that changes is there.
    fn on_request_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        if !self.rewrites {
            return Step::Continue;
        }
        let Some(shared) = &self.exchange else { return Step::Continue };
        let exchange = shared.borrow();
        let edits = exchange.decision.as_ref().and_then(|decision| decision.edits.get(self.target));
        let Some(edits) = edits else { return Step::Continue };
        if size < edits.end() && !end_of_stream {
            return Step::Hold;
        }
        self.rewrites = false;
        let length = edits.end();
        let Some(_permit) = BudgetPermit::of(&self.vm.memory, length + edits.length(length)) else {
            let family = exchange.decision.as_ref().map_or(DEFAULT_FAMILY, |it| it.call.api.family());
            drop(exchange);
            shared.borrow_mut().overloaded = true;
            host.refuse(&Refusal::out_of_memory(), family, "");
            return Step::Hold;
        };
        // Only the bytes up to the last edit cross; everything behind it stays where it is.
        let head = host.request_body(edits.end());
        if let Some(rewritten) = edits.rewrite(&head) {
            host.replace_request_start(head.len(), &rewritten);
        }
        Step::Continue
    }

    /// The caller's trailers are here: none of them is among the headers that go on.
    fn on_request_trailers(&mut self, host: &impl Host) -> Step {
        host.drop_request_trailers();
        // They end the body, so what was still awaited of it is here.
        self.on_request_body(host, usize::MAX, true)
    }

    /// The provider's headers are here: decides whether this is the response.
    fn on_response_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step {
        let now_ns = host.now_ns();
        let headers = host.response_headers();
        let status = headers.number(name::STATUS).and_then(|status| u16::try_from(status).ok()).unwrap_or(0);
        let Some(shared) = self.exchange.as_ref().map(Rc::clone) else { return Step::Continue };
        let mut exchange = shared.borrow_mut();
        let exchange = &mut *exchange;
        if let Some(attempt) = exchange.attempts.get_mut(self.index) {
            attempt.status = status.into();
            attempt.response_headers_ns = now_ns;
            attempt.ended_ns = if end_of_stream { now_ns } else { 0 };
        }
        let Some(decision) = &mut exchange.decision else { return Step::Continue };
        let asked = Asked::of(&headers, now_ns);
        if !end_of_stream
            && says_pause_in_body(decision, status, asked)
            && let Some(permit) = BudgetPermit::of(&self.vm.memory, headers.allocated())
        {
            self.waiting = Some(Waiting::Pause(headers, status, asked, permit));
            return Step::Hold;
        }
        let is_success = (200..300).contains(&status);
        if decision.hold_for_token && is_success {
            let api = decision.call.api;
            if end_of_stream && api.operation.may_stream {
                return self.failed(host, exchange, EMPTY.to_owned(), now_ns);
            }
            if let Some(held) = Held::new(api, &headers, &self.vm.memory).filter(|_| !end_of_stream) {
                decision.plan.without_response();
                if headers.get(name::WEIR_RETRY).is_some() {
                    without_mark(host, &headers);
                }
                self.waiting = Some(Waiting::Token(Box::new(held)));
                return Step::Hold;
            }
        }
        self.answered(host, exchange, (&headers, status, asked), now_ns);
        Step::Continue
    }

    /// `size` bytes of the response's body are here: lets go of it once it is known what becomes of it.
    fn on_response_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step {
        match self.waiting.take() {
            None => {}
            Some(Waiting::Token(mut held)) => match held.look(host, size, end_of_stream) {
                Verdict::Held => {
                    self.waiting = Some(Waiting::Token(held));
                    return Step::Hold;
                }
                verdict => self.judged(host, verdict),
            },
            Some(Waiting::Pause(headers, status, asked, permit)) => {
                if !end_of_stream && size < HELD_MAX {
                    self.waiting = Some(Waiting::Pause(headers, status, asked, permit));
                    return Step::Hold;
                }
                let asked = asked.or_in(&host.response_chunk(0, size.min(HELD_MAX)));
                if let Some(shared) = self.exchange.as_ref().map(Rc::clone) {
                    let now_ns = host.now_ns();
                    self.answered(host, &mut shared.borrow_mut(), (&headers, status, asked), now_ns);
                }
            }
        }
        if end_of_stream {
            self.ended(host);
        }
        Step::Continue
    }

    fn on_response_trailers(&mut self, host: &impl Host) -> Step {
        // The held body was seen before, but not known to be complete.
        self.on_response_body(host, 0, true);
        Step::Continue
    }
}

/// Whether the body of a failure may ask for a pause that decides what follows: a Google error's.
fn says_pause_in_body(decision: &Decision, status: u16, asked: Asked) -> bool {
    decision.call.api.family().says_pause_in_body
        && asked == Asked::default()
        && decision.plan.may_stay(status)
}

/// Makes Envoy retry as planned, after a pause where the target is the same. Of another
/// one the provider that asked for it knows nothing.
fn try_again(host: &impl Host, decision: &Decision, headers: &Headers, wait_ms: Option<u64>) {
    if let Some(next) = decision.plan.next_route() {
        host.set_state(name::STATE_CLUSTER, next.cluster().as_bytes());
    }
    let mut out = Outgoing::default();
    for (key, value) in &headers.0 {
        // A provider could forbid the attempt with a header of Envoy's own (x-envoy-ratelimited).
        if !is_for_router(key) && key != name::RETRY_AFTER {
            out.add(key, value);
        }
    }
    // Envoy reads whole seconds only.
    let pause = wait_ms.filter(|ms| *ms > 0 && decision.plan.stays()).map(|ms| ms.div_ceil(1000).to_string());
    if let Some(pause) = &pause {
        out.add(name::RETRY_AFTER, pause.as_bytes());
    }
    out.add(name::WEIR_RETRY, b"1");
    host.set_response_headers(&out);
}

fn without_mark(host: &impl Host, headers: &Headers) {
    let mut out = Outgoing::default();
    for (key, value) in headers.0.iter().filter(|(key, _)| !is_for_router(key)) {
        out.add(key, value);
    }
    host.set_response_headers(&out);
}

fn set_headers(
    host: &impl Host,
    exchange: &Exchange,
    decision: &Decision,
    route: &Route,
    target: usize,
    path: &str,
    span_id: &[u8],
) {
    let received = decision.body_bytes;
    let length = decision.edits.get(target).map_or(received, |edits| edits.length(received)).to_string();
    let traceparent = trace_context::traceparent(&exchange.trace, span_id);
    let mut headers = Outgoing::default();
    headers.add(name::METHOD, exchange.request.method.as_bytes());
    headers.add(name::SCHEME, route.endpoint().scheme.as_bytes());
    headers.add(name::AUTHORITY, route.endpoint().authority.as_bytes());
    headers.add(name::PATH, path.as_bytes());
    if decision.call.passed.is_none() {
        headers.add(name::CONTENT_LENGTH, length.as_bytes());
    }
    let is_set = |key: &str| route.set_headers.iter().any(|(name, _)| name == key);
    for (key, value) in &decision.forwarded {
        if !is_set(key) && !route.removed_headers.iter().any(|name| name == key) {
            headers.add(key, value);
        }
    }
    for (key, value) in route.kind().fixed_headers() {
        if !is_set(key) && !decision.forwarded.iter().any(|(name, _)| name == key) {
            headers.add(key, value.as_bytes());
        }
    }
    for (key, value) in &route.set_headers {
        headers.add(key, value.as_bytes());
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
