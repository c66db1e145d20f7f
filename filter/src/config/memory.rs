//! How much memory a worker may use for requests, checked against what one request can need.

use weir_settings::{ByteSize, ConfigError};

use crate::capture::budget::{BODY_COPIES, OUTBOX_SHARE, RESPONSE_COPIES, SEARCHED_COPIES};
use crate::config::wire::Limits;
use crate::redaction::Redaction;

/// Most memory that may be configured, in bytes. Envoy gives a VM 1 GiB, of which the code, the configuration
/// and the gaps of the allocator need some.
const MEMORY_MAX: u64 = 768 << 20;
/// What requests may use unless something else is configured, in bytes.
pub const MEMORY_BUDGET: usize = (256 << 20) - OUTBOX_SHARE;
/// How many times an event of a stream is allocated while it is held: its buffer grows ahead of it, and is
/// copied when it does.
const HELD_COPIES: usize = 2;

/// How much memory requests may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Most bytes of all requests in progress in one VM.
    pub budget: usize,
    /// How many times a request's body is in memory while it is decided on.
    pub body_copies: usize,
}

/// Checks the budget: it must hold one request, and one response where responses are rewritten, of the largest
/// size allowed.
pub(crate) fn memory(limits: &Limits, redaction: Option<&Redaction>) -> Result<Memory, ConfigError> {
    let at = |message: String| ConfigError::at("limits.memory_budget", message);
    let Limits { request_body, response_body, memory_budget } = limits;
    if memory_budget.0 > MEMORY_MAX {
        let most = ByteSize(MEMORY_MAX);
        return Err(at(format!("{memory_budget} is more than a worker can have; give at most {most}")));
    }
    let (searches, rewrites) = redaction.map(Redaction::searches_any).unwrap_or_default();
    let body_copies = if searches { SEARCHED_COPIES } else { BODY_COPIES };
    let response_copies = if rewrites { RESPONSE_COPIES + HELD_COPIES } else { 0 };
    for (field, size, copies, what) in [
        ("limits.request_body", request_body, body_copies, "request body"),
        ("limits.response_body", response_body, response_copies, "response or event"),
    ] {
        let needed = size.0.saturating_mul(copies as u64).saturating_add(OUTBOX_SHARE as u64);
        if memory_budget.0 < needed {
            return Err(at(format!(
                "{memory_budget} cannot hold one {what} of {size} ({field}), which is in memory {copies} times \
                 while it is rewritten, beside {} of events; give at least {}, or lower {field}",
                ByteSize(OUTBOX_SHARE as u64),
                ByteSize(needed.next_multiple_of(1 << 20)),
            )));
        }
    }
    let budget = usize::try_from(memory_budget.0).unwrap_or(usize::MAX);
    Ok(Memory { budget: budget.saturating_sub(OUTBOX_SHARE), body_copies })
}
