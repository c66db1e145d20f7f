//! What ingest counts, and what is known of the gateway's workers.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::labels::{Count, FigureLabel, OutcomeLabel, batches, level, seconds};
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

impl Default for IngestMetrics {
    fn default() -> Self {
        Self {
            batches: Family::default(),
            stored: Count::default(),
            duplicate: Count::default(),
            refused: Count::default(),
            compressed: Count::default(),
            stripped: Count::default(),
            resource_dropped: Count::default(),
            bytes: Count::default(),
            batch_events: batches(),
            latency: seconds(),
            workers: Gauge::default(),
            figures: Family::default(),
        }
    }
}

impl IngestMetrics {
    pub(in crate::metrics) fn register(&self, registry: &mut Registry) {
        let part = registry.sub_registry_with_prefix("ingest");
        part.register("batches", "Batches by how they were answered", self.batches.clone());
        part.register("events_stored", "Events that JetStream acknowledged", self.stored.clone());
        part.register("events_duplicate", "Stored events that JetStream already had", self.duplicate.clone());
        part.register("events_refused", "Events that can never be stored", self.refused.clone());
        part.register("events_compressed", "Events too large for NATS as they were", self.compressed.clone());
        part.register("events_stripped", "Events that lost their content for that", self.stripped.clone());
        part.register(
            "resource_attributes_dropped",
            "Attributes of gateways' resources that were left out",
            self.resource_dropped.clone(),
        );
        part.register_with_unit("received", "Bodies read", Unit::Bytes, self.bytes.clone());
        part.register("batch_events", "Events of a batch", self.batch_events.clone());
        part.register_with_unit("batch", "From request to answer", Unit::Seconds, self.latency.clone());
        part.register("sources", "Workers whose ledgers are kept", self.workers.clone());
        part.register(
            "source_events",
            "Sums over all sources, the same at every exporter; some by their word",
            self.figures.clone(),
        );
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
