//! The ledger: what became of every event, for each destination, by the sequences of the stream.
//!
//! An event is entered here before it is acknowledged, so whatever is killed in between, no event is without
//! its entry. All exporters that ship to a destination share one ledger, in JetStream's key-value store.

mod account;
mod ranges;
mod store;
pub mod workers;

pub use account::{Account, Fate};
pub use ranges::Ranges;
pub use store::{Entry, LOOK, Ledger, LedgerKeeper, begin, close, key};
