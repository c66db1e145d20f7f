//! Settings that are made on the page: stored in a NATS bucket, applied by every exporter at once, beside what its
//! own configuration says, which always comes first.
//!
//! A change is written with the revision that it was made on, so the second of two conflicting changes is refused. Every exporter
//! watches the bucket and applies what it says by the same path as a changed file ([`crate::app::reload`]). Secrets
//! are sealed; no value of one is in a response, an error, the log or the audit trail.

mod audit;
mod change;
mod changed;
mod contents;
mod handle;
mod listing;
mod probe;
mod record;
mod running;
pub mod seal;
mod sealed_writes;
mod state;
mod static_config;
mod watch;

pub(crate) use audit::{ENTRIES as AUDIT_ENTRIES, Entry};
pub use change::{Done, Draft, Refused, SecretChange};
pub use changed::Changed;
pub use contents::{Saved, Seen};
pub use handle::SavedDestinations;
pub(crate) use listing::{Listed, PolicyShown};
pub use probe::Tested;
pub use record::Record;
pub(crate) use running::{Running, Wanted};
pub use state::Summary;
pub(crate) use static_config::locked;
pub use static_config::{General, Locked, Origin, StaticConfig};
