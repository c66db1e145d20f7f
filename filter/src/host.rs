//! The proxy's interface, as the logic needs it.
//!
//! Each call crosses from the VM into Envoy and costs microseconds, so there is one call per need, and none is
//! made twice. `envoy.rs` implements it.

use crate::api::Family;
use crate::headers::{Headers, Outgoing, name};
use crate::refusal::Refusal;

/// What the proxy does after a callback.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Continues with the next filter.
    Continue,
    /// Holds here: more data is to come, or a local response was sent.
    Hold,
}

/// The proxy, as seen by one HTTP stream.
pub trait Host {
    /// The time in Unix nanoseconds.
    fn now_ns(&self) -> u64;
    /// All headers of the request.
    fn request_headers(&self) -> Headers;
    /// Replaces all headers of the request.
    fn set_request_headers(&self, headers: &Outgoing<'_>);
    /// Sets a header of the request, replacing those of the same name. The value must be valid
    /// ([`crate::headers::HeaderValue`]).
    fn set_request_header(&self, name: &str, value: &[u8]);
    /// Removes all trailers of the request.
    fn drop_request_trailers(&self);
    /// The first `max` bytes of the buffered request body.
    fn request_body(&self, max: usize) -> Vec<u8>;
    /// Replaces the first `len` bytes of the buffered request body.
    fn replace_request_start(&self, len: usize, with: &[u8]);
    /// All headers of the response.
    fn response_headers(&self) -> Headers;
    /// Replaces all headers of the response.
    fn set_response_headers(&self, headers: &Outgoing<'_>);
    /// A part of the response body that this callback has.
    fn response_chunk(&self, start: usize, len: usize) -> Vec<u8>;
    /// Replaces the first `len` bytes of it.
    fn replace_response_chunk(&self, len: usize, with: &[u8]);
    /// Reads filter state.
    fn state(&self, key: &str) -> Option<Vec<u8>>;
    /// Writes filter state.
    fn set_state(&self, key: &str, value: &[u8]);
    /// Selects the route again, by the current filter state.
    fn reroute(&self);
    /// A claim of a token verified by Envoy's jwt_authn, from its dynamic metadata.
    fn claim(&self, payload: &str, claim: &str) -> Option<Vec<u8>>;
    /// Envoy's reason for the response (`response.code_details`).
    fn response_details(&self) -> String;
    /// Sends a local response.
    fn respond(&self, status: u16, headers: &Outgoing<'_>, body: &[u8]);

    /// Sends a refusal in the error shape of an API, with the trace id if there is one.
    fn refuse(&self, refusal: &Refusal, family: &Family, trace_id: &str) {
        let mut headers = Outgoing::default();
        headers.add(name::CONTENT_TYPE, b"application/json");
        if let Some(allow) = refusal.allow {
            headers.add(name::ALLOW, allow.as_bytes());
        }
        if let Some(seconds) = refusal.retry_after {
            headers.add(name::RETRY_AFTER, seconds.as_bytes());
        }
        if !trace_id.is_empty() {
            headers.add(name::WEIR_TRACE_ID, trace_id.as_bytes());
        }
        self.respond(refusal.status, &headers, refusal.body(family).as_bytes());
    }
}
