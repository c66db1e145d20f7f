//! Weir's exporter: takes trace events from the gateway, keeps them in NATS JetStream, ships them as
//! OpenTelemetry spans and counts them into metrics.
//!
//! `ingest` answers 200 only after JetStream has acknowledged every event; `ship` acknowledges an event
//! only after a destination has taken it. Between the two an event is in the stream, so at every moment
//! one side or the other still has it. Both run in one process by default, each alone by role.

pub mod app;
pub mod bus;
pub mod cli;
pub mod commands;
pub mod config;
pub mod destination;
#[cfg(test)]
mod disclosure_tests;
pub mod http;
pub mod ingest;
pub mod ledger;
pub mod metrics;
pub mod otlp;
pub mod page;
pub mod process;
pub mod saved_destinations;
pub mod secret;
pub mod ship;
pub mod spans;

pub use app::{Error, Exporter};
pub use process::install_provider;
