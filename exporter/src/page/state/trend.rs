//! Totals of the last minutes, so that what is wrong now is distinguished from what was wrong once.

use std::{
    collections::{BTreeMap, VecDeque},
    time::{Duration, Instant},
};

/// How far back "now" reaches.
const NOW: Duration = Duration::from_secs(300);

/// Totals at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(in crate::page) struct Totals {
    pub(in crate::page) dropped: u64,
    pub(in crate::page) refused: u64,
    /// By destination.
    pub(in crate::page) evicted: BTreeMap<String, u64>,
    pub(in crate::page) backlog: BTreeMap<String, u64>,
}

/// The totals of the last minutes.
#[derive(Debug, Default)]
pub(in crate::page) struct Trend {
    looks: VecDeque<(Instant, Totals)>,
}

impl Trend {
    /// Records totals, and forgets those of before "now".
    pub(in crate::page) fn saw(&mut self, now: Instant, totals: Totals) {
        self.looks.push_back((now, totals));
        while self.looks.front().is_some_and(|(at, _)| now.duration_since(*at) > NOW) {
            self.looks.pop_front();
        }
    }

    /// The totals at the beginning of "now", where it is known.
    pub(in crate::page) fn before(&self) -> Option<&Totals> {
        self.looks.front().map(|(_, totals)| totals)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_long_ago_is_forgotten() {
        let (mut trend, start) = (Trend::default(), Instant::now());
        for minute in 0..20 {
            trend.saw(
                start + Duration::from_secs(60 * minute),
                Totals { dropped: minute, ..Totals::default() },
            );
        }
        assert_eq!(trend.before().unwrap().dropped, 14);
        assert_eq!(trend.looks.len(), 6);
    }
}
