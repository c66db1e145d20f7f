//! How a request ended, and when things happened.

use weir_event::v1::{Attempt, Ending, Response, Timing, TraceEvent};

use super::attempt;

/// The name of an ending, as attributes show it; empty where none is known.
pub(in crate::spans) fn ending(event: &TraceEvent) -> &'static str {
    match event.ending() {
        Ending::Unspecified => "",
        Ending::Completed => "completed",
        Ending::ClientDisconnected => "client_disconnected",
        Ending::UpstreamReset => "upstream_reset",
        Ending::Timeout => "timeout",
        Ending::Rejected => "rejected",
        Ending::Truncated => "truncated",
        Ending::Overloaded => "overloaded",
    }
}

/// The ending's name where it is one without a complete response.
pub(in crate::spans) fn broken_off(event: &TraceEvent) -> Option<&'static str> {
    match event.ending() {
        Ending::ClientDisconnected | Ending::UpstreamReset | Ending::Timeout | Ending::Truncated => {
            Some(ending(event))
        }
        // Where it went to a provider, its response was ended; else it was refused.
        Ending::Overloaded if !event.attempts.is_empty() => Some(ending(event)),
        Ending::Unspecified | Ending::Completed | Ending::Rejected | Ending::Overloaded => None,
    }
}

/// The first of some times that did happen; 0 where none did.
pub(crate) fn first_known(times: &[u64]) -> u64 {
    times.iter().copied().find(|time| *time > 0).unwrap_or_default()
}

/// The `error.type` of an operation that failed: the word of the one that refused it (a stream may say it after
/// a status of 200), else how it broke off, else the status.
pub(crate) fn failure(event: &TraceEvent, response: &Response, last: &Attempt) -> Option<String> {
    if !response.error_type.is_empty() {
        return Some(response.error_type.clone());
    }
    if let Some(ending) = broken_off(event) {
        return Some(ending.to_owned());
    }
    if response.status >= 400 {
        return Some(response.status.to_string());
    }
    attempt::failure(last)
}

/// When the target was known, or the latest moment known before.
pub(crate) fn start(timing: &Timing) -> u64 {
    first_known(&[timing.resolved_ns, timing.body_received_ns, timing.received_ns])
}
