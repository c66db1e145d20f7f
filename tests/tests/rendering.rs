//! What `weir-config` renders, on a real Envoy: that it is taken, that a key's file can be
//! replaced, and that providers are reached by TLS and through a proxy.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

#[path = "rendering/example.rs"]
mod example;
#[path = "rendering/rotation.rs"]
mod rotation;
#[path = "rendering/tls.rs"]
mod tls;
#[path = "rendering/tls_provider.rs"]
mod tls_provider;
