//! What ingest counts, and what is known of the gateway's workers.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::labels::{Count, FigureLabel, OutcomeLabel, batches, level, made, seconds, shown, with_unit};
use crate::ledger::workers::Figures;

/// What ingest counts.
#[derive(Clone, Debug)]
pub struct IngestMetrics {
    /// Batches by outcome.
    pub batches: Family<OutcomeLabel, Count>,
    /// Events that JetStream acknowledged, repeated ones included.
    pub stored: Count,
    /// Events among them that JetStream already had.
    pub duplicate: Count,
    /// Events that can never be stored.
    pub refused: Count,
    /// Events that were compressed because they were larger than NATS takes.
    pub compressed: Count,
    /// Events that lost their content for the same reason.
    pub stripped: Count,
    /// Attributes of senders' resources that were left out: not allowed, too long, or too many.
    pub resource_dropped: Count,
    /// Bytes of bodies read.
    pub bytes: Count,
    /// Events of a batch.
    pub batch_events: Histogram,
    /// Time from request to response.
    pub latency: Histogram,
    workers: Gauge,
    figures: Family<FigureLabel, Gauge>,
}

impl IngestMetrics {
    pub(in crate::metrics) fn new(registry: &mut Registry) -> Self {
        let part = registry.sub_registry_with_prefix("ingest");
        Self {
            batches: made(part, "batches", "Batches by how they were answered"),
            stored: made(part, "events_stored", "Events that JetStream acknowledged"),
            duplicate: made(part, "events_duplicate", "Stored events that JetStream already had"),
            refused: made(part, "events_refused", "Events that can never be stored"),
            compressed: made(part, "events_compressed", "Events too large for NATS as they were"),
            stripped: made(part, "events_stripped", "Events that lost their content for that"),
            resource_dropped: made(
                part,
                "resource_attributes_dropped",
                "Attributes of gateways' resources that were left out",
            ),
            bytes: with_unit(part, "received", Unit::Bytes, "Bodies read", Count::default()),
            batch_events: shown(part, "batch_events", "Events of a batch", batches()),
            latency: with_unit(part, "batch", Unit::Seconds, "From request to answer", seconds()),
            workers: made(part, "sources", "Workers whose ledgers are kept"),
            figures: made(
                part,
                "source_events",
                "Sums over all sources, the same at every exporter; some by their word",
            ),
        }
    }

    /// Shows the sums over workers.
    pub fn show_workers(&self, count: usize, sums: &Figures) {
        self.workers.set(i64::try_from(count).unwrap_or(i64::MAX));
        for (state, figure) in [
            ("stored", sums.stored),
            ("refused", sums.refused),
            ("missing", sums.missing),
            ("created", sums.created),
            ("dropped", sums.dropped),
            ("sampled_out", sums.sampled_out),
            ("pending", sums.pending),
            ("unsent", sums.unsent),
        ] {
            self.figures.get_or_create(&FigureLabel { state }).set(level(figure));
        }
    }
}
