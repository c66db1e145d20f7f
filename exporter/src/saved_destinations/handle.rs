//! The settings of the page as this process sees and runs them.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::watch as channel;

use super::{contents::Seen, static_config::StaticConfig};
use crate::{
    bus::{Bus, policy::Policy},
    config::ConfigError,
    ship::fleet::Fleet,
};

/// The settings of the page, as this process sees and runs them.
#[derive(Clone)]
pub struct SavedDestinations {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) bus: Bus,
    pub(super) fleet: Fleet,
    pub(super) ships: bool,
    pub(super) configured: Mutex<Arc<StaticConfig>>,
    pub(super) seen: channel::Sender<Arc<Seen>>,
    pub(super) applied: channel::Sender<u64>,
    pub(super) policy: channel::Sender<Policy>,
    /// Why a saved destination does not run here.
    pub(super) refused: Mutex<BTreeMap<String, ConfigError>>,
    /// Why the bucket is not followed.
    pub(super) wrong: Mutex<Option<String>>,
}

impl SavedDestinations {
    /// Beside this configuration. Nothing is known until [`Self::follow`] runs.
    pub fn new(bus: Bus, fleet: Fleet, configured: StaticConfig, ships: bool) -> Self {
        let policy = if configured.enabled { Policy::Unknown } else { Policy::NONE };
        let shared = Shared {
            bus,
            fleet,
            ships,
            configured: Mutex::new(Arc::new(configured)),
            seen: channel::Sender::default(),
            applied: channel::Sender::new(0),
            policy: channel::Sender::new(policy),
            refused: Mutex::default(),
            wrong: Mutex::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The capture policy, for ingest to enforce and to report.
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

    pub(crate) fn configured(&self) -> Arc<StaticConfig> {
        Arc::clone(&self.shared.configured.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
