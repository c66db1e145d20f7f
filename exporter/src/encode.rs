//! Spans as bytes: each event is encoded once, by itself, and a body is any run of events between a head and
//! an end.
//!
//! So a batch can be cut anywhere, down to a single event, without encoding anything anew, and of an event in
//! hand only its bytes are kept.

use std::{io::Write as _, ops::Range};

use bytes::Bytes;
use flate2::{Compression as Level, write::GzEncoder};
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{ScopeSpans, Span},
};
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::{config::wire::Compression, console::Console, resource::Attributes, spans};

/// `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS: u32 = 1;
/// `ResourceSpans.resource`.
const RESOURCE: u32 = 1;
/// `ResourceSpans.scope_spans`.
const SCOPE_SPANS: u32 = 2;
/// `ScopeSpans.scope`.
const SCOPE: u32 = 1;
/// `ScopeSpans.spans`.
const SPANS: u32 = 2;
/// `schema_url` of both.
const SCHEMA_URL: u32 = 3;

/// Why spans could not be encoded.
#[derive(Debug, thiserror::Error)]
pub enum EncodeError {
    /// A span is no JSON.
    #[error("a span cannot be written as JSON")]
    Json(#[from] serde_json::Error),
    /// The compressor failed.
    #[error("a body cannot be compressed")]
    Gzip(#[from] std::io::Error),
}

/// How spans are written.
#[derive(Clone, Copy, Debug)]
pub enum Format {
    /// Binary protobuf.
    Protobuf,
    /// OTLP's JSON (OpenTelemetry Protocol specification, "JSON Protobuf Encoding").
    Json,
    /// JSON with a line end after each body.
    JsonLine,
    /// A tree for people.
    Text(Console),
}

/// Writes spans that belong to one resource.
#[derive(Clone, Debug)]
pub struct Encoder {
    format: Format,
    service: String,
    /// What comes before the spans: within their `ScopeSpans`, and within its `ResourceSpans`.
    scope: Vec<u8>,
    resource: Vec<u8>,
}

/// Encoded events, one after the other.
#[derive(Debug, Default)]
pub struct Fragments {
    bytes: Vec<u8>,
    events: Vec<Fragment>,
}

/// Encoded events to which nothing is added any more: bodies share their bytes.
#[derive(Debug, Default)]
pub struct Sealed {
    bytes: Bytes,
    events: Vec<Fragment>,
}

/// What is posted, before it is compressed: the events between a head and an end.
#[derive(Debug)]
pub struct Body {
    head: Vec<u8>,
    events: Bytes,
    end: &'static str,
}

#[derive(Clone, Copy, Debug)]
struct Fragment {
    end: usize,
    spans: u64,
}

impl Fragments {
    /// None, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), events: Vec::new() }
    }

    /// No more of them.
    pub fn seal(self) -> Sealed {
        Sealed { bytes: self.bytes.into(), events: self.events }
    }
}

impl Sealed {
    /// How many events.
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// How many bytes they are.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// How many spans these events have.
    pub fn spans(&self, events: &Range<usize>) -> u64 {
        self.events.get(events.clone()).unwrap_or_default().iter().map(|event| event.spans).sum()
    }

    /// How many of these events fit so many bytes; one at least.
    pub fn fitting(&self, events: &Range<usize>, limit: usize) -> usize {
        let start = self.start(events.start);
        let sizes = self.events.get(events.clone()).unwrap_or_default();
        let fit = sizes.partition_point(|event| event.end.saturating_sub(start) <= limit);
        fit.max(1).min(sizes.len())
    }

    fn start(&self, event: usize) -> usize {
        event.checked_sub(1).and_then(|before| self.events.get(before)).map_or(0, |before| before.end)
    }

    fn slice(&self, events: &Range<usize>) -> Bytes {
        let (start, end) = (self.start(events.start), self.start(events.end));
        if start < end && end <= self.bytes.len() { self.bytes.slice(start..end) } else { Bytes::new() }
    }
}

impl Encoder {
    /// One that writes in this format.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], which does not happen: attributes are text.
    pub fn new(format: Format, resource: &Attributes) -> Result<Self, EncodeError> {
        let service = resource.get(spans::names::SERVICE_NAME).cloned().unwrap_or_default();
        let pairs: Vec<_> = resource.iter().map(|(name, value)| (name, value.clone())).collect();
        let empty = spans::request(&pairs, Vec::new());
        let (scope, resource) = match format {
            Format::Protobuf => protobuf_heads(&empty),
            Format::Json | Format::JsonLine => json_heads(&empty)?,
            Format::Text(_) => (Vec::new(), Vec::new()),
        };
        Ok(Self { format, service, scope, resource })
    }

    /// Adds an event's spans.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`].
    pub fn add(&self, fragments: &mut Fragments, spans: &[Span]) -> Result<(), EncodeError> {
        let bytes = &mut fragments.bytes;
        match self.format {
            Format::Protobuf => {
                for span in spans {
                    prost::encoding::message::encode(SPANS, span, bytes);
                }
            }
            Format::Json | Format::JsonLine => {
                for span in spans {
                    serde_json::to_writer(&mut *bytes, span)?;
                    bytes.push(b',');
                }
            }
            Format::Text(console) => bytes.extend_from_slice(console.render(&self.service, spans).as_bytes()),
        }
        let spans = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        fragments.events.push(Fragment { end: fragments.bytes.len(), spans });
        Ok(())
    }

    /// A body that carries these events.
    pub fn body(&self, fragments: &Sealed, events: &Range<usize>) -> Body {
        let slice = fragments.slice(events);
        match self.format {
            Format::Protobuf => Body { head: self.protobuf(slice.len()), events: slice, end: "" },
            Format::Json => self.json(slice, "]}]}]}"),
            Format::JsonLine => self.json(slice, "]}]}]}\n"),
            Format::Text(_) => Body { head: Vec::new(), events: slice, end: "" },
        }
    }

    /// All that comes before so many bytes of spans.
    fn protobuf(&self, spans: usize) -> Vec<u8> {
        let scope_len = self.scope.len() + spans;
        let inner =
            self.resource.len() + key_len(SCOPE_SPANS) + encoded_len_varint(wide(scope_len)) + scope_len;
        let mut head = Vec::with_capacity(inner - spans + 16);
        encode_key(RESOURCE_SPANS, WireType::LengthDelimited, &mut head);
        encode_varint(wide(inner), &mut head);
        head.extend_from_slice(&self.resource);
        encode_key(SCOPE_SPANS, WireType::LengthDelimited, &mut head);
        encode_varint(wide(scope_len), &mut head);
        head.extend_from_slice(&self.scope);
        head
    }

    fn json(&self, mut spans: Bytes, end: &'static str) -> Body {
        if spans.ends_with(b",") {
            spans.truncate(spans.len() - 1);
        }
        Body { head: [self.resource.as_slice(), &self.scope].concat(), events: spans, end }
    }
}

impl Body {
    /// The bytes that are posted. Without compression, events that stand alone are not copied.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Gzip`], which does not happen when writing to memory.
    pub fn compress(self, compression: Compression) -> Result<Bytes, EncodeError> {
        let parts = [self.head.as_slice(), &self.events, self.end.as_bytes()];
        match compression {
            Compression::Gzip => gzip(&parts),
            Compression::None if self.head.is_empty() && self.end.is_empty() => Ok(self.events),
            Compression::None => Ok(parts.concat().into()),
        }
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}

/// The fields of `ScopeSpans` and of `ResourceSpans` other than what they carry.
fn protobuf_heads(empty: &ExportTraceServiceRequest) -> (Vec<u8>, Vec<u8>) {
    let (mut scope, mut resource) = (Vec::new(), Vec::new());
    let Some(spans) = empty.resource_spans.first() else { return (scope, resource) };
    if let Some(of_all) = &spans.resource {
        prost::encoding::message::encode(RESOURCE, of_all, &mut resource);
    }
    if !spans.schema_url.is_empty() {
        prost::encoding::string::encode(SCHEMA_URL, &spans.schema_url, &mut resource);
    }
    if let Some(ScopeSpans { scope: of_all, schema_url, .. }) = spans.scope_spans.first() {
        if let Some(of_all) = of_all {
            prost::encoding::message::encode(SCOPE, of_all, &mut scope);
        }
        if !schema_url.is_empty() {
            prost::encoding::string::encode(SCHEMA_URL, schema_url, &mut scope);
        }
    }
    (scope, resource)
}

/// The same as JSON, up to where the spans begin.
fn json_heads(empty: &ExportTraceServiceRequest) -> Result<(Vec<u8>, Vec<u8>), EncodeError> {
    let spans = empty.resource_spans.first();
    let within = spans.and_then(|spans| spans.scope_spans.first());
    let resource =
        serde_json::to_string(&spans.and_then(|spans| spans.resource.clone()).unwrap_or_default())?;
    let scope = serde_json::to_string(&within.and_then(|within| within.scope.clone()).unwrap_or_default())?;
    let url = |url: Option<&str>| match url.filter(|url| !url.is_empty()) {
        Some(url) => serde_json::to_string(url).map(|url| format!("\"schemaUrl\":{url},")),
        None => Ok(String::new()),
    };
    let outer_url = url(spans.map(|spans| spans.schema_url.as_str()))?;
    let inner_url = url(within.map(|within| within.schema_url.as_str()))?;
    let outer = format!("{{\"resourceSpans\":[{{{outer_url}\"resource\":{resource},\"scopeSpans\":[{{");
    let inner = format!("{inner_url}\"scope\":{scope},\"spans\":[");
    Ok((inner.into_bytes(), outer.into_bytes()))
}

/// Compresses a body.
///
/// # Errors
///
/// [`EncodeError::Gzip`], which does not happen when writing to memory.
pub fn compress(body: Vec<u8>, compression: Compression) -> Result<Bytes, EncodeError> {
    match compression {
        Compression::None => Ok(body.into()),
        Compression::Gzip => gzip(&[&body]),
    }
}

/// Parts as one gzip member, at the fastest level: what a higher one would save costs several times the time.
fn gzip(parts: &[&[u8]]) -> Result<Bytes, EncodeError> {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let mut encoder = GzEncoder::new(Vec::with_capacity(length / 4), Level::fast());
    for part in parts {
        encoder.write_all(part)?;
    }
    Ok(encoder.finish()?.into())
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use flate2::read::GzDecoder;
    use prost::Message as _;
    use serde_json::Value;

    use super::*;
    use crate::spans::{
        View,
        fixture::{ID, failed_over, streamed},
    };

    fn fragments(encoder: &Encoder) -> (Sealed, Vec<Vec<Span>>) {
        let of = |event| spans::of(ID, &event, &View::default());
        let events = vec![of(streamed()), of(failed_over()), Vec::new()];
        let mut fragments = Fragments::default();
        for event in &events {
            encoder.add(&mut fragments, event).unwrap();
        }
        (fragments.seal(), events)
    }

    fn plain(encoder: &Encoder, fragments: &Sealed, events: &Range<usize>) -> Bytes {
        encoder.body(fragments, events).compress(Compression::None).unwrap()
    }

    fn resource() -> Attributes {
        Attributes::from([("service.name".to_owned(), "svc".to_owned())])
    }

    #[test]
    fn any_run_of_events_is_what_encoding_it_whole_gives() {
        let encoder = Encoder::new(Format::Protobuf, &resource()).unwrap();
        let (fragments, events) = fragments(&encoder);
        for range in [0..3, 0..1, 1..2, 1..3, 2..3] {
            let body = plain(&encoder, &fragments, &range);
            let zipped = encoder.body(&fragments, &range).compress(Compression::Gzip).unwrap();
            let mut unzipped = Vec::new();
            GzDecoder::new(zipped.as_ref()).read_to_end(&mut unzipped).unwrap();
            assert_eq!(unzipped, body);
            let read = ExportTraceServiceRequest::decode(body).unwrap();
            let spans: Vec<Span> = events[range.clone()].iter().flatten().cloned().collect();
            assert_eq!(fragments.spans(&range), spans.len() as u64);
            assert_eq!(read, spans::request(&[("service.name", "svc".to_owned())], spans));
        }
    }

    #[test]
    fn json_says_the_same_with_ids_in_hex() {
        let encoder = Encoder::new(Format::JsonLine, &resource()).unwrap();
        let (fragments, events) = fragments(&encoder);
        let body = plain(&encoder, &fragments, &(0..2));
        assert_eq!(body.iter().filter(|byte| **byte == b'\n').count(), 1);
        let read: ExportTraceServiceRequest = serde_json::from_slice(&body).unwrap();
        let spans: Vec<Span> = events[..2].iter().flatten().cloned().collect();
        assert_eq!(read, spans::request(&[("service.name", "svc".to_owned())], spans));
        let json: Value = serde_json::from_slice(&body).unwrap();
        let span = &json["resourceSpans"][0]["scopeSpans"][0]["spans"][0];
        assert_eq!(span["traceId"], "0102030405060708090a0b0c0d0e0f10");
        assert!(span["startTimeUnixNano"].is_string() && span["kind"].is_number(), "{span}");
        let empty: Value = serde_json::from_slice(&plain(&encoder, &fragments, &(2..3))).unwrap();
        assert_eq!(empty["resourceSpans"][0]["scopeSpans"][0]["spans"], Value::Array(Vec::new()));
    }

    #[test]
    fn what_fits_is_one_event_at_least() {
        let encoder = Encoder::new(Format::Protobuf, &resource()).unwrap();
        let (fragments, _) = fragments(&encoder);
        let first = fragments.slice(&(0..1)).len();
        assert_eq!(fragments.fitting(&(0..3), 1), 1);
        assert_eq!(fragments.fitting(&(0..3), first), 1);
        assert_eq!(fragments.fitting(&(0..3), usize::MAX), 3);
        assert_eq!(fragments.fitting(&(1..2), usize::MAX), 1);
        assert_eq!(fragments.fitting(&(3..3), 1), 0);
    }
}
