//! Sets of sequences as ranges: few, for what is settled is settled nearly in order.

use serde::{Deserialize, Serialize};

/// A set of sequences: ranges with both ends included, in order, none touching another.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Ranges(Vec<(u64, u64)>);

impl Ranges {
    /// Adds a sequence; false where it was there already.
    pub fn insert(&mut self, sequence: u64) -> bool {
        let place = self.0.partition_point(|(_, last)| *last < sequence);
        if self.0.get(place).is_some_and(|(first, _)| *first <= sequence) {
            return false;
        }
        let touches_before = place.checked_sub(1).filter(|before| {
            self.0.get(*before).is_some_and(|(_, last)| last.checked_add(1) == Some(sequence))
        });
        let touches_after =
            self.0.get(place).is_some_and(|(first, _)| sequence.checked_add(1) == Some(*first));
        match (touches_before, touches_after) {
            (Some(before), true) => {
                let (_, last) = self.0.remove(place);
                if let Some(range) = self.0.get_mut(before) {
                    range.1 = last;
                }
            }
            (Some(before), false) => {
                if let Some(range) = self.0.get_mut(before) {
                    range.1 = sequence;
                }
            }
            (None, true) => {
                if let Some(range) = self.0.get_mut(place) {
                    range.0 = sequence;
                }
            }
            (None, false) => self.0.insert(place, (sequence, sequence)),
        }
        true
    }

    /// Adds all that another set has.
    pub fn add(&mut self, other: &Self) {
        self.add_above(other, 0);
    }

    /// Adds what another set has above a sequence.
    pub fn add_above(&mut self, other: &Self, floor: u64) {
        for (first, last) in &other.0 {
            if *last > floor {
                self.insert_range((*first).max(floor.saturating_add(1)), *last);
            }
        }
    }

    /// Adds a whole range, of which some may be there.
    fn insert_range(&mut self, mut first: u64, mut last: u64) {
        let from = self.0.partition_point(|(_, end)| end.saturating_add(1) < first);
        let until = self.0.partition_point(|(start, _)| *start <= last.saturating_add(1));
        if let Some(joined) = self.0.get(from..until).filter(|joined| !joined.is_empty()) {
            first = joined.first().map_or(first, |(start, _)| first.min(*start));
            last = joined.last().map_or(last, |(_, end)| last.max(*end));
        }
        self.0.splice(from..until.max(from), [(first, last)]);
    }

    /// Whether nothing is there.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes a sequence out; false where it was not there.
    pub fn remove(&mut self, sequence: u64) -> bool {
        let place = self.0.partition_point(|(_, last)| *last < sequence);
        let Some((first, last)) = self.0.get(place).copied().filter(|(first, _)| *first <= sequence) else {
            return false;
        };
        self.0.remove(place);
        if sequence < last {
            self.0.insert(place, (sequence + 1, last));
        }
        if first < sequence {
            self.0.insert(place, (first, sequence - 1));
        }
        true
    }

    /// Adds a whole range of which nothing is there yet, behind all others.
    pub fn push(&mut self, first: u64, last: u64) {
        match self.0.last_mut() {
            Some(end) if end.1.checked_add(1) == Some(first) => end.1 = last,
            _ => self.0.push((first, last)),
        }
    }

    /// Whether a sequence is there.
    pub fn contains(&self, sequence: u64) -> bool {
        let place = self.0.partition_point(|(_, last)| *last < sequence);
        self.0.get(place).is_some_and(|(first, _)| *first <= sequence)
    }

    /// How many sequences there are.
    pub fn count(&self) -> u64 {
        let lengths = self.0.iter().map(|(first, last)| last.saturating_sub(*first).saturating_add(1));
        lengths.fold(0, u64::saturating_add)
    }

    /// How many ranges they are in.
    pub fn parts(&self) -> usize {
        self.0.len()
    }

    /// The lowest range.
    pub fn first(&self) -> Option<(u64, u64)> {
        self.0.first().copied()
    }

    /// Takes the lowest range out.
    pub fn pop_first(&mut self) -> Option<(u64, u64)> {
        if self.0.is_empty() { None } else { Some(self.0.remove(0)) }
    }

    /// The highest sequence.
    pub fn last(&self) -> Option<u64> {
        self.0.last().map(|(_, last)| *last)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn two_sets_make_the_set_that_has_both() {
        let mut rng = fastrand::Rng::with_seed(11);
        for _ in 0..2_000 {
            let mut draw = |most: usize| -> BTreeSet<u64> {
                let from = rng.u64(1..60);
                (0..rng.usize(..most)).map(|_| rng.u64(from..from + 40)).collect()
            };
            let (one, other) = (draw(30), draw(30));
            let floor = rng.u64(..100) * u64::from(rng.bool());
            let ranges = |set: &BTreeSet<u64>| {
                let mut ranges = Ranges::default();
                set.iter().for_each(|sequence| _ = ranges.insert(*sequence));
                ranges
            };
            let both = one.iter().copied().chain(other.iter().copied().filter(|it| *it > floor)).collect();
            let mut joined = ranges(&one);
            joined.add_above(&ranges(&other), floor);
            assert_eq!(joined, ranges(&both), "{one:?} and {other:?} above {floor}");
        }
    }

    #[test]
    fn it_is_the_set_that_a_set_would_be() {
        let mut rng = fastrand::Rng::with_seed(7);
        let (mut ranges, mut set) = (Ranges::default(), BTreeSet::new());
        for _ in 0..20_000 {
            let sequence = rng.u64(1..200);
            if rng.bool() {
                assert_eq!(ranges.insert(sequence), set.insert(sequence));
            } else {
                assert_eq!(ranges.remove(sequence), set.remove(&sequence));
            }
            assert_eq!(ranges.count(), set.len() as u64);
            assert_eq!(ranges.contains(sequence), set.contains(&sequence));
            assert_eq!(ranges.last(), set.last().copied());
            assert!(ranges.0.windows(2).all(|pair| pair[0].1 + 1 < pair[1].0), "{ranges:?}");
        }
    }
}
