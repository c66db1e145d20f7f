//! Labels and buckets of the exporter's own metrics.

use std::sync::atomic::AtomicU64;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, histogram::Histogram},
    registry::{Metric, Registry, Unit},
};

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

pub(in crate::metrics) type Count = Counter<u64, AtomicU64>;

/// A count as a histogram takes it.
pub fn amount(count: usize) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

/// A count as a gauge takes it.
pub(in crate::metrics) fn level(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

/// A metric that the registry shows.
pub(super) fn shown<M: Metric + Clone>(part: &mut Registry, name: &str, help: &str, metric: M) -> M {
    part.register(name, help, metric.clone());
    metric
}

/// A metric that the registry shows, empty at first.
pub(super) fn made<M: Metric + Clone + Default>(part: &mut Registry, name: &str, help: &str) -> M {
    shown(part, name, help, M::default())
}

/// A metric that the registry shows with its unit.
pub(super) fn with_unit<M: Metric + Clone>(
    part: &mut Registry,
    name: &str,
    unit: Unit,
    help: &str,
    metric: M,
) -> M {
    part.register_with_unit(name, help, unit, metric.clone());
    metric
}

pub(super) fn seconds() -> Histogram {
    Histogram::new([0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0])
}

pub(super) fn ages() -> Histogram {
    Histogram::new([0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0, 3600.0])
}

pub(super) fn batches() -> Histogram {
    Histogram::new([1.0, 4.0, 16.0, 64.0, 128.0, 256.0, 512.0, 1024.0, 2048.0, 4096.0])
}
