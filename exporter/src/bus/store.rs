//! Storing events: what ingest asks of the stream, and what it hears of each event.

use std::future::Future;

use bytes::Bytes;
use weir_event::EventId;

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stored {
    /// JetStream has it.
    Yes {
        /// It had it before.
        duplicate: bool,
        /// How it is stored.
        form: Form,
    },
    /// It can never be stored, and why.
    Never(String),
    /// Not this time.
    NotNow,
}

/// How an event is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// As it was sent.
    Whole,
    /// Compressed: it was larger than NATS takes.
    Compressed,
    /// Compressed and without its content, for the same reason.
    Stripped,
}

/// Where events are stored.
pub trait Store: Clone + Send + Sync + 'static {
    /// Why nothing can be stored at the moment, or `Ok`.
    fn ready(&self) -> Result<(), String>;

    /// Stores events under their ids; returns what became of each, in the same order.
    fn store(&self, events: Vec<(EventId, Bytes)>) -> impl Future<Output = Vec<Stored>> + Send;
}
