//! What the exporter counts: itself, by names that open with `weir_exporter_`, and what models were asked
//! and answered, by the names of the GenAI conventions.
//!
//! Labels are bounded. The exporter's own are outcomes and destinations, never a source, a key or a model.

pub mod genai;

use std::{
    sync::{Arc, atomic::AtomicU64},
    time::SystemTime,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{counter::Counter, family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use crate::{
    ledger::{Account, workers::Figures},
    metrics::genai::{Counted, GenAi},
    ship::Condition,
};

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
    pub destination: String,
}

/// Which destination, and how it ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct PostLabel {
    /// The destination's name.
    pub destination: String,
    /// One of a handful of words.
    pub outcome: &'static str,
}

/// Which destination, and which state.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct StateLabel {
    /// The destination's name.
    pub destination: String,
    /// One of a handful of words.
    pub state: &'static str,
}

/// Which of a source's figures.
#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub struct FigureLabel {
    /// One of a handful of words.
    pub state: &'static str,
}

type Count = Counter<u64, AtomicU64>;

/// A count as a histogram takes it.
pub fn amount(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// A count as a gauge takes it.
fn level(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

fn ages() -> Histogram {
    Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0])
}

fn batches() -> Histogram {
    Histogram::new([1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0])
}

/// What ingest counts.
#[derive(Clone, Debug)]
pub struct IngestMetrics {
    /// Batches by how they were answered.
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
    /// How long a batch took to be stored and answered.
    pub latency: Histogram,
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
        }
    }
}

/// What one destination counts in this process.
#[derive(Clone, Debug)]
pub struct ShipMetrics {
    destination: String,
    /// Events acknowledged to JetStream after the destination took them.
    pub delivered: Count,
    /// Events that had been settled before.
    pub duplicates: Count,
    /// Events that the destination does not want.
    pub filtered: Count,
    /// Events that were put among the dead letters.
    pub dead_lettered: Count,
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
    /// Events of a POST that was taken.
    pub batch_events: Histogram,
    /// How long an attempt took.
    pub latency: Histogram,
    /// How old the oldest event of a POST was when it was taken.
    pub age: Histogram,
    posts: Family<PostLabel, Count>,
}

impl ShipMetrics {
    /// Counts one attempt by how it ended.
    pub fn posted(&self, outcome: &'static str) {
        self.posts.get_or_create(&PostLabel { destination: self.destination.clone(), outcome }).inc();
    }
}

/// What the counting of events into the metrics of [`crate::metrics::genai`] counts about itself.
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
    pub fn pushed(&self, destination: &str, outcome: &'static str) {
        self.pushes.get_or_create(&PostLabel { destination: destination.to_owned(), outcome }).inc();
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
    /// 1 where the last reload was taken.
    pub reload_good: Gauge,
    ship: Families,
    registry: Registry,
}

#[derive(Debug)]
struct Families {
    delivered: Family<DestinationLabel, Count>,
    duplicates: Family<DestinationLabel, Count>,
    filtered: Family<DestinationLabel, Count>,
    dead_lettered: Family<DestinationLabel, Count>,
    spans: Family<DestinationLabel, Count>,
    rejected: Family<DestinationLabel, Count>,
    undecodable: Family<DestinationLabel, Count>,
    retries: Family<DestinationLabel, Count>,
    bytes: Family<DestinationLabel, Count>,
    handed_back: Family<DestinationLabel, Count>,
    in_hand: Family<DestinationLabel, Gauge>,
    posts: Family<PostLabel, Count>,
    batch_events: Family<DestinationLabel, Histogram, fn() -> Histogram>,
    latency: Family<DestinationLabel, Histogram, fn() -> Histogram>,
    age: Family<DestinationLabel, Histogram, fn() -> Histogram>,
    ledger: Family<StateLabel, Gauge>,
    stored: Family<DestinationLabel, Gauge>,
    backlog: Family<DestinationLabel, Gauge>,
    repeated: Family<DestinationLabel, Gauge>,
    doubtful: Family<DestinationLabel, Gauge>,
    condition: Family<StateLabel, Gauge>,
    running: Family<DestinationLabel, Gauge>,
    sources: Gauge,
    figures: Family<FigureLabel, Gauge>,
}

impl Default for Families {
    fn default() -> Self {
        Self {
            delivered: Family::default(),
            duplicates: Family::default(),
            filtered: Family::default(),
            dead_lettered: Family::default(),
            spans: Family::default(),
            rejected: Family::default(),
            undecodable: Family::default(),
            retries: Family::default(),
            bytes: Family::default(),
            handed_back: Family::default(),
            in_hand: Family::default(),
            posts: Family::default(),
            batch_events: Family::new_with_constructor(batches),
            latency: Family::new_with_constructor(seconds),
            age: Family::new_with_constructor(ages),
            ledger: Family::default(),
            stored: Family::default(),
            backlog: Family::default(),
            repeated: Family::default(),
            doubtful: Family::default(),
            condition: Family::default(),
            running: Family::default(),
            sources: Gauge::default(),
            figures: Family::default(),
        }
    }
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let (ingest, ship) = (IngestMetrics::default(), Families::default());
        let (gen_ai, counting) = (Arc::new(GenAi::new(SystemTime::now())), CountingMetrics::default());
        let (bus_connected, reload_good) = (Gauge::<i64, _>::default(), Gauge::<i64, _>::default());
        // These have the conventions' names and so no prefix.
        registry.register_collector(Box::new(Arc::clone(&gen_ai)));
        let own = registry.sub_registry_with_prefix("weir_exporter");
        register_ingest(own, &ingest, &ship);
        register_ship(own, &ship);
        register_ledger(own, &ship);
        register_counting(own, &counting);
        own.register("bus_connected", "1 while NATS is connected", bus_connected.clone());
        own.register("config_last_reload_good", "1 where the last reload was taken", reload_good.clone());
        reload_good.set(1);
        Self { ingest, gen_ai, counting, bus_connected, reload_good, ship, registry }
    }
}

fn register_ingest(registry: &mut Registry, ingest: &IngestMetrics, families: &Families) {
    let part = registry.sub_registry_with_prefix("ingest");
    part.register("batches", "Batches by how they were answered", ingest.batches.clone());
    part.register("events_stored", "Events that JetStream acknowledged", ingest.stored.clone());
    part.register("events_duplicate", "Stored events that JetStream already had", ingest.duplicate.clone());
    part.register("events_refused", "Events that can never be stored", ingest.refused.clone());
    part.register("events_compressed", "Events too large for NATS as they were", ingest.compressed.clone());
    part.register("events_stripped", "Events that lost their content for that", ingest.stripped.clone());
    part.register(
        "resource_attributes_dropped",
        "Attributes of gateways' resources that were left out",
        ingest.resource_dropped.clone(),
    );
    part.register_with_unit("received", "Bodies read", Unit::Bytes, ingest.bytes.clone());
    part.register("batch_events", "Events of a batch", ingest.batch_events.clone());
    part.register_with_unit("batch", "From request to answer", Unit::Seconds, ingest.latency.clone());
    part.register("sources", "Sources whose ledgers are kept", families.sources.clone());
    part.register(
        "source_events",
        "Sums over all sources, the same at every exporter; some by their word",
        families.figures.clone(),
    );
}

fn register_ship(registry: &mut Registry, ship: &Families) {
    let part = registry.sub_registry_with_prefix("ship");
    part.register("events_delivered", "Events that a destination took", ship.delivered.clone());
    part.register("events_duplicate", "Events delivered that had been before", ship.duplicates.clone());
    part.register("events_filtered", "Events that a destination does not want", ship.filtered.clone());
    part.register("events_dead_lettered", "Events made dead letters", ship.dead_lettered.clone());
    part.register("spans_delivered", "Spans that a destination took", ship.spans.clone());
    part.register("spans_rejected", "Spans refused by partial success", ship.rejected.clone());
    part.register("events_undecodable", "Messages that are no events", ship.undecodable.clone());
    part.register("events_handed_back", "Events given back at shutdown", ship.handed_back.clone());
    part.register("posts", "Attempts to deliver, by how they ended", ship.posts.clone());
    part.register("retries", "Attempts after the first", ship.retries.clone());
    part.register_with_unit("sent", "Compressed bodies sent", Unit::Bytes, ship.bytes.clone());
    part.register("events_in_hand", "Events pulled and not yet acknowledged", ship.in_hand.clone());
    part.register("batch_events", "Events of a POST that was taken", ship.batch_events.clone());
    part.register_with_unit("post", "From POST to answer", Unit::Seconds, ship.latency.clone());
    part.register_with_unit(
        "event_age",
        "Age of a POST's oldest event when taken",
        Unit::Seconds,
        ship.age.clone(),
    );
    part.register("condition", "1 for the state that a destination is in", ship.condition.clone());
    part.register(
        "running",
        "1 where a destination that is set runs, 0 where it does not",
        ship.running.clone(),
    );
}

fn register_ledger(registry: &mut Registry, ship: &Families) {
    let part = registry.sub_registry_with_prefix("ledger");
    part.register("events_stored", "Events stored for a destination", ship.stored.clone());
    part.register("events", "What became of them", ship.ledger.clone());
    part.register(
        "backlog_events",
        "Events that wait or are under way, by JetStream's count",
        ship.backlog.clone(),
    );
    part.register("duplicate_events", "Deliveries of what had been settled", ship.repeated.clone());
    part.register(
        "doubtful_events",
        "Deliveries that may have been the second, for an attempt before was not answered",
        ship.doubtful.clone(),
    );
}

fn register_counting(registry: &mut Registry, counting: &CountingMetrics) {
    let part = registry.sub_registry_with_prefix("gen_ai");
    part.register("events", "Events read for the metrics, by what became of them", counting.events.clone());
    part.register("pushes", "Pushes of the metrics, by how they ended", counting.pushes.clone());
}

impl Metrics {
    /// The counters of one destination, at zero from the start.
    pub fn ship(&self, destination: &str) -> ShipMetrics {
        let label = DestinationLabel { destination: destination.to_owned() };
        let families = &self.ship;
        ShipMetrics {
            destination: destination.to_owned(),
            delivered: families.delivered.get_or_create_owned(&label),
            duplicates: families.duplicates.get_or_create_owned(&label),
            filtered: families.filtered.get_or_create_owned(&label),
            dead_lettered: families.dead_lettered.get_or_create_owned(&label),
            spans: families.spans.get_or_create_owned(&label),
            rejected: families.rejected.get_or_create_owned(&label),
            undecodable: families.undecodable.get_or_create_owned(&label),
            retries: families.retries.get_or_create_owned(&label),
            bytes: families.bytes.get_or_create_owned(&label),
            handed_back: families.handed_back.get_or_create_owned(&label),
            in_hand: families.in_hand.get_or_create_owned(&label),
            batch_events: families.batch_events.get_or_create_owned(&label),
            latency: families.latency.get_or_create_owned(&label),
            age: families.age.get_or_create_owned(&label),
            posts: families.posts.clone(),
        }
    }

    /// Shows a destination's ledger, backlog and condition.
    pub fn show_ledger(&self, destination: &str, account: &Account, backlog: u64, condition: &Condition) {
        let label = DestinationLabel { destination: destination.to_owned() };
        self.ship.stored.get_or_create(&label).set(level(account.stored()));
        self.ship.backlog.get_or_create(&label).set(level(backlog));
        self.ship.repeated.get_or_create(&label).set(level(account.duplicates));
        self.ship.doubtful.get_or_create(&label).set(level(account.doubtful));
        let state = |state| StateLabel { destination: destination.to_owned(), state };
        for (name, count) in [
            ("delivered", account.delivered),
            ("rejected", account.rejected),
            ("dead_lettered", account.dead_lettered),
            ("filtered", account.filtered),
            ("evicted", account.evicted),
            ("purged", account.purged),
        ] {
            self.ship.ledger.get_or_create(&state(name)).set(level(count));
        }
        for word in ["well", "retrying", "misconfigured", "refusing"] {
            self.ship.condition.get_or_create(&state(word)).set(i64::from(word == condition.word()));
        }
    }

    /// Shows which of the destinations that are set run, and forgets all others.
    pub fn show_running<'n>(&self, set: impl Iterator<Item = (&'n str, bool)>) {
        self.ship.running.clear();
        for (name, runs) in set {
            let label = DestinationLabel { destination: name.to_owned() };
            self.ship.running.get_or_create(&label).set(i64::from(runs));
        }
    }

    /// Forgets what was shown of a destination that is no more.
    pub fn forget(&self, destination: &str) {
        let label = DestinationLabel { destination: destination.to_owned() };
        for family in [&self.ship.stored, &self.ship.backlog, &self.ship.repeated, &self.ship.doubtful] {
            family.remove(&label);
        }
        for state in ["delivered", "rejected", "dead_lettered", "filtered", "evicted", "purged"] {
            self.ship.ledger.remove(&StateLabel { destination: destination.to_owned(), state });
        }
        for state in ["well", "retrying", "misconfigured", "refusing"] {
            self.ship.condition.remove(&StateLabel { destination: destination.to_owned(), state });
        }
    }

    /// Shows the sums over sources.
    pub fn show_sources(&self, count: usize, sums: &Figures) {
        self.ship.sources.set(i64::try_from(count).unwrap_or(i64::MAX));
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
            self.ship.figures.get_or_create(&FigureLabel { state }).set(level(figure));
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
    use std::collections::HashSet;

    use super::*;
    use crate::spans::fixture;

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

    #[test]
    fn the_ledger_is_shown_and_forgotten_with_its_destination() {
        let metrics = Metrics::default();
        let account = Account { delivered: 5, evicted: 2, last: 9, ..Account::default() };
        metrics.show_ledger("mw", &account, 2, &Condition::Refusing("HTTP 400".to_owned()));
        let text = metrics.render().unwrap();
        for line in [
            "weir_exporter_ledger_events{destination=\"mw\",state=\"evicted\"} 2",
            "weir_exporter_ledger_events_stored{destination=\"mw\"} 9",
            "weir_exporter_ledger_backlog_events{destination=\"mw\"} 2",
            "weir_exporter_ship_condition{destination=\"mw\",state=\"refusing\"} 1",
        ] {
            assert!(text.contains(line), "{line} in:\n{text}");
        }
        metrics.forget("mw");
        assert!(!metrics.render().unwrap().contains("mw"));
    }

    #[test]
    fn only_what_is_set_is_shown_as_running_or_not() {
        let metrics = Metrics::default();
        metrics.show_running([("gone", true)].into_iter());
        metrics.show_running([("mw", true), ("saved", false)].into_iter());
        let text = metrics.render().unwrap();
        assert!(text.contains("weir_exporter_ship_running{destination=\"mw\"} 1"), "{text}");
        assert!(text.contains("weir_exporter_ship_running{destination=\"saved\"} 0"), "{text}");
        assert!(!text.contains("gone"), "{text}");
    }

    /// The words of a text that could be metrics of ours.
    fn named(text: &str) -> impl Iterator<Item = &str> {
        let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        words.filter(|word| word.starts_with("weir_exporter_") || word.starts_with("gen_ai_client_"))
    }

    #[test]
    fn dashboard_and_alerts_ask_for_metrics_that_there_are() {
        let metrics = Metrics::default();
        metrics.ship("mw").posted("delivered");
        metrics.ingest.batches.get_or_create(&OutcomeLabel { outcome: "stored" }).inc();
        metrics.show_ledger("mw", &Account::default(), 0, &Condition::Well);
        metrics.show_running([("mw", true)].into_iter());
        metrics.show_sources(1, &Figures::default());
        metrics.gen_ai.count(&fixture::streamed());
        let text = metrics.render().unwrap();
        let samples = text.lines().filter(|line| !line.starts_with('#'));
        let there: HashSet<&str> = samples
            .filter_map(|line| line.split(['{', ' ']).next())
            .filter(|name| !name.is_empty())
            .collect();
        for file in
            [include_str!("../../monitoring/dashboard.json"), include_str!("../../monitoring/alerts.yaml")]
        {
            assert!(named(file).count() > 10);
            for name in named(file) {
                assert!(there.contains(name), "{name} is not among {there:?}");
            }
            // States are words too, and a rule that waits for one that is never shown would never fire.
            for rest in file.replace('\\', "").split("state=").skip(1) {
                let values = rest.trim_start_matches('~').split('"').nth(1).unwrap();
                for value in values.split('|') {
                    assert!(text.contains(&format!("state=\"{value}\"")), "no state {value}");
                }
            }
        }
    }
}
