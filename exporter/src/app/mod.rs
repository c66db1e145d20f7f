//! Puts the parts together: binds the listeners, connects the bus, starts the tasks, ends them in order.
//!
//! The order of the end: ingest, ship and the metrics first, then the acknowledgements are written out to NATS,
//! and the admin listener goes last, so that readiness says "stopping" until then.

pub mod admin;
pub mod reload;
pub mod settings;

use std::{
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use futures_util::FutureExt as _;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

use weir_event::VERSION;

use self::{
    admin::Admin,
    reload::{Reload, Source},
    settings::Settings,
};
use crate::{
    bus::{Bus, BusError},
    http::{
        listen::{self, ListenError},
        server::{self, Listener, MAX_CONNECTIONS},
    },
    ingest::Ingest,
    ledger::{
        self,
        workers::{Workers, WorkersKeeper},
    },
    metrics::{
        Metrics,
        genai::{Counting, Pushes},
    },
    page::{Page, Subjects},
    process,
    saved_destinations::SavedDestinations,
    ship::{ShipError, fleet::Fleet},
};

/// How often it is looked whether a destination's task ended on its own.
const WATCH: Duration = Duration::from_secs(1);

/// Why the exporter did not start or did not go on.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A listener could not be bound.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The NATS client could not be set up, or the stream there is not to be touched.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// A destination's client could not be set up.
    #[error(transparent)]
    Ship(#[from] ShipError),
    /// A part ended that should have gone on.
    #[error("a part of the exporter ended on its own")]
    Ended,
}

/// An exporter whose listeners are bound.
pub struct Exporter {
    source: Source,
    settings: Settings,
    ingest: Option<Bound>,
    admin: Bound,
    page: Option<Bound>,
}

type Bound = (TcpListener, SocketAddr);

impl Exporter {
    /// Binds the listeners; port 0 takes a free one.
    pub async fn bind(source: Source, settings: Settings) -> Result<Self, Error> {
        let admin = listen::tcp("--admin-listen, admin.listen", settings.admin_listen).await?;
        let ingest = match settings.role.ingests() {
            true => Some(listen::tcp("--listen, ingest.listen", settings.ingest.listen).await?),
            false => None,
        };
        let page = match settings.page.listen {
            Some(address) => Some(listen::tcp("--page-listen, page.listen", address).await?),
            None => None,
        };
        Ok(Self { source, settings, ingest, admin, page })
    }

    /// Runs until `stop`, then ends in order.
    pub async fn run(self, stop: CancellationToken) -> Result<(), Error> {
        process::install_provider();
        self.log();
        let Self { source, settings, ingest: ingest_bound, admin: (admin_listener, _), page: page_bound } =
            self;
        let metrics = Arc::new(Metrics::default());
        let bus = Bus::connect(settings.bus.clone(), settings.consumers()).await?;
        let fleet = Fleet::new(bus.clone(), Arc::clone(&metrics));
        let pushes = Pushes::new(Arc::clone(&metrics.gen_ai), metrics.counting.clone());
        let saved = SavedDestinations::new(
            bus.clone(),
            fleet.clone(),
            settings.static_config.clone(),
            settings.role.ships(),
        );
        let ingest = settings.role.ingests().then(|| {
            let ingest = Ingest::new(bus.clone(), &settings.ingest, metrics.ingest.clone());
            ingest.under(saved.policy())
        });
        let workers =
            ingest.as_ref().map_or_else(|| Workers::new(settings.ingest.max_sources), Ingest::workers);
        let wrong = Arc::new(Mutex::new(None));

        let (last, entered) = (CancellationToken::new(), CancellationToken::new());
        let accounts = WorkersKeeper::new(workers.clone(), bus.clone(), settings.role.ingests());
        let accounts = tokio::spawn(accounts.run(entered.clone()));
        let mut background = JoinSet::new();
        let admin = Admin {
            bus: bus.clone(),
            metrics: Arc::clone(&metrics),
            fleet: fleet.clone(),
            workers: workers.clone(),
            ingests: settings.role.ingests(),
            wrong: Arc::clone(&wrong),
            saved: saved.clone(),
            stop: stop.clone(),
        };
        let page = page_bound.map(|(listener, _)| {
            let subjects = Subjects {
                bus: bus.clone(),
                fleet: fleet.clone(),
                metrics: Arc::clone(&metrics),
                workers: workers.clone(),
                wrong: Arc::clone(&wrong),
                saved: saved.clone(),
            };
            (Page::new(&settings.page, subjects, stop.clone()), listener)
        });
        let page_tls = settings.page.tls.as_ref().filter(|_| page.is_some());
        let page_tls = page_tls.map(|tls| listen::tls("page", tls)).transpose()?;
        let (listener, router) = (Listener::Tcp(admin_listener, None), admin::router(admin));
        background.spawn(server::serve("admin", listener, router, MAX_CONNECTIONS, last.clone()));
        if settings.role.ships() {
            let (purger, stopped) = (bus.clone(), stop.clone());
            background.spawn(async move { purger.purge(stopped).await });
        }

        let page = page.map(|(page, listener)| {
            background.spawn(page.clone().run(listener, page_tls));
            page
        });

        let mut parts: JoinSet<Result<(), Error>> = JoinSet::new();
        let (keeper, kept) = (bus.clone(), stop.clone());
        parts.spawn(async move {
            Ok(keeper.keep(|store, name, seen| Box::pin(ledger::begin(store, name, seen)), kept).await?)
        });
        if let (Some(ingest), Some((listener, _))) = (&ingest, ingest_bound) {
            let tls = settings.ingest.tls.as_ref().map(|tls| listen::tls("ingest", tls)).transpose()?;
            let most = settings.ingest.max_connections;
            let (listener, router) = (Listener::Tcp(listener, tls), ingest.clone().router());
            parts.spawn(server::serve("ingest", listener, router, most, stop.clone()).map(Ok));
            if let Some(path) = &settings.ingest.socket {
                let (listener, router) = (listen::unix(path)?, ingest.clone().open_router());
                parts.spawn(server::serve("ingest socket", listener, router, most, stop.clone()).map(Ok));
            }
        }
        if settings.role.ships() {
            let counting = Counting::new(bus.clone(), Arc::clone(&metrics.gen_ai), metrics.counting.clone());
            parts.spawn(counting.run(stop.clone()).map(Ok));
        }
        let (followed, stopped) = (saved.clone(), stop.clone());
        background.spawn(async move { followed.follow(stopped).await });
        fleet.run(settings.destinations.clone()).await?;
        pushes.run(settings.pushes.clone()).await.map_err(ShipError::from)?;
        parts.spawn(watch(fleet.clone(), stop.clone()));
        let reload = Reload {
            source,
            file: settings.clone(),
            current: settings,
            saved,
            bus: bus.clone(),
            fleet: fleet.clone(),
            pushes: pushes.clone(),
            ingest,
            page,
            metrics: Arc::clone(&metrics),
            wrong,
        };
        let reload = tokio::spawn(reload.run(stop.clone()));

        let mut result = Ok(());
        while let Some(ended) = parts.join_next().await {
            let ended = ended.unwrap_or(Err(Error::Ended));
            let ended = if stop.is_cancelled() { ended } else { ended.and(Err(Error::Ended)) };
            if let Err(error) = ended {
                error!(%error, "a part of the exporter ended, stopping the rest");
                result = result.and(Err(error));
                stop.cancel();
            }
        }
        // A reload under way ends before what it started is stopped.
        let _ = reload.await;
        // No batch is taken any more, so what came of workers is complete.
        entered.cancel();
        if accounts.await.is_err() {
            error!("the task of the workers' ledgers ended on its own");
        }
        // Nothing is counted any more, so the last push says it all.
        let ((delivered, handed_back), ()) = tokio::join!(fleet.stop(), pushes.stop());
        bus.close().await;
        last.cancel();
        while background.join_next().await.is_some() {}
        info!(stored = metrics.ingest.stored.get(), delivered, handed_back, "stopped");
        result
    }

    fn log(&self) {
        let settings = &self.settings;
        info!(
            version = VERSION,
            role = ?settings.role,
            ingest = self.ingest.as_ref().map(|(_, address)| address.to_string()),
            admin = %self.admin.1,
            page = self.page.as_ref().map(|(_, address)| address.to_string()),
            nats = %settings.bus.servers,
            token = settings.ingest.token.is_some(),
            "started"
        );
    }
}

/// Waits until a destination's task ends on its own, which is an error, or until `stop`.
async fn watch(fleet: Fleet, stop: CancellationToken) -> Result<(), Error> {
    loop {
        tokio::select! {
            () = stop.cancelled() => return Ok(()),
            () = tokio::time::sleep(WATCH) => {}
        }
        if fleet.has_ended() && !stop.is_cancelled() {
            return Err(Error::Ended);
        }
    }
}
