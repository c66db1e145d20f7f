//! Which finished requests are sent, and how much of their content is kept, checked.

use weir_settings::ConfigError;

use crate::capture::sampling::Sampling;
use crate::config::wire::Trace;

/// Least and most that may be captured of one request's content, in bytes.
const CAPTURE_MIN: u64 = 1 << 10;
const CAPTURE_MAX: u64 = 1 << 20;

/// How much content is captured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Capture {
    /// Most bytes of a request, and again of its response.
    pub limit: usize,
    /// Most bytes of all requests that are under way in one VM.
    pub budget: usize,
}

pub(crate) fn sampling(trace: &Trace) -> Result<Sampling, ConfigError> {
    if !(0.0..=1.0).contains(&trace.sample) {
        return Err(ConfigError::at("trace.sample", format!("{} is not from 0 to 1", trace.sample)));
    }
    Ok(Sampling {
        ratio: trace.sample,
        always_keep: trace.always_keep.clone(),
        follow_caller: trace.follow_caller,
    })
}

pub(crate) fn capture(trace: &Trace) -> Result<Capture, ConfigError> {
    let (limit, budget) = (trace.capture_limit, trace.capture_budget);
    if !(CAPTURE_MIN..=CAPTURE_MAX).contains(&limit.0) {
        let message = format!("{limit} is not from 1 KiB to 1 MiB");
        return Err(ConfigError::at("trace.capture_limit", message));
    }
    Ok(Capture {
        limit: usize::try_from(limit.0).unwrap_or(usize::MAX),
        budget: usize::try_from(budget.0).unwrap_or(usize::MAX),
    })
}
