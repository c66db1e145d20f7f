//! The accounts as this process knows them: what was read, what is being written and what came since.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use serde::Serialize;
use tracing::warn;
use weir_event::{SOURCE_LEN, v1::Totals};

use super::{
    record::{self, Figures, News},
    shard::{Name, Shard},
};

/// Into so many values the accounts are divided, by the first digit of a worker's name.
pub(super) const SHARDS: usize = 16;

/// Accounts that a part may hold however few there are to be in all: names are drawn, not dealt out.
const LEAST: usize = 4;

/// Seconds between two warnings about impossible totals.
const REPORT_EVERY: u64 = 60;

/// A worker as it is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Shown {
    /// In hex.
    pub source: String,
    /// When it was last heard of, in Unix seconds.
    pub heard: u64,
    /// Whether it said of itself what cannot be, such as more events than it can have made. That is not in its figures.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub disbelieved: bool,
    /// Its figures.
    #[serde(flatten)]
    pub figures: Figures,
}

/// What is reported of all workers.
#[derive(Clone, Debug, Serialize)]
pub struct WorkersReport {
    /// How many accounts are open.
    pub sources: usize,
    /// How many were closed: silent for a week, or to make room.
    pub closed: u64,
    /// The sums over all, closed ones too.
    pub sums: Figures,
    /// Those last heard of.
    pub latest: Vec<Shown>,
}

/// A part as this process knows it.
#[derive(Clone, Debug, Default)]
pub(super) struct Slot {
    /// As it was last read or written.
    pub(super) known: Arc<Shard>,
    /// What is being written.
    pub(super) sending: BTreeMap<Name, News>,
    /// What came since.
    pub(super) news: BTreeMap<Name, News>,
    /// Whether the store was asked.
    pub(super) asked: bool,
}

impl Slot {
    fn whole(&self, now: u64, most: usize) -> Shard {
        let mut whole = Shard::clone(&self.known);
        whole.take(&self.sending, now, most);
        whole.take(&self.news, now, most);
        whole
    }
}

/// The ledgers of workers.
#[derive(Clone, Debug)]
pub struct Workers {
    /// Accounts that a part may hold.
    pub(super) most: usize,
    slots: Arc<Mutex<Vec<Slot>>>,
    /// When impossible totals of a worker were last reported, in Unix seconds.
    reported_at: Arc<AtomicU64>,
}

impl Workers {
    /// With about so many accounts open.
    pub fn new(most: usize) -> Self {
        Self {
            most: most.div_ceil(SHARDS).max(LEAST),
            slots: Arc::new(Mutex::new(vec![Slot::default(); SHARDS])),
            reported_at: Arc::default(),
        }
    }

    /// Enters a batch: which sequences are stored, now or before, which can never be, and what is claimed.
    pub fn enter(&self, source: [u8; SOURCE_LEN], stored: &[u64], refused: &[u64], totals: Option<&Totals>) {
        let (name, now) = (Name(source), now());
        let mut slots = self.slots();
        let Some(slot) = slots.get_mut(place(name)) else { return };
        let news = slot.news.entry(name).or_default();
        if !news.enter(now, stored, refused, totals) && self.may_report(now) {
            warn!(source = %name, "a source's totals cannot be and are not believed; its events are counted");
        }
        // So much comes together only while the store cannot be written: from here on this process alone knows it.
        let spilt = if news.is_long() {
            slot.news.remove_entry(&name)
        } else if slot.news.len() > self.most {
            let oldest = slot.news.iter().min_by_key(|(_, news)| news.heard).map(|(name, _)| *name);
            oldest.and_then(|name| slot.news.remove_entry(&name))
        } else {
            None
        };
        if let Some(spilt) = spilt {
            Arc::make_mut(&mut slot.known).take(&[spilt].into(), now, self.most);
        }
    }

    /// The sums over all workers, and how many accounts are open; none before the store was asked what was before.
    pub fn sums(&self) -> Option<(usize, Figures)> {
        let parts = self.parts()?;
        let mut sums = Figures::default();
        parts.iter().for_each(|part| sums.add(&part.sums()));
        Some((parts.iter().map(|part| part.sources.len()).sum(), sums))
    }

    /// The report, with at most so many workers by name; none before the store was read.
    pub fn report(&self, most: usize) -> Option<WorkersReport> {
        let parts = self.parts()?;
        let mut sums = Figures::default();
        parts.iter().for_each(|part| sums.add(&part.sums()));
        let mut open: Vec<_> = parts.iter().flat_map(|part| &part.sources).collect();
        open.sort_by_key(|(_, record)| std::cmp::Reverse(record.heard));
        let shown = |(name, record): &(&Name, &record::Record)| Shown {
            source: name.to_string(),
            heard: record.heard,
            disbelieved: record.disbelieved,
            figures: record.figures(),
        };
        Some(WorkersReport {
            sources: open.len(),
            closed: parts.iter().map(|part| part.closed).fold(0, u64::saturating_add),
            sums,
            latest: open.iter().take(most).map(shown).collect(),
        })
    }

    fn parts(&self) -> Option<Vec<Shard>> {
        // Ingest waits for this lock, so nothing is reckoned under it.
        let slots = self.slots().clone();
        let now = now();
        slots
            .iter()
            .all(|slot| slot.asked)
            .then(|| slots.iter().map(|slot| slot.whole(now, self.most)).collect())
    }

    /// Whether impossible totals may be reported again: a sender can invent workers.
    fn may_report(&self, now: u64) -> bool {
        let before = self.reported_at.swap(now, Ordering::Relaxed);
        let is_time = now.saturating_sub(before) >= REPORT_EVERY;
        if !is_time {
            self.reported_at.store(before, Ordering::Relaxed);
        }
        is_time
    }

    pub(super) fn slots(&self) -> MutexGuard<'_, Vec<Slot>> {
        self.slots.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Which part a worker is in.
fn place(name: Name) -> usize {
    usize::from(name.0.first().copied().unwrap_or_default() >> 4)
}

pub(super) fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_told_before_the_store_was_asked_and_then_what_came_meanwhile_is_in_it() {
        let workers = Workers::new(1024);
        workers.enter([1; 16], &[1, 2, 3], &[], None);
        assert!(workers.sums().is_none() && workers.report(9).is_none());
        workers.slots().iter_mut().for_each(|slot| slot.asked = true);
        let report = workers.report(9).unwrap();
        assert_eq!((report.sources, report.sums.stored, report.latest[0].figures.stored), (1, 3, 3));
        assert_eq!(report.latest[0].source, "01".repeat(16));
    }

    #[test]
    fn a_source_whose_totals_cannot_be_is_named_and_spoils_no_sum() {
        let workers = Workers::new(1024);
        workers.slots().iter_mut().for_each(|slot| slot.asked = true);
        for source in [1, 2] {
            let lie = Totals { created: u64::MAX, ..Totals::default() };
            workers.enter([source; 16], &[1], &[], Some(&lie));
        }
        workers.enter([3; 16], &[1, 2], &[], Some(&Totals { created: 2, pending: 2, ..Totals::default() }));
        let report = workers.report(9).unwrap();
        assert_eq!((report.sums.stored, report.sums.created), (4, 4));
        let liars = report.latest.iter().filter(|shown| shown.disbelieved).count();
        assert_eq!(liars, 2);
        assert!(!workers.may_report(now()) && workers.may_report(now() + REPORT_EVERY));
    }

    #[test]
    fn memory_is_bounded_while_nothing_can_be_written() {
        let workers = Workers::new(64);
        workers.slots().iter_mut().for_each(|slot| slot.asked = true);
        for source in 0_u128..1000 {
            workers.enter((source << 120 | source).to_be_bytes(), &[1], &[], None);
        }
        for sequence in 0..4 * record::MAX_PARTS as u64 {
            workers.enter([0xff; 16], &[2 * sequence + 1], &[], None);
        }
        let slots = workers.slots().clone();
        assert!(slots.iter().all(|slot| slot.news.len() <= workers.most));
        assert!(slots.iter().all(|slot| slot.known.sources.len() <= workers.most));
        assert!(slots.iter().flat_map(|slot| slot.news.values()).all(|news| !news.is_long()));
        assert_eq!(workers.sums().unwrap().1.stored, 1000 + 4 * record::MAX_PARTS as u64);
    }
}
