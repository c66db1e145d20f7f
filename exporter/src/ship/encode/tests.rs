use std::io::Read as _;

use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message as _;
use serde_json::Value;

use super::*;
use crate::spans::{
    ExportProfile,
    fixture::{ID, failed_over, streamed},
};

/// Three events, the last without a span, of gateways with these hosts.
fn fragments(encoder: &Encoder, hosts: [&str; 3]) -> (Sealed, Vec<Vec<Span>>) {
    let of = |event| spans::of(ID, &event, &ExportProfile::default());
    let events = vec![of(streamed()), of(failed_over()), Vec::new()];
    let mut fragments = Fragments::default();
    for (event, host) in events.iter().zip(hosts) {
        encoder.add(&mut fragments, event, &served_by(host)).unwrap();
    }
    (fragments.seal(), events)
}

fn served_by(host: &str) -> Attributes {
    Some(host)
        .filter(|host| !host.is_empty())
        .map(|host| ("host.name".to_owned(), host.to_owned()))
        .into_iter()
        .collect()
}

fn plain(encoder: &Encoder, fragments: &Sealed, events: &Range<usize>) -> Bytes {
    encoder.body(fragments, events).compress(Compression::None).unwrap()
}

fn resource() -> Resource {
    Attributes::from([("service.name".to_owned(), "svc".to_owned())]).into()
}

/// What one resource after the other gives.
fn expected(groups: &[(&str, Vec<Span>)]) -> ExportTraceServiceRequest {
    let one = |(host, spans): &(&str, Vec<Span>)| {
        let attributes: Vec<_> = resource().of(&served_by(host)).into_iter().collect();
        spans::request(&attributes, spans.clone()).resource_spans
    };
    ExportTraceServiceRequest { resource_spans: groups.iter().flat_map(one).collect() }
}

#[test]
fn events_of_one_resource_stand_together_wherever_they_came() {
    for format in [Format::Protobuf, Format::JsonLine] {
        let encoder = Encoder::new(format, &resource()).unwrap();
        let of = |event| spans::of(ID, &event, &ExportProfile::default());
        let (long, short) = (of(streamed()), of(failed_over()));
        let mut fragments = Fragments::default();
        let events =
            [("a", &long), ("b", &short), ("a", &short), ("", &long), ("b", &Vec::new()), ("a", &long)];
        for (host, spans) in events {
            encoder.add(&mut fragments, spans, &served_by(host)).unwrap();
        }
        let fragments = fragments.seal();
        for start in 0..events.len() {
            for end in start + 1..=events.len() {
                let body = plain(&encoder, &fragments, &(start..end));
                let read: ExportTraceServiceRequest = match format {
                    Format::Protobuf => ExportTraceServiceRequest::decode(body).unwrap(),
                    _ => serde_json::from_slice(&body).unwrap(),
                };
                let run = &events[start..end];
                let hosts =
                    ["a", "b", ""].into_iter().filter(|host| run.iter().any(|(other, _)| other == host));
                let groups: Vec<_> = hosts
                    .map(|host| {
                        let own = run.iter().filter(|(other, _)| *other == host);
                        (host, own.flat_map(|(_, spans)| spans.iter().cloned()).collect())
                    })
                    .collect();
                assert_eq!(read, expected(&groups), "{start}..{end}");
            }
        }
    }
}

#[test]
fn a_resource_counts_where_it_is_first_needed() {
    let encoder = Encoder::new(Format::Protobuf, &resource()).unwrap();
    let (fragments, _) = fragments(&encoder, ["a", "b", "a"]);
    let (first, second) = (fragments.start(1), fragments.start(2) - fragments.start(1));
    let heads = fragments.head(0).len() + fragments.head(1).len();
    assert_eq!(fragments.fitting(&(0..3), first + second), 1);
    assert_eq!(fragments.fitting(&(0..3), first + second + heads - 1), 1);
    assert_eq!(fragments.fitting(&(0..3), first + second + heads), 3);
}

#[test]
fn many_events_of_many_gateways_are_put_together_in_one_go() {
    let encoder = Encoder::new(Format::Protobuf, &resource()).unwrap();
    let spans = spans::of(ID, &failed_over(), &ExportProfile::default());
    let mut fragments = Fragments::default();
    for n in 0..4096 {
        encoder.add(&mut fragments, &spans[..1], &served_by(&format!("h{}", n % 2048))).unwrap();
    }
    let fragments = fragments.seal();
    assert_eq!(fragments.heads.len(), 2048);
    let groups: Vec<_> = fragments.groups(&(0..4096)).collect();
    assert!(groups.len() == 2048 && groups.iter().all(|group| group.pieces.len() == 2));
    let read = ExportTraceServiceRequest::decode(plain(&encoder, &fragments, &(0..4096))).unwrap();
    assert_eq!(read.resource_spans.len(), 2048);
}

#[test]
fn any_run_of_events_is_what_encoding_it_whole_gives() {
    let encoder = Encoder::new(Format::Protobuf, &resource()).unwrap();
    let (fragments, events) = fragments(&encoder, [""; 3]);
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
    let (fragments, events) = fragments(&encoder, [""; 3]);
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
    let (fragments, _) = fragments(&encoder, [""; 3]);
    let first = fragments.start(1) + fragments.head(0).len();
    assert_eq!(fragments.fitting(&(0..3), 1), 1);
    assert_eq!(fragments.fitting(&(0..3), first), 1);
    assert_eq!(fragments.fitting(&(0..3), usize::MAX), 3);
    assert_eq!(fragments.fitting(&(1..2), usize::MAX), 1);
    assert_eq!(fragments.fitting(&(3..3), 1), 0);
}
