//! HTTP headers as the filter sees them, and the check of values that are sent.
//!
//! Names are lowercase, as in Envoy. Values are bytes, which need not be UTF-8. A value is sent only as a
//! [`HeaderValue`], which cannot start a new header.

/// Names of headers and filter state, each spelt once.
pub mod name {
    #![allow(missing_docs)]
    pub const AUTHORITY: &str = ":authority";
    pub const METHOD: &str = ":method";
    pub const PATH: &str = ":path";
    pub const SCHEME: &str = ":scheme";
    pub const STATUS: &str = ":status";
    pub const ACCEPT: &str = "accept";
    pub const ACCEPT_ENCODING: &str = "accept-encoding";
    pub const ALLOW: &str = "allow";
    pub const AUTHORIZATION: &str = "authorization";
    pub const BAGGAGE: &str = "baggage";
    pub const CONTENT_ENCODING: &str = "content-encoding";
    pub const CONTENT_LENGTH: &str = "content-length";
    pub const CONTENT_TYPE: &str = "content-type";
    pub const RETRY_AFTER: &str = "retry-after";
    pub const RETRY_AFTER_MS: &str = "retry-after-ms";
    pub const SHOULD_RETRY: &str = "x-should-retry";
    pub const TRACEPARENT: &str = "traceparent";
    pub const TRACESTATE: &str = "tracestate";
    pub const USER_AGENT: &str = "user-agent";
    pub const SERVER_TIMING: &str = "server-timing";
    pub const X_FORWARDED_FOR: &str = "x-forwarded-for";
    pub const X_FORWARDED_PROTO: &str = "x-forwarded-proto";
    /// Envoy's: the retries that this request may have.
    pub const ENVOY_MAX_RETRIES: &str = "x-envoy-max-retries";
    /// Envoy's: the timeout of one attempt until its response headers, in ms.
    pub const ENVOY_TRY_TIMEOUT: &str = "x-envoy-upstream-rq-per-try-timeout-ms";
    /// Envoy's: the timeout of the whole request, in ms.
    pub const ENVOY_TIMEOUT: &str = "x-envoy-upstream-rq-timeout-ms";
    /// On a response, between the upstream filter and Envoy's router: make another attempt.
    pub const WEIR_RETRY: &str = "x-weir-retry";
    /// On a request: the caller's timeout, in ms.
    pub const WEIR_TIMEOUT_MS: &str = "x-weir-timeout-ms";
    /// On a request that is passed through: its provider.
    pub const WEIR_PROVIDER: &str = "x-weir-provider";
    /// On a response: the trace of the request.
    pub const WEIR_TRACE_ID: &str = "x-weir-trace-id";
    /// On a response: the target that produced it, as provider/model.
    pub const WEIR_MODEL: &str = "x-weir-model";
    /// On a response: the number of attempts.
    pub const WEIR_ATTEMPTS: &str = "x-weir-attempts";
    /// Filter state: the cluster of the next attempt, which the route matches on.
    pub const STATE_CLUSTER: &str = "weir.cluster";
    /// Filter state: the pause before the next attempt, which the route matches on.
    pub const STATE_BACKOFF: &str = "weir.backoff";
    /// Filter state: the number that links an attempt to its request.
    pub const STATE_STREAM: &str = "weir.stream";
}

/// The headers of one message, in order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(pub Vec<(String, Vec<u8>)>);

impl Headers {
    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        /// What the allocator adds to a name or a value.
        const ALLOCATION: usize = 16;
        let pairs: usize = self.0.iter().map(|(name, value)| name.capacity() + value.capacity()).sum();
        pairs + self.0.capacity() * (size_of::<(String, Vec<u8>)>() + 2 * ALLOCATION)
    }

    /// The first value of a header.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// Every value of a header.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter(move |(key, _)| key == name).map(|(_, value)| value.as_slice())
    }

    /// The first value as text, with invalid UTF-8 replaced; empty if there is none.
    pub fn text(&self, name: &str) -> String {
        self.get(name).map(|value| String::from_utf8_lossy(value).into_owned()).unwrap_or_default()
    }

    /// The first value as a number.
    pub fn number(&self, name: &str) -> Option<u64> {
        std::str::from_utf8(self.get(name)?).ok()?.trim().parse().ok()
    }
}

impl<'a> FromIterator<(&'a str, &'a str)> for Headers {
    fn from_iter<I: IntoIterator<Item = (&'a str, &'a str)>>(pairs: I) -> Self {
        Self(pairs.into_iter().map(|(name, value)| (name.to_owned(), value.as_bytes().to_vec())).collect())
    }
}

/// A value that is safe to send: without control characters, so it cannot end its header. Envoy would pass CR
/// LF in a value on as a second header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeaderValue<'a>(&'a [u8]);

impl<'a> HeaderValue<'a> {
    /// Checks a value; `None` if it contains a control character.
    pub fn new(value: &'a [u8]) -> Option<Self> {
        value.iter().all(|byte| *byte >= 0x20 && *byte != 0x7f).then_some(Self(value))
    }

    /// The bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }
}

/// Headers to be sent.
#[derive(Debug, Default)]
pub struct Outgoing<'a>(Vec<(&'a str, HeaderValue<'a>)>);

impl<'a> Outgoing<'a> {
    /// Adds a header; returns `false`, adding nothing, if the value contains a control character.
    pub fn add(&mut self, name: &'a str, value: &'a [u8]) -> bool {
        let value = HeaderValue::new(value);
        self.0.extend(value.map(|value| (name, value)));
        value.is_some()
    }

    /// The headers in order.
    pub fn pairs(&self) -> impl Iterator<Item = (&'a str, &'a [u8])> {
        self.0.iter().map(|(name, value)| (*name, value.as_bytes()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_with_a_control_character_is_never_sent() {
        for byte in (0..0x20).chain([0x7f]) {
            let value = [b'a', byte, b'b'];
            assert!(!Outgoing::default().add("x", &value), "{byte:#x}");
        }
        let mut out = Outgoing::default();
        assert!(out.add("x", "plain, \u{fc}ml\u{e4}ut".as_bytes()) && out.add("y", b""));
        assert_eq!(out.pairs().count(), 2);
    }
}
