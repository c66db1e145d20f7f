//! The page: settings, health and traces, on a listener of its own.
//!
//! All data is JSON under `/api`, described by `/api/openapi.json`; the rest are plain files that are part of the
//! program. What it holds is bounded, and where it is off nothing of it runs.

mod api;
mod assets;
mod auth;
mod respond;
mod settings;
mod state;
mod traces;

use std::sync::Arc;

use axum::{Extension, Router, extract::DefaultBodyLimit, middleware::from_fn_with_state, routing::get};
use tokio::{net::TcpListener, task::JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_util::sync::CancellationToken;
use utoipa::openapi::OpenApi;
use utoipa_axum::{router::OpenApiRouter, routes};

pub use settings::PageSettings;
pub use state::subjects::Subjects;

use crate::http::server::{self, Listener};
use api::{
    dead_letters, destinations, ledger, live, login,
    openapi::{self, Description},
    overview,
};
use auth::guard;
use respond::Refusal;
use state::shared::Shared;
use traces::watch::Watch;

/// Connections open at once: a browser takes six.
const MAX_CONNECTIONS: usize = 256;

/// The largest body.
const MAX_BODY: usize = 1 << 20;

/// The page: serves requests and takes changed settings.
#[derive(Clone)]
pub struct Page(Arc<Shared>);

impl Page {
    /// The page with these settings, until `stop`.
    pub fn new(settings: &PageSettings, subjects: Subjects, stop: CancellationToken) -> Self {
        Self(Arc::new(Shared::new(settings, subjects, stop)))
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
        tasks.spawn(Arc::clone(&self.0).follow_trend());
        server::serve("page", Listener::Tcp(listener, tls), self.router(), MAX_CONNECTIONS, stop.clone())
            .await;
        while tasks.join_next().await.is_some() {}
    }

    fn router(&self) -> Router {
        let guard = Arc::clone(&self.0.guard);
        let description = Description::new(&description());
        Router::new()
            .route("/", get(assets::index))
            .route("/assets/{name}", get(assets::asset))
            .merge(Router::from(routes()).with_state(Arc::clone(&self.0)))
            .merge(Router::from(login::routes()).with_state(Arc::clone(&guard)))
            .merge(Router::from(destinations::routes()).with_state(self.0.subjects.saved.clone()))
            .fallback(|| async { Refusal::not_found("there is nothing here") })
            .layer(DefaultBodyLimit::max(MAX_BODY))
            .layer(Extension(description))
            .layer(from_fn_with_state(guard, guard::pass))
    }
}

/// The routes that show what the exporter does.
fn routes() -> OpenApiRouter<Arc<Shared>> {
    OpenApiRouter::new()
        .routes(routes!(openapi::openapi))
        .routes(routes!(overview::overview))
        .routes(routes!(ledger::ledger))
        .routes(routes!(api::traces::list))
        .routes(routes!(api::traces::one))
        .routes(routes!(api::traces::otlp))
        .routes(routes!(live::events))
        .routes(routes!(dead_letters::list))
        .routes(routes!(dead_letters::one, dead_letters::purge_one))
        .routes(routes!(dead_letters::replay_one))
        .routes(routes!(dead_letters::replay))
        .routes(routes!(dead_letters::purge))
}

/// The description of all routes below `/api`.
fn description() -> OpenApi {
    let routes =
        [routes().into_openapi(), login::routes().into_openapi(), destinations::routes().into_openapi()];
    openapi::describe(routes)
}

#[cfg(test)]
pub(crate) use traces::trace::all_shown;

#[cfg(test)]
mod tests;
