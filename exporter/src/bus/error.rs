//! What can go wrong with NATS.

use std::fmt::Display;

use super::names::STREAM;

/// What went wrong with NATS.
#[derive(Debug, thiserror::Error)]
pub enum BusError {
    /// The client could not be set up.
    #[error("cannot set up the NATS client")]
    Connect(#[from] async_nats::ConnectError),
    /// JetStream did not do what it was asked.
    #[error("cannot {what}: {why}")]
    JetStream {
        /// What was asked.
        what: String,
        /// Its message.
        why: String,
    },
    /// Ingest was there before the part that makes the stream.
    #[error("there is no stream {STREAM} yet; `weir-exporter ship` makes it")]
    NoStream,
    /// The stream that is there keeps events in another way.
    #[error(
        "stream {STREAM} has {field} {found}, Weir needs {needed}: it was made by something else, rename or remove it"
    )]
    Incompatible {
        /// The setting.
        field: &'static str,
        /// Its value.
        found: String,
        /// What would be right.
        needed: String,
    },
    /// Events would be lost by bringing the stream up to date.
    #[error("stream {STREAM} would lose events by {setting}: {why}")]
    Damage {
        /// The setting.
        setting: &'static str,
        /// What would happen.
        why: String,
    },
}

impl BusError {
    /// What makes this of JetStream's error when it did not do what it was asked.
    pub(super) fn cannot<E: Display>(what: impl Display) -> impl FnOnce(E) -> Self {
        move |error| Self::JetStream { what: what.to_string(), why: error.to_string() }
    }

    /// Whether waiting does not help: someone must change something.
    pub fn is_for_good(&self) -> bool {
        matches!(self, Self::Incompatible { .. } | Self::Damage { .. })
    }
}
