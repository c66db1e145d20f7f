//! A request's record: what is known of it from its headers, and what it leaves behind when it is over: the ends of
//! its attempts, what this VM has learnt of the targets, and its event.

use std::cell::RefCell;
use std::rc::Rc;

use weir_event::v1;

use crate::api::call::Call;
use crate::capture::budget::BudgetPermit;
use crate::config::Config;
use crate::event::exchange::{Exchange, Shared};
use crate::event::vm::Vm;
use crate::headers::{Headers, name};
use crate::redact::Sliced;
use crate::response::body::ResponseBody;
use crate::trace_context;

/// Longest text of the caller's that is put into an event, in bytes.
const TEXT_MAX: usize = 512;

/// What is known of a request from its headers.
pub fn begin(headers: &Headers, call: &Call, received_ns: u64, vm: &Vm) -> Shared {
    let target = headers.text(name::PATH);
    let path = target.split('?').next().unwrap_or_default();
    let exchange = Exchange {
        trace: trace_context::of_request(headers, &mut vm.random.borrow_mut()),
        request: v1::Request {
            api: call.api.operation.event.into(),
            method: headers.text(name::METHOD),
            path: short(path.to_owned()),
            route: call.route.to_owned(),
            operation: call.api.operation.name.to_owned(),
            scheme: headers.text(name::SCHEME),
            authority: short(headers.text(name::AUTHORITY)),
            client_address: short(client_address(headers)),
            user_agent: short(headers.text(name::USER_AGENT)),
            ..Default::default()
        },
        timing: v1::Timing { received_ns, ..Default::default() },
        permit: BudgetPermit::new(&vm.memory),
        ..Default::default()
    };
    Rc::new(RefCell::new(exchange))
}

/// All is over: settles what was learnt of the targets, and hands the event to the outbox.
pub fn finish(
    mut exchange: Exchange,
    mut ending: v1::Ending,
    mut body: ResponseBody,
    vm: &Vm,
    config: &Config,
) {
    exchange.overloaded |= body.is_overloaded();
    let is_whole = ending == v1::Ending::Completed && !exchange.overloaded;
    if exchange.timing.returning_ns != 0 && exchange.timing.returned_ns == 0 {
        exchange.timing.returned_ns = exchange.timing.done_ns;
    }
    if vm.policy.borrow().excludes() {
        exchange.content.withhold();
    }
    exchange.redactions.extend(body.found());
    let read = body.finish(exchange.content.characters, is_whole, &mut exchange.response);
    if read.is_cut {
        ending = v1::Ending::Truncated;
    }
    if exchange.overloaded {
        ending = v1::Ending::Overloaded;
        vm.count_overload();
    }
    settle(&mut exchange, ending, vm);
    if config.exporter.is_none() {
        return;
    }
    let took_ns = exchange.timing.done_ns.saturating_sub(exchange.timing.received_ns);
    let failed = has_failed(&exchange, ending);
    let Some(sampling) = config.sampling.decide(&exchange.trace, took_ns, failed) else {
        return vm.outbox.borrow_mut().leave_out();
    };
    if vm.unfinished.borrow().is_full() {
        exchange.content.make_way();
    }
    vm.unfinished.borrow_mut().push(Sliced::new(exchange.into_event(ending, sampling, read), u64::MAX));
    // Most content is redacted in one slice, and does not wait for what takes longer.
    vm.finish_event(true);
}

/// Where the request came from: Envoy puts the address that it took it from at the end.
fn client_address(headers: &Headers) -> String {
    let text = headers.text(name::X_FORWARDED_FOR);
    text.rsplit(',').next().unwrap_or_default().trim().to_owned()
}

fn short(mut text: String) -> String {
    text.truncate(text.floor_char_boundary(TEXT_MAX));
    text
}

/// Ends every attempt, and notes which targets failed and how fast the one that answered was.
pub fn settle(exchange: &mut Exchange, ending: v1::Ending, vm: &Vm) {
    let done_ns = exchange.timing.done_ns;
    let mut targets = vm.targets.borrow_mut();
    let last = exchange.attempts.len().saturating_sub(1);
    let hurried = exchange.decision.as_ref().is_some_and(|decision| decision.hurried);
    // A caller that goes away, or that set the limit, says nothing about the target that it was waiting for:
    // else any caller could have targets put last for all the others.
    let gone = ending == v1::Ending::ClientDisconnected || (ending == v1::Ending::Timeout && hurried);
    for (index, (attempt, target)) in exchange.attempts.iter_mut().zip(&exchange.targets).enumerate() {
        if attempt.ended_ns == 0 {
            attempt.ended_ns = done_ns;
            let was_given_up = index == last && gone;
            if !was_given_up && !attempt.error.is_empty() {
                targets.health.failed(*target, done_ns);
            }
        }
    }
    if ending == v1::Ending::Completed
        && let (Some(attempt), Some(target)) = (exchange.attempts.last(), exchange.targets.last())
        && attempt.status == 200
    {
        let tokens = exchange.response.usage.as_ref().and_then(|usage| usage.output_tokens);
        let tokens = tokens.unwrap_or_else(|| exchange.response.chunks.into());
        let took_ns = attempt.ended_ns.saturating_sub(attempt.started_ns);
        if let Some(ns_per_token) = took_ns.checked_div(tokens) {
            targets.latency.record(*target, ns_per_token, done_ns);
        }
    }
}

/// Whether a request failed, broke off or was refused, also within a stream that began well.
pub fn has_failed(exchange: &Exchange, ending: v1::Ending) -> bool {
    ending != v1::Ending::Completed
        || exchange.response.status >= 400
        || !exchange.response.error_type.is_empty()
}
