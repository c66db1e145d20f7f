//! The admin listener: `/healthz`, `/readyz`, `/metrics`.
//!
//! Alive means that the process answers; ready means that NATS is connected and holds what the exporter
//! needs there. A readiness answer says in one sentence what is missing.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::{IntoResponse, Response},
    routing::get,
};
use tokio_util::sync::CancellationToken;

use crate::{bus::Bus, metrics, metrics::Metrics};

/// What the admin listener reads.
#[derive(Clone)]
pub struct Admin {
    /// Whose state readiness tells.
    pub bus: Bus,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
    /// Cancelled once the exporter is stopping.
    pub stop: CancellationToken,
}

/// The admin listener's routes.
pub fn router(admin: Admin) -> Router {
    Router::new()
        .route("/healthz", get(|| async { "alive\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(admin)
}

async fn readyz(State(admin): State<Admin>) -> Response {
    if admin.stop.is_cancelled() {
        return (StatusCode::SERVICE_UNAVAILABLE, "stopping\n").into_response();
    }
    match admin.bus.state() {
        Ok(()) => "ready\n".into_response(),
        Err(why) => (StatusCode::SERVICE_UNAVAILABLE, format!("{why}\n")).into_response(),
    }
}

async fn metrics(State(admin): State<Admin>) -> Response {
    admin.metrics.bus_connected.set(i64::from(admin.bus.is_connected()));
    match admin.metrics.render() {
        Ok(text) => ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}
