//! NATS JetStream: the stream that events are stored in, the durable consumers they are read by, the dead letters
//! and the ledgers.
//!
//! The exporter starts without NATS too and reports through [`Bus::state`] what is missing.
//! While NATS is not connected nothing is published, so nothing queues up in the client.

pub mod bounds;
mod cell;
mod client;
mod connection;
mod consumers;
mod credentials;
mod dead_letters;
mod error;
mod layout;
mod names;
pub mod payload;
pub mod policy;
mod publish;
mod pull;
mod reader;
mod retention;
mod seen;
mod settings;
mod store;

pub use cell::{Cell, Unwritten};
pub use client::Bus;
pub use connection::{BusSettings, NatsAuth, NatsServers, StreamSettings};
pub use credentials::Credentials;
pub use dead_letters::DeadLetter;
pub use error::BusError;
pub use layout::ConsumerSettings;
pub use names::{ACK_WAIT, CONSUMER_PREFIX, DEAD_LETTERS, LEDGER, STREAM, SUBJECT, destination_of};
pub use pull::{Ask, Ended, Pull};
pub use reader::{ReadError, Reader};
pub use seen::Seen;
pub use settings::{AUDIT, Bucket, Missing, NotNext, SETTINGS};
pub use store::{Form, Store, Stored};
