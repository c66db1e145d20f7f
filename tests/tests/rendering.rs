//! What `weir-config` renders, on a real Envoy: that it is taken, that it can change under load, that an
//! Envoy can be drained, that a key's file can be replaced, and that TLS is spoken on both sides.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

#[path = "rendering/drain.rs"]
mod drain;
#[path = "rendering/example.rs"]
mod example;
#[path = "rendering/hot.rs"]
mod hot;
#[path = "rendering/listen.rs"]
mod listen;
#[path = "rendering/rotation.rs"]
mod rotation;
#[path = "rendering/tls.rs"]
mod tls;
