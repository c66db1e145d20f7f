//! What the exporter counts about itself, part by part.

mod counting;
mod ingest;
mod labels;
mod ship;

pub use counting::CountingMetrics;
pub use ingest::IngestMetrics;
pub use labels::{DestinationLabel, FigureLabel, OutcomeLabel, PostLabel, StateLabel, amount};
pub(in crate::metrics) use ship::ShipFamilies;
pub use ship::ShipMetrics;
