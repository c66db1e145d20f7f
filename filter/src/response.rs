//! Reading a provider's response while it passes, and explaining one that did not come.
//!
//! The bytes go on to the caller unchanged and without waiting. A stream is read event by event,
//! since the time of its first token is asked for; a response in one piece is kept up to a cap and
//! read when all is over.

use weir_event::v1;

use crate::api::Family;
use crate::exchange::Exchange;
use crate::headers::{Headers, Outgoing, name};
use crate::host::Host;
use crate::refusal::Refusal;
use crate::{openai, sse, trace_context};

/// Most bytes of a response in one piece that are kept for reading; a larger one is passed on
/// and not read.
const WHOLE_MAX: usize = 1 << 20;
/// Longest explanation of Envoy's that is put into an event, in bytes.
const DETAILS_MAX: usize = 256;

/// How a response is read.
#[derive(Debug, Default)]
pub enum Reading {
    /// Not at all.
    #[default]
    Nothing,
    /// Not at all, because it is compressed.
    Compressed,
    /// In one piece: what has come so far.
    Whole(Vec<u8>),
    /// Event by event.
    Stream(sse::Parser),
    /// Not at all: this body goes out instead.
    Replaced(String),
}

/// What an answer says about how it came about.
#[derive(Debug)]
pub struct Told {
    trace_id: String,
    model: String,
    attempts: String,
    timing: String,
}

impl Told {
    /// As far as it is known when the answer's headers are here.
    pub fn of(exchange: &Exchange) -> Self {
        let attempt = exchange.attempts.last();
        let ms = |from: u64, to: u64| to.saturating_sub(from) as f64 / 1e6;
        let timing = &exchange.timing;
        let decided = ms(timing.body_received_ns, timing.resolved_ns);
        let waited = attempt.map_or(0.0, |attempt| ms(attempt.started_ns, attempt.response_headers_ns));
        Self {
            trace_id: trace_context::trace_id(&exchange.trace),
            model: attempt
                .map(|attempt| format!("{}/{}", attempt.provider, attempt.model))
                .unwrap_or_default(),
            attempts: exchange.attempts.len().to_string(),
            timing: format!("weir;dur={decided:.3}, provider;dur={waited:.3}"),
        }
    }

    fn add_to<'a>(&'a self, headers: &mut Outgoing<'a>) {
        headers.add(name::WEIR_TRACE_ID, self.trace_id.as_bytes());
        headers.add(name::WEIR_ATTEMPTS, self.attempts.as_bytes());
        headers.add(name::SERVER_TIMING, self.timing.as_bytes());
        if !self.model.is_empty() {
            headers.add(name::WEIR_MODEL, self.model.as_bytes());
        }
    }
}

/// Lets a provider's headers go to the caller, without what is not for it, and with what is told.
pub fn send_headers(host: &impl Host, headers: &Headers, told: Option<&Told>) {
    let withheld = |key: &str| key == name::SET_COOKIE || key == name::WEIR_RETRY;
    if told.is_none() && !headers.0.iter().any(|(key, _)| withheld(key)) {
        return;
    }
    let mut out = Outgoing::default();
    for (key, value) in headers.0.iter().filter(|(key, _)| !withheld(key)) {
        out.add(key, value);
    }
    if let Some(told) = told {
        told.add_to(&mut out);
    }
    host.set_response_headers(&out);
}

/// Whether a response is a stream of server-sent events.
pub fn is_event_stream(headers: &Headers) -> bool {
    const EVENT_STREAM: &[u8] = b"text/event-stream";
    let media_type = headers.get(name::CONTENT_TYPE).unwrap_or_default();
    media_type.get(..EVENT_STREAM.len()).is_some_and(|start| start.eq_ignore_ascii_case(EVENT_STREAM))
}

impl Reading {
    /// How to read a provider's response with these headers.
    pub fn of(headers: &Headers) -> Self {
        let encoding = headers.get(name::CONTENT_ENCODING).unwrap_or(b"identity");
        if !encoding.eq_ignore_ascii_case(b"identity") {
            return Self::Compressed;
        }
        if is_event_stream(headers) {
            return Self::Stream(sse::Parser::default());
        }
        Self::Whole(Vec::new())
    }

    /// Has a refusal go out instead of the answer that came.
    pub fn replace(
        host: &impl Host,
        refusal: &Refusal,
        family: Family,
        end_of_stream: bool,
        exchange: &mut Exchange,
        told: Option<&Told>,
    ) -> Self {
        exchange.response.status = refusal.status.into();
        refusal.code.clone_into(&mut exchange.response.error_type);
        // Where no body was to come, none can be added.
        let body = if end_of_stream { String::new() } else { refusal.body(family) };
        let (status, length) = (refusal.status.to_string(), body.len().to_string());
        let mut headers = Outgoing::default();
        headers.add(name::STATUS, status.as_bytes());
        headers.add(name::CONTENT_TYPE, b"application/json");
        headers.add(name::CONTENT_LENGTH, length.as_bytes());
        if let Some(told) = told {
            told.add_to(&mut headers);
        }
        host.set_response_headers(&headers);
        Self::Replaced(body)
    }

    /// Looks at the next piece of the body as it passes.
    pub fn pass(
        &mut self,
        host: &impl Host,
        size: usize,
        response: &mut v1::Response,
        timing: &mut v1::Timing,
    ) {
        if let Self::Replaced(body) = self {
            // The whole body goes out with the first piece; what was to follow goes nowhere.
            let body = std::mem::take(body);
            response.body_bytes += body.len() as u64;
            host.replace_response_chunk(size, body.as_bytes());
            return;
        }
        if size == 0 {
            return;
        }
        response.body_bytes += size as u64;
        let is_stream = matches!(self, Self::Stream(_));
        // One look at the clock for the first piece; a stream needs the time of each.
        let now_ns = if is_stream || timing.first_byte_ns == 0 { host.now_ns() } else { 0 };
        if timing.first_byte_ns == 0 {
            timing.first_byte_ns = now_ns;
        }
        match self {
            Self::Whole(kept) => {
                if kept.len() + size > WHOLE_MAX {
                    response.unread = true;
                    *self = Self::Nothing;
                } else if kept.is_empty() {
                    *kept = host.response_chunk(0, size);
                } else {
                    kept.extend_from_slice(&host.response_chunk(0, size));
                }
            }
            Self::Stream(parser) => {
                let mut tokens = false;
                parser
                    .feed(&host.response_chunk(0, size), |data| tokens |= openai::read_chunk(data, response));
                if tokens {
                    if timing.first_token_ns == 0 {
                        timing.first_token_ns = now_ns;
                    }
                    timing.last_token_ns = now_ns;
                }
            }
            Self::Nothing | Self::Compressed | Self::Replaced(_) => {}
        }
    }

    /// All has passed, or will not come: reads what was kept for now.
    pub fn finish(self, response: &mut v1::Response) {
        match self {
            Self::Whole(body) if !body.is_empty() => {
                response.unread |= !openai::read_response(&body, response);
            }
            Self::Stream(parser) => response.unread |= parser.skipped() > 0,
            _ => {}
        }
    }
}

/// Whether Envoy answered by itself, by its response code details.
pub fn is_local_reply(details: &str) -> bool {
    details != "via_upstream"
}

/// Names how a request ended that was not simply answered, by Envoy's response code details
/// (Envoy documentation, "Response code details"), and notes on the attempt what went wrong.
pub fn explain(details: &str, exchange: &mut Exchange) -> v1::Ending {
    // Codecs speak of the caller's connection here; a provider's stands behind "upstream_…{".
    const CALLERS_SIDE: [&str; 4] = ["downstream", "http1.", "http2.", "http3."];
    let ending = if CALLERS_SIDE.iter().any(|start| details.starts_with(start)) {
        v1::Ending::ClientDisconnected
    } else if details.contains("timeout") {
        v1::Ending::Timeout
    } else {
        v1::Ending::UpstreamReset
    };
    if let Some(usage) = &mut exchange.response.usage {
        usage.source = v1::UsageSource::Partial.into();
    }
    if let Some(attempt) = exchange.last_attempt() {
        let details = if details.is_empty() { "unknown" } else { details };
        details
            .get(..details.floor_char_boundary(DETAILS_MAX))
            .unwrap_or_default()
            .clone_into(&mut attempt.error);
    }
    ending
}
