//! Draining an Envoy before it is ended, so that no request and no trace event is lost.
//!
//! Events in a filter's outbox are lost when Envoy exits: a call that begins then never arrives. So Envoy stops
//! accepting requests first, and runs until those under way have ended and every outbox is empty. The filter updates
//! its gauges every 200 ms, so they count only once they have been zero for several times that.

use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::admin::{Admin, AdminError, number};

/// How often the stats are read.
const PAUSE: Duration = Duration::from_millis(100);
/// How long nothing may be pending: five times as long as the filter's gauges take to follow.
const REST: Duration = Duration::from_secs(1);
/// The requests that the connection manager has, and what the filter's workers have.
const STATS: &str = "http.weir.downstream_rq_active|wasmcustom.weir.streams|wasmcustom.weir.events_pending";

/// How to drain.
#[derive(Clone, Copy, Debug)]
pub struct Drain {
    /// How long new requests are still taken after `/healthz` has begun to fail, until load balancers
    /// have noticed.
    pub grace: Duration,
    /// How long the whole may take.
    pub timeout: Duration,
}

/// What an Envoy still has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Left {
    /// Requests under way.
    pub requests: u64,
    /// Trace events that the exporter has not taken.
    pub events: u64,
}

/// Why an Envoy could not be drained.
#[derive(Debug, thiserror::Error)]
pub enum DrainError {
    /// Its admin interface does not respond.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// Something was left at the timeout.
    #[error(
        "after {timeout:?} there are still {} requests under way and {} trace events that the exporter has not taken; they are lost if Envoy is ended now",
        left.requests, left.events
    )]
    TimedOut {
        /// How long was waited.
        timeout: Duration,
        /// What is still there.
        left: Left,
    },
}

/// Drains the Envoy of this admin interface. After it returns without an error, SIGTERM loses nothing.
pub fn drain(admin: &Admin, how: Drain) -> Result<(), DrainError> {
    let start = Instant::now();
    // `/healthz` fails, and each response closes its connection.
    admin.command("/healthcheck/fail")?;
    sleep(how.grace.min(how.timeout));
    // Nobody can connect any more; connections that are there stay until they are done.
    admin.command("/drain_listeners")?;
    let mut empty_since = None;
    loop {
        let left = left(admin)?;
        if left == Left::default() {
            let since = *empty_since.get_or_insert_with(Instant::now);
            if since.elapsed() >= REST {
                return Ok(());
            }
        } else {
            empty_since = None;
        }
        if start.elapsed() > how.timeout {
            return Err(DrainError::TimedOut { timeout: how.timeout, left });
        }
        sleep(PAUSE);
    }
}

fn left(admin: &Admin) -> Result<Left, AdminError> {
    let stats = admin.stats(STATS)?;
    let sum =
        |end: &str| stats.keys().filter(|name| name.ends_with(end)).map(|name| number(&stats, name)).sum();
    let (active, streams): (u64, u64) = (sum("downstream_rq_active"), sum("weir.streams"));
    Ok(Left { requests: active.max(streams), events: sum("weir.events_pending") })
}
