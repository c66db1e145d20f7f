//! Puts the parts together: binds the listeners, connects the bus, starts the tasks, ends them in order.
//!
//! The order of the end: ingest, ship and the metrics first, then the acknowledgements are written out to
//! NATS, and the admin listener goes last, so that readiness says "stopping" until then.

use std::{net::SocketAddr, sync::Arc};

use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use crate::{
    VERSION,
    admin::{self, Admin},
    bus::{Bus, BusError},
    cli::Role,
    genai::{self, Counting},
    ingest::{Ingest, TokenCheck},
    metrics::{Metrics, ShipMetrics},
    otlp::OtlpError,
    server,
    settings::Settings,
    ship::{self, Ship},
};

/// Why the exporter did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener could not be bound.
    #[error("cannot listen on {address} ({flag})")]
    Listen {
        /// The flag that names the address.
        flag: &'static str,
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The NATS client could not be set up.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A destination's client could not be set up.
    #[error(transparent)]
    Otlp(#[from] OtlpError),
    /// A part ended that should have gone on.
    #[error("a part of the exporter ended on its own")]
    Ended,
}

/// An exporter whose listeners are bound.
pub struct Exporter {
    settings: Settings,
    ingest: Option<TcpListener>,
    admin: TcpListener,
    addresses: (Option<SocketAddr>, SocketAddr),
}

impl Exporter {
    /// Binds the listeners; port 0 takes a free one.
    ///
    /// # Errors
    ///
    /// [`Error::Listen`].
    pub async fn bind(settings: Settings) -> Result<Self, Error> {
        let (admin, admin_address) = listen("--admin-listen", settings.admin_listen).await?;
        let (mut ingest, mut ingest_address) = (None, None);
        if settings.role.ingests() {
            let (listener, address) = listen("--listen", settings.listen).await?;
            (ingest, ingest_address) = (Some(listener), Some(address));
        }
        Ok(Self { settings, ingest, admin, addresses: (ingest_address, admin_address) })
    }

    /// Where batches are taken, if they are.
    pub fn ingest_address(&self) -> Option<SocketAddr> {
        self.addresses.0
    }

    /// Where health and metrics are served.
    pub fn admin_address(&self) -> SocketAddr {
        self.addresses.1
    }

    /// Runs until `stop`, then ends in order.
    ///
    /// # Errors
    ///
    /// [`Error`] where a part could not be started or ended on its own.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        // Fails only where the process has a provider already, which is as good.
        if rustls::crypto::ring::default_provider().install_default().is_err() {
            tracing::debug!("a cryptography provider is installed already");
        }
        let settings = self.settings;
        let metrics = Arc::new(Metrics::default());
        let mut consumers: Vec<_> =
            settings.destinations.iter().map(|found| ship::consumer(found, &settings.batch)).collect();
        consumers.extend(settings.role.ships().then(genai::consumer));
        let bus = Bus::connect(settings.bus.clone(), consumers).await?;
        let shown = Started { role: settings.role, ingest: self.addresses.0, admin: self.addresses.1 };
        shown.log(&settings);

        let last = CancellationToken::new();
        let admin = Admin { bus: bus.clone(), metrics: Arc::clone(&metrics), stop: stop.clone() };
        let mut background = JoinSet::new();
        background.spawn(server::serve("admin", self.admin, admin::router(admin), last.clone()));
        let (keeper, kept) = (bus.clone(), stop.clone());
        background.spawn(async move { keeper.keep(kept).await });

        let mut parts = JoinSet::new();
        if let Some(listener) = self.ingest {
            let token = TokenCheck::new(settings.token.as_ref());
            let router = Ingest::new(bus.clone(), token, metrics.ingest.clone()).router();
            parts.spawn(server::serve("ingest", listener, router, stop.clone()));
        }
        if settings.role.ships() {
            let counting = Counting::new(bus.clone(), &metrics, settings.push)?;
            parts.spawn(counting.run(stop.clone()));
        }
        let mut shipped = Vec::new();
        for destination in settings.destinations {
            let counters = metrics.ship(destination.name);
            shipped.push(counters.clone());
            let ship = Ship::new(destination, settings.batch, bus.clone(), counters)?;
            parts.spawn(ship.run(stop.clone()));
        }

        let mut failed = false;
        while let Some(ended) = parts.join_next().await {
            if ended.is_err() || !stop.is_cancelled() {
                error!("a part of the exporter ended on its own, stopping the rest");
                failed = true;
                stop.cancel();
            }
        }
        bus.close().await;
        last.cancel();
        while background.join_next().await.is_some() {}
        told(&metrics, &shipped);
        if failed { Err(Error::Ended) } else { Ok(()) }
    }
}

struct Started {
    role: Role,
    ingest: Option<SocketAddr>,
    admin: SocketAddr,
}

impl Started {
    fn log(&self, settings: &Settings) {
        let ingest = self.ingest.map(|address| address.to_string());
        info!(
            version = VERSION,
            role = ?self.role,
            ingest,
            admin = %self.admin,
            nats = %settings.bus.servers,
            token = settings.token.is_some(),
            "started"
        );
    }
}

async fn listen(flag: &'static str, address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let listener =
        TcpListener::bind(address).await.map_err(|source| Error::Listen { flag, address, source })?;
    let bound = listener.local_addr().map_err(|source| Error::Listen { flag, address, source })?;
    Ok((listener, bound))
}

/// One line about what the process did.
fn told(metrics: &Metrics, shipped: &[ShipMetrics]) {
    let delivered: u64 = shipped.iter().map(|counters| counters.delivered.get()).sum();
    let handed_back: u64 = shipped.iter().map(|counters| counters.handed_back.get()).sum();
    info!(stored = metrics.ingest.stored.get(), delivered, handed_back, "stopped");
}
