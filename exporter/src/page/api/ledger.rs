//! `GET /api/ledger`: what became of every event, from the gateway's workers to each destination.

use std::sync::Arc;

use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    ledger::workers::Figures,
    page::{respond::Reply, state::shared::Shared},
    ship::fleet::Report,
};

/// The gateway's side, over all exporters and their restarts:
/// created = accepted + refused + dropped + sampled_out + elsewhere
#[derive(Clone, Copy, Debug, Serialize, PartialEq, Eq, ToSchema)]
pub(in crate::page) struct Gateway {
    /// Envoy workers that have reported.
    workers: usize,
    /// As the workers report.
    created: u64,
    /// Acknowledged as stored.
    accepted: u64,
    /// Refused for good.
    refused: u64,
    /// As the workers report: the outbox was full.
    dropped: u64,
    /// As the workers report: left out by sampling.
    sampled_out: u64,
    /// The rest: on the way, or lost with their worker.
    elsewhere: u64,
    /// As the workers report: not yet acknowledged when they last sent.
    pending: u64,
}

/// What became of every event.
#[derive(Debug, Serialize, ToSchema)]
pub(in crate::page) struct Ledger {
    /// Null before it was read from NATS.
    #[schema(required)]
    gateway: Option<Gateway>,
    /// Each: stored = delivered + rejected + dead_lettered + filtered + evicted + purged + backlog.
    destinations: Vec<Report>,
    /// Dead letters in the stream; null where NATS is not connected.
    #[schema(required)]
    pub(in crate::page) dead_letters: Option<u64>,
}

impl Ledger {
    /// Whether no worker of the gateway has reported.
    pub(in crate::page) fn is_empty(&self) -> bool {
        self.gateway.is_none_or(|gateway| gateway.created == 0)
    }
}

impl Gateway {
    fn new(workers: usize, sums: &Figures) -> Self {
        let Figures { stored, refused, created, dropped, sampled_out, pending, .. } = *sums;
        let known = [stored, refused, dropped, sampled_out].into_iter().fold(0, u64::saturating_add);
        let elsewhere = created.saturating_sub(known);
        Self { workers, created, accepted: stored, refused, dropped, sampled_out, elsewhere, pending }
    }
}

/// The ledger at this moment.
pub(in crate::page) async fn now(shared: &Shared) -> Ledger {
    let subjects = &shared.subjects;
    let connected = subjects.bus.state().is_ok();
    let dead_letters = if connected { subjects.bus.dead_letter_count().await.ok() } else { None };
    let sums = subjects.sums();
    Ledger {
        gateway: sums.map(|(workers, sums)| Gateway::new(workers, &sums)),
        destinations: subjects.fleet.reports(),
        dead_letters,
    }
}

/// What became of every event
#[utoipa::path(get, path = "/api/ledger", tag = "overview")]
pub(in crate::page) async fn ledger(State(shared): State<Arc<Shared>>) -> Reply<Ledger> {
    Reply(now(&shared).await)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_of_events_and_the_rest_add_up_to_what_was_created() {
        let sums = Figures {
            created: 100,
            stored: 60,
            refused: 2,
            dropped: 7,
            sampled_out: 20,
            pending: 3,
            ..Figures::default()
        };
        let one = Gateway::new(2, &sums);
        assert_eq!(one.elsewhere, 11);
        assert_eq!(one.created, one.accepted + one.refused + one.dropped + one.sampled_out + one.elsewhere);
        // A worker's report may be older than what it sent since.
        assert_eq!(Gateway::new(1, &Figures { stored: 5, ..Figures::default() }).elsewhere, 0);
    }
}
