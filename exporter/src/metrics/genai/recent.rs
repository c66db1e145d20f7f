//! The ids of the events that were counted last, so that one that is delivered again is recognised.

use std::collections::{HashSet, VecDeque};

use weir_event::EventId;

/// How many ids are held.
pub const RECENT: usize = 16_384;

/// The last [`RECENT`] ids.
#[derive(Debug, Default)]
pub(crate) struct Recent {
    known: HashSet<EventId>,
    order: VecDeque<EventId>,
}

impl Recent {
    /// Takes an id in; false where it is there already.
    pub(crate) fn insert(&mut self, id: EventId) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > RECENT
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_last_ids_are_kept() {
        let (mut recent, id) = (Recent::default(), |sequence| EventId { source: [1; 16], sequence });
        let all = 3 * u64::try_from(RECENT).unwrap();
        assert!((1..=all).all(|sequence| recent.insert(id(sequence))));
        assert_eq!((recent.known.len(), recent.order.len()), (RECENT, RECENT));
        assert!(!recent.insert(id(all)));
        assert!(recent.insert(id(1)));
    }
}
