//! What the spans of an event report of its request.

use std::collections::HashMap;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest, common::v1::any_value::Value, trace::v1::Span,
};

/// What an event reports of its request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Reported {
    /// The request's trace id.
    pub trace: u128,
    /// The status that the caller saw, 0 where none.
    pub status: u16,
    /// How it ended.
    pub ending: String,
    /// Attempts at providers.
    pub attempts: u32,
    /// Attempts among them that a provider answered.
    pub answered: u32,
}

/// The ids of the events that an export holds.
pub fn events(export: &ExportTraceServiceRequest) -> Vec<String> {
    reported(export).into_iter().map(|(id, _)| id).collect()
}

/// The events of an export by their ids: all spans of one are in the same export.
pub(super) fn reported(export: &ExportTraceServiceRequest) -> Vec<(String, Reported)> {
    let spans = || export.resource_spans.iter().flat_map(|all| &all.scope_spans).flat_map(|all| &all.spans);
    let mut attempts: HashMap<&[u8], (u32, u32)> = HashMap::new();
    for span in spans().filter(|span| attribute(span, "weir.attempt.number").is_some()) {
        let (all, answered) = attempts.entry(&span.trace_id).or_default();
        *all += 1;
        *answered += u32::from(number(span, "http.response.status_code").is_some());
    }
    let event = |span: &Span| {
        let id = text(span, "weir.event.id")?.to_owned();
        let (attempts, answered) = attempts.get(span.trace_id.as_slice()).copied().unwrap_or_default();
        let status = number(span, "http.response.status_code").and_then(|status| u16::try_from(status).ok());
        let trace = span.trace_id.as_slice().try_into().map(u128::from_be_bytes).expect("16 bytes");
        let ending = text(span, "weir.ending").unwrap_or_default().to_owned();
        Some((id, Reported { trace, status: status.unwrap_or_default(), ending, attempts, answered }))
    };
    spans().filter_map(event).collect()
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
    found.value.as_ref()?.value.as_ref()
}

fn text<'a>(span: &'a Span, key: &str) -> Option<&'a str> {
    if let Value::StringValue(text) = attribute(span, key)? { Some(text) } else { None }
}

fn number(span: &Span, key: &str) -> Option<i64> {
    if let Value::IntValue(number) = attribute(span, key)? { Some(*number) } else { None }
}
