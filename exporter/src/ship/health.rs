//! How a destination is doing, shared by all of its batches: when it may be tried next, and whether it refuses
//! everything.
//!
//! One event that is refused is poison; ten in a row are a destination that is at fault, and what it is
//! then sent stays in the backlog.

use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use tokio::time::{Instant, sleep_until};
use tracing::{error, info, warn};

/// So many events refused one after the other are not the events' fault.
const REFUSALS: u32 = 10;

/// What a destination's health is, for people and for metrics.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Condition {
    /// It takes what it gets, or got nothing yet.
    #[default]
    Well,
    /// A passing failure.
    Retrying(String),
    /// A refusal that stands until someone changes something.
    Misconfigured(String),
    /// It refuses every single event.
    Refusing(String),
}

impl Condition {
    /// By one word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Well => "well",
            Self::Retrying(_) => "retrying",
            Self::Misconfigured(_) => "misconfigured",
            Self::Refusing(_) => "refusing",
        }
    }

    /// Why, where it is not well.
    pub fn reason(&self) -> Option<&str> {
        match self {
            Self::Well => None,
            Self::Retrying(why) | Self::Misconfigured(why) | Self::Refusing(why) => Some(why),
        }
    }
}

/// A destination's health.
#[derive(Debug)]
pub struct Health {
    destination: String,
    refused_in_a_row: AtomicU32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    condition: Condition,
    not_before: Instant,
}

impl Health {
    /// A destination of which nothing is known yet.
    pub fn new(destination: &str) -> Self {
        let state = State { condition: Condition::Well, not_before: Instant::now() };
        Self {
            destination: destination.to_owned(),
            refused_in_a_row: AtomicU32::new(0),
            state: Mutex::new(state),
        }
    }

    /// How it is.
    pub fn condition(&self) -> Condition {
        self.lock().condition.clone()
    }

    /// Waits until it may be tried.
    pub(super) async fn may_be_tried(&self) {
        loop {
            let until = self.lock().not_before;
            if until <= Instant::now() {
                return;
            }
            sleep_until(until).await;
        }
    }

    /// It accepted something. A pause that another batch was given meanwhile stands, and so does its reason.
    pub(super) fn took(&self) {
        self.refused_in_a_row.store(0, Ordering::Relaxed);
        let mut state = self.lock();
        if state.not_before > Instant::now() {
            return;
        }
        if std::mem::take(&mut state.condition) != Condition::Well {
            info!(destination = self.destination, "delivering again");
        }
    }

    /// It refused a single event. Whether that one is poison; else the destination is at fault.
    pub(super) fn refused_one(&self, reason: &str) -> bool {
        let refused = self.refused_in_a_row.fetch_add(1, Ordering::Relaxed).saturating_add(1);
        if refused < REFUSALS {
            return true;
        }
        self.report(Condition::Refusing(reason.to_owned()));
        false
    }

    /// Whether it refuses everything.
    pub(super) fn is_refusing(&self) -> bool {
        self.refused_in_a_row.load(Ordering::Relaxed) >= REFUSALS
    }

    /// It failed: it is not tried for so long.
    pub(super) fn failed(&self, condition: Condition, pause: Duration) {
        let until = Instant::now() + pause;
        {
            let mut state = self.lock();
            state.not_before = state.not_before.max(until);
        }
        self.report(condition);
    }

    /// Says why events wait, once for each reason.
    fn report(&self, condition: Condition) {
        let mut state = self.lock();
        if state.condition == condition {
            return;
        }
        let (destination, reason) = (self.destination.as_str(), condition.reason().unwrap_or_default());
        match &condition {
            Condition::Well => {}
            Condition::Retrying(_) => warn!(destination, reason, "not delivered: events are kept, retrying"),
            Condition::Misconfigured(_) => error!(
                destination,
                reason, "REFUSED: check the destination's settings; events are kept, retrying slowly"
            ),
            Condition::Refusing(_) => error!(
                destination,
                reason,
                "REFUSING: {REFUSALS} events in a row were refused one by one, so it is not the events' fault; the \
                 others are kept, trying one now and then"
            ),
        }
        state.condition = condition;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nine_refused_events_are_poison_and_the_tenth_is_the_destinations_fault() {
        let health = Health::new("d");
        for _ in 0..9 {
            assert!(health.refused_one("HTTP 400"));
        }
        assert!(!health.is_refusing());
        assert!(!health.refused_one("HTTP 400"));
        assert!(health.is_refusing());
        assert_eq!(health.condition().word(), "refusing");
        health.took();
        assert!(!health.is_refusing() && health.refused_one("HTTP 400"));
        assert_eq!(health.condition(), Condition::Well);
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_failure_nobody_tries_before_its_time() {
        let health = Health::new("d");
        let start = Instant::now();
        health.failed(Condition::Retrying("HTTP 503".to_owned()), Duration::from_secs(7));
        health.failed(Condition::Retrying("HTTP 503".to_owned()), Duration::from_secs(2));
        health.may_be_tried().await;
        assert!(start.elapsed() >= Duration::from_secs(7));
        health.took();
        assert_eq!(health.condition(), Condition::Well);
    }

    #[tokio::test(start_paused = true)]
    async fn a_batch_that_was_under_way_and_is_taken_ends_no_wait() {
        let health = Health::new("d");
        let start = Instant::now();
        health.failed(Condition::Retrying("HTTP 429".to_owned()), Duration::from_secs(7));
        health.took();
        assert_eq!(health.condition().word(), "retrying");
        health.may_be_tried().await;
        assert!(start.elapsed() >= Duration::from_secs(7));
    }
}
