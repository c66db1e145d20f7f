//! Keeps a destination's ledger in JetStream's key-value store.
//!
//! One task a destination writes; what many batches settle at once is one write. A write that meets another
//! exporter's is made again on top of it; one whose fate is unknown is looked up, not repeated.

use std::{collections::BTreeSet, time::Duration};

use async_nats::jetstream::kv::{CreateErrorKind, Store};
use bytes::Bytes;
use serde::de::IgnoredAny;
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, MissedTickBehavior, interval, sleep},
};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::account::{Account, Fate};
use crate::bus::{Bus, BusError, Cell, Seen, Unwritten};

/// How often JetStream is asked what it has no more, and the ledger read that others write to.
pub const LOOK: Duration = Duration::from_secs(2);

/// How many orders wait at most; each is a batch's.
const QUEUE: usize = 256;

/// Pause after a write that failed.
const PAUSE: Duration = Duration::from_millis(200);

/// How long a write at the end may take.
const LAST_WRITE: Duration = Duration::from_secs(5);

/// The key of a destination's ledger.
pub fn key(destination: &str) -> String {
    format!("ship.{destination}")
}

/// Begins a destination's ledger, unless it has one.
pub async fn begin(store: &Store, destination: &str, seen: &Seen) -> Result<(), BusError> {
    let key = key(destination);
    let cell = Cell::new(store, &key);
    if cell.read::<IgnoredAny>().await?.0.is_some() {
        return Ok(());
    }
    let mut account = Account::default();
    account.look(seen);
    let bytes = serde_json::to_vec(&account).map_err(|error| cell.failed(&error))?;
    match store.create(&key, bytes.into()).await {
        Ok(_) => Ok(()),
        // Another exporter was quicker.
        Err(error) if error.kind() == CreateErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(cell.failed(&error)),
    }
}

/// Closes the ledger of a destination whose consumer is gone: what was open is purged. Gives it as it was at the
/// end.
pub async fn close(store: &Store, destination: &str, seen: &Seen) -> Result<Account, BusError> {
    let key = key(destination);
    let cell = Cell::new(store, &key);
    let mut account: Account = cell.read().await?.0.unwrap_or_default();
    account.look(seen);
    account.purge();
    store.delete(&key).await.map_err(|error| cell.failed(&error))?;
    Ok(account)
}

/// What is entered together.
#[derive(Debug, Default)]
pub struct Entry {
    /// What became of which sequences.
    pub fates: Vec<(u64, Fate)>,
    /// Spans rejected by partial success.
    pub rejected_spans: u64,
    /// Those of `fates` that the destination may have had before.
    pub doubtful: BTreeSet<u64>,
    /// Sequences that go back to the stream, and that the destination has not had.
    pub handed_back: Vec<u64>,
    /// Sequences that go back to the stream, whether the destination has had them or not.
    pub returned: Vec<u64>,
}

struct Order {
    entry: Entry,
    done: oneshot::Sender<u64>,
}

/// A destination's ledger, to enter into and to look at.
#[derive(Clone, Debug)]
pub struct Ledger {
    orders: mpsc::Sender<Order>,
    seen: watch::Receiver<(Account, u64)>,
}

impl Ledger {
    /// A ledger and the task that keeps it.
    pub fn new(destination: &str, consumer: &str, bus: Bus) -> (Self, LedgerKeeper) {
        let (orders, inbox) = mpsc::channel(QUEUE);
        let (shown, seen) = watch::channel((Account::default(), 0));
        let keeper = LedgerKeeper {
            key: key(destination),
            consumer: consumer.to_owned(),
            bus,
            inbox,
            shown,
            current: None,
            attempted: None,
        };
        (Self { orders, seen }, keeper)
    }

    /// Enters what became of events, and waits until it is written. `None` where the exporter is stopping and
    /// it could not be: those events are to come again. Else how many had been settled before.
    pub async fn enter(&self, entry: Entry) -> Option<u64> {
        let (done, written) = oneshot::channel();
        self.orders.send(Order { entry, done }).await.ok()?;
        written.await.ok()
    }

    /// Waits until the ledger is there: before that nothing may be settled.
    pub async fn ready(&self) -> bool {
        self.seen.clone().wait_for(|(account, _)| !account.stream.is_empty()).await.is_ok()
    }

    /// Whether an event was settled, as far as is known here.
    pub fn is_settled(&self, sequence: u64) -> bool {
        self.seen.borrow().0.is_settled(sequence)
    }

    /// Whether an event was last given back in order, as far as is known here.
    pub fn is_returned(&self, sequence: u64) -> bool {
        self.seen.borrow().0.returned.contains(sequence)
    }

    /// The ledger, and JetStream's count of the backlog, as they were last seen.
    pub fn seen(&self) -> (Account, u64) {
        self.seen.borrow().clone()
    }
}

/// Writes one destination's ledger.
pub struct LedgerKeeper {
    key: String,
    consumer: String,
    bus: Bus,
    inbox: mpsc::Receiver<Order>,
    shown: watch::Sender<(Account, u64)>,
    /// What is in the store, with its revision, as far as is known.
    current: Option<(Account, u64)>,
    /// The last write that got no response.
    attempted: Option<Bytes>,
}

impl LedgerKeeper {
    /// Writes until `stop` and until the last [`Ledger`] is dropped.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        while self.shown.borrow().0.stream.is_empty() {
            tokio::select! {
                () = stop.cancelled() => return,
                () = self.look() => {}
            }
            // Once it is there, others enter into it: from then on it is written until they are gone.
            if self.shown.borrow().0.stream.is_empty() {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(PAUSE) => {}
                }
            }
        }
        loop {
            tokio::select! {
                order = self.inbox.recv() => match order {
                    Some(order) => self.enter(order, &stop).await,
                    None => return,
                },
                _ = ticks.tick() => self.look().await,
            }
        }
    }

    /// Enters an order and all that wait behind it.
    async fn enter(&mut self, first: Order, stop: &CancellationToken) {
        let mut orders = vec![first];
        while orders.len() < QUEUE {
            let Ok(order) = self.inbox.try_recv() else { break };
            orders.push(order);
        }
        let mut deadline = None;
        loop {
            let mut repeated = Vec::new();
            let written = self.write(|account| {
                repeated.clear();
                for Order { entry, .. } in &orders {
                    account.rejected_spans += entry.rejected_spans;
                    entry.handed_back.iter().for_each(|sequence| account.hand_back(*sequence));
                    entry.returned.iter().for_each(|sequence| account.give_back(*sequence));
                    let again = entry
                        .fates
                        .iter()
                        .filter(|(sequence, fate)| {
                            !account.settle(*sequence, *fate, entry.doubtful.contains(sequence))
                        })
                        .count();
                    repeated.push(u64::try_from(again).unwrap_or(u64::MAX));
                }
            });
            match written.await {
                Ok(()) => {
                    for (order, again) in orders.into_iter().zip(repeated) {
                        // The task that asked may have ended.
                        let _ = order.done.send(again);
                    }
                    return;
                }
                Err(error) => debug!(key = self.key, %error, "the ledger was not written"),
            }
            if stop.is_cancelled() {
                let end = *deadline.get_or_insert_with(|| Instant::now() + LAST_WRITE);
                if Instant::now() >= end {
                    warn!(
                        key = self.key,
                        "the ledger could not be written at the end: those events come again"
                    );
                    return;
                }
            }
            sleep(PAUSE).await;
        }
    }

    /// Asks JetStream, then enters what is gone.
    async fn look(&mut self) {
        let seen = match self.bus.seen(&self.consumer).await {
            Ok(seen) => seen,
            Err(error) => {
                debug!(key = self.key, %error, "cannot look at the stream");
                return;
            }
        };
        // Another exporter may have written since.
        self.current = None;
        match self.write(|account| account.look(&seen)).await {
            Ok(()) => self.shown.send_modify(|shown| shown.1 = seen.backlog),
            Err(error) => debug!(key = self.key, %error, "the ledger was not written"),
        }
    }

    async fn write(&mut self, mut change: impl FnMut(&mut Account)) -> Result<(), BusError> {
        let store = self.bus.ledger().await?;
        let mut attempted = self.attempted.take();
        let cell = Cell::new(&store, &self.key);
        let written = cell.swap(self.current.take(), Account::default, |account| {
            let mut next = account.clone();
            if !is_what_was_sent(attempted.take(), &account) {
                change(&mut next);
            }
            let bytes = if next == account { None } else { Some(serde_json::to_vec(&next)?.into()) };
            Ok((next, bytes))
        });
        match written.await {
            Ok((account, revision)) => {
                self.show(account, revision);
                Ok(())
            }
            Err(Unwritten { error, attempted }) => {
                self.attempted = attempted;
                Err(error)
            }
        }
    }

    fn show(&mut self, account: Account, revision: u64) {
        self.shown.send_modify(|shown| shown.0.clone_from(&account));
        self.current = Some((account, revision));
    }
}

/// Whether the store has the last write that got no response.
fn is_what_was_sent(attempted: Option<Bytes>, account: &Account) -> bool {
    attempted
        .is_some_and(|bytes| serde_json::from_slice::<Account>(&bytes).is_ok_and(|sent| sent == *account))
}
