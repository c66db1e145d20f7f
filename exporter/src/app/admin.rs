//! The admin listener: `/healthz`, `/readyz`, `/metrics`, `/status`.
//!
//! Alive means that the process answers; ready means that NATS is connected and holds what the exporter
//! needs there. The response of `/readyz` says in one sentence what is missing. No response holds a secret.

use std::sync::{Arc, Mutex, PoisonError};

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use weir_event::VERSION;

use crate::{
    bus::{Bus, policy::Policy},
    ledger::workers::{Workers, WorkersReport},
    metrics::{self, Metrics},
    saved_destinations::{SavedDestinations, Summary},
    ship::fleet::{Fleet, Report},
};

/// How many workers `/status` names.
const SOURCES_SHOWN: usize = 50;

/// What the admin listener reads.
#[derive(Clone)]
pub struct Admin {
    /// The connection whose state decides readiness.
    pub bus: Bus,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// The destinations.
    pub fleet: Fleet,
    /// The workers.
    pub workers: Workers,
    /// Whether this process takes events.
    pub ingests: bool,
    /// What is wrong with the last configuration.
    pub wrong: Arc<Mutex<Option<String>>>,
    /// The settings that are made on the page.
    pub saved: SavedDestinations,
    /// Cancelled once the exporter is stopping.
    pub stop: CancellationToken,
}

/// The admin listener's routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .route("/status", get(status))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    if admin.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match admin.state() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.metrics.bus_connected.set(i64::from(admin.bus.is_connected()));
    admin.fleet.show();
    let wanted = admin.saved.wanted();
    // One that was refused may have the name of one that runs.
    let runs = |name: &String| admin.fleet.runs(name);
    admin.metrics.ship.show_running(wanted.keys().map(|name| (name.as_str(), runs(name))));
    if let Some((count, sums)) = admin.workers.sums() {
        admin.metrics.ingest.show_workers(count, &sums);
    }
    match admin.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// The response of `/status`.
#[derive(Serialize)]
struct Status {
    version: &'static str,
    ready: bool,
    /// What is missing.
    why_not: Option<String>,
    /// What is wrong with the configuration on disk, where the one before goes on.
    configuration: Option<String>,
    destinations: Vec<Report>,
    settings: Summary,
    /// The gateway's workers, over all exporters: the same at each of them.
    gateway: Option<WorkersReport>,
    /// What this process took since its start.
    ingest: Option<IngestStatus>,
}

#[derive(Serialize)]
struct IngestStatus {
    stored: u64,
    duplicate: u64,
    refused: u64,
    compressed: u64,
    stripped: u64,
}

impl Admin {
    /// Why the exporter is not ready, or `Ok`. Events are not taken before it is known what may be stored of them.
    fn state(&self) -> Result<(), String> {
        self.bus.state()?;
        if self.ingests && *self.saved.policy().borrow() == Policy::Unknown {
            return Err("the capture policy is not known yet".to_owned());
        }
        Ok(())
    }

    fn ingest(&self) -> Option<IngestStatus> {
        let counts = &self.metrics.ingest;
        self.ingests.then(|| IngestStatus {
            stored: counts.stored.get(),
            duplicate: counts.duplicate.get(),
            refused: counts.refused.get(),
            compressed: counts.compressed.get(),
            stripped: counts.stripped.get(),
        })
    }
}

async fn status(State(admin): State<Admin>) -> Response {
    let state = admin.state();
    let status = Status {
        version: VERSION,
        ready: state.is_ok() && !admin.stop.is_cancelled(),
        why_not: state.err(),
        configuration: admin.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone(),
        destinations: admin.fleet.reports(),
        settings: admin.saved.summary(),
        gateway: admin.workers.report(SOURCES_SHOWN),
        ingest: admin.ingest(),
    };
    match serde_json::to_vec_pretty(&status) {
        Ok(body) => ([(CONTENT_TYPE, "application/json")], body).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
