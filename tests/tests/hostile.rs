//! Hostile traffic through a real Envoy, from callers and from providers: whatever comes, no VM fails,
//! the memory of the VM has a plateau, nothing stays behind, and the next good request is served and told.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

#[path = "hostile/callers.rs"]
mod callers;
#[path = "hostile/events.rs"]
mod events;
#[path = "hostile/http2.rs"]
mod http2;
#[path = "hostile/memory.rs"]
mod memory;
#[path = "hostile/providers.rs"]
mod providers;
#[path = "hostile/raw_provider.rs"]
mod raw_provider;
#[path = "hostile/setting.rs"]
mod setting;
