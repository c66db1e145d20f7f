//! What the exporter counts: itself, by names that open with `weir_exporter_`, and the use of models, by the
//! names of the GenAI conventions.
//!
//! Labels are bounded. The exporter's own are outcomes and destinations, never a source, a key or a model.

pub mod genai;
mod own;
mod registry;

pub use own::{
    CountingMetrics, DestinationLabel, FigureLabel, IngestMetrics, OutcomeLabel, PostLabel, ShipMetrics,
    StateLabel, amount,
};
pub use registry::{CONTENT_TYPE, Metrics};
