//! What things are called in NATS, and for how long they are there.

use std::time::Duration;

/// The stream's name.
pub const STREAM: &str = "WEIR_EVENTS";

/// What the stream takes.
pub(super) const SUBJECTS: &str = "weir.events.>";

/// Where events of version 1 of the contract are published.
pub const SUBJECT: &str = "weir.events.v1";

/// The stream of dead letters.
pub const DEAD_LETTERS: &str = "WEIR_DEAD_LETTERS";

/// What it takes: a destination's name below this.
pub const DEAD_SUBJECT: &str = "weir.dead";

/// How long a dead letter is stored.
pub(super) const DEAD_MAX_AGE: Duration = Duration::from_secs(30 * 24 * 3600);

/// Bytes of dead letters, as a part of the stream's.
pub(super) const DEAD_SHARE: i64 = 10;

/// The bucket of ledgers.
pub const LEDGER: &str = "WEIR_LEDGER";

/// The stream that the server keeps it in.
pub(super) const LEDGER_STREAM: &str = "KV_WEIR_LEDGER";

/// The names of destinations' consumers begin with this, and only theirs.
pub const CONSUMER_PREFIX: &str = "ship-";

/// An event that is not acknowledged for this long is delivered again.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// The destination that a consumer belongs to; `None` for one that belongs to none.
pub fn destination_of(consumer: &str) -> Option<&str> {
    consumer.strip_prefix(CONSUMER_PREFIX)
}
