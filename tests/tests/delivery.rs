//! Delivery: every event that ingest took is delivered or counted, whatever the endpoint, the exporter and NATS
//! go through, and the exporter's own ledger says so.
//!
//! Batches are posted straight to ingest, without Envoy. `WEIR_FAULTS=long` makes the runs long.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

#[path = "delivery/answers.rs"]
mod answers;
#[path = "delivery/bench.rs"]
mod bench;
#[path = "delivery/bus.rs"]
mod bus;
#[path = "delivery/clock.rs"]
mod clock;
#[path = "delivery/commands.rs"]
mod commands;
#[path = "delivery/credentials.rs"]
mod credentials;
#[path = "delivery/destinations.rs"]
mod destinations;
#[path = "delivery/disk.rs"]
mod disk;
#[path = "delivery/full.rs"]
mod full;
#[path = "delivery/gateway.rs"]
mod gateway;
#[path = "delivery/ingest.rs"]
mod ingest;
#[path = "delivery/kills.rs"]
mod kills;
#[path = "delivery/poison.rs"]
mod poison;
#[path = "delivery/pushes.rs"]
mod pushes;
#[path = "delivery/recognizer.rs"]
mod recognizer;
#[path = "delivery/reload.rs"]
mod reload;
#[path = "delivery/rig.rs"]
mod rig;
#[path = "delivery/secure.rs"]
mod secure;
#[path = "delivery/sources.rs"]
mod sources;
#[path = "delivery/taken_up.rs"]
mod taken_up;
#[path = "delivery/users.rs"]
mod users;
