//! Spans and metrics as tests read them.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

pub mod metrics;
pub mod spans;
