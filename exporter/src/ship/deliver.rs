//! Delivering a batch: however long it takes, and whatever of it is refused.
//!
//! A body that will never be taken is cut in halves until the event that spoils it is alone, and that one goes to
//! the dead letters. Where every event is refused, they stay in the stream, and one is tried now and then.

use std::{
    collections::VecDeque,
    ops::Range,
    time::{Duration, Instant},
};

use async_nats::jetstream::AckKind;
use bytes::Bytes;
use tokio::time::{MissedTickBehavior, interval_at, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{error, warn};

use super::{
    backoff::Backoff,
    batch::{Batch, Held, Mapped, Unsent, acknowledge_all},
    health::Condition,
    lane::Lane,
};
use crate::{
    bus::ACK_WAIT,
    ledger::{Entry, Fate, LOOK},
    metrics::amount,
    otlp::Outcome,
};

/// How often JetStream hears that a batch is in progress.
pub(super) const PROGRESS: Duration = Duration::from_secs(ACK_WAIT.as_secs() / 3);

/// Why an event is a dead letter that nobody refused.
const WORN: &str =
    "it was taken up three times, and whoever had it ended before it was settled or given back";

/// How sending a range ended.
enum Sent {
    /// Taken, but for so many spans.
    Taken { rejected: u64 },
    /// It will never be taken.
    Refused { reason: String },
    /// The exporter is stopping.
    Stopped,
}

/// What became of an event that was to be a dead letter.
enum DeadLetter {
    /// It is among the dead letters.
    Stored,
    /// The stream has dropped it meanwhile: the ledger counts it as evicted.
    Evicted,
    /// The exporter is stopping.
    Stopped,
}

impl Lane {
    /// Delivers a batch; what is left when `stop` comes is handed back.
    pub(super) async fn deliver(&self, mapped: Mapped, stop: &CancellationToken) {
        let Mapped { mut batch, unsent } = mapped;
        self.settle_unsent(unsent, stop).await;
        let mut work: VecDeque<_> = batch.cut(self.settings.batch.bytes).into();
        let mut aside: VecDeque<Range<usize>> = VecDeque::new();
        loop {
            let Some(range) = work.pop_front() else {
                if aside.is_empty() {
                    return;
                }
                if !self.next_try(&batch, &mut work, &mut aside, stop).await {
                    break;
                }
                continue;
            };
            match self.send(&batch, &range, stop).await {
                Sent::Taken { rejected } => {
                    self.health.took();
                    if !self.settle(&mut batch, &range, rejected).await {
                        break;
                    }
                }
                Sent::Refused { .. } if range.len() > 1 && !self.health.is_refusing() => {
                    let middle = range.start + range.len() / 2;
                    work.push_front(middle..range.end);
                    work.push_front(range.start..middle);
                }
                Sent::Refused { reason } if range.len() == 1 && self.health.refused_one(&reason) => {
                    if !self.bury(&mut batch, &range, &reason, stop).await {
                        break;
                    }
                }
                Sent::Refused { .. } => aside.push_back(range),
                Sent::Stopped => break,
            }
        }
        // What was never sent, or refused, is not in doubt when it comes again.
        let (handed_back, returned) = (batch.undoubted(), batch.left());
        if !returned.is_empty() {
            self.ledger.enter(Entry { handed_back, returned, ..Entry::default() }).await;
        }
        batch.hand_back().await;
    }

    /// What comes next of what was set aside: all of it once the destination takes events again, else one try
    /// after a pause, where the least is known: half of the longest range. False where `stop` came.
    async fn next_try(
        &self,
        batch: &Batch,
        work: &mut VecDeque<Range<usize>>,
        aside: &mut VecDeque<Range<usize>>,
        stop: &CancellationToken,
    ) -> bool {
        if !self.health.is_refusing() {
            work.extend(joined(aside.drain(..).collect()));
            return true;
        }
        if with_progress(batch, stopped_within(stop, self.settings.retry.slow)).await {
            return false;
        }
        let longest = aside.iter().enumerate().rev().max_by_key(|(_, range)| range.len());
        let place = longest.map(|(place, _)| place).unwrap_or_default();
        if let Some(range) = aside.remove(place) {
            let middle = range.start + range.len().div_ceil(2);
            if middle < range.end {
                aside.push_back(middle..range.end);
            }
            work.push_back(range.start..middle);
        }
        true
    }

    /// Sends a range until it is taken, refused for good, or `stop` comes.
    async fn send(&self, batch: &Batch, range: &Range<usize>, stop: &CancellationToken) -> Sent {
        let body = self.mapper.encoder.body(&batch.fragments, range);
        let compression = self.sink.compression();
        let compressed = tokio::task::spawn_blocking(move || body.compress(compression)).await;
        let Ok(Ok(body)) = compressed else {
            error!(destination = self.name(), "cannot compress a batch");
            return Sent::Stopped;
        };
        let mut backoff = Backoff::new(self.settings.retry);
        let mut first = true;
        loop {
            let waited = async {
                tokio::select! {
                    () = stop.cancelled() => false,
                    () = self.health.may_be_tried() => true,
                }
            };
            if stop.is_cancelled() || !with_progress(batch, waited).await {
                return Sent::Stopped;
            }
            self.metrics.retries.inc_by(u64::from(!first));
            first = false;
            match with_progress(batch, self.attempt(body.clone())).await {
                Outcome::Delivered { rejected } => {
                    self.metrics.posted("delivered");
                    self.metrics.batch_events.observe(amount(range.len()));
                    if let Some(age) = batch.oldest(range).and_then(|stored| stored.elapsed().ok()) {
                        self.metrics.age.observe(age.as_secs_f64());
                    }
                    return Sent::Taken { rejected };
                }
                Outcome::Unanswered { reason } => {
                    self.metrics.posted("unanswered");
                    batch.doubt(range);
                    let pause = backoff.next(&mut fastrand::Rng::new());
                    self.health.failed(Condition::Retrying(reason), pause);
                }
                Outcome::Retry { after, reason } => {
                    self.metrics.posted("retry");
                    let pause = backoff.next(&mut fastrand::Rng::new()).max(after.unwrap_or_default());
                    self.health.failed(Condition::Retrying(reason), pause);
                }
                Outcome::Misconfigured { reason } => {
                    self.metrics.posted("misconfigured");
                    self.health.failed(Condition::Misconfigured(reason), self.settings.retry.slow);
                }
                Outcome::Refused { reason } => {
                    self.metrics.posted("refused");
                    return Sent::Refused { reason };
                }
            }
        }
    }

    async fn attempt(&self, body: Bytes) -> Outcome {
        self.metrics.bytes.inc_by(u64::try_from(body.len()).unwrap_or(u64::MAX));
        let start = Instant::now();
        let outcome = self.sink.send(body).await;
        self.metrics.latency.observe(start.elapsed().as_secs_f64());
        outcome
    }

    /// Enters a range that was taken, then acknowledges it. False where it could not be entered.
    async fn settle(&self, batch: &mut Batch, range: &Range<usize>, rejected_spans: u64) -> bool {
        let sequences = batch.sequences(range);
        let spans = batch.fragments.spans(range);
        let rejected = share(sequences.len(), rejected_spans, spans);
        if rejected_spans > 0 {
            let destination = self.name();
            warn!(
                destination,
                rejected_spans, "the destination took a batch and refused some of its spans for good"
            );
        }
        let taken = sequences.len().saturating_sub(rejected);
        let fates = sequences.into_iter().enumerate().map(|(place, sequence)| {
            (sequence, if place < taken { Fate::Delivered } else { Fate::Rejected })
        });
        let entry = Entry { fates: fates.collect(), rejected_spans, ..Entry::default() };
        let entry = Entry { doubtful: batch.doubtful(range), ..entry };
        // From here on it is the ledger that may lack it, not the destination.
        batch.doubt(range);
        let Some(again) = with_progress(batch, self.ledger.enter(entry)).await else { return false };
        batch.acknowledge(range).await;
        self.metrics.delivered.inc_by(u64::try_from(taken).unwrap_or(u64::MAX));
        self.metrics.duplicates.inc_by(again);
        self.metrics.spans.inc_by(spans.saturating_sub(rejected_spans));
        self.metrics.rejected.inc_by(rejected_spans);
        true
    }

    /// Puts an event among the dead letters, then enters and acknowledges it. False where it could not be.
    async fn bury(
        &self,
        batch: &mut Batch,
        range: &Range<usize>,
        reason: &str,
        stop: &CancellationToken,
    ) -> bool {
        for sequence in batch.sequences(range) {
            match with_progress(batch, self.dead_letter(sequence, reason, stop)).await {
                DeadLetter::Stored if self.enter_one(batch, sequence).await => {}
                DeadLetter::Evicted => {}
                DeadLetter::Stored | DeadLetter::Stopped => return false,
            }
        }
        batch.acknowledge(range).await;
        true
    }

    async fn enter_one(&self, batch: &Batch, sequence: u64) -> bool {
        let entry = Entry { fates: vec![(sequence, Fate::DeadLettered)], ..Entry::default() };
        with_progress(batch, self.ledger.enter(entry)).await.is_some()
    }

    /// Tries to put an event among the dead letters until it is there.
    async fn dead_letter(&self, sequence: u64, reason: &str, stop: &CancellationToken) -> DeadLetter {
        loop {
            match self.bus.bury(self.name(), sequence, reason).await {
                Ok(true) => {
                    self.metrics.dead_lettered.inc();
                    warn!(destination = self.name(), sequence, reason, "an event is a dead letter now");
                    return DeadLetter::Stored;
                }
                Ok(false) => return DeadLetter::Evicted,
                Err(why) => warn!(destination = self.name(), sequence, %why, "a dead letter was not stored"),
            }
            if stopped_within(stop, self.settings.retry.first).await {
                return DeadLetter::Stopped;
            }
        }
    }

    /// Settles what is not sent: unwanted events, messages that are none, and events that never come to an end.
    async fn settle_unsent(&self, unsent: Vec<(Held, Unsent)>, stop: &CancellationToken) {
        let (mut fates, mut ackers, mut returned) = (Vec::new(), Vec::new(), Vec::new());
        // Another exporter may have given them back only just now.
        let has_worn = unsent.iter().any(|(_, why)| *why == Unsent::Worn);
        let is_stopping = has_worn && stopped_within(stop, LOOK * 2).await;
        for (held, why) in unsent {
            match why {
                Unsent::Filtered => {
                    self.metrics.filtered.inc();
                    fates.push((held.sequence, Fate::Filtered));
                }
                Unsent::Undecodable => {
                    self.metrics.undecodable.inc();
                    match self.dead_letter(held.sequence, "it is no event", stop).await {
                        DeadLetter::Stored => fates.push((held.sequence, Fate::DeadLettered)),
                        DeadLetter::Evicted => {}
                        DeadLetter::Stopped => continue,
                    }
                }
                Unsent::Worn if is_stopping || self.ledger.is_returned(held.sequence) => {
                    returned.push(held);
                    continue;
                }
                Unsent::Worn => match self.dead_letter(held.sequence, WORN, stop).await {
                    DeadLetter::Stored => fates.push((held.sequence, Fate::DeadLettered)),
                    DeadLetter::Evicted => {}
                    DeadLetter::Stopped => {
                        returned.push(held);
                        continue;
                    }
                },
            }
            ackers.push(held.acker);
        }
        if !returned.is_empty() {
            let entry =
                Entry { returned: returned.iter().map(|held| held.sequence).collect(), ..Entry::default() };
            self.ledger.enter(entry).await;
            acknowledge_all(returned.iter().map(|held| &held.acker), AckKind::Nak(None)).await;
        }
        if !ackers.is_empty() && self.ledger.enter(Entry { fates, ..Entry::default() }).await.is_some() {
            acknowledge_all(ackers.iter(), AckKind::Ack).await;
        }
    }
}

/// How many of so many events were refused, where so many of their spans were: as many as the spans' share,
/// rounded up. A response does not say which.
fn share(events: usize, rejected: u64, spans: u64) -> usize {
    if rejected == 0 || spans == 0 {
        return 0;
    }
    let events_wide = u64::try_from(events).unwrap_or(u64::MAX);
    let share = events_wide.saturating_mul(rejected.min(spans)).div_ceil(spans);
    usize::try_from(share).unwrap_or(events).min(events)
}

/// Ranges in order, those that touch made one.
fn joined(mut ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    ranges.sort_by_key(|range| range.start);
    let mut joined: Vec<Range<usize>> = Vec::new();
    for range in ranges {
        match joined.last_mut() {
            Some(last) if last.end == range.start => last.end = range.end,
            _ => joined.push(range),
        }
    }
    joined
}

/// Waits for `future`, and reports to JetStream meanwhile that what is in hand is in progress.
async fn with_progress<F: Future>(batch: &Batch, future: F) -> F::Output {
    tokio::pin!(future);
    let mut ticks = interval_at(tokio::time::Instant::now() + PROGRESS, PROGRESS);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            output = &mut future => return output,
            _ = ticks.tick() => batch.progress().await,
        }
    }
}

/// Waits for so long; true where `stop` came.
pub(super) async fn stopped_within(stop: &CancellationToken, pause: Duration) -> bool {
    tokio::select! {
        () = stop.cancelled() => true,
        () = sleep(pause) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_events_that_were_refused_are_the_spans_share_rounded_up() {
        for (events, rejected, spans, expected) in
            [(10, 0, 50, 0), (10, 5, 50, 1), (10, 6, 50, 2), (10, 50, 50, 10), (10, 99, 50, 10), (3, 1, 0, 0)]
        {
            assert_eq!(share(events, rejected, spans), expected, "{rejected} of {spans}");
        }
    }

    #[test]
    fn what_was_cut_is_joined_again() {
        assert_eq!(joined(vec![4..5, 0..2, 2..4, 7..8]), [0..5, 7..8]);
    }
}
