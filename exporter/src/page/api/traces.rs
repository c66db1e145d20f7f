//! `/api/traces`: the latest requests, and one of them whole.

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    extract::State,
    http::header::{CONTENT_DISPOSITION, CONTENT_TYPE},
};
use serde::{Serialize, Serializer};
use utoipa::ToSchema;

use crate::{
    page::{
        respond::{Errors, Path, Plain, Query, Refusal, Reply},
        settings::TRACE_ID,
        state::shared::Shared,
        traces::{
            held::{Filter, Occupancy, Request},
            row::Row,
            trace::{self, Shown},
        },
    },
    spans::ExportProfile,
};

/// Requests of one response, by default and at most.
const LIMIT: usize = 200;
const MOST: usize = 1000;

/// Values of a column that are offered to filter by.
const MAX_VALUES: usize = 100;

/// A request, and whether every destination is done with it.
#[derive(Serialize, ToSchema)]
struct ListedRequest {
    #[serde(flatten, serialize_with = "row")]
    #[schema(value_type = Row)]
    request: Arc<Request>,
    /// Every destination is done with it.
    settled: bool,
}

fn row<S: Serializer>(request: &Arc<Request>, to: S) -> Result<S::Ok, S::Error> {
    request.row.serialize(to)
}

/// What there is to filter by.
#[derive(Serialize, ToSchema)]
struct Values {
    models: Vec<String>,
    providers: Vec<String>,
    keys: Vec<String>,
}

/// The latest requests.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Requests {
    requests: Vec<ListedRequest>,
    /// How many match, listed or not.
    matching: usize,
    /// The n of the latest request, whether it matches or not.
    last: u64,
    room: Occupancy,
    values: Values,
}

/// The latest requests, the newest first
#[utoipa::path(get, path = "/api/traces", tag = "traces", params(Filter),
    responses((status = 400, description = "An unknown or malformed parameter.", body = Errors)))]
pub(in crate::page) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(filter): Query<Filter>,
) -> Reply<Requests> {
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
    let line = |(place, request): (usize, &'_ Arc<Request>)| {
        settled.iter().all(|(_, settled)| settled.get(place).copied().unwrap_or_default())
            && request.row.n > 0
    };
    let settled: Vec<bool> = found.requests.iter().enumerate().map(line).collect();
    let requests = found
        .requests
        .into_iter()
        .zip(settled)
        .map(|(request, settled)| ListedRequest { request, settled })
        .collect();
    Reply(Requests { requests, matching: found.matching, last, room, values })
}

/// The request as a command line.
#[derive(Serialize, ToSchema)]
struct Curl {
    line: String,
    /// Why the body is not the whole one.
    #[schema(required)]
    note: Option<&'static str>,
}

/// Where a request stands with a destination.
#[derive(Serialize, ToSchema)]
struct Standing {
    destination: String,
    settled: bool,
}

/// One request whole.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Trace {
    #[serde(flatten, serialize_with = "row")]
    #[schema(value_type = Row)]
    request: Arc<Request>,
    spans: Vec<Shown>,
    curl: Curl,
    destinations: Vec<Standing>,
    /// Where it is found elsewhere, by label.
    links: BTreeMap<String, String>,
}

/// One request whole: spans with attributes, as curl, where it stands with each destination
#[utoipa::path(get, path = "/api/traces/{id}", tag = "traces",
    responses((status = 404, description = "It is not held any more.", body = Errors)))]
pub(in crate::page) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Reply<Trace>, Refusal> {
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
    let spans = trace::spans(event_id, &event, &export_profile(&shared));
    Ok(Reply(Trace { request, spans, curl: Curl { line, note }, destinations, links }))
}

/// Its spans as one OTLP/JSON request
#[utoipa::path(get, path = "/api/traces/{id}/otlp", tag = "traces", responses(
    (status = 200, description = "ExportTraceServiceRequest.", content_type = "application/json", body = Object),
    (status = 404, description = "It is not held any more.", body = Errors),
))]
pub(in crate::page) async fn otlp(
    State(shared): State<Arc<Shared>>,
    Path(id): Path<String>,
) -> Result<Plain, Refusal> {
    let request = find(&shared, &id)?;
    let (event_id, event) = trace::event(&request.event).ok_or_else(gone)?;
    let resource = shared.settings().resource.of(&event.resource);
    let body = trace::otlp(event_id, &event, &export_profile(&shared), &resource).ok_or_else(gone)?;
    let name = format!("attachment; filename=\"trace-{}.json\"", request.row.trace_id);
    Ok(Plain::new(([(CONTENT_TYPE, "application/json".to_owned()), (CONTENT_DISPOSITION, name)], body)))
}

fn find(shared: &Shared, id: &str) -> Result<Arc<Request>, Refusal> {
    shared.observed.held().get(id).ok_or_else(gone)
}

fn gone() -> Refusal {
    Refusal::not_found("this request is not held any more: newer ones took its place")
}

/// The profile by which the page shows spans.
pub(in crate::page) fn export_profile(shared: &Shared) -> ExportProfile {
    ExportProfile { prices: Arc::clone(&shared.settings().prices), ..ExportProfile::default() }
}
