//! The counts of this process: each event is counted once.

use std::{
    sync::{Mutex, MutexGuard, PoisonError},
    time::SystemTime,
};

use weir_event::{EventId, v1::TraceEvent};

use super::{aggregate::Aggregate, observe, recent::Recent};

/// What became of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// It was counted.
    Yes,
    /// It says nothing that is counted.
    LeftOut,
    /// It was counted before.
    Repeated,
    /// It has no id.
    NoEvent,
}

impl Counted {
    /// By one word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Yes => "counted",
            Self::LeftOut => "left_out",
            Self::Repeated => "repeated",
            Self::NoEvent => "undecodable",
        }
    }
}

/// The counts of this process since its start.
#[derive(Debug)]
pub struct GenAi {
    started: SystemTime,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    aggregate: Aggregate,
    recent: Recent,
}

impl GenAi {
    /// Nothing counted yet, from this moment on.
    pub fn new(started: SystemTime) -> Self {
        Self { started, state: Mutex::default() }
    }

    /// Counts an event, unless it was counted lately.
    pub fn count(&self, event: &TraceEvent) -> Counted {
        let Some(id) = EventId::of(event) else { return Counted::NoEvent };
        let observations = observe::observations(event);
        if observations.is_empty() {
            return Counted::LeftOut;
        }
        let mut state = self.state();
        if !state.recent.insert(id) {
            return Counted::Repeated;
        }
        for observation in observations {
            state.aggregate.record(observation);
        }
        Counted::Yes
    }

    /// When counting began.
    pub fn started(&self) -> SystemTime {
        self.started
    }

    /// Everything counted so far.
    pub fn snapshot(&self) -> Aggregate {
        self.state().aggregate.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::fixture::{rejected, streamed};

    #[test]
    fn an_event_that_comes_again_is_counted_once() {
        let counts = GenAi::new(SystemTime::UNIX_EPOCH);
        assert_eq!(counts.count(&streamed()), Counted::Yes);
        let once = counts.snapshot();
        assert_eq!(counts.count(&streamed()), Counted::Repeated);
        assert_eq!(counts.snapshot(), once);
        let mut other = streamed();
        other.sequence += 1;
        assert_eq!(counts.count(&other), Counted::Yes);
        assert_ne!(counts.snapshot(), once);
    }

    #[test]
    fn what_is_not_counted_says_so() {
        let counts = GenAi::new(SystemTime::UNIX_EPOCH);
        assert_eq!(counts.count(&rejected()), Counted::LeftOut);
        assert_eq!(counts.count(&TraceEvent::default()), Counted::NoEvent);
        assert!(counts.snapshot().is_empty());
    }
}
