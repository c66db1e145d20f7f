//! The parts of the exporter that the page shows.

use std::sync::{Arc, Mutex, PoisonError};

use super::trend::Totals;
use crate::{
    bus::Bus,
    ledger::workers::{Figures, Workers},
    metrics::Metrics,
    saved_destinations::SavedDestinations,
    ship::fleet::Fleet,
};

/// What the page shows of the exporter.
#[derive(Clone)]
pub struct Subjects {
    /// NATS.
    pub bus: Bus,
    /// The destinations.
    pub fleet: Fleet,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// The workers whose events came, and what they report.
    pub workers: Workers,
    /// What is wrong with the last configuration.
    pub wrong: Arc<Mutex<Option<String>>>,
    /// The settings that are made here.
    pub saved: SavedDestinations,
}

impl Subjects {
    /// The sums over workers, and how many there are; none before that is known.
    pub(in crate::page) fn sums(&self) -> Option<(usize, Figures)> {
        self.workers.sums()
    }

    /// The totals at this moment.
    pub(in crate::page) fn totals(&self) -> Totals {
        let sums = self.sums().map(|(_, sums)| sums).unwrap_or_default();
        let reports = self.fleet.reports();
        Totals {
            dropped: sums.dropped,
            refused: sums.refused,
            evicted: reports.iter().map(|one| (one.name.clone(), one.ledger.evicted)).collect(),
            backlog: reports.iter().map(|one| (one.name.clone(), one.backlog)).collect(),
        }
    }

    pub(in crate::page) fn wrong(&self) -> Option<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}
