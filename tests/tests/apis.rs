//! Every API on a real Envoy: what is asked and answered reaches both sides whole, and the trace
//! tells of it.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

#[path = "apis/clients.rs"]
mod clients;
#[path = "apis/endings.rs"]
mod endings;
#[path = "apis/load.rs"]
mod load;
