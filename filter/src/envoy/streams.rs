//! The contexts of streams, and the turns of those whose long work is under way.
//!
//! Such a stream is held by the proxy, and goes on from a timer that ticks only while there is one. A stream that is
//! gone takes its work with it: only a weak reference to it waits.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::time::Duration;

use log::error;
use proxy_wasm::hostcalls;
use proxy_wasm::traits::{Context, HttpContext};
use proxy_wasm::types::Action;

use crate::envoy::host::Envoy;
use crate::envoy::shared::vm;
use crate::host::Step;
use crate::redact::SLICE;
use crate::roles::Role;
use crate::roles::turns::Turns;

/// How long the worker serves others between two slices, at least: the shortest that a timer can wait.
const BETWEEN: Duration = Duration::from_millis(1);

thread_local! {
    /// The streams that wait for their next slice.
    static TURNS: RefCell<Turns<Waiting>> = RefCell::default();
    /// Whether the next slice is for an unfinished event.
    static EVENTS_TURN: Cell<bool> = const { Cell::new(false) };
}

/// A stream of any role that has long work.
trait Works {
    /// Goes on; returns what is done with the stream, once nothing is left.
    fn go_on(&self) -> Option<Step>;
    /// Whether something is left.
    fn has_work(&self) -> bool;
}

impl<R: Role> Works for RefCell<R> {
    fn go_on(&self) -> Option<Step> {
        self.borrow_mut().go_on(&Envoy, SLICE)
    }

    fn has_work(&self) -> bool {
        self.borrow().long_work().is_some()
    }
}

/// A stream and its context.
struct Waiting {
    context: u32,
    stream: Weak<dyn Works>,
}

/// One stream of a role.
pub struct Stream<R> {
    context: u32,
    role: Rc<RefCell<R>>,
}

impl<R: Role + 'static> Stream<R> {
    pub fn new(context: u32, role: R) -> Self {
        Self { context, role: Rc::new(RefCell::new(role)) }
    }

    /// What the proxy does after a callback with a request. Long work begins at once where nobody else waits.
    fn after(&self, step: Step) -> Action {
        let Some(bytes) = self.role.borrow().long_work() else { return action(step) };
        let is_alone = is_idle();
        if is_alone && let Some(step) = self.role.borrow_mut().go_on(&Envoy, SLICE) {
            return action(step);
        }
        let stream: Rc<dyn Works> = self.role.clone();
        let waiting = Waiting { context: self.context, stream: Rc::downgrade(&stream) };
        TURNS.with_borrow_mut(|turns| turns.enter(waiting, bytes));
        if is_alone {
            tick_soon();
        }
        Action::Pause
    }
}

/// Whether no long work waits.
fn is_idle() -> bool {
    TURNS.with_borrow(Turns::is_empty) && vm().unfinished.borrow().is_empty()
}

/// Has the timer of the running context tick for long work.
pub fn tick_soon() {
    if hostcalls::set_tick_period(BETWEEN).is_err() {
        error!("the host has no timer");
    }
}

/// One slice of long work: of the stream whose turn it is, or else of an event that is unfinished. `root` is the
/// context that ticks. Returns whether there is more to do; nothing, where there was nothing.
pub fn go_on(root: u32) -> Option<bool> {
    if is_idle() {
        return None;
    }
    // They alternate where there are both.
    let is_events_turn = EVENTS_TURN.replace(!EVENTS_TURN.get());
    if is_events_turn && !vm().unfinished.borrow().is_empty() || !go_on_with_stream(root) {
        vm().finish_event(false);
    }
    Some(!is_idle())
}

/// Returns whether there was one.
fn go_on_with_stream(root: u32) -> bool {
    // Those whose streams are gone, or were answered meanwhile, leave without a slice.
    while let Some((waiting, bytes)) = TURNS.with_borrow_mut(Turns::take) {
        let Some(stream) = waiting.stream.upgrade().filter(|stream| stream.has_work()) else { continue };
        if hostcalls::set_effective_context(waiting.context).is_err() {
            continue;
        }
        match stream.go_on() {
            None => TURNS.with_borrow_mut(|turns| turns.put_back(waiting, bytes)),
            Some(Step::Continue) => {
                if hostcalls::resume_http_request().is_err() {
                    error!("the host does not let a request go");
                }
            }
            // A local response was sent.
            Some(Step::Hold) => {}
        }
        let _ = hostcalls::set_effective_context(root);
        return true;
    }
    false
}

impl<R: Role + 'static> Context for Stream<R> {}

impl<R: Role + 'static> HttpContext for Stream<R> {
    fn on_http_request_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        action(self.role.borrow_mut().on_request_headers(&Envoy, end_of_stream))
    }

    fn on_http_request_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        let step = self.role.borrow_mut().on_request_body(&Envoy, size, end_of_stream);
        self.after(step)
    }

    fn on_http_request_trailers(&mut self, _count: usize) -> Action {
        let step = self.role.borrow_mut().on_request_trailers(&Envoy);
        self.after(step)
    }

    fn on_http_response_headers(&mut self, _count: usize, end_of_stream: bool) -> Action {
        action(self.role.borrow_mut().on_response_headers(&Envoy, end_of_stream))
    }

    fn on_http_response_body(&mut self, size: usize, end_of_stream: bool) -> Action {
        action(self.role.borrow_mut().on_response_body(&Envoy, size, end_of_stream))
    }

    fn on_http_response_trailers(&mut self, _count: usize) -> Action {
        action(self.role.borrow_mut().on_response_trailers(&Envoy))
    }

    fn on_log(&mut self) {
        let was_idle = is_idle();
        self.role.borrow_mut().on_log(&Envoy);
        if was_idle && !is_idle() {
            tick_soon();
        }
    }
}

fn action(step: Step) -> Action {
    match step {
        Step::Continue => Action::Continue,
        Step::Hold => Action::Pause,
    }
}
