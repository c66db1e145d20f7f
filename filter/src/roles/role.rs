//! A place of the filter in Envoy's chain.

use crate::host::{Host, Step};

/// What the filter does with one HTTP stream in a place of Envoy's chain, callback by callback.
pub trait Role {
    /// The request's headers are here.
    fn on_request_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step;
    /// `size` bytes of the request's body are buffered.
    fn on_request_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step;
    /// The request's trailers are here, so its body has ended.
    fn on_request_trailers(&mut self, host: &impl Host) -> Step;
    /// The response's headers are here.
    fn on_response_headers(&mut self, host: &impl Host, end_of_stream: bool) -> Step;
    /// `size` bytes of the response's body are here.
    fn on_response_body(&mut self, host: &impl Host, size: usize, end_of_stream: bool) -> Step;
    /// The response's trailers are here, so its body has ended.
    fn on_response_trailers(&mut self, host: &impl Host) -> Step;
    /// How many bytes of long work are left to be done while the request is held ([`Self::go_on`]), if any.
    fn long_work(&self) -> Option<usize> {
        None
    }
    /// Long work goes on for about so many steps. Returns what is done with the request, once nothing is left.
    fn go_on(&mut self, _host: &impl Host, _steps: u64) -> Option<Step> {
        None
    }
    /// The stream is over.
    fn on_log(&mut self, _host: &impl Host) {}
}
