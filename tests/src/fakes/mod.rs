//! What stands around Weir in a test: providers with their fixtures, OTLP endpoints, TLS.

pub mod backend;
pub mod fixtures;
pub mod otlp;
pub mod provider;
pub mod server;
pub mod tls;
