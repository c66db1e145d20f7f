//! What was seen of requests: read from the stream, held within bounds, and shown as spans.

pub(super) mod held;
pub(super) mod minutes;
pub(super) mod row;
pub(super) mod trace;
pub(super) mod watch;
