//! Reading the configuration anew: on SIGHUP, and every other second in case it, a secret's file or a
//! certificate was replaced. (Polling, not file events: Kubernetes swaps links, and network file systems send
//! none.)
//!
//! A wrong configuration is reported once, and the previous one stays in force.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    signal::unix::{SignalKind, signal},
    time::MissedTickBehavior,
};
use tokio_util::sync::CancellationToken;
use tracing::{error, info, warn};

use crate::{
    app::settings::Settings,
    bus::Bus,
    cli::{Flags, Role},
    ingest::Ingest,
    metrics::{Metrics, genai::Pushes},
    page::Page,
    process::env::Env,
    saved_destinations::{Running, SavedDestinations, Seen},
    ship::{ShipError, fleet::Fleet},
};

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(2);

/// Where settings come from, to read them again.
#[derive(Clone, Debug)]
pub struct Source {
    /// Which part this process is.
    pub role: Role,
    /// The flags it was started with.
    pub flags: Flags,
    /// The environment it was started in.
    pub env: Env,
}

impl Source {
    /// Reads the settings.
    pub fn load(&self) -> Result<Settings, crate::app::settings::SettingsError> {
        Settings::load(self.role, &self.flags, &self.env)
    }
}

/// Applies new settings to what runs.
pub(crate) struct Reload {
    pub(crate) source: Source,
    /// What the configuration says.
    pub(crate) file: Settings,
    /// What runs: that and what is saved on the page.
    pub(crate) current: Settings,
    pub(crate) saved: SavedDestinations,
    pub(crate) bus: Bus,
    pub(crate) fleet: Fleet,
    pub(crate) pushes: Pushes,
    pub(crate) ingest: Option<Ingest<Bus>>,
    /// The page, where it is not off.
    pub(crate) page: Option<Page>,
    pub(crate) metrics: Arc<Metrics>,
    /// What was wrong with the last configuration, for `status`.
    pub(crate) wrong: Arc<Mutex<Option<String>>>,
}

impl Reload {
    /// Looks and listens until `stop`.
    pub(crate) async fn run(mut self, stop: CancellationToken) {
        let Ok(mut hangup) = signal(SignalKind::hangup()) else {
            warn!("cannot listen for SIGHUP: the configuration is not read again");
            return;
        };
        let mut saved = self.saved.changes();
        // What was received from NATS before this task started counts as a change.
        saved.mark_changed();
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            let asked = tokio::select! {
                () = stop.cancelled() => return,
                _ = hangup.recv() => true,
                _ = ticks.tick() => false,
                Ok(()) = saved.changed() => {
                    self.take_up_saved().await;
                    continue;
                }
            };
            if self.saved.waits() {
                self.take_up_saved().await;
            }
            let source = self.source.clone();
            let Ok(loaded) = tokio::task::spawn_blocking(move || source.load()).await else { continue };
            match loaded {
                Ok(settings) if settings == self.file => {
                    let was_wrong =
                        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).take().is_some();
                    self.metrics.reload_good.set(1);
                    if asked || was_wrong {
                        info!("the configuration was read again: nothing has changed");
                    }
                }
                Ok(settings) => self.apply(settings).await,
                Err(error) => self.refused(&format!("{:#}", anyhow::Error::from(error)), asked),
            }
        }
    }

    /// Runs by what is saved on the page as it is now.
    async fn take_up_saved(&mut self) {
        let (settings, seen) = self.lay_over(&self.file);
        if settings != self.current || self.saved.waits() {
            if !self.bus.want(&settings.bus, settings.consumers()) {
                warn!("how NATS is reached has changed: that takes a restart");
            }
            if let Err(error) = self.bring_up(&settings).await {
                // Each of them was tried before it was laid over, so this is not about one of them.
                error!(%error, "what is saved cannot be run by");
                return;
            }
            info!(
                destinations = settings.destinations.len(),
                revision = seen.revision,
                "what is saved applies"
            );
            self.current = settings;
        }
        self.saved.applied(&self.file.static_config, &self.current.destinations, &seen).await;
    }

    async fn apply(&mut self, file: Settings) {
        let (settings, seen) = self.lay_over(&file);
        if !self.bus.want(&settings.bus, settings.consumers()) {
            warn!("how NATS is reached has changed: that takes a restart");
        }
        if let Some(ingest) = &self.ingest {
            ingest.change(&settings.ingest);
        }
        let page = match &self.page {
            Some(page) => page.change(&settings.page),
            None => settings.page.listen.is_none(),
        };
        if !page {
            warn!("where the page is served, or who is let in, has changed: that takes a restart");
        }
        let (old, new) = (&self.current.ingest, &settings.ingest);
        let bound = (&old.listen, &old.socket, &old.tls, old.max_connections, self.current.admin_listen);
        if bound != (&new.listen, &new.socket, &new.tls, new.max_connections, settings.admin_listen) {
            warn!("where the exporter listens has changed: that takes a restart");
        }
        match self.bring_up(&settings).await {
            Ok(()) => {
                info!(
                    destinations = settings.destinations.len(),
                    "the configuration was read again and applies"
                );
                self.metrics.reload_good.set(1);
                *self.wrong.lock().unwrap_or_else(PoisonError::into_inner) = None;
                self.current = settings;
                self.file = file;
                self.saved.applied(&self.file.static_config, &self.current.destinations, &seen).await;
            }
            Err(error) => {
                self.refused(&format!("{:#}", anyhow::Error::from(error)), false);
                // The ones before are known to work.
                self.bus.want(&self.current.bus, self.current.consumers());
                if let Err(error) = self.bring_up(&self.current).await {
                    error!(%error, "the destinations before cannot be started again");
                }
            }
        }
    }

    /// A configuration with what is saved beside it.
    fn lay_over(&self, file: &Settings) -> (Settings, Arc<Seen>) {
        let running = Running { destinations: file.destinations.clone(), pushes: file.pushes.clone() };
        let (Running { destinations, pushes }, seen) = self.saved.lay_over(&file.static_config, running);
        (Settings { destinations, pushes, ..file.clone() }, seen)
    }

    async fn bring_up(&self, settings: &Settings) -> Result<(), ShipError> {
        self.fleet.run(settings.destinations.clone()).await?;
        Ok(self.pushes.run(settings.pushes.clone()).await?)
    }

    fn refused(&self, why: &str, asked: bool) {
        self.metrics.reload_good.set(0);
        let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
        if asked || wrong.as_deref() != Some(why) {
            error!(why, "the new configuration is refused, the one before goes on");
        }
        *wrong = Some(why.to_owned());
    }
}
