//! What runs here: the configuration's destinations, with the saved ones beside them.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::time::timeout;
use tracing::{info, warn};

use super::{
    contents::{Saved, Seen},
    handle::SavedDestinations,
    static_config::{General, StaticConfig},
};
use crate::{
    bus::policy::Policy,
    config::ConfigError,
    destination::{DestinationSettings, MAX_DESTINATIONS},
    ledger,
    metrics::genai::{self, PushSettings},
    ship::{consumer_name, encode::Encoder, sink::Sink},
};

/// How long a change waits until this process runs by it.
const APPLY_DEADLINE: Duration = Duration::from_secs(5);

/// How long after a removal its consumer is looked for again: another exporter may have seen to it once more before
/// it heard of the removal.
const RETIRE_AGAIN: Duration = Duration::from_secs(3);

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

/// What this process runs by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Running {
    /// The destinations.
    pub(crate) destinations: Vec<DestinationSettings>,
    /// Where metrics are pushed.
    pub(crate) pushes: Vec<PushSettings>,
}

impl SavedDestinations {
    /// The configuration's settings with what is saved laid beside them. What does not fit is left out, and reported
    /// where the destination is listed.
    pub(crate) fn lay_over(&self, configured: &StaticConfig, mut running: Running) -> (Running, Arc<Seen>) {
        let seen = self.seen();
        let mut refused = BTreeMap::new();
        if configured.enabled && self.shared.ships {
            for (name, saved) in &seen.destinations {
                match opened(name, saved, configured) {
                    Ok(settings) => running.destinations.push(settings),
                    Err(error) => {
                        refused.insert(name.clone(), error);
                    }
                }
            }
            let General { env, resource, alone, .. } = &configured.general;
            if let Ok(pushes) = genai::settings::all(&running.destinations, alone.clone(), resource, env) {
                running.pushes = pushes;
            }
        }
        let mut known = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        for (name, error) in &refused {
            if known.get(name) != Some(error) {
                warn!(destination = name, %error, "saved, and not running here");
            }
        }
        *known = refused;
        (running, seen)
    }

    /// This process runs by what was seen, over this configuration.
    pub(crate) async fn applied(
        &self,
        configured: &StaticConfig,
        running: &[DestinationSettings],
        seen: &Seen,
    ) {
        *self.shared.configured.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(configured.clone());
        if self.shared.ships && configured.enabled && seen.known {
            let mut takers = running.iter();
            let all_exclude = !running.is_empty() && takers.all(|one| one.profile.exclude_content);
            self.report_exclusion(all_exclude, seen).await;
        }
        if !configured.enabled {
            self.enforce(Policy::NONE);
        }
        let before = *self.shared.applied.borrow();
        for (name, _) in seen.removed.iter().filter(|(_, revision)| **revision > before) {
            // Another exporter may lay it out once more before it hears of the removal.
            let (saved, name) = (self.clone(), name.clone());
            tokio::spawn(async move {
                tokio::time::sleep(RETIRE_AGAIN).await;
                if !saved.is_wanted(&name) {
                    let _ = saved.retire(&name).await;
                }
            });
        }
        self.shared.applied.send_replace(seen.revision);
    }

    /// The destinations that this process should ship to, by name: whether each runs and, where it does not, why, as
    /// far as that is known.
    pub(crate) fn wanted(&self) -> BTreeMap<String, Wanted> {
        let (configured, seen) = (self.configured(), self.seen());
        if !self.shared.ships {
            return BTreeMap::new();
        }
        let refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner);
        let saved = seen.destinations.keys().filter(|_| configured.enabled);
        let names = configured.locked.iter().map(|one| &one.name).chain(saved).take(MAX_DESTINATIONS);
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
        self.seen().destinations.contains_key(name)
            || self.configured().locked.iter().any(|one| one.name == name)
    }

    /// Waits until this process runs by this revision; false where that takes too long.
    pub(super) async fn runs_by(&self, revision: u64) -> bool {
        let mut applied = self.shared.applied.subscribe();
        timeout(APPLY_DEADLINE, applied.wait_for(|at| *at >= revision)).await.is_ok_and(|it| it.is_ok())
    }

    /// Deletes the consumer of a destination that is no more, its backlog counted as purged; gives how many events
    /// that were. `None` where there was no consumer.
    pub(super) async fn retire(&self, name: &str) -> Option<u64> {
        let bus = &self.shared.bus;
        let consumer = consumer_name(name);
        let seen = bus.seen(&consumer).await.ok()?;
        bus.delete_consumer(&consumer).await.ok()?;
        let closed = ledger::close(&bus.ledger().await.ok()?, name, &seen).await.ok()?;
        info!(destination = name, purged = closed.purged, delivered = closed.delivered, "removed");
        Some(closed.purged)
    }
}

/// Why a saved destination does not run, with its field.
fn reason(error: &ConfigError) -> String {
    if error.path == "." { error.message.clone() } else { error.to_string() }
}

/// A saved destination as it runs beside this configuration.
fn opened(name: &str, saved: &Saved, configured: &StaticConfig) -> Result<DestinationSettings, ConfigError> {
    if configured.locked.iter().any(|one| one.name == name) {
        let message = "the configuration has a destination of this name too, and that one runs";
        return Err(ConfigError::at(".", message));
    }
    let record = saved.record.as_ref().map_err(|why| ConfigError::at(".", why.as_str()))?;
    let settings = record.open(name, saved.revision, &configured.keys, &configured.general)?;
    usable(&settings)?;
    Ok(settings)
}

/// Whether a client can be made by these settings.
pub(super) fn usable(settings: &DestinationSettings) -> Result<(), ConfigError> {
    let refused = |error: anyhow::Error| ConfigError::at(".", format!("{error:#}"));
    let sink = Sink::new(settings).map_err(|error| refused(error.into()))?;
    Encoder::new(sink.format(), &settings.resource).map(drop).map_err(|error| refused(error.into()))
}
