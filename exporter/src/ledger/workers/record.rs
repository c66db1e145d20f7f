//! The account of one worker: which of its events came, and what it says of itself.
//!
//! A worker counts its events from 1 and reports its running totals with every batch, so an account heals: what was
//! not written down before an exporter was killed is in the worker's next report. Everything here can be entered
//! twice and in any order without being counted twice. Totals are a worker's claim, not truth: one that cannot be is
//! not believed, and the account says so.

use serde::{Deserialize, Serialize};
use weir_event::v1::Totals;

use crate::ledger::ranges::Ranges;

/// Ranges that a worker's sequences may be in; beyond it the lowest gap counts as missing until the worker says
/// otherwise.
pub(super) const MAX_PARTS: usize = 256;

/// The highest sequence and the largest total that are believed: more than a worker can make in nine years at a million
/// events a second.
pub const MAX_EVENTS: u64 = 1 << 48;

/// More events than an outbox can hold, which has 4 MiB at most, with those under way.
const OUTBOX_EVENTS: u64 = 1 << 18;

/// Figures of one worker, or of all. `created = stored + refused + dropped + sampled_out + unsent`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Figures {
    /// Events that were stored.
    pub stored: u64,
    /// Events that can never be stored.
    pub refused: u64,
    /// Of those unsent: below the highest sequence that came, so lost or late.
    pub missing: u64,
    /// As the worker reports: events made.
    pub created: u64,
    /// As the worker reports: events dropped because its outbox was full.
    pub dropped: u64,
    /// As the worker reports: events left out by sampling.
    pub sampled_out: u64,
    /// As the worker reports: events not yet sent when it last sent some.
    pub pending: u64,
    /// As the worker reports: events made of which nothing is known here: on their way, or lost with it. Of a
    /// worker that is dead there may be more, made after its last batch: how many is not known.
    pub unsent: u64,
}

impl Figures {
    pub(super) fn add(&mut self, other: &Self) {
        self.stored = self.stored.saturating_add(other.stored);
        self.refused = self.refused.saturating_add(other.refused);
        self.missing = self.missing.saturating_add(other.missing);
        self.created = self.created.saturating_add(other.created);
        self.dropped = self.dropped.saturating_add(other.dropped);
        self.sampled_out = self.sampled_out.saturating_add(other.sampled_out);
        self.pending = self.pending.saturating_add(other.pending);
        self.unsent = self.unsent.saturating_add(other.unsent);
    }
}

/// What a worker last reported of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
struct Claim {
    created: u64,
    accepted: u64,
    dropped: u64,
    refused: u64,
    sampled_out: u64,
    pending: u64,
    /// Events that are stored for sure: those it had counted as accepted, and those of its batch, which it had not.
    assured: u64,
}

impl Claim {
    fn settled(&self) -> u64 {
        [self.accepted, self.dropped, self.refused, self.sampled_out].into_iter().fold(0, u64::saturating_add)
    }

    /// A worker's totals only grow, so the later word is the larger one, whichever came first.
    fn hear(&mut self, other: &Self) {
        let assured = self.assured.max(other.assured);
        if (other.created, other.settled()) > (self.created, self.settled()) {
            *self = *other;
        }
        self.assured = assured;
    }

    fn is_nothing(&self) -> bool {
        *self == Self::default()
    }
}

impl Claim {
    /// With a batch of which so many events are stored, and whose highest sequence is this one; nothing where it
    /// cannot be. A worker has made what it accounts for and what its outbox holds, and no more.
    fn of(totals: &Totals, stored: u64, highest: u64) -> Option<Self> {
        let claim = Self::claimed(totals, stored);
        let settled = claim.settled();
        let most = highest.max(settled.saturating_add(claim.pending.min(OUTBOX_EVENTS)));
        let figures = [claim.created, settled, claim.pending];
        let can_be = figures.into_iter().all(|figure| figure <= MAX_EVENTS)
            && settled <= claim.created
            && claim.created <= most.saturating_add(OUTBOX_EVENTS);
        can_be.then_some(claim)
    }

    fn claimed(totals: &Totals, stored: u64) -> Self {
        Self {
            assured: totals.accepted.saturating_add(stored),
            created: totals.created,
            accepted: totals.accepted,
            dropped: totals.dropped_outbox_full,
            refused: totals.dropped_refused,
            sampled_out: totals.sampled_out,
            pending: totals.pending,
        }
    }
}

/// What came of a worker since its account was last written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct News {
    /// When, in Unix seconds.
    pub(super) heard: u64,
    stored: Ranges,
    refused: Ranges,
    claim: Claim,
    /// It said of itself what cannot be.
    pub(super) disbelieved: bool,
}

impl News {
    /// Enters a batch; false where its totals are not believed.
    pub(super) fn enter(
        &mut self,
        now: u64,
        stored: &[u64],
        refused: &[u64],
        totals: Option<&Totals>,
    ) -> bool {
        self.heard = now;
        let mut batch = Ranges::default();
        stored.iter().for_each(|sequence| _ = batch.insert(*sequence));
        self.stored.add(&batch);
        refused.iter().for_each(|sequence| _ = self.refused.insert(*sequence));
        let Some(totals) = totals else { return true };
        let highest = stored.iter().chain(refused).max().copied().unwrap_or_default();
        match Claim::of(totals, batch.count(), highest) {
            Some(claim) => {
                self.claim.hear(&claim);
                true
            }
            None => {
                self.disbelieved = true;
                false
            }
        }
    }

    /// Enters what is newer still.
    pub(super) fn add(&mut self, newer: &Self) {
        self.heard = newer.heard;
        self.stored.add(&newer.stored);
        self.refused.add(&newer.refused);
        self.claim.hear(&newer.claim);
        self.disbelieved |= newer.disbelieved;
    }

    /// Whether it has grown so much that it is merged at once.
    pub(super) fn is_long(&self) -> bool {
        self.stored.parts().max(self.refused.parts()) > MAX_PARTS
    }
}

/// A worker's account.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Record {
    /// When it was last heard of, in Unix seconds.
    pub(super) heard: u64,
    /// Up to here it is no more known which sequences came, only how many.
    #[serde(skip_serializing_if = "is_zero")]
    floor: u64,
    #[serde(skip_serializing_if = "is_zero")]
    below: u64,
    stored: Ranges,
    #[serde(skip_serializing_if = "Ranges::is_empty")]
    refused: Ranges,
    claim: Claim,
    /// What it had settled before this account began, of a worker whose earlier account is closed.
    #[serde(skip_serializing_if = "Claim::is_nothing")]
    before: Claim,
    /// It once said of itself what cannot be, which is not in its figures.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub(super) disbelieved: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Record {
    /// The account of a worker whose earlier one is closed and counted: from its present report on.
    pub(super) fn reopened(news: &News) -> Self {
        let before = Claim { created: news.claim.settled(), pending: 0, ..news.claim };
        Self { before, ..Self::default() }
    }

    /// Enters news, whether they were entered before or not.
    pub(super) fn take(&mut self, news: &News) {
        // By the clock of the last writer, forwards and back.
        self.heard = news.heard;
        self.claim.hear(&news.claim);
        self.disbelieved |= news.disbelieved;
        self.stored.add_above(&news.stored, self.floor);
        self.refused.add(&news.refused);
        while self.stored.parts() > MAX_PARTS {
            let Some((first, last)) = self.stored.pop_first() else { break };
            self.below = self.below.saturating_add(last.saturating_sub(first).saturating_add(1));
            self.floor = last;
        }
        // The worker's own count of these stands beside it.
        while self.refused.parts() > MAX_PARTS {
            self.refused.pop_first();
        }
    }

    pub(super) fn figures(&self) -> Figures {
        let Self { claim, before, .. } = self;
        let came = self.below.saturating_add(self.stored.count());
        // What ingest acknowledged the worker counts too: this heals what a killed exporter did not write.
        let stored = came.max(claim.assured.saturating_sub(before.accepted));
        let refused = self.refused.count().max(claim.refused.saturating_sub(before.refused));
        let dropped = claim.dropped.saturating_sub(before.dropped);
        let sampled_out = claim.sampled_out.saturating_sub(before.sampled_out);
        let highest = [self.stored.last(), self.refused.last(), Some(self.floor)].into_iter().flatten().max();
        let highest = highest.unwrap_or_default().saturating_sub(before.created);
        let created = highest.max(claim.created.saturating_sub(before.created));
        let known = [stored, refused, dropped, sampled_out].into_iter().fold(0, u64::saturating_add);
        Figures {
            stored,
            refused,
            missing: highest.saturating_sub(known),
            created,
            dropped,
            sampled_out,
            pending: claim.pending,
            unsent: created.saturating_sub(known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn news(stored: &[u64], refused: &[u64], totals: Totals) -> News {
        let mut news = News::default();
        news.enter(1, stored, refused, Some(&totals));
        news
    }

    #[test]
    fn a_gap_is_missing_until_it_is_filled_and_what_comes_twice_is_stored_once() {
        let mut record = Record::default();
        let first = news(&[1, 2, 5, 5], &[], Totals { created: 9, pending: 4, ..Totals::default() });
        record.take(&first);
        record.take(&first);
        let figures = record.figures();
        assert_eq!((figures.stored, figures.missing, figures.created, figures.pending), (3, 2, 9, 4));
        record.take(&news(&[3, 4], &[6], Totals { created: 5, ..Totals::default() }));
        let figures = record.figures();
        assert_eq!((figures.stored, figures.missing, figures.created, figures.refused), (5, 0, 9, 1));
        assert_eq!(figures.unsent, 3);
    }

    #[test]
    fn what_was_not_written_down_is_in_the_sources_next_word() {
        let mut record = Record::default();
        record.take(&news(&[1, 2, 3], &[], Totals { created: 3, pending: 3, ..Totals::default() }));
        // 4 to 90 were stored, and the exporter was killed before it wrote that; 91 and 92 were dropped.
        let totals =
            Totals { created: 95, accepted: 90, dropped_outbox_full: 2, pending: 3, ..Totals::default() };
        record.take(&news(&[93, 94, 95], &[], totals));
        let reported = record.figures();
        assert_eq!((reported.stored, reported.missing, reported.unsent, reported.dropped), (93, 0, 0, 2));
    }

    #[test]
    fn words_that_come_out_of_order_do_not_undo_one_another() {
        let totals = |created, accepted| Totals {
            created,
            accepted,
            pending: created - accepted,
            ..Totals::default()
        };
        let words = [totals(10, 0), totals(10, 4), totals(12, 4)];
        for order in [[0, 1, 2], [2, 1, 0], [1, 2, 0]] {
            let mut record = Record::default();
            order.iter().for_each(|at| record.take(&news(&[], &[], words[*at])));
            let figures = record.figures();
            assert_eq!((figures.created, figures.stored, figures.pending), (12, 4, 8), "{order:?}");
        }
    }

    #[test]
    fn totals_that_cannot_be_are_not_believed_and_the_events_are_counted() {
        for wrong in [
            Totals { created: u64::MAX, ..Totals::default() },
            Totals { created: MAX_EVENTS, ..Totals::default() },
            Totals { created: 5, accepted: 6, ..Totals::default() },
            Totals { created: 5, accepted: u64::MAX, dropped_outbox_full: u64::MAX, ..Totals::default() },
            Totals { created: 1 << 40, pending: 1 << 40, ..Totals::default() },
            Totals { pending: u64::MAX, ..Totals::default() },
        ] {
            let mut record = Record::default();
            record.take(&news(&[1, 2], &[], wrong));
            let figures = Figures { stored: 2, created: 2, ..Figures::default() };
            assert_eq!((record.disbelieved, record.figures()), (true, figures), "{wrong:?}");
            // What it says later may be right.
            record.take(&news(
                &[3],
                &[],
                Totals { created: 4, accepted: 2, pending: 2, ..Totals::default() },
            ));
            assert_eq!((record.figures().created, record.figures().unsent), (4, 1));
        }
    }

    #[test]
    fn totals_of_a_source_that_sampled_nearly_all_out_are_believed() {
        let totals = Totals { created: 1 << 40, sampled_out: (1 << 40) - 3, pending: 3, ..Totals::default() };
        let mut record = Record::default();
        record.take(&news(&[7], &[], totals));
        assert_eq!((record.disbelieved, record.figures().sampled_out), (false, (1 << 40) - 3));
        // All of an outbox lies beyond the batch.
        let totals = Totals { created: 100_007, accepted: 0, pending: 100_007, ..Totals::default() };
        assert!(News::default().enter(1, &[1], &[], Some(&totals)));
    }

    #[test]
    fn sums_of_figures_that_are_too_large_stay_at_the_largest() {
        let largest = Figures { stored: u64::MAX, created: u64::MAX, unsent: u64::MAX, ..Figures::default() };
        let mut sums = largest;
        sums.add(&largest);
        assert_eq!(sums, largest);
        // As it may lie in the bucket from before.
        let json = format!(
            r#"{{"stored":[[0,{0}]],"below":{0},"claim":{{"created":{0},"assured":{0}}}}}"#,
            u64::MAX
        );
        let record: Record = serde_json::from_str(&json).unwrap();
        sums.add(&record.figures());
        assert_eq!(sums.stored, u64::MAX);
    }

    #[test]
    fn what_was_sampled_out_is_not_missing() {
        let mut record = Record::default();
        let totals = Totals { created: 10, sampled_out: 8, pending: 2, ..Totals::default() };
        record.take(&news(&[5, 10], &[], totals));
        assert_eq!((record.figures().missing, record.figures().unsent), (0, 0));
    }

    #[test]
    fn a_source_full_of_gaps_stays_small() {
        let odd: Vec<u64> = (0..5000).map(|number| number * 2 + 1).collect();
        let mut record = Record::default();
        record.take(&news(&odd, &[], Totals::default()));
        assert_eq!((record.figures().missing, record.figures().stored), (4999, 5000));
        assert!(record.stored.parts() <= MAX_PARTS);
        let written = serde_json::to_vec(&record).unwrap();
        assert!(written.len() < 8 << 10, "{}", written.len());
        assert_eq!(serde_json::from_slice::<Record>(&written).unwrap(), record);
    }
}
