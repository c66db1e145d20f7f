//! [`Host`] on proxy-wasm's hostcalls.

use std::time::UNIX_EPOCH;

use log::error;
use proxy_wasm::hostcalls;
use proxy_wasm::types::{BufferType, MapType};

use crate::headers::{Headers, Outgoing};
use crate::host::Host;

pub(super) fn now_ns() -> u64 {
    let since_epoch = hostcalls::get_current_time().ok().and_then(|now| now.duration_since(UNIX_EPOCH).ok());
    since_epoch.and_then(|elapsed| u64::try_from(elapsed.as_nanos()).ok()).unwrap_or(0)
}

pub(super) fn read_headers(map: MapType) -> Headers {
    Headers(hostcalls::get_map_bytes(map).unwrap_or_default())
}

fn write_headers(map: MapType, headers: &Outgoing<'_>) {
    if hostcalls::set_map_bytes(map, headers.pairs().collect()).is_err() {
        error!("the host refused the headers");
    }
}

/// The stream whose callback is running.
pub(super) struct Envoy;

impl Host for Envoy {
    fn now_ns(&self) -> u64 {
        now_ns()
    }

    fn request_headers(&self) -> Headers {
        read_headers(MapType::HttpRequestHeaders)
    }

    fn set_request_headers(&self, headers: &Outgoing<'_>) {
        write_headers(MapType::HttpRequestHeaders, headers);
    }

    fn set_request_header(&self, name: &str, value: &[u8]) {
        if hostcalls::set_map_value_bytes(MapType::HttpRequestHeaders, name, Some(value)).is_err() {
            error!("the host refused the header {name}");
        }
    }

    fn drop_request_trailers(&self) {
        write_headers(MapType::HttpRequestTrailers, &Outgoing::default());
    }

    fn request_body(&self, max: usize) -> Vec<u8> {
        hostcalls::get_buffer(BufferType::HttpRequestBody, 0, max).ok().flatten().unwrap_or_default()
    }

    fn replace_request_start(&self, len: usize, with: &[u8]) {
        if hostcalls::set_buffer(BufferType::HttpRequestBody, 0, len, with).is_err() {
            error!("the host refused the request's body");
        }
    }

    fn response_headers(&self) -> Headers {
        read_headers(MapType::HttpResponseHeaders)
    }

    fn set_response_headers(&self, headers: &Outgoing<'_>) {
        write_headers(MapType::HttpResponseHeaders, headers);
    }

    fn response_chunk(&self, start: usize, len: usize) -> Vec<u8> {
        hostcalls::get_buffer(BufferType::HttpResponseBody, start, len).ok().flatten().unwrap_or_default()
    }

    fn replace_response_chunk(&self, len: usize, with: &[u8]) {
        if hostcalls::set_buffer(BufferType::HttpResponseBody, 0, len, with).is_err() {
            error!("the host refused the response's body");
        }
    }

    fn state(&self, key: &str) -> Option<Vec<u8>> {
        hostcalls::get_property(vec![key]).ok().flatten()
    }

    fn set_state(&self, key: &str, value: &[u8]) {
        if hostcalls::set_property(vec![key], Some(value)).is_err() {
            error!("the host refused filter state {key}");
        }
    }

    fn reroute(&self) {
        if hostcalls::call_foreign_function("clear_route_cache", None).is_err() {
            error!("the host does not know clear_route_cache");
        }
    }

    fn claim(&self, payload: &str, claim: &str) -> Option<Vec<u8>> {
        let path = vec!["metadata", "filter_metadata", "envoy.filters.http.jwt_authn", payload, claim];
        hostcalls::get_property(path).ok().flatten()
    }

    fn response_details(&self) -> String {
        let details = hostcalls::get_property(vec!["response", "code_details"]).ok().flatten();
        String::from_utf8_lossy(&details.unwrap_or_default()).into_owned()
    }

    fn respond(&self, status: u16, headers: &Outgoing<'_>, body: &[u8]) {
        // The SDK takes text here; what the gateway responds itself is always text.
        let headers =
            headers.pairs().filter_map(|(name, value)| Some((name, std::str::from_utf8(value).ok()?)));
        if hostcalls::send_http_response(status.into(), headers.collect(), Some(body)).is_err() {
            error!("the host refused a response");
        }
    }
}
