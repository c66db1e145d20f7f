//! Load for long runs, and what stands at both of its ends: callers, a provider and an OTLP endpoint that each keep
//! a short record of their own of every request, by its trace id.
//!
//! The three records are made independently of each other and of what Weir says of itself, so that they can be
//! held against each other. A request's trace id stands in its `traceparent` and in its prompt: callers send both,
//! the provider reads the prompt, the endpoint reads the spans.

pub mod caller;
pub mod figures;
pub mod gateway;
pub mod provider;

/// A trace id (W3C Trace Context, 3.2.2.3).
pub type TraceId = u128;

/// What stands in the prompt before the trace id's 32 hex digits.
pub const MARK: &str = "weir-load-";

/// The trace id of a prompt, or of an answer that repeats it.
pub fn marked(body: &[u8]) -> Option<TraceId> {
    let at = body.windows(MARK.len()).position(|window| window == MARK.as_bytes())? + MARK.len();
    let digits = std::str::from_utf8(body.get(at..at + 32)?).ok()?;
    u128::from_str_radix(digits, 16).ok()
}

/// One of these, each as often as its share says; none of none.
pub fn weighted<T: Copy>(rng: &mut fastrand::Rng, all: &[T], share: impl Fn(&T) -> u32) -> Option<T> {
    let mut at = rng.u32(0..all.iter().map(&share).sum::<u32>().max(1));
    all.iter().copied().find(|one| {
        let share = share(one);
        let is_it = at < share;
        at = at.saturating_sub(share);
        is_it
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trace_id_is_found_in_the_text_around_it() {
        let id = 0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128;
        let body = format!("{{\"content\":\"{MARK}{id:032x} and more\"}}");
        assert_eq!(marked(body.as_bytes()), Some(id));
        assert_eq!(marked(&body.as_bytes()[..30]), None);
        assert_eq!(marked(b"nothing"), None);
    }
}
