//! `/api/dead-letters`: events that a destination refused: why, when, whole; sent again or deleted.
//!
//! What concerns many goes in rounds, each an answer that says whether there are more.

use std::sync::Arc;

use axum::{
    Extension, Json,
    extract::{Path, Query, State},
    response::{IntoResponse as _, Response},
};
use serde::{Deserialize, Serialize};
use weir_event::{EventId, v1::TraceEvent};

use crate::{
    bus::{DeadLetter, payload},
    page::auth::Actor,
    page::{
        Shared,
        respond::Refusal,
        traces::{list, row::Row, trace},
    },
};

/// Letters of one answer, where it is not said and at most.
const LIMIT: usize = 100;
const MOST: usize = 1000;

/// Letters of one round: each takes two answers of NATS.
const ROUND: usize = 200;

#[derive(Serialize)]
struct Letter {
    number: u64,
    destination: String,
    reason: String,
    at_ms: u64,
    bytes: usize,
    /// The event in one line, where it can be read.
    request: Option<Row>,
}

impl Letter {
    fn new(shared: &Shared, letter: &DeadLetter) -> Self {
        let prices = Arc::clone(&shared.settings().prices);
        let request = event(letter).and_then(|(_, event)| Row::new(letter.sequence, &event, &prices));
        Self {
            number: letter.number,
            destination: letter.destination.clone(),
            reason: letter.reason.clone(),
            at_ms: letter.at_ms,
            bytes: letter.bytes,
            request,
        }
    }
}

fn event(letter: &DeadLetter) -> Option<(EventId, TraceEvent)> {
    let event = payload::decode(letter.event()?)?;
    Some((EventId::of(&event)?, event))
}

/// Which letters.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::page) struct Which {
    destination: Option<String>,
    limit: Option<usize>,
}

/// `GET /api/dead-letters`.
pub(in crate::page) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Result<Response, Refusal> {
    let limit = which.limit.unwrap_or(LIMIT).clamp(1, MOST);
    let bus = &shared.subjects.bus;
    let destination = named(which.destination.as_deref())?;
    let letters = bus.dead_letters(destination, limit + 1).await?;
    let more = letters.len() > limit;
    let letters: Vec<Letter> =
        letters.iter().take(limit).map(|letter| Letter::new(&shared, letter)).collect();
    let all = bus.dead_letter_count().await?;
    Ok(Json(serde_json::json!({ "letters": letters, "more": more, "all": all })).into_response())
}

/// `GET /api/dead-letters/{number}`.
pub(in crate::page) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let letter = find(&shared, number).await?;
    let spans = event(&letter).map(|(id, event)| trace::spans(id, &event, &list::view(&shared)));
    let letter = Letter::new(&shared, &letter);
    Ok(Json(serde_json::json!({ "letter": letter, "spans": spans })).into_response())
}

/// `POST /api/dead-letters/{number}/replay`.
pub(in crate::page) async fn replay_one(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let letter = find(&shared, number).await?;
    shared.subjects.bus.replay(&letter).await?;
    told(&shared, &actor, "replayed", &letter.destination, 1).await;
    Ok(done(1, false))
}

/// `DELETE /api/dead-letters/{number}`.
pub(in crate::page) async fn purge_one(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Path(number): Path<u64>,
) -> Result<Response, Refusal> {
    let letter = find(&shared, number).await?;
    shared.subjects.bus.forget(letter.number).await?;
    told(&shared, &actor, "deleted", &letter.destination, 1).await;
    Ok(done(1, false))
}

/// Whose letters, and up to which: what is refused again meanwhile has a higher number.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::page) struct Of {
    destination: String,
    /// The highest number that is meant, as the list showed it.
    up_to: u64,
}

/// `POST /api/dead-letters/replay`.
pub(in crate::page) async fn replay(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Json(of): Json<Of>,
) -> Result<Response, Refusal> {
    round(&shared, &actor, &of, true).await
}

/// `POST /api/dead-letters/purge`.
pub(in crate::page) async fn purge(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Json(of): Json<Of>,
) -> Result<Response, Refusal> {
    round(&shared, &actor, &of, false).await
}

async fn round(shared: &Shared, actor: &Actor, of: &Of, replay: bool) -> Result<Response, Refusal> {
    let bus = &shared.subjects.bus;
    let letters = bus.dead_letters(named(Some(&of.destination))?, ROUND + 1).await?;
    let meant: Vec<_> = letters.iter().filter(|letter| letter.number <= of.up_to).collect();
    for letter in meant.iter().take(ROUND) {
        if replay {
            bus.replay(letter).await?;
        } else {
            bus.forget(letter.number).await?;
        }
    }
    let count = meant.len().min(ROUND);
    told(shared, actor, if replay { "replayed" } else { "deleted" }, &of.destination, count).await;
    Ok(done(count, meant.len() > ROUND))
}

/// Says in the log and in the audit trail who did it.
async fn told(shared: &Shared, actor: &Actor, what: &str, destination: &str, count: usize) {
    if count > 0 {
        shared.subjects.managed.note_letters(&actor.changes(), what, destination, count).await;
    }
}

fn done(count: usize, more: bool) -> Response {
    Json(serde_json::json!({ "done": count, "more": more })).into_response()
}

async fn find(shared: &Shared, number: u64) -> Result<DeadLetter, Refusal> {
    let found = shared.subjects.bus.dead_letter(number).await?;
    found.ok_or_else(|| {
        Refusal::not_found("there is no such dead letter: it was replayed, deleted or is too old")
    })
}

/// A destination's name, which becomes part of a subject.
fn named(name: Option<&str>) -> Result<Option<&str>, Refusal> {
    let fits = |name: &&str| {
        name.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            && !name.is_empty()
    };
    match name.filter(|name| !name.is_empty()) {
        Some(name) if !fits(&name) => {
            Err(Refusal::new(axum::http::StatusCode::BAD_REQUEST, "is no destination's name")
                .of_field("destination"))
        }
        name => Ok(name),
    }
}
