//! The page: settings, health and traces to look at, on a listener of its own.
//!
//! All that it shows is JSON under `/api`, described by `/api/openapi.json`; the rest are plain files that are
//! part of the program. What it holds is bounded, and where it is off nothing of it runs.

mod api;
mod assets;
mod auth;
mod respond;
mod settings;
mod traces;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::{
    Router,
    extract::DefaultBodyLimit,
    middleware::from_fn_with_state,
    routing::{get, post},
};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;

pub use settings::PageSettings;

use crate::{
    bus::Bus,
    http::server::{self, Listener},
    ledger::workers::{Figures, Workers},
    metrics::Metrics,
    saved_destinations::SavedDestinations,
    ship::fleet::Fleet,
};
use api::{dead_letters, destinations, ledger, live, openapi, overview, trend};
use auth::{
    guard::{self, Guard},
    login::{self, Login},
};
use respond::Refusal;
use traces::{
    list,
    watch::{Observed, Watch},
};

/// Connections open at once: a browser takes six.
const MAX_CONNECTIONS: usize = 256;

/// The largest body.
const MAX_BODY: usize = 1 << 20;

/// What the page shows of the exporter.
#[derive(Clone)]
pub struct Subjects {
    /// NATS.
    pub bus: Bus,
    /// The destinations.
    pub fleet: Fleet,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The sources.
    pub sources: Workers,
    /// What is wrong with the last configuration.
    pub wrong: Arc<Mutex<Option<String>>>,
    /// The settings that are made here.
    pub managed: SavedDestinations,
}

impl Subjects {
    /// The sums over sources, and how many there are; none before that is known.
    fn sums(&self) -> Option<(usize, Figures)> {
        self.sources.sums()
    }

    fn wrong(&self) -> Option<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// What every request to the page is answered from.
struct Shared {
    subjects: Subjects,
    guard: Arc<Guard>,
    observed: Arc<Observed>,
    trend: Mutex<trend::Trend>,
    settings: Mutex<PageSettings>,
    /// How many browsers listen for what is new.
    listeners: Arc<tokio::sync::Semaphore>,
    stop: CancellationToken,
}

impl Shared {
    fn settings(&self) -> MutexGuard<'_, PageSettings> {
        self.settings.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn trend(&self) -> MutexGuard<'_, trend::Trend> {
        self.trend.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The page, to be served and to be told of other settings.
#[derive(Clone)]
pub struct Page(Arc<Shared>);

impl Page {
    /// The page with these settings, until `stop`.
    pub fn new(settings: &PageSettings, subjects: Subjects, stop: CancellationToken) -> Self {
        let guard = Guard {
            loopback: settings.listen.is_some_and(|address| address.ip().is_loopback()),
            hosts: settings.hosts.clone(),
            login: Login::new(settings.token.as_ref()),
        };
        Self(Arc::new(Shared {
            subjects,
            guard: Arc::new(guard),
            observed: Arc::new(Observed::new(settings)),
            trend: Mutex::default(),
            settings: Mutex::new(settings.clone()),
            listeners: Arc::new(tokio::sync::Semaphore::new(live::MAX_LISTENERS)),
            stop,
        }))
    }

    /// Takes other settings. Where it listens, its token, hosts and certificate take a restart: false where they
    /// have changed.
    pub fn change(&self, settings: &PageSettings) -> bool {
        let mut current = self.0.settings();
        let bound = |one: &PageSettings| (one.listen, one.token.clone(), one.hosts.clone(), one.tls.clone());
        let same = bound(&current) == bound(settings);
        self.0.observed.change(settings);
        current.clone_from(settings);
        same
    }

    /// Serves it, and looks at events, until it is to stop.
    pub async fn run(self, listener: TcpListener, tls: Option<TlsAcceptor>) {
        let Shared { subjects, observed, stop, .. } = &*self.0;
        let mut tasks = JoinSet::new();
        let begin = self.0.settings().traces;
        tasks.spawn(Watch::new(subjects.bus.clone(), Arc::clone(observed), begin).run(stop.clone()));
        tasks.spawn(trend::keep(Arc::clone(&self.0)));
        server::serve("page", Listener::Tcp(listener, tls), self.router(), MAX_CONNECTIONS, stop.clone())
            .await;
        while tasks.join_next().await.is_some() {}
    }

    fn router(&self) -> Router {
        let guard = Arc::clone(&self.0.guard);
        let login = Router::new()
            .route("/api/login", post(login::log_in))
            .route("/api/logout", post(login::log_out))
            .route("/api/session", get(login::session))
            .with_state(Arc::clone(&guard));
        Router::new()
            .route("/", get(assets::index))
            .route("/assets/{name}", get(assets::asset))
            .route("/api/openapi.json", get(openapi::openapi))
            .route("/api/overview", get(overview::overview))
            .route("/api/ledger", get(ledger::ledger))
            .route("/api/traces", get(list::list))
            .route("/api/traces/{id}", get(list::one))
            .route("/api/traces/{id}/otlp", get(list::otlp))
            .route("/api/events", get(live::events))
            .route("/api/dead-letters", get(dead_letters::list))
            .route("/api/dead-letters/{number}", get(dead_letters::one).delete(dead_letters::purge_one))
            .route("/api/dead-letters/{number}/replay", post(dead_letters::replay_one))
            .route("/api/dead-letters/replay", post(dead_letters::replay))
            .route("/api/dead-letters/purge", post(dead_letters::purge))
            .with_state(Arc::clone(&self.0))
            .merge(login)
            .merge(destinations::routes(self.0.subjects.managed.clone()))
            .fallback(|| async { Refusal::not_found("there is nothing here") })
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(from_fn_with_state(guard, guard::pass))
    }
}
