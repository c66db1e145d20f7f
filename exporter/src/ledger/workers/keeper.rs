//! Writes what came of workers to JetStream's key-value store, and reads what other exporters wrote there.
//!
//! Each part of the accounts is one value under `source.`, written by its revision: a write that meets another
//! exporter's is made again on top of it. Nothing waits for it. What a killed exporter had not written is in the
//! workers' next report; what may have been written is written again, for it counts once.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::kv::Store;
use bytes::Bytes;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::{debug, info, warn};

use super::{
    accounts::{SHARDS, Workers, now},
    shard::Shard,
};
use crate::bus::{Bus, BusError, Cell};

/// How often what came is written.
const WRITE: Duration = Duration::from_secs(1);

/// Every so many times the parts that nothing came to are read: others may have written.
const READ_EVERY: u32 = 2;

/// The longest pause after a failure.
const LONGEST_PAUSE: Duration = Duration::from_secs(60);

/// Consecutive failures before one is reported: at the start the store may not be there yet.
const FAILURES_REPORTED: u32 = 3;

/// How long the last write may take.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// The largest value, unless NATS takes less.
const MAX_VALUE: usize = 512 << 10;

/// Keeps the accounts of workers.
pub struct WorkersKeeper {
    workers: Workers,
    bus: Bus,
    /// Whether this process takes events; else it only looks.
    writes: bool,
    /// The revision that each part was last read or written at.
    revisions: Vec<Option<u64>>,
}

impl WorkersKeeper {
    /// One that writes, where this process takes events, or else only reads.
    pub fn new(workers: Workers, bus: Bus, writes: bool) -> Self {
        Self { workers, bus, writes, revisions: vec![None; SHARDS] }
    }

    /// Reads and writes until `ended`, which follows the last entry, and then a last time.
    pub async fn run(mut self, ended: CancellationToken) {
        let (mut failures, mut rounds) = (0_u32, 0_u32);
        loop {
            tokio::select! {
                () = ended.cancelled() => break,
                () = sleep(pause(rounds, failures)) => {}
            }
            if self.bus.state().is_err() {
                continue;
            }
            match self.round(rounds.is_multiple_of(READ_EVERY)).await {
                Ok(()) => {
                    if failures >= FAILURES_REPORTED {
                        info!("the workers' ledgers are written again");
                    }
                    failures = 0;
                    rounds = rounds.wrapping_add(1).max(1);
                }
                Err(error) => {
                    failures = failures.saturating_add(1);
                    if failures == FAILURES_REPORTED {
                        warn!(%error, "the workers' ledgers are not written: this process reports only what it took itself");
                    }
                    debug!(%error, failures, "the workers' ledgers were not written");
                    // Nothing better is known.
                    if failures >= FAILURES_REPORTED {
                        self.workers.slots().iter_mut().for_each(|slot| slot.asked = true);
                    }
                }
            }
        }
        if self.writes && self.bus.is_connected() {
            match timeout(LAST_WRITE, self.round(false)).await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => debug!(%error, "the workers' ledgers were not written at the end"),
                Err(_) => debug!("the workers' ledgers were not written in time at the end"),
            }
        }
    }

    /// Writes the parts that something came to, and reads the others where `reads`.
    async fn round(&mut self, reads: bool) -> Result<(), BusError> {
        let store = self.bus.ledger().await?;
        for place in 0..SHARDS {
            let dirty = self.take_up(place);
            if dirty && self.writes {
                let written = self.write(&store, place).await;
                if written.is_err() {
                    self.put_back(place);
                    // It may have been written.
                    self.revisions.get_mut(place).map(Option::take);
                }
                written?;
            } else if reads || self.revisions.get(place).is_none_or(Option::is_none) {
                let (known, revision) = self.read(&store, place).await?;
                self.settle(place, known, Some(revision));
            }
        }
        Ok(())
    }

    /// Begins to send what came; whether there is something.
    fn take_up(&self, place: usize) -> bool {
        let mut slots = self.workers.slots();
        let Some(slot) = slots.get_mut(place) else { return false };
        slot.sending = std::mem::take(&mut slot.news);
        !slot.sending.is_empty()
    }

    /// What was not sent is news again.
    fn put_back(&self, place: usize) {
        let mut slots = self.workers.slots();
        let Some(slot) = slots.get_mut(place) else { return };
        let newer = std::mem::replace(&mut slot.news, std::mem::take(&mut slot.sending));
        for (name, newer) in newer {
            slot.news.entry(name).or_default().add(&newer);
        }
    }

    async fn write(&mut self, store: &Store, place: usize) -> Result<(), BusError> {
        let known =
            self.revisions.get(place).copied().flatten().map(|revision| (self.known(place), revision));
        let key = key(place);
        let cell = Cell::new(store, &key);
        let written = cell.swap(
            known,
            || self.known(place),
            |mut next: Shard| {
                if let Some(slot) = self.workers.slots().get(place) {
                    next.take(&slot.sending, now(), self.workers.most);
                }
                let value = self.encoded(&mut next)?;
                Ok((next, Some(value)))
            },
        );
        let (next, revision) = written.await.map_err(|unwritten| unwritten.error)?;
        self.settle(place, Arc::new(next), Some(revision));
        Ok(())
    }

    /// What a part holds, by the store, with its revision. A store that was made anew gets what was known before.
    async fn read(&self, store: &Store, place: usize) -> Result<(Arc<Shard>, u64), BusError> {
        let (shard, revision) = Cell::new(store, &key(place)).read().await?;
        Ok((Arc::new(shard.unwrap_or_else(|| self.known(place))), revision))
    }

    /// A part as it was last read or written.
    fn known(&self, place: usize) -> Shard {
        self.workers.slots().get(place).map(|slot| Shard::clone(&slot.known)).unwrap_or_default()
    }

    fn encoded(&self, shard: &mut Shard) -> Result<Bytes, serde_json::Error> {
        let most = MAX_VALUE.min(self.bus.max_payload() / 2);
        loop {
            let value = serde_json::to_vec(&shard)?;
            let sources = shard.sources.len();
            if value.len() <= most || sources <= 1 {
                return Ok(value.into());
            }
            shard.make_room(sources / 2);
        }
    }

    /// A part is as the store has it, with all that was sent.
    fn settle(&mut self, place: usize, known: Arc<Shard>, revision: Option<u64>) {
        if let Some(kept) = self.revisions.get_mut(place) {
            *kept = revision;
        }
        if let Some(slot) = self.workers.slots().get_mut(place) {
            slot.known = known;
            slot.sending.clear();
            slot.asked = true;
        }
    }
}

/// The first look is soon: nothing is reported before it.
fn pause(rounds: u32, failures: u32) -> Duration {
    match (rounds, failures) {
        (0, 0) => WRITE / 10,
        (_, 0) => WRITE,
        (_, failures) => WRITE.saturating_mul(1 << failures.min(10)).min(LONGEST_PAUSE),
    }
}

/// The key of a part.
fn key(place: usize) -> String {
    format!("source.{place:x}")
}
