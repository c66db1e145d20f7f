//! From one gateway.yaml to everything that Envoy needs to run Weir.
//!
//! [`Gateway::parse`] reads and checks the file, [`envoy::bootstrap`] renders it.

pub mod envoy;
mod gateway;

pub use gateway::{EXPORTER_CLUSTER, Error, Exporter, Gateway, Provider, Secret};
