//! Why a command did not do what it was asked.

use std::time::Duration;

use crate::{
    bus::BusError,
    otlp::{EncodeError, OtlpError},
};

/// How long a command waits for NATS.
pub(super) const NATS_DEADLINE: Duration = Duration::from_secs(10);

/// Why a configuration that can be read cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CheckError {
    /// A destination's client cannot be set up.
    #[error("destinations.{name}")]
    Client {
        /// The destination.
        name: String,
        /// Why.
        source: OtlpError,
    },
    /// Its resource cannot be encoded.
    #[error(transparent)]
    Encode(#[from] EncodeError),
}

/// Why a command did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum CommandError {
    /// NATS did not do what it was asked.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The configuration cannot be used.
    #[error(transparent)]
    Check(#[from] CheckError),
    /// NATS is not there.
    #[error("not connected to NATS at {0} within {secs} s", secs = NATS_DEADLINE.as_secs())]
    NoNats(String),
    /// No exporter responds.
    #[error("no exporter answers at {url}: {why}; is it running, and is --admin-listen right?")]
    NoExporter {
        /// Where it was looked for.
        url: String,
        /// Why not.
        why: String,
    },
    /// A running exporter says that it is not ready.
    #[error("not ready: {0}")]
    NotReady(String),
    /// There is no destination by this name.
    #[error("no destination named {name}{hint}")]
    NoDestination {
        /// The name.
        name: String,
        /// The names that there are.
        hint: String,
    },
    /// There is no dead letter by this number.
    #[error("no dead letter has the number {0}")]
    NoLetter(u64),
    /// It was not confirmed.
    #[error("nothing was changed: say --yes to do it")]
    Unconfirmed,
    /// Secrets were not sealed anew.
    #[error("{0}")]
    Unsealed(String),
    /// A test span did not arrive.
    #[error("{0}")]
    Undelivered(String),
}
