//! The resource of the Envoy that sent a batch, on its way into the batch's events.
//!
//! A sender says it once a batch; each event that is stored carries it, so that what lies in the stream needs
//! nothing else to be understood. What a sender says is checked here, and what an event carries by its own word is
//! taken out: neither a wrong attribute nor text that is none costs a batch or an event.

use bytes::{Buf as _, Bytes};
use prost::{
    Message,
    encoding::{DecodeContext, decode_key, skip_field},
};
use weir_event::{
    resource::Bounded,
    v1::{Totals, TraceEvent},
};

/// `TraceEvent.resource`.
const RESOURCE: u32 = 14;

/// An `EventBatch` whose resource is read entry by entry: one that is not UTF-8 is no reason to refuse the batch.
#[derive(Clone, PartialEq, Message)]
pub(super) struct SentBatch {
    #[prost(bytes = "bytes", tag = "1")]
    pub(super) source: Bytes,
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) events: Vec<Bytes>,
    #[prost(message, optional, tag = "3")]
    pub(super) totals: Option<Totals>,
    #[prost(bytes = "bytes", repeated, tag = "4")]
    resource: Vec<Bytes>,
}

/// An entry of a map, of bytes that need not be text.
#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(bytes = "bytes", tag = "1")]
    key: Bytes,
    #[prost(bytes = "bytes", tag = "2")]
    value: Bytes,
}

/// A resource as the end of an event.
#[derive(Debug, Default)]
pub(super) struct Resource {
    /// A `TraceEvent` that has nothing else: by protobuf's rules it is merged with what it is appended to.
    end: Bytes,
}

impl Resource {
    /// The batch's resource as far as it is allowed, and how many attributes were left out.
    pub(super) fn take(batch: &mut SentBatch) -> (Self, usize) {
        let (mut resource, mut dropped) = (Bounded::default(), 0);
        for entry in std::mem::take(&mut batch.resource) {
            let entry = Entry::decode(entry).ok();
            let text = |bytes: Option<Bytes>| bytes.and_then(|bytes| String::from_utf8(bytes.into()).ok());
            let (key, value) = entry.map(|Entry { key, value }| (key, value)).unzip();
            let added = text(key).zip(text(value)).is_some_and(|(key, value)| resource.add(&key, &value));
            dropped += usize::from(!added);
        }
        let resource = resource.into_attributes();
        (Self { end: TraceEvent { resource, ..TraceEvent::default() }.encode_to_vec().into() }, dropped)
    }

    /// By how many bytes it makes an event longer.
    pub(super) fn len(&self) -> usize {
        self.end.len()
    }

    /// The event with this resource. It must have none ([`without_resource`]).
    pub(super) fn append_to(&self, event: Bytes) -> Bytes {
        if self.end.is_empty() { event } else { [event, self.end.clone()].concat().into() }
    }
}

/// The event without the resource that its sender gave it, and how many attributes that were. What is not protobuf is
/// left as it is, to be refused. Fields that this version does not know stay.
pub(super) fn without_resource(event: Bytes) -> (Bytes, usize) {
    let (mut kept, mut dropped) = (Vec::new(), 0);
    let (mut rest, mut start) = (event.clone(), 0);
    while rest.has_remaining() {
        let here = event.len() - rest.remaining();
        let Ok((field, wire_type)) = decode_key(&mut rest) else { return (event, 0) };
        if skip_field(wire_type, field, &mut rest, DecodeContext::default()).is_err() {
            return (event, 0);
        }
        if field == RESOURCE {
            kept.extend_from_slice(event.get(start..here).unwrap_or_default());
            start = event.len() - rest.remaining();
            dropped += 1;
        }
    }
    if dropped == 0 {
        return (event, 0);
    }
    kept.extend_from_slice(event.get(start..).unwrap_or_default());
    (kept.into(), dropped)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use weir_event::{
        resource::{MAX_ATTRIBUTES, MAX_BYTES},
        v1::{EventBatch, Request},
    };

    use super::*;

    fn attributes(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn taken(bytes: Vec<u8>) -> (BTreeMap<String, String>, usize) {
        let mut batch = SentBatch::decode(Bytes::from(bytes)).unwrap();
        let (resource, dropped) = Resource::take(&mut batch);
        (TraceEvent::decode(resource.append_to(Bytes::new())).unwrap().resource, dropped)
    }

    #[test]
    fn a_batch_is_read_as_it_is_written() {
        let batch = EventBatch {
            source: vec![7; 16].into(),
            events: vec![Bytes::from_static(b"a"), Bytes::from_static(b"b")],
            totals: Some(Totals { created: 3, ..Totals::default() }),
            resource: attributes(&[("host.name", "h"), ("k8s.pod.name", "p")]),
        };
        let read = SentBatch::decode(Bytes::from(batch.encode_to_vec())).unwrap();
        assert_eq!((&read.source, &read.events, read.totals), (&batch.source, &batch.events, batch.totals));
        assert_eq!(taken(batch.encode_to_vec()), (batch.resource, 0));
    }

    #[test]
    fn what_is_not_allowed_is_left_out_and_counted() {
        let long = "x".repeat(300);
        let mut resource = attributes(&[
            ("host.name", "h"),
            ("service.name", "not-ours"),
            ("mw.account_key", "k"),
            ("project.name", "p"),
            ("telemetry.sdk.name", "s"),
            ("host.id", &long),
            ("host.type", "a\u{7}b"),
            ("", ""),
        ]);
        resource.insert(format!("host.{long}"), "v".to_owned());
        let batch = EventBatch { resource, ..EventBatch::default() };
        assert_eq!(taken(batch.encode_to_vec()), (attributes(&[("host.name", "h")]), 8));
    }

    #[test]
    fn however_many_there_are_the_end_stays_short() {
        let resource = (0..5000).map(|n| (format!("k8s.pod.label.{n}"), "v".repeat(200))).collect();
        let batch = EventBatch { resource, ..EventBatch::default() };
        let (kept, dropped) = taken(batch.encode_to_vec());
        assert!(kept.len() <= MAX_ATTRIBUTES && kept.len() + dropped == 5000);
        let (resource, _) =
            Resource::take(&mut SentBatch::decode(Bytes::from(batch.encode_to_vec())).unwrap());
        assert!(resource.len() <= MAX_BYTES + 16 * MAX_ATTRIBUTES, "{}", resource.len());
    }

    #[test]
    fn text_that_is_none_and_entries_that_are_none_cost_only_themselves() {
        let entry = |key: &'static [u8], value: &'static [u8]| {
            Entry { key: Bytes::from_static(key), value: Bytes::from_static(value) }.encode_to_vec().into()
        };
        let resource = vec![
            entry(b"host.name", b"\xff\xfe"),
            entry(b"host.\xff", b"v"),
            Bytes::from_static(b"\xff\xff\xff"),
            entry(b"host.id", b"i"),
            entry(b"host.id", b"another"),
        ];
        let batch = SentBatch { resource, ..SentBatch::default() };
        assert_eq!(taken(batch.encode_to_vec()), (attributes(&[("host.id", "i")]), 4));
    }

    #[test]
    fn an_events_own_resource_is_taken_out_wherever_it_stands_and_the_rest_stays() {
        let event = TraceEvent {
            sequence: 7,
            request: Some(Request { model: "m".to_owned(), ..Request::default() }),
            ..TraceEvent::default()
        };
        let lie = TraceEvent {
            resource: attributes(&[("service.name", "x"), ("host.name", "y")]),
            ..TraceEvent::default()
        };
        // Field 1000, which is in no version yet.
        let unknown = [0xc0, 0x3e, 0x01];
        let honest = [event.encode_to_vec(), unknown.to_vec()].concat();
        // Text that is none, which would make the whole event unreadable.
        let broken = [0x72, 0x05, 0x0a, 0x01, 0xff, 0x12, 0x00];
        let lie = lie.encode_to_vec();
        let lying = [&lie[..], &event.encode_to_vec(), &broken, &unknown, &lie].concat();
        let (stripped, dropped) = without_resource(lying.into());
        assert_eq!((stripped.as_ref(), dropped), (honest.as_slice(), 5));
        let honest = Bytes::from(honest);
        assert_eq!(without_resource(honest.clone()).0.as_ptr(), honest.as_ptr(), "nothing is copied");
        let torn = Bytes::from_static(b"\x72\x7f");
        assert_eq!(without_resource(torn.clone()), (torn, 0));
    }
}
