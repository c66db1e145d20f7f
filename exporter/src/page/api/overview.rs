//! `GET /api/overview`: what is wrong, the last hour in figures, the ledger.

use std::sync::Arc;

use axum::{Json, extract::State};
use serde::Serialize;

use super::{
    ledger::{self, Ledger},
    trend,
    trouble::{self, Trouble},
};
use crate::page::{
    Shared,
    traces::{minutes::Hour, watch::now_ms},
};

/// What it answers.
#[derive(Serialize)]
pub(in crate::page) struct Overview {
    version: &'static str,
    now_ms: u64,
    trouble: Vec<Trouble>,
    hour: Hour,
    ledger: Ledger,
}

/// `GET /api/overview`.
pub(in crate::page) async fn overview(State(shared): State<Arc<Shared>>) -> Json<Overview> {
    let ledger = ledger::now(&shared).await;
    let reports = shared.subjects.fleet.reports();
    let trouble = trouble::all(&shared, &ledger, &reports, &trend::totals(&shared));
    let now_ms = now_ms();
    let hour = shared.observed.minutes().hour(now_ms);
    Json(Overview { version: weir_event::VERSION, now_ms, trouble, hour, ledger })
}
