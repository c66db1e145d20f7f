//! The ledger of each of the gateway's workers: what it says that it made, and what was stored of
//! it, over all exporters and their restarts.
//!
//! Ingest enters into memory and waits for nothing; a keeper brings what came into JetStream's key-value store,
//! where every exporter reads the whole. Only so many accounts are open; one that is closed stays in the sums.

mod accounts;
mod keeper;
mod record;
mod shard;

pub use accounts::{Workers, WorkersReport};
pub use keeper::WorkersKeeper;
pub use record::{Figures, MAX_EVENTS};
