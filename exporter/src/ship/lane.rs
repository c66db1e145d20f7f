//! What every batch of a destination is delivered with.

use std::sync::Arc;

use super::{batch::Mapper, growth::Growth, health::Health, recognize::Recognizer, sink::Sink};
use crate::{bus::Bus, destination::DestinationSettings, ledger::Ledger, metrics::ShipMetrics};

/// What every batch of a destination is delivered with.
pub(super) struct Lane {
    pub(super) settings: DestinationSettings,
    pub(super) bus: Bus,
    pub(super) sink: Sink,
    pub(super) recognizer: Option<Recognizer>,
    pub(super) mapper: Mapper,
    pub(super) growth: Growth,
    pub(super) ledger: Ledger,
    pub(super) health: Arc<Health>,
    pub(super) metrics: ShipMetrics,
}

impl Lane {
    pub(super) fn name(&self) -> &str {
        &self.settings.name
    }
}
