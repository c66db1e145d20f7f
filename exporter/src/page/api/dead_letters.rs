//! `/api/dead-letters`: lists, shows, replays and deletes events that a destination refused.
//!
//! Bulk calls work in rounds; each response says whether more remain.

use std::sync::Arc;

use axum::{Extension, extract::State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use weir_event::{EventId, v1::TraceEvent};

use super::traces;
use crate::{
    bus::{DeadLetter, payload},
    page::{
        auth::Actor,
        respond::{Errors, Json, Path, Query, Refusal, Reply},
        state::shared::Shared,
        traces::{
            row::Row,
            trace::{self, Shown},
        },
    },
};

/// Letters of one response, by default and at most.
const LIMIT: usize = 100;
const MOST: usize = 1000;

/// Letters of one round: each takes two round trips to NATS.
const ROUND: usize = 200;

/// An event that a destination refused.
#[derive(Serialize, ToSchema)]
struct Letter {
    number: u64,
    destination: String,
    reason: String,
    at_ms: u64,
    bytes: usize,
    /// The event in one line, where it can be read.
    #[schema(required)]
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

/// Dead letters, the oldest first.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Letters {
    letters: Vec<Letter>,
    more: bool,
    /// How many there are of all destinations.
    all: u64,
}

/// A dead letter with the spans of its event, where it can be read.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct LetterWithSpans {
    letter: Letter,
    #[schema(required)]
    spans: Option<Vec<Shown>>,
}

/// How many dead letters a call replayed or deleted.
#[derive(Serialize, ToSchema)]
pub(in crate::page) struct Round {
    done: usize,
    /// Ask again.
    more: bool,
}

/// Which letters.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
pub(in crate::page) struct Which {
    /// Only its own.
    #[param(nullable = false)]
    destination: Option<String>,
    /// 100 by default, 1000 at most.
    #[param(nullable = false)]
    limit: Option<usize>,
}

/// Dead letters, the oldest first
#[utoipa::path(get, path = "/api/dead-letters", tag = "dead letters", params(Which), responses(
    (status = 400, description = "An unknown or malformed parameter.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
pub(in crate::page) async fn list(
    State(shared): State<Arc<Shared>>,
    Query(which): Query<Which>,
) -> Result<Reply<Letters>, Refusal> {
    let limit = which.limit.unwrap_or(LIMIT).clamp(1, MOST);
    let bus = &shared.subjects.bus;
    let destination = named(which.destination.as_deref())?;
    let letters = bus.dead_letters(destination, limit + 1).await?;
    let more = letters.len() > limit;
    let letters: Vec<Letter> =
        letters.iter().take(limit).map(|letter| Letter::new(&shared, letter)).collect();
    let all = bus.dead_letter_count().await?;
    Ok(Reply(Letters { letters, more, all }))
}

/// One, with its spans
#[utoipa::path(get, path = "/api/dead-letters/{number}", tag = "dead letters", responses(
    (status = 400, description = "Not a number.", body = Errors),
    (status = 404, description = "There is none.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
pub(in crate::page) async fn one(
    State(shared): State<Arc<Shared>>,
    Path(number): Path<u64>,
) -> Result<Reply<LetterWithSpans>, Refusal> {
    let letter = find(&shared, number).await?;
    let spans = event(&letter).map(|(id, event)| trace::spans(id, &event, &traces::export_profile(&shared)));
    let letter = Letter::new(&shared, &letter);
    Ok(Reply(LetterWithSpans { letter, spans }))
}

/// Send one to its destination again, under a new id
#[utoipa::path(post, path = "/api/dead-letters/{number}/replay", tag = "dead letters", responses(
    (status = 400, description = "Not a number.", body = Errors),
    (status = 404, description = "There is none.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
pub(in crate::page) async fn replay_one(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Path(number): Path<u64>,
) -> Result<Reply<Round>, Refusal> {
    let letter = find(&shared, number).await?;
    shared.subjects.bus.replay(&letter).await?;
    audit(&shared, &actor, "replayed", &letter.destination, 1).await;
    Ok(Reply(Round { done: 1, more: false }))
}

/// Delete one for good
#[utoipa::path(delete, path = "/api/dead-letters/{number}", tag = "dead letters", responses(
    (status = 400, description = "Not a number.", body = Errors),
    (status = 404, description = "There is none.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
pub(in crate::page) async fn purge_one(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Path(number): Path<u64>,
) -> Result<Reply<Round>, Refusal> {
    let letter = find(&shared, number).await?;
    shared.subjects.bus.forget(letter.number).await?;
    audit(&shared, &actor, "deleted", &letter.destination, 1).await;
    Ok(Reply(Round { done: 1, more: false }))
}

/// Whose letters, and up to which: what is refused again meanwhile has a higher number.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = LettersOf)]
pub(in crate::page) struct Of {
    destination: String,
    /// The highest number that is meant, as it was listed.
    up_to: u64,
}

/// Send those of a destination again, in rounds of 200
#[utoipa::path(post, path = "/api/dead-letters/replay", tag = "dead letters", responses(
    (status = 400, description = "No JSON, or not the name of a destination.", body = Errors),
    (status = 415, description = "No application/json.", body = Errors),
    (status = 422, description = "Fields that do not fit.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
pub(in crate::page) async fn replay(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Json(of): Json<Of>,
) -> Result<Reply<Round>, Refusal> {
    round(&shared, &actor, &of, true).await
}

/// Delete those of a destination for good, in rounds of 200
#[utoipa::path(post, path = "/api/dead-letters/purge", tag = "dead letters", responses(
    (status = 400, description = "No JSON, or not the name of a destination.", body = Errors),
    (status = 415, description = "No application/json.", body = Errors),
    (status = 422, description = "Fields that do not fit.", body = Errors),
    (status = 503, description = "NATS does not respond.", body = Errors),
))]
pub(in crate::page) async fn purge(
    State(shared): State<Arc<Shared>>,
    Extension(actor): Extension<Actor>,
    Json(of): Json<Of>,
) -> Result<Reply<Round>, Refusal> {
    round(&shared, &actor, &of, false).await
}

async fn round(shared: &Shared, actor: &Actor, of: &Of, replay: bool) -> Result<Reply<Round>, Refusal> {
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
    audit(shared, actor, if replay { "replayed" } else { "deleted" }, &of.destination, count).await;
    Ok(Reply(Round { done: count, more: meant.len() > ROUND }))
}

/// Writes who did it to the log and the audit trail.
async fn audit(shared: &Shared, actor: &Actor, what: &str, destination: &str, count: usize) {
    if count > 0 {
        shared.subjects.saved.note_letters(&actor.changes(), what, destination, count).await;
    }
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
