//! The state that handlers share.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

use super::{subjects::Subjects, trend::Trend};
use crate::page::{
    auth::{guard::Guard, login::Login},
    settings::PageSettings,
    traces::watch::Observed,
};

/// Browsers that listen for what is new, at once.
const MAX_LISTENERS: usize = 64;

/// How often totals are recorded.
const LOOK: Duration = Duration::from_secs(5);

/// The state that serves every request to the page.
pub(in crate::page) struct Shared {
    pub(in crate::page) subjects: Subjects,
    pub(in crate::page) guard: Arc<Guard>,
    pub(in crate::page) observed: Arc<Observed>,
    pub(in crate::page) trend: Mutex<Trend>,
    pub(in crate::page) settings: Mutex<PageSettings>,
    /// How many browsers listen for what is new.
    pub(in crate::page) listeners: Arc<Semaphore>,
    pub(in crate::page) stop: CancellationToken,
}

impl Shared {
    /// By these settings, until `stop`.
    pub(in crate::page) fn new(settings: &PageSettings, subjects: Subjects, stop: CancellationToken) -> Self {
        let guard = Guard {
            loopback: settings.listen.is_some_and(|address| address.ip().is_loopback()),
            hosts: settings.hosts.clone(),
            login: Login::new(settings.token.as_ref()),
        };
        Self {
            subjects,
            guard: Arc::new(guard),
            observed: Arc::new(Observed::new(settings)),
            trend: Mutex::default(),
            settings: Mutex::new(settings.clone()),
            listeners: Arc::new(Semaphore::new(MAX_LISTENERS)),
            stop,
        }
    }

    /// Records the totals now and then until the page stops.
    pub(in crate::page) async fn follow_trend(self: Arc<Self>) {
        loop {
            let totals = self.subjects.totals();
            self.trend().saw(Instant::now(), totals);
            tokio::select! {
                () = self.stop.cancelled() => return,
                () = tokio::time::sleep(LOOK) => {}
            }
        }
    }

    pub(in crate::page) fn settings(&self) -> MutexGuard<'_, PageSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::page) fn trend(&self) -> MutexGuard<'_, Trend> {
        self.trend.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
