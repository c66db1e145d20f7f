//! What the logic asks of the proxy that it runs in.
//!
//! Every call crosses from the VM into Envoy and costs microseconds, so there is one call for each
//! thing that is needed and none that is made twice. The real host is `envoy.rs`.

use crate::api::Family;
use crate::headers::{Headers, Outgoing, name};
use crate::refusal::Refusal;

/// What a callback tells the proxy to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// Go on.
    Continue,
    /// Hold here: more is to come, or a response was given.
    Hold,
}

/// The proxy, as one HTTP stream sees it.
pub trait Host {
    /// The time in Unix nanoseconds.
    fn now_ns(&self) -> u64;
    /// All headers of the request.
    fn request_headers(&self) -> Headers;
    /// Replaces all headers of the request.
    fn set_request_headers(&self, headers: &Outgoing<'_>);
    /// Gives the request one header, in place of those that have its name. The value must be fit to be one
    /// ([`crate::headers::HeaderValue`]).
    fn set_request_header(&self, name: &str, value: &[u8]);
    /// Removes all trailers of the request.
    fn drop_request_trailers(&self);
    /// The first `max` bytes of what is buffered of the request's body.
    fn request_body(&self, max: usize) -> Vec<u8>;
    /// Replaces the first `len` bytes of what is buffered of the request's body.
    fn replace_request_start(&self, len: usize, with: &[u8]);
    /// All headers of the response.
    fn response_headers(&self) -> Headers;
    /// Replaces all headers of the response.
    fn set_response_headers(&self, headers: &Outgoing<'_>);
    /// A piece of what this callback has of the response's body.
    fn response_chunk(&self, start: usize, len: usize) -> Vec<u8>;
    /// Replaces that piece.
    fn replace_response_chunk(&self, len: usize, with: &[u8]);
    /// Reads filter state.
    fn state(&self, key: &str) -> Option<Vec<u8>>;
    /// Writes filter state.
    fn set_state(&self, key: &str, value: &[u8]);
    /// Has the route chosen anew, by the filter state as it is now.
    fn reroute(&self);
    /// A claim of a token that Envoy's jwt_authn has verified, from its dynamic metadata.
    fn claim(&self, payload: &str, claim: &str) -> Option<Vec<u8>>;
    /// Envoy's account of how the response came about (`response.code_details`).
    fn response_details(&self) -> String;
    /// Answers the request here and now.
    fn respond(&self, status: u16, headers: &Outgoing<'_>, body: &[u8]);

    /// Answers with a refusal in the shape of an API, under the trace where there is one.
    fn refuse(&self, refusal: &Refusal, family: Family, trace_id: &str) {
        let mut headers = Outgoing::default();
        headers.add(name::CONTENT_TYPE, b"application/json");
        if let Some(allow) = refusal.allow {
            headers.add(name::ALLOW, allow.as_bytes());
        }
        if !trace_id.is_empty() {
            headers.add(name::WEIR_TRACE_ID, trace_id.as_bytes());
        }
        self.respond(refusal.status, &headers, refusal.body(family).as_bytes());
    }
}
