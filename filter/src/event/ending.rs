//! How a request ended that was not simply answered.

use weir_event::v1;

use crate::event::exchange::Exchange;

/// Longest explanation of Envoy's that is put into an event, in bytes.
const DETAILS_MAX: usize = 256;

/// Whether Envoy answered by itself, by its response code details.
pub fn is_local_reply(details: &str) -> bool {
    details != "via_upstream"
}

/// Names how a request ended that was not simply answered, by Envoy's response code details
/// (Envoy documentation, "Response code details"), and notes on the attempt what went wrong.
pub fn explain(details: &str, exchange: &mut Exchange) -> v1::Ending {
    // Codecs speak of the caller's connection here; a provider's stands behind "upstream_…{".
    const CALLERS_SIDE: [&str; 4] = ["downstream", "http1.", "http2.", "http3."];
    let ending = if CALLERS_SIDE.iter().any(|start| details.starts_with(start)) {
        v1::Ending::ClientDisconnected
    } else if details.contains("timeout") {
        v1::Ending::Timeout
    } else {
        v1::Ending::UpstreamReset
    };
    if let Some(attempt) = exchange.last_attempt() {
        let details = if details.is_empty() { "unknown" } else { details };
        details
            .get(..details.floor_char_boundary(DETAILS_MAX))
            .unwrap_or_default()
            .clone_into(&mut attempt.error);
    }
    ending
}
