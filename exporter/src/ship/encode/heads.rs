//! What comes before spans: the fields of the `ResourceSpans` and of the `ScopeSpans` that they lie in.

use opentelemetry_proto::tonic::{collector::trace::v1::ExportTraceServiceRequest, trace::v1::ScopeSpans};

use crate::otlp::EncodeError;

/// `ResourceSpans.resource`.
const RESOURCE: u32 = 1;
/// `ScopeSpans.scope`.
const SCOPE: u32 = 1;
/// `schema_url` of both.
const SCHEMA_URL: u32 = 3;

/// The fields of the first `ResourceSpans` other than its `ScopeSpans`.
pub(super) fn protobuf_resource(empty: &ExportTraceServiceRequest) -> Vec<u8> {
    let mut head = Vec::new();
    let Some(spans) = empty.resource_spans.first() else { return head };
    if let Some(resource) = &spans.resource {
        prost::encoding::message::encode(RESOURCE, resource, &mut head);
    }
    if !spans.schema_url.is_empty() {
        prost::encoding::string::encode(SCHEMA_URL, &spans.schema_url, &mut head);
    }
    head
}

/// The fields of the first `ScopeSpans` other than its spans.
pub(super) fn protobuf_scope(empty: &ExportTraceServiceRequest) -> Vec<u8> {
    let mut head = Vec::new();
    let Some(within) = first_scope(empty) else { return head };
    if let Some(scope) = &within.scope {
        prost::encoding::message::encode(SCOPE, scope, &mut head);
    }
    if !within.schema_url.is_empty() {
        prost::encoding::string::encode(SCHEMA_URL, &within.schema_url, &mut head);
    }
    head
}

/// The first `ResourceSpans` as JSON, up to where the fields of its `ScopeSpans` begin.
pub(super) fn json_resource(empty: &ExportTraceServiceRequest) -> Result<Vec<u8>, EncodeError> {
    let spans = empty.resource_spans.first();
    let resource =
        serde_json::to_string(&spans.and_then(|spans| spans.resource.clone()).unwrap_or_default())?;
    let url = json_schema_url(spans.map(|spans| spans.schema_url.as_str()))?;
    Ok(format!("{{{url}\"resource\":{resource},\"scopeSpans\":[{{").into_bytes())
}

/// The fields of the first `ScopeSpans` as JSON, up to where the spans begin.
pub(super) fn json_scope(empty: &ExportTraceServiceRequest) -> Result<Vec<u8>, EncodeError> {
    let within = first_scope(empty);
    let scope = serde_json::to_string(&within.and_then(|within| within.scope.clone()).unwrap_or_default())?;
    let url = json_schema_url(within.map(|within| within.schema_url.as_str()))?;
    Ok(format!("{url}\"scope\":{scope},\"spans\":[").into_bytes())
}

fn first_scope(empty: &ExportTraceServiceRequest) -> Option<&ScopeSpans> {
    empty.resource_spans.first()?.scope_spans.first()
}

fn json_schema_url(url: Option<&str>) -> Result<String, EncodeError> {
    match url.filter(|url| !url.is_empty()) {
        Some(url) => Ok(format!("\"schemaUrl\":{},", serde_json::to_string(url)?)),
        None => Ok(String::new()),
    }
}
