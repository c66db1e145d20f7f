//! The destinations that run: started, changed and stopped, at the start and by every reload.
//!
//! A destination whose settings stay the same goes on undisturbed; one that changes ends in order, which
//! hands back what it had pulled, before it starts anew.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tracing::{error, info};
use utoipa::{ToSchema, openapi::Object};

use crate::{
    bus::Bus,
    destination::DestinationSettings,
    http::schema::one_of,
    ledger::{Account, Ledger},
    metrics::{Metrics, ShipMetrics},
    ship::{
        consumer::consumer_name,
        health::{Condition, Health},
        task::{Ship, ShipError},
    },
};

/// A destination that runs.
struct Running {
    settings: DestinationSettings,
    ledger: Ledger,
    health: Arc<Health>,
    metrics: ShipMetrics,
    stop: CancellationToken,
    ship: JoinHandle<()>,
    keeper: JoinHandle<()>,
}

/// What is reported of a destination:
/// stored = delivered + rejected + dead_lettered + filtered + evicted + purged + backlog + unaccounted
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Report {
    /// Its name.
    pub name: String,
    /// Where it leads.
    pub target: String,
    /// How it is, by one word.
    #[schema(schema_with = condition)]
    pub condition: &'static str,
    /// Why, where it is not well.
    #[schema(required)]
    pub reason: Option<String>,
    /// Events that were stored for it.
    pub stored: u64,
    /// Events that wait for it or are under way, by JetStream's count.
    pub backlog: u64,
    /// Stored less everything else: 0 once all has settled.
    pub unaccounted: i64,
    /// Its ledger.
    #[serde(flatten)]
    pub ledger: LedgerReport,
}

fn condition() -> Object {
    one_of(["well", "retrying", "misconfigured", "refusing"])
}

/// A ledger's figures.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[allow(missing_docs, reason = "they are the ledger's")]
pub struct LedgerReport {
    pub delivered: u64,
    pub rejected: u64,
    pub rejected_spans: u64,
    pub dead_lettered: u64,
    pub filtered: u64,
    pub evicted: u64,
    pub purged: u64,
    pub duplicates: u64,
    pub doubtful: u64,
}

impl Report {
    /// From what was last seen.
    pub fn new(name: &str, target: String, condition: &Condition, account: &Account, backlog: u64) -> Self {
        let Account { delivered, rejected, rejected_spans, dead_lettered, filtered, evicted, .. } = *account;
        let settled = [delivered, rejected, dead_lettered, filtered, evicted, account.purged];
        let settled = settled.into_iter().fold(0, u64::saturating_add);
        let wide = |count| i64::try_from(count).unwrap_or(i64::MAX);
        Self {
            name: name.to_owned(),
            target,
            condition: condition.word(),
            reason: condition.reason().map(str::to_owned),
            stored: account.stored(),
            backlog,
            unaccounted: wide(account.stored()) - wide(settled) - wide(backlog),
            ledger: LedgerReport {
                delivered,
                rejected,
                rejected_spans,
                dead_lettered,
                filtered,
                evicted,
                purged: account.purged,
                duplicates: account.duplicates,
                doubtful: account.doubtful,
            },
        }
    }
}

/// The destinations that run.
#[derive(Clone)]
pub struct Fleet {
    bus: Bus,
    metrics: Arc<Metrics>,
    running: Arc<Mutex<BTreeMap<Arc<str>, Running>>>,
}

impl Fleet {
    /// None yet.
    pub fn new(bus: Bus, metrics: Arc<Metrics>) -> Self {
        Self { bus, metrics, running: Arc::default() }
    }

    /// Makes these the destinations that run.
    ///
    /// # Errors
    ///
    /// [`ShipError`] where a client cannot be set up; the ones before it run then.
    pub async fn run(&self, wanted: Vec<DestinationSettings>) -> Result<(), ShipError> {
        let ending: Vec<_> = {
            let mut running = self.lock();
            let goes = |one: &Running| !wanted.contains(&one.settings);
            let names: Vec<_> =
                running.iter().filter(|(_, one)| goes(one)).map(|(name, _)| Arc::clone(name)).collect();
            names.iter().filter_map(|name| running.remove(name)).collect()
        };
        ended(&ending).await;
        for one in ending {
            let name = &one.settings.name;
            if wanted.iter().any(|other| other.name == *name) {
                info!(destination = &**name, "changed");
            } else {
                self.metrics.ship.forget(name);
                let backlog = one.ledger.seen().1;
                info!(
                    destination = &**name,
                    backlog,
                    "no more in the configuration: its consumer and backlog stay until `weir-exporter \
                     remove-destination {name}`"
                );
            }
            join(one).await;
        }
        for settings in wanted {
            if !self.lock().contains_key(&settings.name) {
                let started = self.start(settings)?;
                self.lock().insert(Arc::clone(&started.settings.name), started);
            }
        }
        Ok(())
    }

    fn start(&self, settings: DestinationSettings) -> Result<Running, ShipError> {
        let stop = CancellationToken::new();
        let consumer = consumer_name(&settings.name);
        let (ledger, keeper) = Ledger::new(&settings.name, &consumer, self.bus.clone());
        let health = Arc::new(Health::new(&settings.name));
        let metrics = self.metrics.ship.of(&settings.name);
        let ship = Ship::new(
            settings.clone(),
            self.bus.clone(),
            ledger.clone(),
            Arc::clone(&health),
            metrics.clone(),
        )?;
        let keeper = tokio::spawn(keeper.run(stop.clone()));
        let ship = tokio::spawn(ship.run(stop.clone()));
        Ok(Running { settings, ledger, health, metrics, stop, ship, keeper })
    }

    /// Stops all of them in order; gives how many events were delivered and handed back.
    pub async fn stop(&self) -> (u64, u64) {
        let ending: Vec<_> = std::mem::take(&mut *self.lock()).into_values().collect();
        ended(&ending).await;
        let (mut delivered, mut handed_back) = (0, 0);
        for one in ending {
            let metrics = one.metrics.clone();
            join(one).await;
            delivered += metrics.delivered.get();
            handed_back += metrics.handed_back.get();
        }
        (delivered, handed_back)
    }

    /// The settings of one that runs.
    pub fn settings(&self, name: &str) -> Option<DestinationSettings> {
        self.lock().get(name).map(|one| one.settings.clone())
    }

    /// Whether one of this name runs.
    pub fn runs(&self, name: &str) -> bool {
        self.lock().contains_key(name)
    }

    /// Whether one of them ended on its own, which it should not.
    pub fn has_ended(&self) -> bool {
        self.lock().values().any(|one| one.ship.is_finished() || one.keeper.is_finished())
    }

    /// A report on each.
    pub fn reports(&self) -> Vec<Report> {
        let report = |one: &Running| {
            let (account, backlog) = one.ledger.seen();
            Report::new(&one.settings.name, one.settings.target(), &one.health.condition(), &account, backlog)
        };
        self.lock().values().map(report).collect()
    }

    /// Of each destination, by its name, which of these sequences of the stream are settled there.
    pub fn settled(&self, sequences: &[u64]) -> Vec<(Arc<str>, Vec<bool>)> {
        let settled = |(name, one): (&Arc<str>, &Running)| {
            let settled = sequences.iter().map(|sequence| one.ledger.is_settled(*sequence)).collect();
            (Arc::clone(name), settled)
        };
        self.lock().iter().map(settled).collect()
    }

    /// Brings the ledgers into the metrics.
    pub fn show(&self) {
        for (name, one) in self.lock().iter() {
            let (account, backlog) = one.ledger.seen();
            self.metrics.ship.show_ledger(name, &account, backlog, one.health.condition().word());
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<Arc<str>, Running>> {
        self.running.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks all to stop first, so that they do it side by side.
async fn ended(ending: &[Running]) {
    ending.iter().for_each(|one| one.stop.cancel());
    tokio::task::yield_now().await;
}

async fn join(one: Running) {
    let Running { settings, ledger, ship, keeper, .. } = one;
    if ship.await.is_err() {
        error!(destination = &*settings.name, "a destination's task ended on its own");
    }
    // The keeper writes what is entered until the last ledger is dropped.
    drop(ledger);
    if keeper.await.is_err() {
        error!(destination = &*settings.name, "a ledger's task ended on its own");
    }
}
