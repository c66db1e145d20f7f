//! What the exporter counts: itself, by names that open with `weir_exporter_`, and what models were asked
//! and answered, by the names of the GenAI conventions.
//!
//! Labels are bounded. The exporter's own are outcomes and destinations, never a source, a key or a model.

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::SystemTime,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};

use crate::genai::{Counted, GenAi};

/// Media type of OpenMetrics text (OpenMetrics 1.0, "Protocol Negotiation").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// How something ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct OutcomeLabel {
    /// One of a handful of words.
    pub outcome: &'static str,
}

/// Which destination.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct DestinationLabel {
    /// Its name.
    pub destination: &'static str,
}

/// Which destination, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PostLabel {
    /// The destination's name.
    pub destination: &'static str,
    /// One of a handful of words.
    pub outcome: &'static str,
}

type Count = Counter<u64, AtomicU64>;

/// What ingest counts.
#[derive(Clone, Debug, Default)]
pub struct IngestMetrics {
    /// Batches by how they were answered.
    pub batches: Family<OutcomeLabel, Count>,
    /// Events that JetStream acknowledged, repeated ones included.
    pub stored: Count,
    /// Events among them that JetStream already had.
    pub duplicate: Count,
    /// Events that can never be stored.
    pub refused: Count,
}

/// What one destination counts.
#[derive(Clone, Debug)]
pub struct ShipMetrics {
    /// The destination's name.
    pub destination: &'static str,
    /// Events acknowledged to JetStream after the destination took them.
    pub delivered: Count,
    /// Spans the destination took.
    pub spans: Count,
    /// Spans the destination refused in an answer of success.
    pub rejected: Count,
    /// Messages that are no events.
    pub undecodable: Count,
    /// Attempts after the first.
    pub retries: Count,
    /// Bytes of bodies sent, compressed, every attempt counted.
    pub bytes: Count,
    /// Events handed back to JetStream at shutdown.
    pub handed_back: Count,
    /// Events pulled and not yet acknowledged.
    pub in_hand: Gauge,
    posts: Family<PostLabel, Count>,
}

impl ShipMetrics {
    /// Counts one attempt by how it ended.
    pub fn posted(&self, outcome: &'static str) {
        self.posts.get_or_create(&PostLabel { destination: self.destination, outcome }).inc();
    }
}

/// What the counting of events into the metrics of [`crate::genai`] counts about itself.
#[derive(Clone, Debug, Default)]
pub struct CountingMetrics {
    events: Family<OutcomeLabel, Count>,
    pushes: Family<PostLabel, Count>,
}

impl CountingMetrics {
    /// Counts an event by what became of it.
    pub fn took(&self, counted: Counted) {
        let outcome = match counted {
            Counted::Yes => "counted",
            Counted::LeftOut => "left_out",
            Counted::Repeated => "repeated",
            Counted::NoEvent => "undecodable",
        };
        self.events.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a push of metrics by how it ended.
    pub fn pushed(&self, destination: &'static str, outcome: &'static str) {
        self.pushes.get_or_create(&PostLabel { destination, outcome }).inc();
    }
}

/// Everything the exporter counts.
#[derive(Debug)]
pub struct Metrics {
    /// Ingest.
    pub ingest: IngestMetrics,
    /// What models were asked and answered.
    pub gen_ai: Arc<GenAi>,
    /// Counting that.
    pub counting: CountingMetrics,
    /// 1 while NATS is connected.
    pub bus_connected: Gauge,
    ship: Families,
    registry: Registry,
}

#[derive(Debug, Default)]
struct Families {
    delivered: Family<DestinationLabel, Count>,
    spans: Family<DestinationLabel, Count>,
    rejected: Family<DestinationLabel, Count>,
    undecodable: Family<DestinationLabel, Count>,
    retries: Family<DestinationLabel, Count>,
    bytes: Family<DestinationLabel, Count>,
    handed_back: Family<DestinationLabel, Count>,
    in_hand: Family<DestinationLabel, Gauge>,
    posts: Family<PostLabel, Count>,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let (ingest, ship, bus_connected) =
            (IngestMetrics::default(), Families::default(), Gauge::<i64, _>::default());
        let (gen_ai, counting) = (Arc::new(GenAi::new(SystemTime::now())), CountingMetrics::default());

        // These have the conventions' names and so no prefix.
        registry.register_collector(Box::new(Arc::clone(&gen_ai)));
        let own = registry.sub_registry_with_prefix("weir_exporter");
        own.register("bus_connected", "1 while NATS is connected", bus_connected.clone());

        let part = own.sub_registry_with_prefix("ingest");
        part.register("batches", "Batches by how they were answered", ingest.batches.clone());
        part.register("events_stored", "Events that JetStream acknowledged", ingest.stored.clone());
        part.register(
            "events_duplicate",
            "Stored events that JetStream already had",
            ingest.duplicate.clone(),
        );
        part.register("events_refused", "Events that can never be stored", ingest.refused.clone());

        let part = own.sub_registry_with_prefix("ship");
        part.register("events_delivered", "Events that a destination took", ship.delivered.clone());
        part.register("spans_delivered", "Spans that a destination took", ship.spans.clone());
        part.register("spans_rejected", "Spans refused by partial success", ship.rejected.clone());
        part.register("events_undecodable", "Messages that are no events", ship.undecodable.clone());
        part.register("events_handed_back", "Events given back at shutdown", ship.handed_back.clone());
        part.register("posts", "Attempts to deliver, by how they ended", ship.posts.clone());
        part.register("retries", "Attempts after the first", ship.retries.clone());
        part.register_with_unit("sent", "Compressed bodies sent", Unit::Bytes, ship.bytes.clone());
        part.register("events_in_hand", "Events pulled and not yet acknowledged", ship.in_hand.clone());

        let part = own.sub_registry_with_prefix("gen_ai");
        part.register(
            "events",
            "Events read for the metrics, by what became of them",
            counting.events.clone(),
        );
        part.register("pushes", "Pushes of the metrics, by how they ended", counting.pushes.clone());
        Self { ingest, gen_ai, counting, bus_connected, ship, registry }
    }
}

impl Metrics {
    /// The counters of one destination, at zero from the start.
    pub fn ship(&self, destination: &'static str) -> ShipMetrics {
        let label = DestinationLabel { destination };
        let families = &self.ship;
        ShipMetrics {
            destination,
            delivered: families.delivered.get_or_create_owned(&label),
            spans: families.spans.get_or_create_owned(&label),
            rejected: families.rejected.get_or_create_owned(&label),
            undecodable: families.undecodable.get_or_create_owned(&label),
            retries: families.retries.get_or_create_owned(&label),
            bytes: families.bytes.get_or_create_owned(&label),
            handed_back: families.handed_back.get_or_create_owned(&label),
            in_hand: families.in_hand.get_or_create_owned(&label),
            posts: families.posts.clone(),
        }
    }

    /// Everything as OpenMetrics text.
    ///
    /// # Errors
    ///
    /// The formatter's, which does not happen when writing to a string.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_metric_carries_the_exporters_prefix() {
        let metrics = Metrics::default();
        let ship = metrics.ship("console");
        ship.delivered.inc_by(3);
        ship.posted("delivered");
        metrics.ingest.batches.get_or_create(&OutcomeLabel { outcome: "stored" }).inc();
        let text = metrics.render().unwrap();
        assert!(
            text.contains("weir_exporter_ship_events_delivered_total{destination=\"console\"} 3"),
            "{text}"
        );
        assert!(text.contains("weir_exporter_ingest_batches_total{outcome=\"stored\"} 1"), "{text}");
        assert!(text.contains("weir_exporter_ship_sent_bytes_total{destination=\"console\"} 0"), "{text}");
        assert!(
            text.lines().filter(|line| !line.starts_with('#')).all(|line| line.starts_with("weir_exporter_"))
        );
    }
}
