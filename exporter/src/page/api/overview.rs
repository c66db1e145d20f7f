//! `GET /api/overview`: what is wrong, the last hour in figures, the ledger.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    ledger::{self, Ledger},
    trouble::{self, Trouble},
};
use crate::page::{
    respond::Reply,
    state::shared::Shared,
    traces::{minutes::Hour, watch::now_ms},
};

/// What is wrong, the last hour in figures, the ledger.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Overview {
    version: &'static str,
    now_ms: u64,
    trouble: Vec<Trouble>,
    hour: Hour,
    ledger: Ledger,
}

/// What is wrong, the last hour in figures, the ledger
#[utoipa::path(get, path = "/api/overview", tag = "overview")]
pub(in crate::page) async fn overview(State(shared): State<Arc<Shared>>) -> Reply<Overview> {
    let ledger = ledger::now(&shared).await;
    let reports = shared.subjects.fleet.reports();
    let trouble = trouble::all(&shared, &ledger, &reports, &shared.subjects.totals());
    let now_ms = now_ms();
    let hour = shared.observed.minutes().hour(now_ms);
    Reply(Overview { version: weir_event::VERSION, now_ms, trouble, hour, ledger })
}
