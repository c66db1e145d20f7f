//! What Envoy's router does with one request.

use weir_settings::Duration;

use crate::headers::name;
use crate::host::Host;

/// The headers of one request that Envoy's router goes by, beside the route.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RouterHeaders {
    /// How many attempts may follow the first.
    pub retries: u32,
    /// Longest time for one attempt until its first token, in ms.
    pub try_timeout_ms: Option<u64>,
    /// Longest time for the whole request, in ms.
    pub timeout_ms: Option<u64>,
    /// The pause before another attempt, where it is not the usual one.
    pub backoff: Option<Duration>,
}

impl RouterHeaders {
    /// Sets them, and has the route chosen by the filter state as it is now.
    pub fn send(&self, host: &impl Host) {
        if *self == Self::default() {
            return host.reroute();
        }
        if let Some(backoff) = self.backoff.filter(|_| self.retries > 0) {
            host.set_state(name::STATE_BACKOFF, backoff.to_string().as_bytes());
        }
        // A change of headers has the route chosen anew too.
        host.set_request_header(name::ENVOY_MAX_RETRIES, self.retries.to_string().as_bytes());
        for (name, ms) in
            [(name::ENVOY_TRY_TIMEOUT, self.try_timeout_ms), (name::ENVOY_TIMEOUT, self.timeout_ms)]
        {
            if let Some(ms) = ms {
                host.set_request_header(name, ms.to_string().as_bytes());
            }
        }
    }
}
