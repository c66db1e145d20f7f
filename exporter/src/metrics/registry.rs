//! Everything that `/metrics` shows.

use std::{sync::Arc, time::SystemTime};

use prometheus_client::{encoding::text::encode, metrics::gauge::Gauge, registry::Registry};

use super::{
    genai::GenAi,
    own::{CountingMetrics, IngestMetrics, ShipFamilies},
};

/// Media type of OpenMetrics text (OpenMetrics 1.0, "Protocol Negotiation").
pub const CONTENT_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Everything the exporter counts.
#[derive(Debug)]
pub struct Metrics {
    /// Ingest.
    pub ingest: IngestMetrics,
    /// The GenAI metrics.
    pub gen_ai: Arc<GenAi>,
    /// Counting that.
    pub counting: CountingMetrics,
    /// 1 while NATS is connected.
    pub bus_connected: Gauge,
    /// 1 where the last reload was taken.
    pub reload_good: Gauge,
    /// The delivery to destinations.
    pub(crate) ship: ShipFamilies,
    registry: Registry,
}

impl Default for Metrics {
    fn default() -> Self {
        let mut registry = Registry::default();
        let gen_ai = Arc::new(GenAi::new(SystemTime::now()));
        let (bus_connected, reload_good) = (Gauge::<i64, _>::default(), Gauge::<i64, _>::default());
        // These have the conventions' names and so no prefix.
        registry.register_collector(Box::new(Arc::clone(&gen_ai)));
        let own = registry.sub_registry_with_prefix("weir_exporter");
        let ingest = IngestMetrics::new(own);
        let ship = ShipFamilies::new(own);
        let counting = CountingMetrics::new(own);
        own.register("bus_connected", "1 while NATS is connected", bus_connected.clone());
        own.register("config_last_reload_good", "1 where the last reload was taken", reload_good.clone());
        reload_good.set(1);
        Self { ingest, gen_ai, counting, bus_connected, reload_good, ship, registry }
    }
}

impl Metrics {
    /// Everything as OpenMetrics text. The formatter's error does not happen when writing to a string.
    pub fn render(&self) -> Result<String, std::fmt::Error> {
        let mut text = String::new();
        encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{super::own::OutcomeLabel, *};
    use crate::{
        ledger::{Account, workers::Figures},
        spans::fixture,
    };

    #[test]
    fn every_metric_carries_the_exporters_prefix() {
        let metrics = Metrics::default();
        let ship = metrics.ship.of("console");
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
        metrics.ship.show_ledger("mw", &account, 2, "refusing");
        let text = metrics.render().unwrap();
        for line in [
            "weir_exporter_ledger_events{destination=\"mw\",state=\"evicted\"} 2",
            "weir_exporter_ledger_events_stored{destination=\"mw\"} 9",
            "weir_exporter_ledger_backlog_events{destination=\"mw\"} 2",
            "weir_exporter_ship_condition{destination=\"mw\",state=\"refusing\"} 1",
        ] {
            assert!(text.contains(line), "{line} in:\n{text}");
        }
        metrics.ship.forget("mw");
        assert!(!metrics.render().unwrap().contains("mw"));
    }

    #[test]
    fn only_what_is_set_is_shown_as_running_or_not() {
        let metrics = Metrics::default();
        metrics.ship.show_running([("gone", true)].into_iter());
        metrics.ship.show_running([("mw", true), ("saved", false)].into_iter());
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
        metrics.ship.of("mw").posted("delivered");
        metrics.ingest.batches.get_or_create(&OutcomeLabel { outcome: "stored" }).inc();
        metrics.ship.show_ledger("mw", &Account::default(), 0, "well");
        metrics.ship.show_running([("mw", true)].into_iter());
        metrics.ingest.show_workers(1, &Figures::default());
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
