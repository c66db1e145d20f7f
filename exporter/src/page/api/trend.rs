//! What has grown lately: a few totals, looked at now and then, so that "wrong now" can be told from "was wrong once".

use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::{Duration, Instant},
};

use crate::page::Shared;

/// How often it is looked.
const LOOK: Duration = Duration::from_secs(5);

/// How long what was seen is remembered; this is "now".
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
    fn saw(&mut self, now: Instant, totals: Totals) {
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

/// The totals at this moment.
pub(in crate::page) fn totals(shared: &Shared) -> Totals {
    let sums = shared.subjects.sums().map(|(_, sums)| sums).unwrap_or_default();
    let reports = shared.subjects.fleet.reports();
    Totals {
        dropped: sums.dropped,
        refused: sums.refused,
        evicted: reports.iter().map(|one| (one.name.clone(), one.ledger.evicted)).collect(),
        backlog: reports.iter().map(|one| (one.name.clone(), one.backlog)).collect(),
    }
}

/// Looks until the page stops.
pub(in crate::page) async fn keep(shared: Arc<Shared>) {
    loop {
        let totals = totals(&shared);
        shared.trend().saw(Instant::now(), totals);
        tokio::select! {
            () = shared.stop.cancelled() => return,
            () = tokio::time::sleep(LOOK) => {}
        }
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
