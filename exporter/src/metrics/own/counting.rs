//! What counting and pushing the GenAI metrics counts about itself.

use prometheus_client::{metrics::family::Family, registry::Registry};

use super::labels::{Count, OutcomeLabel, PostLabel, made};

/// What the counting of events into the metrics of [`crate::metrics::genai`] counts about itself.
#[derive(Clone, Debug)]
pub struct CountingMetrics {
    events: Family<OutcomeLabel, Count>,
    pushes: Family<PostLabel, Count>,
}

impl CountingMetrics {
    pub(in crate::metrics) fn new(registry: &mut Registry) -> Self {
        let part = registry.sub_registry_with_prefix("gen_ai");
        Self {
            events: made(part, "events", "Events read for the metrics, by what became of them"),
            pushes: made(part, "pushes", "Pushes of the metrics, by how they ended"),
        }
    }

    /// Counts an event by what became of it.
    pub fn took(&self, outcome: &'static str) {
        self.events.get_or_create(&OutcomeLabel { outcome }).inc();
    }

    /// Counts a push of metrics by how it ended.
    pub fn pushed(&self, destination: &str, outcome: &'static str) {
        self.pushes.get_or_create(&PostLabel { destination: destination.to_owned(), outcome }).inc();
    }
}
