//! The headers of a response as the caller receives them.

use weir_event::v1;

use crate::headers::{Headers, Outgoing, name};
use crate::host::Host;
use crate::refusal::Refusal;
use crate::response::headers::reaches_caller;

/// How long the body is that goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Length {
    /// As long as the provider's.
    Same,
    /// Nobody knows yet.
    Unknown,
    /// So many bytes.
    Is(usize),
}

/// The gateway's headers on a response.
#[derive(Debug)]
pub struct GatewayHeaders {
    /// The trace.
    pub trace_id: String,
    /// The target, `provider/model`; empty where there was none.
    pub model: String,
    /// How many attempts were made.
    pub attempts: String,
    /// `Server-Timing`.
    pub timing: String,
}

impl GatewayHeaders {
    /// Adds them to a response's headers.
    pub fn add_to<'a>(&'a self, headers: &mut Outgoing<'a>) {
        headers.add(name::WEIR_TRACE_ID, self.trace_id.as_bytes());
        headers.add(name::WEIR_ATTEMPTS, self.attempts.as_bytes());
        headers.add(name::SERVER_TIMING, self.timing.as_bytes());
        if !self.model.is_empty() {
            headers.add(name::WEIR_MODEL, self.model.as_bytes());
        }
    }
}

/// Replaces a response's headers with those of a refusal that has this body, and notes it.
pub fn send_refusal(
    host: &impl Host,
    refusal: &Refusal,
    body: &str,
    response: &mut v1::Response,
    own: Option<&GatewayHeaders>,
) {
    response.status = refusal.status.into();
    refusal.code.clone_into(&mut response.error_type);
    let (status, length) = (refusal.status.to_string(), body.len().to_string());
    let mut headers = Outgoing::default();
    headers.add(name::STATUS, status.as_bytes());
    headers.add(name::CONTENT_TYPE, b"application/json");
    headers.add(name::CONTENT_LENGTH, length.as_bytes());
    if let Some(seconds) = refusal.retry_after {
        headers.add(name::RETRY_AFTER, seconds.as_bytes());
    }
    if let Some(own) = own {
        own.add_to(&mut headers);
    }
    host.set_response_headers(&headers);
}

/// Sends those of a provider's headers that are for callers ([`reaches_caller`]), and the gateway's own. `length` is the body's where it is another than the provider's; `is_passed` is for
/// a request that was passed through.
pub fn send_headers(
    host: &impl Host,
    headers: &Headers,
    length: Length,
    own: Option<&GatewayHeaders>,
    is_passed: bool,
) {
    send(host, headers, length, own, |key| !reaches_caller(key, is_passed));
}

/// The same, without the headers that are named.
pub fn send(
    host: &impl Host,
    headers: &Headers,
    length: Length,
    own: Option<&GatewayHeaders>,
    withheld: impl Fn(&str) -> bool,
) {
    let is_other = length != Length::Same;
    let withheld = |key: &str| withheld(key) || (is_other && key == name::CONTENT_LENGTH);
    if own.is_none() && !headers.0.iter().any(|(key, _)| withheld(key)) {
        return;
    }
    let length = if let Length::Is(length) = length { length.to_string() } else { String::new() };
    let mut out = Outgoing::default();
    for (key, value) in headers.0.iter().filter(|(key, _)| !withheld(key)) {
        out.add(key, value);
    }
    if !length.is_empty() {
        out.add(name::CONTENT_LENGTH, length.as_bytes());
    }
    if let Some(own) = own {
        own.add_to(&mut out);
    }
    host.set_response_headers(&out);
}
