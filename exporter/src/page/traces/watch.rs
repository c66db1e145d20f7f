//! Reads events for the page, with a tail reader of its own.
//!
//! At a bounded rate: what comes faster is skipped and counted, so that the page costs the exporter little whatever
//! the traffic. Nothing waits for it.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio::{sync::watch, time::sleep};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use weir_event::{EventId, v1::TraceEvent};

use super::{held::Held, minutes::Minutes, row::Row};
use crate::{
    bus::{Ask, Bus, Ended, Reader, payload},
    metrics::genai::recent::Recent,
    page::settings::PageSettings,
    spans::prices::Prices,
};

/// Events of one pull.
const PULL: usize = 256;

/// What one pull asks for: what is there, as soon as there is anything.
const ASK: Ask = Ask { events: PULL, bytes: 1 << 20, wait: Duration::from_secs(1), at_once: true };

/// Events read in a second.
const RATE: f64 = 2000.0;

/// When so many wait they are skipped.
const TOO_MANY: u64 = 8000;

/// Pause after a failed pull.
const PAUSE: Duration = Duration::from_secs(1);

/// What was seen, for all who look at the page.
pub(in crate::page) struct Observed {
    pub(in crate::page) held: Mutex<Held>,
    pub(in crate::page) minutes: Mutex<Minutes>,
    prices: Mutex<Arc<Prices>>,
    /// Counts whatever changed.
    pub(in crate::page) changes: watch::Sender<u64>,
}

impl Observed {
    /// Nothing yet.
    pub(in crate::page) fn new(settings: &PageSettings) -> Self {
        Self {
            held: Mutex::new(Held::new(settings.traces, settings.traces_bytes)),
            minutes: Mutex::default(),
            prices: Mutex::new(Arc::clone(&settings.prices)),
            changes: watch::Sender::new(0),
        }
    }

    /// Takes other settings.
    pub(in crate::page) fn change(&self, settings: &PageSettings) {
        self.held().resize(settings.traces, settings.traces_bytes);
        *self.prices.lock().unwrap_or_else(PoisonError::into_inner) = Arc::clone(&settings.prices);
    }

    pub(in crate::page) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(in crate::page) fn minutes(&self) -> MutexGuard<'_, Minutes> {
        self.minutes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn prices(&self) -> Arc<Prices> {
        Arc::clone(&self.prices.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn take(&self, n: u64, event: &TraceEvent, bytes: &[u8], prices: &Prices) {
        let Some(row) = Row::new(n, event, prices) else { return };
        self.minutes().add(&row, now_ms());
        self.held().push(row, bytes);
    }
}

/// Unix milliseconds.
pub(in crate::page) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// The task.
pub(in crate::page) struct Watch {
    reader: Reader,
    observed: Arc<Observed>,
    recent: Recent,
}

impl Watch {
    /// One that begins with so many of the latest events.
    pub(in crate::page) fn new(bus: Bus, observed: Arc<Observed>, begin: usize) -> Self {
        let begin = u64::try_from(begin.max(PULL)).unwrap_or(u64::MAX);
        Self { reader: Reader::tail(bus, begin), observed, recent: Recent::default() }
    }

    /// Looks until `stop`.
    pub(in crate::page) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let started = Instant::now();
            let pause = tokio::select! {
                () = stop.cancelled() => return,
                taken = self.pull() => match taken {
                    Ok(taken) => Duration::from_secs_f64(taken as f64 / RATE).saturating_sub(started.elapsed()),
                    Err(()) => PAUSE,
                },
            };
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(pause) => {}
            }
        }
    }

    /// Takes what one pull brings; gives how many events that were.
    async fn pull(&mut self) -> Result<usize, ()> {
        let pull = self.reader.pull(ASK).await;
        let pull = pull.map_err(|error| debug!(%error, "the page cannot pull"))?;
        let (taken, prices) = (pull.messages.len(), self.observed.prices());
        let (mut waiting, mut last) = (0, None);
        for message in &pull.messages {
            let Ok(info) = message.info() else { continue };
            waiting = info.pending;
            let n = info.stream_sequence;
            last = Some(n);
            self.reader.passed(n);
            if payload::replay_target(&message.subject).is_some() {
                continue;
            }
            let Some(bytes) = payload::open(message.headers.as_ref(), &message.payload) else { continue };
            let Some(event) = payload::decode(bytes.clone()) else { continue };
            if EventId::of(&event).is_some_and(|id| self.recent.insert(id)) {
                self.observed.take(n, &event, &bytes, &prices);
            }
            // A large event takes a while, and others have work too.
            tokio::task::yield_now().await;
        }
        if taken > 0 {
            self.observed.changes.send_modify(|count| *count += 1);
        }
        if waiting > TOO_MANY
            && let Some(last) = last
        {
            self.observed.minutes().skip(waiting, now_ms());
            self.reader.skip_to(last + waiting);
            return Err(());
        }
        self.reader.reopen_after(pull.ended);
        if pull.ended == Ended::Failed { Err(()) } else { Ok(taken) }
    }
}
