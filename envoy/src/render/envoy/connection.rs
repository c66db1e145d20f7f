//! Addresses, and how much of a connection or a body Envoy holds.

use serde_json::{Value, json};

use crate::gateway::Gateway;

/// How much of a connection Envoy reads at once, and the most that a body grows by before the filter sees it.
pub(crate) const READ_LIMIT: u64 = 1 << 20;
/// How much more of a body Envoy may buffer than the filter takes. Over its own limit Envoy sends a plain
/// 413 before the filter can send the API's, so the limit stands above by more than one read can bring.
const BUFFER_HEADROOM: u64 = 2 * READ_LIMIT;
/// How much of a body Envoy may hold, in bytes: more than the filter takes.
pub(crate) fn buffer_limit(gateway: &Gateway) -> u64 {
    let limits = &gateway.limits;
    (limits.request_body.0.max(limits.response_body.0) + BUFFER_HEADROOM).min(u64::from(u32::MAX))
}

/// An address as listeners and clusters have it.
pub(super) fn socket_address(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}
