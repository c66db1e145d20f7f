//! `ship`: reads events from the stream, one task a destination, and delivers them as spans.
//!
//! An event is entered into the ledger once its destination has taken it, and acknowledged after that. While a
//! batch waits, JetStream hears that it is in progress; at shutdown what was not sent is handed
//! back, so it is delivered again at once. As many batches are in hand as the destination's concurrency says, each
//! about as large as its settings say once it is spans, so memory is bounded whatever the backlog.

mod backoff;
mod batch;
pub mod console;
mod consumer;
mod deliver;
pub mod encode;
pub mod fleet;
mod growth;
mod health;
mod lane;
pub mod probe;
mod pull;
mod recognize;
mod searched;
pub mod sink;
mod task;

pub use backoff::Backoff;
pub use consumer::{consumer, consumer_name};
pub use health::{Condition, Health};
pub use task::{Ship, ShipError};
