//! `/api/traces`: the latest requests, and one of them whole.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Json,
    extract::{Path, Query, State},
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
    response::{IntoResponse as _, Response},
};
use serde::Serialize;

use super::{
    held::{Filter, Room},
    row::Row,
    trace::{self, Shown},
};
use crate::{
    page::{Shared, respond::Refusal, settings::TRACE_ID},
    spans::ExportProfile,
};

/// Requests of one answer, where it is not said and at most.
const LIMIT: usize = 200;
const MOST: usize = 1000;

/// Values of a column that are offered to filter by.
const MAX_VALUES: usize = 100;

/// A request, and whether every destination is done with it.
#[derive(Serialize)]
struct Line<'r> {
    #[serde(flatten)]
    row: &'r Row,
    settled: bool,
}

/// What there is to filter by.
#[derive(Serialize)]
struct Values {
    models: Vec<String>,
    providers: Vec<String>,
    keys: Vec<String>,
}

#[derive(Serialize)]
struct List<'r> {
    requests: Vec<Line<'r>>,
    matching: usize,
    /// The latest there is, with these wishes or without.
    last: u64,
    room: Room,
    values: Values,
}

/// `GET /api/traces`.
pub(in crate::page) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(filter): Query<Filter>,
) -> Response {
    let most = filter.limit.unwrap_or(LIMIT).min(MOST);
    let (found, room, last, values) = {
        let held = shared.observed.held();
        let values = Values {
            models: held.values(|row| row.model.clone(), MAX_VALUES),
            providers: held.values(|row| row.provider.clone(), MAX_VALUES),
            keys: held.values(|row| row.key.clone(), MAX_VALUES),
        };
        (held.find(&filter, most), held.room(), held.last(), values)
    };
    let sequences: Vec<u64> = found.requests.iter().map(|request| request.row.n).collect();
    let settled = shared.subjects.fleet.settled(&sequences);
    let line = |(place, request): (usize, &'_ Arc<super::held::Request>)| {
        settled.iter().all(|(_, settled)| settled.get(place).copied().unwrap_or_default())
            && request.row.n > 0
    };
    let settled: Vec<bool> = found.requests.iter().enumerate().map(line).collect();
    let requests = found
        .requests
        .iter()
        .zip(settled)
        .map(|(request, settled)| Line { row: &request.row, settled })
        .collect();
    Json(List { requests, matching: found.matching, last, room, values }).into_response()
}

#[derive(Serialize)]
struct Curl {
    line: String,
    note: Option<&'static str>,
}

/// Where a request stands with a destination.
#[derive(Serialize)]
struct Standing {
    destination: String,
    settled: bool,
}

#[derive(Serialize)]
struct Whole<'r> {
    #[serde(flatten)]
    row: &'r Row,
    spans: Vec<Shown>,
    curl: Curl,
    destinations: Vec<Standing>,
    /// Where it is found elsewhere, by label.
    links: BTreeMap<String, String>,
}

/// `GET /api/traces/{id}`, by the event's id.
pub(in crate::page) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let request = find(&shared, &id)?;
    let (event_id, event) = trace::event(&request.event).ok_or_else(gone)?;
    let (line, note) = trace::curl(&event);
    let settled = shared.subjects.fleet.settled(&[request.row.n]).into_iter();
    let destinations = settled
        .map(|(name, settled)| Standing {
            destination: name.to_string(),
            settled: settled.first() == Some(&true),
        })
        .collect();
    let links = shared.settings().links.clone();
    let trace_id = &request.row.trace_id;
    let links = links.into_iter().map(|(label, link)| (label, link.replace(TRACE_ID, trace_id))).collect();
    let spans = trace::spans(event_id, &event, &view(&shared));
    Ok(Json(Whole { row: &request.row, spans, curl: Curl { line, note }, destinations, links })
        .into_response())
}

/// `GET /api/traces/{id}/otlp`.
pub(in crate::page) async fn otlp(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let request = find(&shared, &id)?;
    let (event_id, event) = trace::event(&request.event).ok_or_else(gone)?;
    let resource = shared.settings().resource.of(&event.resource);
    let body = trace::otlp(event_id, &event, &view(&shared), &resource).ok_or_else(gone)?;
    let name = format!("attachment; filename=\"trace-{}.json\"", request.row.trace_id);
    Ok(([(CONTENT_TYPE, "application/json".to_owned()), (CONTENT_DISPOSITION, name)], body).into_response())
}

fn find(shared: &Shared, id: &str) -> Result<Arc<super::held::Request>, Refusal> {
    shared.observed.held().get(id).ok_or_else(gone)
}

fn gone() -> Refusal {
    Refusal::not_found("this request is not held any more: newer ones took its place")
}

/// By which names the page tells spans.
pub(in crate::page) fn view(shared: &Shared) -> ExportProfile {
    ExportProfile { prices: Arc::clone(&shared.settings().prices), ..ExportProfile::default() }
}
