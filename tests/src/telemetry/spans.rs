//! Spans as a test wants to read them: flat, with their resource, ids in hex.
//!
//! Made from the decoded OTLP message alone, so what is here was in the bytes.

use std::collections::BTreeMap;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{AnyValue, KeyValue, any_value},
    trace::v1::{Span as OtlpSpan, Status, span::SpanKind, status::StatusCode},
};
use serde_json::{Value, json};

/// One span.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// 32 hex digits.
    pub trace_id: String,
    /// 16 hex digits.
    pub span_id: String,
    /// 16 hex digits; empty where it has no parent.
    pub parent_id: String,
    /// W3C tracestate.
    pub trace_state: String,
    /// The name.
    pub name: String,
    /// The kind.
    pub kind: SpanKind,
    /// Unix nanoseconds.
    pub start_ns: u64,
    /// Unix nanoseconds.
    pub end_ns: u64,
    /// The attributes by key.
    pub attributes: BTreeMap<String, Value>,
    /// The resource's attributes by key.
    pub resource: BTreeMap<String, Value>,
    /// Whether it is an error, is not, or says nothing of it.
    pub status: StatusCode,
}

impl Span {
    /// An attribute, or `null` where it has none by this key.
    pub fn attribute(&self, key: &str) -> &Value {
        self.attributes.get(key).unwrap_or(&Value::Null)
    }
}

/// Every span of an export, in its order.
pub fn flatten(export: &ExportTraceServiceRequest) -> Vec<Span> {
    let mut spans = Vec::new();
    for resource_spans in &export.resource_spans {
        let resource = resource_spans.resource.as_ref().map(|resource| by_key(&resource.attributes));
        for span in resource_spans.scope_spans.iter().flat_map(|scope| &scope.spans) {
            spans.push(flat(span, resource.clone().unwrap_or_default()));
        }
    }
    spans
}

/// The one span whose name passes. Panics when none or several do; the message lists what there is.
pub fn only<'a>(spans: &'a [Span], what: &str, passes: impl Fn(&Span) -> bool) -> &'a Span {
    let found: Vec<&Span> = spans.iter().filter(|span| passes(span)).collect();
    match found.as_slice() {
        [span] => span,
        _ => panic!("{} spans, not one, for {what} among:\n{}", found.len(), outline(spans)),
    }
}

/// The one span of this name. Panics when there is none, or several.
pub fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    only(spans, name, |span| span.name == name)
}

/// One line a span: for messages.
pub fn outline(spans: &[Span]) -> String {
    let line = |span: &Span| {
        let Span { name, kind, span_id, parent_id, status, attributes, .. } = span;
        format!("{name} {kind:?} id={span_id} parent={parent_id} {status:?} {}\n", json!(attributes))
    };
    spans.iter().map(line).collect()
}

fn flat(span: &OtlpSpan, resource: BTreeMap<String, Value>) -> Span {
    Span {
        trace_id: hex(&span.trace_id),
        span_id: hex(&span.span_id),
        parent_id: hex(&span.parent_span_id),
        trace_state: span.trace_state.clone(),
        name: span.name.clone(),
        kind: span.kind(),
        start_ns: span.start_time_unix_nano,
        end_ns: span.end_time_unix_nano,
        attributes: by_key(&span.attributes),
        resource,
        status: span.status.as_ref().map_or(StatusCode::Unset, Status::code),
    }
}

pub(crate) fn by_key(attributes: &[KeyValue]) -> BTreeMap<String, Value> {
    let mut by_key = BTreeMap::new();
    for attribute in attributes {
        let earlier = by_key.insert(attribute.key.clone(), value(attribute.value.as_ref()));
        assert_eq!(earlier, None, "the attribute {} stands twice", attribute.key);
    }
    by_key
}

fn value(any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        None => Value::Null,
        Some(any_value::Value::StringValue(text)) => json!(text),
        Some(any_value::Value::BoolValue(flag)) => json!(flag),
        Some(any_value::Value::IntValue(number)) => json!(number),
        Some(any_value::Value::DoubleValue(number)) => json!(number),
        Some(any_value::Value::BytesValue(bytes)) => json!(hex(bytes)),
        Some(any_value::Value::ArrayValue(array)) => {
            array.values.iter().map(|item| value(Some(item))).collect()
        }
        Some(any_value::Value::KvlistValue(list)) => json!(by_key(&list.values)),
        Some(other) => panic!("a value that only profiles may have: {other:?}"),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
