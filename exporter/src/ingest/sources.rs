//! The ledger of each source (each of the gateway's workers): what it says that it made, and what was stored of
//! it here.
//!
//! A source counts its events from 1, so a gap is an event that is missing: dropped by the source, on its way to
//! another exporter, or lost with a worker that died. Totals are a source's claim, not truth. Only so many
//! sources are kept; of one that made room its figures stay in the sums.

use std::{
    collections::HashMap,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use weir_event::{SOURCE_LEN, v1::Totals};

use crate::ledger::Ranges;

/// Ranges that a source's sequences may be in; beyond it the lowest gap counts as missing for good.
const MAX_PARTS: usize = 1024;

/// Figures of one source, or of all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Figures {
    /// Events that were stored here.
    pub stored: u64,
    /// Events that can never be stored.
    pub refused: u64,
    /// Sequences below the highest one that came that did not come here.
    pub missing: u64,
    /// By the source's word: events made.
    pub created: u64,
    /// By the source's word: events dropped because its outbox was full.
    pub dropped: u64,
    /// By the source's word: events left out by sampling.
    pub sampled_out: u64,
    /// By the source's word: events not yet sent when it last sent some.
    pub pending: u64,
    /// By the source's word: events made of which nothing is known here: on their way, or lost with it. Of a
    /// source that is dead there may be more, made after its last batch: how many is not known.
    pub unsent: u64,
}

impl Figures {
    fn add(&mut self, other: &Self) {
        self.stored += other.stored;
        self.refused += other.refused;
        self.missing += other.missing;
        self.created += other.created;
        self.dropped += other.dropped;
        self.sampled_out += other.sampled_out;
        self.pending += other.pending;
        self.unsent += other.unsent;
    }
}

#[derive(Debug, Default)]
struct Source {
    seen: Ranges,
    /// Gaps that were forgotten.
    missing: u64,
    floor: u64,
    figures: Figures,
    heard: u64,
}

impl Source {
    fn saw(&mut self, sequence: u64) {
        if sequence > self.floor {
            self.seen.insert(sequence);
        }
        while self.seen.parts() > MAX_PARTS {
            let Some((first, last)) = self.seen.pop_first() else { return };
            self.missing += first.saturating_sub(self.floor + 1);
            self.floor = last;
        }
    }

    fn figures(&self) -> Figures {
        let highest = self.seen.last().unwrap_or(self.floor);
        let open = highest.saturating_sub(self.floor).saturating_sub(self.seen.count());
        let Figures { stored, refused, created, dropped, sampled_out, .. } = self.figures;
        let unsent = created.saturating_sub(stored + refused + dropped + sampled_out);
        Figures { missing: self.missing + open, unsent, ..self.figures }
    }
}

/// The ledgers of sources.
#[derive(Debug)]
pub struct Sources {
    most: usize,
    sources: HashMap<[u8; SOURCE_LEN], Source>,
    /// Of sources that made room.
    gone: Figures,
}

/// A source as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// In hex.
    pub source: String,
    /// When it was last heard of, in Unix seconds.
    pub heard: u64,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

impl Sources {
    /// Keeps at most so many.
    pub fn new(most: usize) -> Self {
        Self { most: most.max(1), sources: HashMap::new(), gone: Figures::default() }
    }

    /// Enters a batch: which sequences were stored anew or were there, how many were refused, what is claimed.
    pub fn enter(&mut self, source: [u8; SOURCE_LEN], stored: &[u64], refused: u64, totals: Option<&Totals>) {
        if !self.sources.contains_key(&source) && self.sources.len() >= self.most {
            self.make_room();
        }
        let one = self.sources.entry(source).or_default();
        one.heard = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        for sequence in stored {
            if *sequence > one.floor && !one.seen.contains(*sequence) {
                one.figures.stored += 1;
            }
            one.saw(*sequence);
        }
        one.figures.refused += refused;
        if let Some(totals) = totals.filter(|totals| totals.created >= one.figures.created) {
            one.figures.created = totals.created;
            one.figures.dropped = totals.dropped_outbox_full;
            one.figures.sampled_out = totals.sampled_out;
            one.figures.pending = totals.pending;
        }
    }

    /// The sums over all sources, those that made room included.
    pub fn sums(&self) -> Figures {
        let mut sums = self.gone;
        self.sources.values().for_each(|source| sums.add(&source.figures()));
        sums
    }

    /// How many are kept.
    pub fn len(&self) -> usize {
        self.sources.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.sources.is_empty()
    }

    /// Those last heard of, at most so many.
    pub fn latest(&self, most: usize) -> Vec<Shown> {
        let mut all: Vec<_> = self.sources.iter().collect();
        all.sort_by_key(|(_, source)| std::cmp::Reverse(source.heard));
        let shown = |(id, source): (&[u8; SOURCE_LEN], &Source)| Shown {
            source: id.iter().map(|byte| format!("{byte:02x}")).collect(),
            heard: source.heard,
            figures: source.figures(),
        };
        all.into_iter().take(most).map(shown).collect()
    }

    fn make_room(&mut self) {
        let oldest = self.sources.iter().min_by_key(|(_, source)| source.heard).map(|(id, _)| *id);
        if let Some(source) = oldest.and_then(|id| self.sources.remove(&id)) {
            self.gone.add(&source.figures());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_is_missing_until_it_is_filled_and_what_comes_twice_is_stored_once() {
        let mut sources = Sources::new(8);
        sources.enter(
            [1; 16],
            &[1, 2, 5, 5],
            0,
            Some(&Totals { created: 9, pending: 4, ..Totals::default() }),
        );
        let sums = sources.sums();
        assert_eq!((sums.stored, sums.missing, sums.created, sums.pending), (3, 2, 9, 4));
        sources.enter([1; 16], &[3, 4], 1, Some(&Totals { created: 5, ..Totals::default() }));
        let sums = sources.sums();
        assert_eq!((sums.stored, sums.missing, sums.created, sums.refused), (5, 0, 9, 1));
    }

    #[test]
    fn only_so_many_are_kept_and_the_sums_stay() {
        let mut sources = Sources::new(2);
        for id in 0..10 {
            sources.enter([id; 16], &[2], 0, None);
        }
        assert_eq!((sources.len(), sources.latest(9).len()), (2, 2));
        assert_eq!((sources.sums().stored, sources.sums().missing), (10, 10));
    }

    #[test]
    fn a_source_full_of_gaps_stays_small() {
        let mut sources = Sources::new(1);
        let odd: Vec<u64> = (0..5000).map(|number| number * 2 + 1).collect();
        sources.enter([1; 16], &odd, 0, None);
        assert_eq!(sources.sums().missing, 4999);
        assert!(sources.sources[&[1; 16]].seen.parts() <= MAX_PARTS);
    }
}
