//! The spans of an event, and the request that carries them.

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{InstrumentationScope, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use weir_event::{EventId, VERSION, disclosure, v1::TraceEvent};

use super::{
    attempt, chat,
    facts::{attributes, event::Facts, profile::ExportProfile, tree::SpanTree},
    server,
};

/// How many spans an event has at most besides its attempts.
const OTHER_SPANS: usize = 7;

/// The scope that all spans are in.
const SCOPE: &str = "weir";

/// The spans of one event as a destination wants them, of what may be reported of it ([`disclosure`]).
pub fn of(id: EventId, event: &TraceEvent, profile: &ExportProfile) -> Vec<Span> {
    let reduced;
    let event = if profile.exclude_content || !disclosure::has_content(event) {
        reduced = disclosure::reduced(event);
        &reduced
    } else {
        event
    };
    let facts = Facts::new(event, profile);
    let tree = SpanTree::new(id, event.trace.as_ref(), profile);
    let mut spans = Vec::with_capacity(event.attempts.len().saturating_add(OTHER_SPANS));
    spans.push(server::span(&tree, id, &facts));
    spans.extend(server::authentication(&tree, &facts));
    spans.extend(server::redaction(&tree, &facts));
    spans.extend(server::resolution(&tree, &facts));
    let mut parent = tree.server.clone();
    if facts.is_operation() {
        parent = tree.span_id(&[], "chat");
        spans.push(chat::span(&tree, &parent, &facts));
    }
    spans.extend(event.attempts.iter().map(|attempt| attempt::span(&tree, &parent, &facts, attempt)));
    if facts.is_operation() {
        spans.extend(chat::stream(&tree, &parent, &facts));
    }
    spans
}

/// A request that carries these spans under one resource and one scope.
pub fn request<N: AsRef<str>>(resource: &[(N, String)], spans: Vec<Span>) -> ExportTraceServiceRequest {
    let attributes = resource.iter().filter(|(_, value)| !value.is_empty());
    let attributes = attributes
        .map(|(name, value)| attributes::pair(name.as_ref(), Value::StringValue(value.clone())))
        .collect();
    let scope =
        InstrumentationScope { name: SCOPE.to_owned(), version: VERSION.to_owned(), ..Default::default() };
    let scope_spans = vec![ScopeSpans { scope: Some(scope), spans, ..ScopeSpans::default() }];
    let resource = Some(Resource { attributes, ..Resource::default() });
    let resource_spans = vec![ResourceSpans { resource, scope_spans, ..ResourceSpans::default() }];
    ExportTraceServiceRequest { resource_spans }
}
