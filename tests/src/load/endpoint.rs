//! An OTLP endpoint for floods: takes gzipped protobuf over HTTP and keeps of every event who it is and what it
//! tells, not its spans.
//!
//! What it counts as taken is what it meant to answer with success, whether the answer arrived or not.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::{
    collections::{HashMap, hash_map::Entry},
    io::Read,
};

use axum::{
    Extension, Router,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};
use prost::Message;

use super::{
    TraceId,
    scripted::{self, Scripted, Shared, lock},
};
use crate::fakes::server::Cut;

/// An event's id: its source, and its place in it.
pub type Id = (u128, u64);

/// How it answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Mood {
    /// With success.
    #[default]
    Takes,
    /// With this status.
    Refuses(u16),
    /// Never.
    Hangs,
    /// It takes what comes, and breaks the connection instead of saying so.
    Forgets,
}

/// What an event told of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// The request's trace.
    pub trace: TraceId,
    /// The status that the caller saw, 0 where none.
    pub status: u16,
    /// How it ended.
    pub ending: String,
    /// Attempts at providers.
    pub attempts: u32,
    /// Attempts among them that a provider answered.
    pub answered: u32,
}

/// What an endpoint keeps.
#[derive(Debug, Default)]
pub struct Record {
    mood: Mood,
    told: HashMap<Id, Told>,
    repeated: u64,
    changed: u64,
    keeps: bool,
}

impl scripted::Record for Record {
    type Mood = Mood;
    fn mood(&mut self) -> &mut Mood {
        &mut self.mood
    }
}

/// A running endpoint.
pub type Endpoint = Scripted<Record>;

impl Endpoint {
    /// Starts one. Without `keeps` it only counts.
    pub async fn start(keeps: bool) -> Self {
        let router = Router::new().fallback(take).layer(DefaultBodyLimit::disable());
        Self::over(Record { keeps, ..Record::default() }, router).await
    }

    /// What was told, by event.
    pub fn told(&self) -> HashMap<Id, Told> {
        self.record().told.clone()
    }

    /// How many different events were told.
    pub fn count(&self) -> usize {
        self.record().told.len()
    }

    /// How often an event came that had come before.
    pub fn repeated(&self) -> u64 {
        self.record().repeated
    }

    /// How often one came again and told something else.
    pub fn changed(&self) -> u64 {
        self.record().changed
    }
}

impl Record {
    fn enter(&mut self, id: Id, told: Told) {
        // Who it was must be known in any case, or a second delivery would count as a second event.
        let told = if self.keeps { told } else { Told::default() };
        match self.told.entry(id) {
            Entry::Vacant(place) => {
                place.insert(told);
            }
            Entry::Occupied(before) => {
                self.repeated += 1;
                self.changed += u64::from(*before.get() != told);
            }
        }
    }
}

async fn take(
    State(record): State<Shared<Record>>,
    Extension(cut): Extension<Cut>,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    if uri.path() != "/v1/traces" {
        // Metrics are pushed here too; they are nobody's events.
        return StatusCode::OK.into_response();
    }
    let mood = lock(&record).mood;
    match mood {
        Mood::Refuses(status) => return StatusCode::from_u16(status).expect("a status").into_response(),
        Mood::Hangs => return std::future::pending().await,
        Mood::Takes | Mood::Forgets => {}
    }
    let Some(export) = decode(&headers, &body) else { return StatusCode::BAD_REQUEST.into_response() };
    let events = events(&export);
    {
        let mut record = lock(&record);
        events.into_iter().for_each(|(id, told)| record.enter(id, told));
    }
    if mood == Mood::Forgets {
        cut.now().await;
    }
    ([(header::CONTENT_TYPE, "application/x-protobuf")], "").into_response()
}

fn decode(headers: &HeaderMap, body: &Bytes) -> Option<ExportTraceServiceRequest> {
    if headers.get(header::CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return ExportTraceServiceRequest::decode(body.as_ref()).ok();
    }
    let mut plain = Vec::new();
    GzDecoder::new(body.as_ref()).read_to_end(&mut plain).ok()?;
    ExportTraceServiceRequest::decode(plain.as_slice()).ok()
}

/// The events of an export: all spans of one are in the same export.
fn events(export: &ExportTraceServiceRequest) -> Vec<(Id, Told)> {
    let spans = || export.resource_spans.iter().flat_map(|all| &all.scope_spans).flat_map(|all| &all.spans);
    let mut attempts: HashMap<&[u8], (u32, u32)> = HashMap::new();
    for span in spans().filter(|span| attribute(span, "weir.attempt.number").is_some()) {
        let (all, answered) = attempts.entry(&span.trace_id).or_default();
        *all += 1;
        *answered += u32::from(number(span, "http.response.status_code").is_some());
    }
    let event = |span: &Span| {
        let id = id(text(span, "weir.event.id")?).expect("an event's id");
        let (attempts, answered) = attempts.get(span.trace_id.as_slice()).copied().unwrap_or_default();
        let status = number(span, "http.response.status_code").and_then(|status| u16::try_from(status).ok());
        let trace = TraceId::from_be_bytes(span.trace_id.as_slice().try_into().expect("16 bytes"));
        let ending = text(span, "weir.ending").unwrap_or_default().to_owned();
        Some((id, Told { trace, status: status.unwrap_or_default(), ending, attempts, answered }))
    };
    spans().filter_map(event).collect()
}

fn id(text: &str) -> Option<Id> {
    let (source, sequence) = text.split_once('-')?;
    Some((u128::from_str_radix(source, 16).ok()?, sequence.parse().ok()?))
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    match attribute(span, key)? {
        Value::StringValue(text) => Some(text),
        _ => None,
    }
}

fn number(span: &Span, key: &str) -> Option<i64> {
    match attribute(span, key)? {
        Value::IntValue(number) => Some(*number),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let written = weir_event::EventId { source: [0xab; 16], sequence: 7 }.to_string();
        assert_eq!(id(&written), Some((u128::from_be_bytes([0xab; 16]), 7)));
        assert_eq!((id("ab"), id("zz-1"), id("ab-x")), (None, None, None));
    }
}
