//! What stands around Weir in a test: providers with their fixtures, OTLP endpoints, TLS.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

pub mod fixtures;
pub mod otlp;
pub mod provider;
pub mod server;
pub mod tls;
