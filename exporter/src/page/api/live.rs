//! `GET /api/events`: server-sent events that announce changes; the page then fetches what changed.
//!
//! `requests` announces requests, `state` a change of a ledger or a condition. Both at most a few times a
//! second, whatever the traffic; a listener that does not read holds up nothing.

use std::{
    convert::Infallible,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::Duration,
};

use axum::{
    Extension,
    extract::State,
    http::StatusCode,
    response::sse::{Event, KeepAlive, Sse},
};
use futures_util::stream;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, sleep, sleep_until},
};

use crate::page::{
    auth::login::Who,
    respond::{Errors, Plain, Refusal},
    state::shared::Shared,
};

/// The shortest time between two events.
const APART: Duration = Duration::from_millis(250);

/// How often the ledgers and conditions are compared.
const LOOK: Duration = Duration::from_secs(1);

struct Listener {
    shared: Arc<Shared>,
    who: Who,
    changes: tokio::sync::watch::Receiver<u64>,
    state: Option<u64>,
    look: Instant,
    _place: OwnedSemaphorePermit,
}

/// Server-sent events: `requests` when a request came, `state` when a ledger or a condition changed
#[utoipa::path(get, path = "/api/events", tag = "overview", responses(
    (status = 200, description = "They do not end by themselves.", content_type = "text/event-stream",
     body = String),
    (status = 503, description = "Too many listen already.", body = Errors),
))]
pub(in crate::page) async fn events(
    State(shared): State<Arc<Shared>>,
    Extension(who): Extension<Who>,
) -> Result<Plain, Refusal> {
    let place = Arc::clone(&shared.listeners).try_acquire_owned().map_err(|_| {
        Refusal::new(StatusCode::SERVICE_UNAVAILABLE, "too many listen already: close a window").after(30)
    })?;
    let changes = shared.observed.changes.subscribe();
    let listener = Listener { shared, who, changes, state: None, look: Instant::now(), _place: place };
    let events = stream::unfold(listener, |mut listener| async {
        let event = listener.next().await?;
        Some((Ok::<_, Infallible>(event), listener))
    });
    Ok(Plain::new(Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_secs(15)))))
}

impl Listener {
    /// The next event; `None` where the exporter stops or the session has ended.
    async fn next(&mut self) -> Option<Event> {
        let stop = self.shared.stop.clone();
        loop {
            tokio::select! {
                () = stop.cancelled() => return None,
                changed = self.changes.changed() => {
                    changed.ok()?;
                    if !self.is_welcome() {
                        return None;
                    }
                    let last = self.shared.observed.held().last();
                    sleep(APART).await;
                    return Some(Event::default().event("requests").data(last.to_string()));
                }
                () = sleep_until(self.look) => {
                    self.look = Instant::now() + LOOK;
                    if !self.is_welcome() {
                        return None;
                    }
                    let state = state(&self.shared);
                    if self.state.replace(state) != Some(state) {
                        return Some(Event::default().event("state").data(format!("{state:x}")));
                    }
                }
            }
        }
    }

    fn is_welcome(&self) -> bool {
        self.shared.guard.login.still(&self.who)
    }
}

/// A number that changes whenever the ledgers or conditions do.
fn state(shared: &Shared) -> u64 {
    let mut hasher = DefaultHasher::new();
    let subjects = &shared.subjects;
    subjects.bus.state().hash(&mut hasher);
    subjects.wrong().hash(&mut hasher);
    serde_json::to_vec(&subjects.fleet.reports()).unwrap_or_default().hash(&mut hasher);
    if let Some((count, sums)) = subjects.sums() {
        (count, sums.created, sums.stored, sums.refused, sums.dropped).hash(&mut hasher);
    }
    hasher.finish()
}
