//! Settings that are made on the page: saved in NATS, run by every exporter, told to Envoy.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

#[path = "settings/bad_input.rs"]
mod bad_input;
#[path = "settings/policy.rs"]
mod policy;
#[path = "settings/restarts.rs"]
mod restarts;
#[path = "settings/rig.rs"]
mod rig;
#[path = "settings/saving.rs"]
mod saving;
#[path = "settings/sealing.rs"]
mod sealing;
