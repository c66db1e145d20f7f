//! Events of requests that are over, whose content is still to be redacted.
//!
//! That takes as long as content is, so it is done in slices, like the search of a long body. What they hold is
//! reserved in the budget for content until they are finished.

use std::collections::VecDeque;

use weir_event::v1;

use crate::redact::{Slice, Sliced};

/// Most events that wait; of further requests, content is not exported.
const UNFINISHED_MAX: usize = 256;

/// The events that wait for their next slice, the oldest first.
#[derive(Debug, Default)]
pub struct Unfinished(VecDeque<Sliced<v1::TraceEvent>>);

impl Unfinished {
    /// Takes in an event.
    pub fn push(&mut self, event: Sliced<v1::TraceEvent>) {
        self.0.push_back(event);
    }

    /// Whether as many wait as may.
    pub fn is_full(&self) -> bool {
        self.0.len() >= UNFINISHED_MAX
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Works on the newest event for about so many steps, or on the oldest; returns it once it is finished.
    pub fn go_on(&mut self, newest: bool, steps: u64) -> Option<v1::TraceEvent> {
        let at = if newest { self.0.len().checked_sub(1)? } else { 0 };
        match self.0.get_mut(at)?.go_on(steps) {
            Slice::Done(event) => {
                self.0.remove(at);
                Some(event)
            }
            Slice::Paused | Slice::Exhausted => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(sequence: u64) -> v1::TraceEvent {
        v1::TraceEvent { sequence, ..Default::default() }
    }

    #[test]
    fn the_newest_goes_first_where_that_is_asked_for_and_else_the_oldest() {
        let mut unfinished = Unfinished::default();
        for sequence in 1..=3 {
            unfinished.push(Sliced::new(async move { event(sequence) }, u64::MAX));
        }
        let order =
            [false, true, false, true].map(|newest| unfinished.go_on(newest, 1).map(|it| it.sequence));
        assert_eq!(order, [Some(1), Some(3), Some(2), None]);
        assert!(unfinished.is_empty());
    }

    #[test]
    fn no_more_wait_than_may() {
        let mut unfinished = Unfinished::default();
        for _ in 0..UNFINISHED_MAX {
            assert!(!unfinished.is_full());
            unfinished.push(Sliced::new(std::future::pending(), u64::MAX));
            assert_eq!(unfinished.go_on(true, 1), None);
        }
        assert!(unfinished.is_full());
    }
}
