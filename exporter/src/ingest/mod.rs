//! `POST /v1/events`: takes batches of events from the gateway and stores each in JetStream.
//!
//! 200 means that every event of the batch is stored or can never be stored. Anything else leaves the
//! batch with its sender; a 503 names what is stored all the same, so that only the rest comes again.
//! Every status of ingest's own that a sender acts on (200, 503) carries a `BatchAnswer`; what a sender
//! did wrong is reported in plain text. What exceeds the limits gets a 503 before it is read. The capture policy
//! is enforced here, whatever a sender knows of it, and carried by each of these responses. The sender's
//! resource is checked here and appended to each event.

mod limits;
mod resource;
mod settings;
mod token;
mod withhold;

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use axum::{
    Router,
    extract::{Request, State},
    http::{
        HeaderMap, StatusCode,
        header::{CONTENT_TYPE, RETRY_AFTER},
    },
    response::{IntoResponse, Response},
    routing::{get, post},
};
use bytes::Bytes;
use prost::Message as _;
use tokio::sync::watch;
use weir_event::{
    EventId, INGEST_PATH, POLICY_PATH, SOURCE_LEN, VERSION,
    v1::{BatchAnswer, Refusal, TraceEvent},
};

pub use settings::IngestSettings;
pub use token::TokenCheck;

use crate::{
    bus::{
        Form, Store, Stored,
        bounds::{self, Unbounded},
        policy::Policy as Capture,
    },
    http::body,
    ledger::workers::{MAX_EVENTS, Workers},
    metrics::{IngestMetrics, OutcomeLabel, amount},
};
use limits::{BytesInFlight, Rate};
use resource::{Resource, SentBatch, without_resource};

/// Seconds after which a sender is asked to come again.
const RETRY_AFTER_SECONDS: &str = "1";

/// What the handler works with.
#[derive(Clone)]
pub struct Ingest<S> {
    store: S,
    metrics: IngestMetrics,
    policy: Arc<RwLock<Arc<Policy>>>,
    workers: Workers,
    capture: watch::Receiver<Capture>,
}

/// Who may send, and how much; a reload changes it.
struct Policy {
    token: TokenCheck,
    max_body: usize,
    max_events: usize,
    in_flight: BytesInFlight,
    rate: Rate,
}

impl Policy {
    fn new(settings: &IngestSettings) -> Arc<Self> {
        Arc::new(Self {
            token: TokenCheck::new(settings.token.as_ref()),
            max_body: settings.max_body,
            max_events: settings.max_events,
            in_flight: BytesInFlight::new(settings.max_in_flight),
            rate: Rate::new(settings.max_batches_per_second, Instant::now()),
        })
    }
}

impl<S: Store> Ingest<S> {
    /// An endpoint that stores into `store` what callers with the right token send.
    pub fn new(store: S, settings: &IngestSettings, metrics: IngestMetrics) -> Self {
        Self {
            store,
            metrics,
            policy: Arc::new(RwLock::new(Policy::new(settings))),
            workers: Workers::new(settings.max_sources),
            capture: watch::channel(Capture::NONE).1,
        }
    }

    /// The same under a capture policy: enforced before an event is stored, and carried by every response.
    pub fn under(self, capture: watch::Receiver<Capture>) -> Self {
        Self { capture, ..self }
    }

    fn capture(&self) -> Capture {
        *self.capture.borrow()
    }

    /// Takes on other limits and another token.
    pub fn change(&self, settings: &IngestSettings) {
        *self.policy.write().unwrap_or_else(PoisonError::into_inner) = Policy::new(settings);
    }

    /// The ledgers of workers.
    pub fn workers(&self) -> Workers {
        self.workers.clone()
    }

    fn policy(&self) -> Arc<Policy> {
        Arc::clone(&self.policy.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The routes of a listener that lets everybody in who can reach it: a Unix socket.
    pub fn open_router(self) -> Router {
        self.routes(true)
    }

    /// The listener's routes.
    pub fn router(self) -> Router {
        self.routes(false)
    }

    fn routes(self, is_open: bool) -> Router {
        let routes = Router::new().route(INGEST_PATH, post(events::<S>)).route(POLICY_PATH, get(policy::<S>));
        routes.with_state((self, is_open))
    }
}

/// The parts of a response.
enum Answer {
    Done(BatchAnswer),
    Again(BatchAnswer),
    Wrong(StatusCode, String),
}

/// What the handlers work with, and whether they ask for no token.
type Opened<S> = State<(Ingest<S>, bool)>;

async fn events<S: Store>(State((ingest, is_open)): Opened<S>, request: Request) -> Response {
    let policy = ingest.policy();
    let (outcome, answer) = if is_open || policy.token.allows(request.headers()) {
        handle(&ingest, &policy, request).await
    } else {
        ("unauthorized", unauthorized())
    };
    ingest.metrics.batches.get_or_create(&OutcomeLabel { outcome }).inc();
    response(&ingest, answer)
}

fn unauthorized() -> Answer {
    let message = "a valid token is required: Authorization: Bearer <token>";
    Answer::Wrong(StatusCode::UNAUTHORIZED, message.to_owned())
}

/// The capture policy alone, for a sender that has nothing to send.
async fn policy<S: Store>(State((ingest, is_open)): Opened<S>, headers: HeaderMap) -> Response {
    let allowed = is_open || ingest.policy().token.allows(&headers);
    let answer = match ingest.capture() {
        _ if !allowed => unauthorized(),
        Capture::Unknown => Answer::Again(answer()),
        _ => Answer::Done(answer()),
    };
    response(&ingest, answer)
}

fn response<S: Store>(ingest: &Ingest<S>, answer: Answer) -> Response {
    // As it is now, and not as it was when the batch came.
    let policy = ingest.capture().reported();
    match answer {
        Answer::Done(answer) => (typed(), BatchAnswer { policy, ..answer }.encode_to_vec()).into_response(),
        Answer::Again(answer) => {
            let answer = BatchAnswer { policy, ..answer };
            let retry = [(RETRY_AFTER, RETRY_AFTER_SECONDS)];
            (StatusCode::SERVICE_UNAVAILABLE, retry, typed(), answer.encode_to_vec()).into_response()
        }
        Answer::Wrong(status, message) => (status, format!("{message}\n")).into_response(),
    }
}

async fn handle<S: Store>(ingest: &Ingest<S>, policy: &Policy, request: Request) -> (&'static str, Answer) {
    let start = Instant::now();
    if !is_protobuf(request.headers()) {
        let message = format!("content-type must be {}", weir_event::CONTENT_TYPE);
        return ("wrong_type", Answer::Wrong(StatusCode::UNSUPPORTED_MEDIA_TYPE, message));
    }
    if !policy.rate.allows(start) {
        return ("limited", Answer::Again(answer()));
    }
    // A body whose length is not announced may become as large as any.
    let announced = body::announced(&request).unwrap_or(policy.max_body).min(policy.max_body);
    let Some(permit) = policy.in_flight.take(announced) else {
        return ("busy", Answer::Again(answer()));
    };
    // Before it is known what may be stored, nothing is.
    if ingest.store.ready().is_err() || ingest.capture() == Capture::Unknown {
        return ("away", Answer::Again(answer()));
    }
    let body = match body::read(request, policy.max_body).await {
        Ok(body) => body,
        Err(error) => return ("unread", Answer::Wrong(error.status(), error.to_string())),
    };
    ingest.metrics.bytes.inc_by(wide(body.len()));
    let mut batch = match batch(body, policy.max_events) {
        Ok(batch) => batch,
        Err(message) => return ("malformed", Answer::Wrong(StatusCode::BAD_REQUEST, message)),
    };
    let (resource, dropped) = Resource::take(&mut batch);
    ingest.metrics.resource_dropped.inc_by(wide(dropped));
    // Many small events become far larger by it.
    let Some(more) = policy.in_flight.take_more(&permit, resource.len().saturating_mul(batch.events.len()))
    else {
        return ("busy", Answer::Again(answer()));
    };
    ingest.metrics.batch_events.observe(amount(batch.events.len()));
    // To its end, even where the sender goes away meanwhile and takes this handler with it: what is stored is
    // counted.
    let own = ingest.clone();
    let taking = tokio::spawn(async move {
        let _permits = (permit, more);
        take(&own, batch, &resource).await
    });
    let taken = taking.await.unwrap_or_else(|_| ("away", Answer::Again(answer())));
    ingest.metrics.latency.observe(start.elapsed().as_secs_f64());
    taken
}

fn batch(body: Bytes, max_events: usize) -> Result<SentBatch, String> {
    let wrong = |_| "the body is not an EventBatch".to_owned();
    let events = bounds::batch(&body).map_err(|why| match why {
        Unbounded::Malformed => "the body is not an EventBatch".to_owned(),
        Unbounded::TooMany { .. } => format!("the batch cannot be taken: {why}"),
    })?;
    if events > max_events {
        return Err(format!("a batch may hold {max_events} events, this one holds {events}"));
    }
    let batch = SentBatch::decode(body).map_err(wrong)?;
    if batch.source.len() != SOURCE_LEN {
        return Err(format!("source must be {SOURCE_LEN} bytes, it is {}", batch.source.len()));
    }
    Ok(batch)
}

async fn take<S: Store>(ingest: &Ingest<S>, batch: SentBatch, resource: &Resource) -> (&'static str, Answer) {
    let mut answer = answer();
    let (mut places, mut events) = (Vec::new(), Vec::with_capacity(batch.events.len()));
    let withholds = ingest.capture().excludes();
    for (position, event) in (0_u32..).zip(batch.events) {
        let (event, dropped) = without_resource(event);
        ingest.metrics.resource_dropped.inc_by(wide(dropped));
        match identify(&batch.source, &event) {
            Ok((id, decoded)) => {
                places.push((position, id.sequence));
                let event = withhold::storable(event, &decoded, withholds);
                events.push((id, resource.append_to(event)));
            }
            Err(reason) => answer.refused.push(Refusal { position, reason }),
        }
    }
    let (mut missing, mut never) = (false, Vec::new());
    for ((position, sequence), stored) in places.into_iter().zip(ingest.store.store(events).await) {
        match stored {
            Stored::Yes { duplicate, form } => {
                answer.stored.push(sequence);
                ingest.metrics.duplicate.inc_by(u64::from(duplicate));
                // What was there before was counted then.
                ingest.metrics.compressed.inc_by(u64::from(form == Form::Compressed && !duplicate));
                ingest.metrics.stripped.inc_by(u64::from(form == Form::Stripped && !duplicate));
            }
            Stored::Never(reason) => {
                never.push(sequence);
                answer.refused.push(Refusal { position, reason });
            }
            Stored::NotNow => missing = true,
        }
    }
    answer.refused.sort_by_key(|refusal| refusal.position);
    if let Ok(source) = <[u8; SOURCE_LEN]>::try_from(batch.source.as_ref()) {
        // What could not be read has no sequence: its worker counts it and reports it with its next batch.
        ingest.workers.enter(source, &answer.stored, &never, batch.totals.as_ref());
    }
    ingest.metrics.stored.inc_by(wide(answer.stored.len()));
    ingest.metrics.refused.inc_by(wide(answer.refused.len()));
    if missing { ("partly", Answer::Again(answer)) } else { ("stored", Answer::Done(answer)) }
}

fn wide(count: usize) -> u64 {
    count.try_into().unwrap_or(u64::MAX)
}

/// An event's id and the event, which is decoded once it is known that it is no more than a filter makes.
fn identify(source: &Bytes, event: &Bytes) -> Result<(EventId, TraceEvent), String> {
    let wrong = |_| "not a TraceEvent".to_owned();
    bounds::event(event).map_err(|why| match why {
        Unbounded::Malformed => "not a TraceEvent".to_owned(),
        Unbounded::TooMany { .. } => why.to_string(),
    })?;
    let event = TraceEvent::decode(event.clone()).map_err(wrong)?;
    if event.source != source {
        return Err("its source is not the batch's".to_owned());
    }
    let id = EventId::of(&event).ok_or_else(|| "it has no sequence".to_owned())?;
    if id.sequence > MAX_EVENTS {
        return Err("its sequence is higher than a source can have counted".to_owned());
    }
    Ok((id, event))
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
#[cfg(test)]
pub(crate) use tests::stored_of;
