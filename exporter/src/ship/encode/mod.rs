//! Spans as bytes: each event is encoded once, by itself, and a body is any run of events, those of one resource
//! together between a head and an end.
//!
//! So a batch can be cut anywhere, down to a single event, without encoding anything anew, and of an event in
//! hand only its bytes are held.

mod heads;

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::Range,
};

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::encoding::{WireType, encode_key, encode_varint, encoded_len_varint, key_len};

use crate::{
    config::wire::Compression,
    otlp::{self, EncodeError},
    ship::console::Console,
    spans::{
        self,
        resource::{Attributes, Resource},
    },
};

/// `ExportTraceServiceRequest.resource_spans`.
const RESOURCE_SPANS: u32 = 1;
/// `ResourceSpans.scope_spans`.
const SCOPE_SPANS: u32 = 2;
/// `ScopeSpans.spans`.
const SPANS: u32 = 2;

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

/// Writes the spans of a destination.
#[derive(Clone, Debug)]
pub struct Encoder {
    format: Format,
    resource: Resource,
    /// What comes before the spans within their `ScopeSpans`.
    scope: Vec<u8>,
}

/// Encoded events, one after the other.
#[derive(Debug, Default)]
pub struct Fragments {
    bytes: Vec<u8>,
    events: Vec<Fragment>,
    /// What comes before the `ScopeSpans` of each resource, and which resource it is of.
    heads: Vec<Vec<u8>>,
    resources: BTreeMap<Attributes, usize>,
}

/// Encoded events to which nothing is added any more: bodies share their bytes.
#[derive(Debug, Default)]
pub struct Sealed {
    bytes: Bytes,
    events: Vec<Fragment>,
    heads: Vec<Vec<u8>>,
}

/// What is posted, before it is compressed.
#[derive(Debug)]
pub struct Body {
    parts: Vec<Bytes>,
}

#[derive(Clone, Copy, Debug)]
struct Fragment {
    end: usize,
    spans: u64,
    /// The place of its head.
    resource: usize,
}

/// The events of one resource within a run.
#[derive(Debug, Default)]
struct Group<'a> {
    head: &'a [u8],
    /// Where its spans lie; adjacent ones are one piece, and none is empty.
    pieces: Vec<Range<usize>>,
}

impl Fragments {
    /// None, with room for so many bytes.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { bytes: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// No more of them.
    pub fn seal(self) -> Sealed {
        Sealed { bytes: self.bytes.into(), events: self.events, heads: self.heads }
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

    /// How many of these events fit so many bytes, their resources included; one at least.
    pub fn fitting(&self, events: &Range<usize>, limit: usize) -> usize {
        let sizes = self.events.get(events.clone()).unwrap_or_default();
        let (mut start, mut size, mut seen) = (self.start(events.start), 0, BTreeSet::new());
        let fits = |event: &&Fragment| {
            let head = if seen.insert(event.resource) { self.head(event.resource).len() } else { 0 };
            size += event.end.saturating_sub(start) + head;
            start = event.end;
            size <= limit
        };
        sizes.iter().take_while(fits).count().max(1).min(sizes.len())
    }

    fn start(&self, event: usize) -> usize {
        event.checked_sub(1).and_then(|before| self.events.get(before)).map_or(0, |before| before.end)
    }

    fn head(&self, resource: usize) -> &[u8] {
        self.heads.get(resource).map_or(&[], Vec::as_slice)
    }

    fn slice(&self, piece: Range<usize>) -> Bytes {
        if piece.start < piece.end && piece.end <= self.bytes.len() {
            self.bytes.slice(piece)
        } else {
            Bytes::new()
        }
    }

    /// A run of events by their resources, in the order in which the batch first had them.
    fn groups(&self, events: &Range<usize>) -> impl Iterator<Item = Group<'_>> {
        let mut groups: BTreeMap<usize, Group<'_>> = BTreeMap::new();
        let mut start = self.start(events.start);
        for event in self.events.get(events.clone()).unwrap_or_default() {
            let group = groups.entry(event.resource).or_default();
            group.head = self.head(event.resource);
            match group.pieces.last_mut().filter(|last| last.end == start) {
                Some(last) => last.end = event.end,
                None if start < event.end => group.pieces.push(start..event.end),
                None => {}
            }
            start = event.end;
        }
        groups.into_values()
    }
}

impl Encoder {
    /// One that writes in this format, for a destination with this resource.
    ///
    /// # Errors
    ///
    /// [`EncodeError`], which does not happen: attributes are text.
    pub fn new(format: Format, resource: &Resource) -> Result<Self, EncodeError> {
        let empty = spans::request::<&str>(&[], Vec::new());
        let scope = match format {
            Format::Protobuf => heads::protobuf_scope(&empty),
            Format::Json | Format::JsonLine => heads::json_scope(&empty)?,
            Format::Text(_) => Vec::new(),
        };
        Ok(Self { format, resource: resource.clone(), scope })
    }

    /// Adds an event's spans, under the resource that the event carries.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Json`].
    pub fn add(
        &self,
        fragments: &mut Fragments,
        spans: &[Span],
        served_by: &Attributes,
    ) -> Result<(), EncodeError> {
        let resource = self.place(fragments, served_by)?;
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
            Format::Text(console) => {
                bytes.extend_from_slice(console.render(self.resource.service(), spans).as_bytes());
            }
        }
        let spans = u64::try_from(spans.len()).unwrap_or(u64::MAX);
        fragments.events.push(Fragment { end: fragments.bytes.len(), spans, resource });
        Ok(())
    }

    /// The place of a resource's head, which is encoded where there is none yet.
    fn place(&self, fragments: &mut Fragments, served_by: &Attributes) -> Result<usize, EncodeError> {
        if let Some(place) = fragments.resources.get(served_by) {
            return Ok(*place);
        }
        let attributes: Vec<_> = self.resource.of(served_by).into_iter().collect();
        let empty = spans::request(&attributes, Vec::new());
        let head = match self.format {
            Format::Protobuf => heads::protobuf_resource(&empty),
            Format::Json | Format::JsonLine => heads::json_resource(&empty)?,
            Format::Text(_) => Vec::new(),
        };
        let place = fragments.heads.len();
        fragments.heads.push(head);
        fragments.resources.insert(served_by.clone(), place);
        Ok(place)
    }

    /// A body that carries these events.
    pub fn body(&self, fragments: &Sealed, events: &Range<usize>) -> Body {
        let parts = match self.format {
            Format::Protobuf => {
                fragments.groups(events).flat_map(|group| self.protobuf(fragments, group)).collect()
            }
            Format::Json => self.json(fragments, events, "]}"),
            Format::JsonLine => self.json(fragments, events, "]}\n"),
            Format::Text(_) => {
                vec![fragments.slice(fragments.start(events.start)..fragments.start(events.end))]
            }
        };
        Body { parts }
    }

    /// One `ResourceSpans`.
    fn protobuf(&self, fragments: &Sealed, group: Group<'_>) -> Vec<Bytes> {
        let spans: usize = group.pieces.iter().map(ExactSizeIterator::len).sum();
        let scope_len = self.scope.len() + spans;
        let inner = group.head.len() + key_len(SCOPE_SPANS) + encoded_len_varint(wide(scope_len)) + scope_len;
        let mut head = Vec::with_capacity(inner - spans + 16);
        encode_key(RESOURCE_SPANS, WireType::LengthDelimited, &mut head);
        encode_varint(wide(inner), &mut head);
        head.extend_from_slice(group.head);
        encode_key(SCOPE_SPANS, WireType::LengthDelimited, &mut head);
        encode_varint(wide(scope_len), &mut head);
        head.extend_from_slice(&self.scope);
        let pieces = group.pieces.into_iter().map(|piece| fragments.slice(piece));
        std::iter::once(head.into()).chain(pieces).collect()
    }

    fn json(&self, fragments: &Sealed, events: &Range<usize>, end: &'static str) -> Vec<Bytes> {
        let mut parts = vec![Bytes::from_static(b"{\"resourceSpans\":[")];
        for (place, group) in fragments.groups(events).enumerate() {
            let comma: &[u8] = if place > 0 { b"," } else { b"" };
            parts.push([comma, group.head, &self.scope].concat().into());
            parts.extend(group.pieces.into_iter().map(|piece| fragments.slice(piece)));
            if let Some(last) = parts.last_mut().filter(|last| last.ends_with(b",")) {
                last.truncate(last.len() - 1);
            }
            parts.push(Bytes::from_static(b"]}]}"));
        }
        parts.push(Bytes::from_static(end.as_bytes()));
        parts
    }
}

impl Body {
    /// The bytes that are posted. Without compression, what is one piece is not copied.
    ///
    /// # Errors
    ///
    /// [`EncodeError::Gzip`], which does not happen when writing to memory.
    pub fn compress(mut self, compression: Compression) -> Result<Bytes, EncodeError> {
        match compression {
            Compression::Gzip => otlp::gzip(&self.parts),
            Compression::None if self.parts.len() == 1 => Ok(self.parts.pop().unwrap_or_default()),
            Compression::None => Ok(self.parts.concat().into()),
        }
    }
}

fn wide(length: usize) -> u64 {
    u64::try_from(length).unwrap_or(u64::MAX)
}
#[cfg(test)]
mod tests;
