//! `POST /v1/events`: takes batches of events from the gateway and stores each in JetStream.
//!
//! 200 means that every event of the batch is stored or can never be stored. Anything else leaves the
//! batch with its sender; a 503 names what is stored all the same, so that only the rest comes again.
//! Every status of ingest's own that a sender acts on (200, 503) carries a `BatchAnswer`; what a sender
//! did wrong is told in plain text.

mod body;
mod token;

use std::{future::Future, sync::Arc};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::post,
};
use bytes::Bytes;
use prost::Message as _;
use tokio::sync::Semaphore;
use weir_event::{
    EventId, INGEST_PATH, SOURCE_LEN,
    v1::{BatchAnswer, EventBatch, Refusal, TraceEvent},
};

pub use body::BodyError;
pub use token::TokenCheck;

use crate::{
    VERSION,
    metrics::{IngestMetrics, OutcomeLabel},
};

/// Bytes of a batch's body.
pub const MAX_BODY: usize = 8 << 20;

/// Events of a batch.
pub const MAX_EVENTS: usize = 4096;

/// Batches in handling at once.
pub const MAX_IN_HANDLING: usize = 64;

/// Seconds after which a sender is asked to come again.
const RETRY_AFTER_SECONDS: &str = "1";

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// JetStream has it.
    Yes {
        /// It had it before.
        duplicate: bool,
    },
    /// It can never be stored, and why.
    Never(String),
    /// Not this time.
    NotNow,
}

/// Where events are kept.
pub trait Store: Clone + Send + Sync + 'static {
    /// Why nothing can be stored at the moment, or `Ok`.
    fn ready(&self) -> Result<(), String>;

    /// Stores events under their ids and tells of each what became of it, in the same order.
    fn store(&self, events: Vec<(EventId, Bytes)>) -> impl Future<Output = Vec<Stored>> + Send;
}

/// What the handler works with.
#[derive(Clone)]
pub struct Ingest<S> {
    store: S,
    token: TokenCheck,
    metrics: IngestMetrics,
    places: Arc<Semaphore>,
}

impl<S: Store> Ingest<S> {
    /// An endpoint that stores into `store` what callers with the right token send.
    pub fn new(store: S, token: TokenCheck, metrics: IngestMetrics) -> Self {
        Self { store, token, metrics, places: Arc::new(Semaphore::new(MAX_IN_HANDLING)) }
    }

    /// The listener's routes.
    pub fn router(self) -> Router {
        Router::new().route(INGEST_PATH, post(events::<S>)).with_state(self)
    }
}

/// An answer before it is a response.
enum Answer {
    Done(BatchAnswer),
    Again(BatchAnswer),
    Wrong(StatusCode, String),
}

async fn events<S: Store>(State(ingest): State<Ingest<S>>, request: Request) -> Response {
    let (outcome, answer) = handle(&ingest, request).await;
    ingest.metrics.batches.get_or_create(&OutcomeLabel { outcome }).inc();
    match answer {
        Answer::Done(answer) => (typed(), answer.encode_to_vec()).into_response(),
        Answer::Again(answer) => {
            let retry = [(RETRY_AFTER, RETRY_AFTER_SECONDS)];
            (StatusCode::SERVICE_UNAVAILABLE, retry, typed(), answer.encode_to_vec()).into_response()
        }
        Answer::Wrong(status, message) => (status, format!("{message}\n")).into_response(),
    }
}

async fn handle<S: Store>(ingest: &Ingest<S>, request: Request) -> (&'static str, Answer) {
    if !ingest.token.allows(request.headers()) {
        let message = "a valid token is required: Authorization: Bearer <token>";
        return ("unauthorized", Answer::Wrong(StatusCode::UNAUTHORIZED, message.to_owned()));
    }
    if !is_protobuf(request.headers()) {
        let message = format!("content-type must be {}", weir_event::CONTENT_TYPE);
        return ("wrong_type", Answer::Wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    let Ok(_place) = ingest.places.try_acquire() else {
        return ("busy", Answer::Again(answer()));
    };
    if ingest.store.ready().is_err() {
        return ("away", Answer::Again(answer()));
    }
    let body = match body::read(request, MAX_BODY).await {
        Ok(body) => body,
        Err(error) => return ("unread", Answer::Wrong(error.status(), error.to_string())),
    };
    let batch = match batch(body) {
        Ok(batch) => batch,
        Err(message) => return ("malformed", Answer::Wrong(StatusCode::BAD_REQUEST, message)),
    };
    take(ingest, batch).await
}

fn batch(body: Bytes) -> Result<EventBatch, String> {
    let batch = EventBatch::decode(body).map_err(|_| "the body is not an EventBatch".to_owned())?;
    if batch.events.len() > MAX_EVENTS {
        return Err(format!("a batch may hold {MAX_EVENTS} events, this one holds {}", batch.events.len()));
    }
    if batch.source.len() != SOURCE_LEN {
        return Err(format!("source must be {SOURCE_LEN} bytes, it is {}", batch.source.len()));
    }
    Ok(batch)
}

async fn take<S: Store>(ingest: &Ingest<S>, batch: EventBatch) -> (&'static str, Answer) {
    let mut answer = answer();
    let (mut places, mut events) = (Vec::new(), Vec::with_capacity(batch.events.len()));
    for (position, event) in (0_u32..).zip(batch.events) {
        match identify(&batch.source, &event) {
            Ok(id) => {
                places.push((position, id.sequence));
                events.push((id, event));
            }
            Err(reason) => answer.refused.push(Refusal { position, reason: reason.to_owned() }),
        }
    }
    let mut missing = false;
    for ((position, sequence), stored) in places.into_iter().zip(ingest.store.store(events).await) {
        match stored {
            Stored::Yes { duplicate } => {
                answer.stored.push(sequence);
                ingest.metrics.duplicate.inc_by(u64::from(duplicate));
            }
            Stored::Never(reason) => answer.refused.push(Refusal { position, reason }),
            Stored::NotNow => missing = true,
        }
    }
    answer.refused.sort_by_key(|refusal| refusal.position);
    ingest.metrics.stored.inc_by(answer.stored.len().try_into().unwrap_or(u64::MAX));
    ingest.metrics.refused.inc_by(answer.refused.len().try_into().unwrap_or(u64::MAX));
    if missing { ("partly", Answer::Again(answer)) } else { ("stored", Answer::Done(answer)) }
}

/// An event's id; its other fields are decoded only to know that they can be.
fn identify(source: &Bytes, event: &Bytes) -> Result<EventId, &'static str> {
    let event = TraceEvent::decode(event.clone()).map_err(|_| "not a TraceEvent")?;
    if event.source != source {
        return Err("its source is not the batch's");
    }
    EventId::of(&event).ok_or("it has no sequence")
}

fn answer() -> BatchAnswer {
    BatchAnswer { exporter_version: VERSION.to_owned(), ..BatchAnswer::default() }
}

fn typed() -> [(axum::http::HeaderName, &'static str); 1] {
    [(CONTENT_TYPE, weir_event::CONTENT_TYPE)]
}

fn is_protobuf(headers: &HeaderMap) -> bool {
    headers
        .get(CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split(';').next())
        .is_some_and(|value| value.trim().eq_ignore_ascii_case(weir_event::CONTENT_TYPE))
}

#[cfg(test)]
mod tests;
