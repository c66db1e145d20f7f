//! Spans and metrics as tests read them.

pub mod metrics;
pub mod spans;
