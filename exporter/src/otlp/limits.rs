//! What holds for every request, over HTTP and gRPC alike.

use std::time::Duration;

/// How long a connection may take to be made.
pub(super) const CONNECT_DEADLINE: Duration = Duration::from_secs(5);

/// How much of a response is read.
pub(super) const MAX_RESPONSE: usize = 64 << 10;

/// User-Agent of OTLP requests.
pub(super) const USER_AGENT: &str = concat!("weir-exporter/", env!("CARGO_PKG_VERSION"));
