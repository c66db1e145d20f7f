//! Settings that are made on the page: kept in a NATS bucket, taken up by every exporter at once, beside what its
//! own configuration says, which always comes first.
//!
//! A change is written with the revision that it was made on, so of two people the second is told. Every exporter
//! watches the bucket and applies what it says by the same path as a changed file ([`crate::app::reload`]). Secrets
//! are sealed; no value of one is in an answer, an error, the log or the audit trail.

mod audit;
mod basis;
mod change;
mod listing;
mod probe;
mod record;
pub mod seal;
mod state;
mod watch;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use serde::{Deserialize, Serialize};
use tokio::{sync::watch as channel, time::timeout};
use tracing::{info, warn};

pub(crate) use audit::ENTRIES as AUDIT_ENTRIES;
pub(crate) use basis::locked;
pub use basis::{Basis, General, Locked, Origin};
pub use change::{Done, Draft, Refused, SecretChange};
pub use record::Record;
pub use state::Summary;
pub use watch::{Saved, Seen};

use crate::{
    app::settings::Settings,
    bus::{Bus, policy::Policy},
    config::ConfigError,
    destination::{DestinationSettings, MAX_DESTINATIONS},
    metrics::genai,
    ship::{consumer_name, encode::Encoder, fleet::Fleet, sink::Sink},
};

/// How long a change waits until this process runs by it.
const APPLY_DEADLINE: Duration = Duration::from_secs(5);

/// How long after a removal its consumer is looked for again: another exporter may have seen to it once more before
/// it heard of the removal.
const RETIRE_AGAIN: Duration = Duration::from_secs(3);

/// Who changed something, when, and from where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changed {
    /// When (RFC 3339).
    pub at: String,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: String,
}

impl Changed {
    /// A change that is made now.
    pub fn now(actor: impl Into<String>, address: impl Into<String>) -> Self {
        Self { at: audit::now(), actor: actor.into(), address: address.into() }
    }
}

/// What became of a destination that this process should ship to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// It runs.
    Runs,
    /// It is to be started.
    Waits,
    /// It cannot run here, and why.
    Refused(String),
}

/// The settings of the page, as this process sees and runs them.
#[derive(Clone)]
pub struct Managed {
    shared: Arc<Shared>,
}

struct Shared {
    bus: Bus,
    fleet: Fleet,
    ships: bool,
    basis: Mutex<Arc<Basis>>,
    seen: channel::Sender<Arc<Seen>>,
    applied: channel::Sender<u64>,
    policy: channel::Sender<Policy>,
    /// Why a saved destination does not run here.
    refused: Mutex<BTreeMap<String, ConfigError>>,
    /// Why the bucket is not followed.
    wrong: Mutex<Option<String>>,
}

impl Managed {
    /// Beside this configuration. Nothing is known until [`Self::follow`] runs.
    pub fn new(bus: Bus, fleet: Fleet, settings: &Settings) -> Self {
        let basis = Arc::new(settings.managed.clone());
        let policy = if basis.enabled { Policy::Unknown } else { Policy::NONE };
        let shared = Shared {
            bus,
            fleet,
            ships: settings.role.ships(),
            basis: Mutex::new(basis),
            seen: channel::Sender::default(),
            applied: channel::Sender::new(0),
            policy: channel::Sender::new(policy),
            refused: Mutex::default(),
            wrong: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The capture policy, for ingest to enforce and to tell.
    pub fn policy(&self) -> channel::Receiver<Policy> {
        self.shared.policy.subscribe()
    }

    /// What the bucket holds, as it is seen from here.
    pub fn seen(&self) -> Arc<Seen> {
        Arc::clone(&self.shared.seen.borrow())
    }

    pub(crate) fn changes(&self) -> channel::Receiver<Arc<Seen>> {
        self.shared.seen.subscribe()
    }

    /// Why what is saved is not followed at the moment.
    pub fn wrong(&self) -> Option<String> {
        self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn basis(&self) -> Arc<Basis> {
        Arc::clone(&self.shared.basis.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The configuration's settings with what is saved laid beside them. What does not fit is left out, and told
    /// where the destination is listed.
    pub(crate) fn lay_over(&self, file: &Settings) -> (Settings, Arc<Seen>) {
        let (mut all, seen) = (file.clone(), self.seen());
        let basis = &file.managed;
        let mut refused = BTreeMap::new();
        if basis.enabled && file.role.ships() {
            for (name, saved) in &seen.destinations {
                match opened(name, saved, file) {
                    Ok(settings) => all.destinations.push(settings),
                    Err(error) => {
                        refused.insert(name.clone(), error);
                    }
                }
            }
            let General { env, resource, alone, .. } = &basis.general;
            if let Ok(pushes) = genai::settings::all(&all.destinations, alone.clone(), resource, env) {
                all.pushes = pushes;
            }
        }
        let mut known = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, error) in &refused {
            if known.get(name) != Some(error) {
                warn!(destination = name, %error, "saved, and not running here");
            }
        }
        *known = refused;
        (all, seen)
    }

    /// This process runs by what was seen, over this configuration.
    pub(crate) async fn applied(&self, file: &Settings, running: &Settings, seen: &Seen) {
        *self.shared.basis.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(file.managed.clone());
        if file.role.ships() && file.managed.enabled && seen.known {
            let mut takers = running.destinations.iter();
            let all_exclude = !running.destinations.is_empty() && takers.all(|one| one.view.exclude_content);
            self.tell_exclusion(all_exclude, seen).await;
        }
        if !file.managed.enabled {
            self.tell(Policy::NONE);
        }
        let before = *self.shared.applied.borrow();
        for (name, _) in seen.removed.iter().filter(|(_, revision)| **revision > before) {
            // Another exporter may lay it out once more before it hears of the removal.
            let (managed, name) = (self.clone(), name.clone());
            tokio::spawn(async move {
                tokio::time::sleep(RETIRE_AGAIN).await;
                if !managed.is_wanted(&name) {
                    let _ = managed.retire(&name).await;
                }
            });
        }
        self.shared.applied.send_replace(seen.revision);
    }

    /// The destinations that this process should ship to, by name: whether each runs and, where it does not, why, as
    /// far as that is known.
    pub(crate) fn wanted(&self) -> BTreeMap<String, Wanted> {
        let (basis, seen) = (self.basis(), self.seen());
        if !self.shared.ships {
            return BTreeMap::new();
        }
        let refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = seen.destinations.keys().filter(|_| basis.enabled);
        let names = basis.locked.iter().map(|one| &one.name).chain(saved).take(MAX_DESTINATIONS);
        let wanted = names.map(|name| {
            let wanted = match refused.get(name) {
                Some(error) => Wanted::Refused(reason(error)),
                None if self.shared.fleet.runs(name) => Wanted::Runs,
                None => Wanted::Waits,
            };
            (name.clone(), wanted)
        });
        wanted.collect()
    }

    /// Whether one of them should have been started and was not.
    pub(crate) fn waits(&self) -> bool {
        self.wanted().values().any(|one| *one == Wanted::Waits)
    }

    /// Whether the configuration or what is saved has a destination of this name.
    fn is_wanted(&self, name: &str) -> bool {
        self.seen().destinations.contains_key(name) || self.basis().locked.iter().any(|one| one.name == name)
    }

    /// Waits until this process runs by this revision; false where that takes too long.
    async fn runs_by(&self, revision: u64) -> bool {
        let mut applied = self.shared.applied.subscribe();
        timeout(APPLY_DEADLINE, applied.wait_for(|at| *at >= revision)).await.is_ok_and(|it| it.is_ok())
    }

    /// Deletes the consumer of a destination that is no more, its backlog counted as purged; gives how many events
    /// that were. `None` where there was no consumer.
    async fn retire(&self, name: &str) -> Option<u64> {
        let bus = &self.shared.bus;
        let consumer = consumer_name(name);
        let seen = bus.seen(&consumer).await.ok()?;
        bus.delete_consumer(&consumer).await.ok()?;
        let closed = crate::ledger::close(&bus.ledger().await.ok()?, name, &seen).await.ok()?;
        info!(destination = name, purged = closed.purged, delivered = closed.delivered, "removed");
        Some(closed.purged)
    }
}

/// Why a saved destination does not run, with its field.
fn reason(error: &ConfigError) -> String {
    if error.path == "." { error.message.clone() } else { error.to_string() }
}

/// A saved destination as it runs beside this configuration.
fn opened(name: &str, saved: &Saved, file: &Settings) -> Result<DestinationSettings, ConfigError> {
    if file.managed.locked.iter().any(|one| one.name == name) {
        let message = "the configuration has a destination of this name too, and that one runs";
        return Err(ConfigError::at(".", message));
    }
    let record = saved.record.as_ref().map_err(|why| ConfigError::at(".", why.as_str()))?;
    let settings = record.open(name, &file.managed.keys, &file.managed.general)?;
    usable(&settings)?;
    Ok(settings)
}

/// Whether a client can be made by these settings.
fn usable(settings: &DestinationSettings) -> Result<(), ConfigError> {
    let refused = |error: anyhow::Error| ConfigError::at(".", format!("{error:#}"));
    let sink = Sink::new(settings).map_err(|error| refused(error.into()))?;
    Encoder::new(sink.format(), &settings.resource).map(drop).map_err(|error| refused(error.into()))
}
