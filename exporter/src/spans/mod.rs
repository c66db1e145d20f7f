//! From a trace event to OpenTelemetry spans. Pure: the same event yields the same spans.
//!
//! ```text
//! POST /v1/chat/completions   SERVER    child of the caller's span
//! ├─ authenticate             INTERNAL  only where callers need a key
//! ├─ resolve_model            INTERNAL
//! └─ <operation> <model>      CLIENT    only where a provider was tried
//!    ├─ POST                  CLIENT    one for each attempt
//!    └─ stream                INTERNAL  from the first token to the last
//! ```

mod attempt;
mod attributes;
mod chat;
mod family;
#[cfg(test)]
pub(crate) mod fixture;
pub mod names;
mod server;
#[cfg(test)]
mod tests;

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::{InstrumentationScope, any_value::Value},
    resource::v1::Resource,
    trace::v1::{ResourceSpans, ScopeSpans, Span},
};
use weir_event::{
    EventId,
    v1::{Ending, TraceEvent},
};

use crate::VERSION;
use family::Family;

/// The scope that all spans are in.
const SCOPE: &str = "weir";

/// The spans of one event.
pub fn of(id: EventId, event: &TraceEvent) -> Vec<Span> {
    let family = Family::new(id, event.trace.as_ref());
    let mut spans = vec![server::span(&family, id, event)];
    spans.extend(server::authentication(&family, event));
    spans.extend(server::resolution(&family, event));
    if !event.attempts.is_empty() {
        let chat = family.span_id(&[], "chat");
        spans.push(chat::span(&family, &chat, event));
        spans.extend(event.attempts.iter().map(|attempt| attempt::span(&family, &chat, attempt)));
        spans.extend(chat::stream(&family, &chat, event));
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

/// The name of an ending, as attributes show it; empty where none is known.
fn ending(event: &TraceEvent) -> &'static str {
    match event.ending() {
        Ending::Unspecified => "",
        Ending::Completed => "completed",
        Ending::ClientDisconnected => "client_disconnected",
        Ending::UpstreamReset => "upstream_reset",
        Ending::Timeout => "timeout",
        Ending::Rejected => "rejected",
    }
}

/// The ending's name where it is one that no answer accounts for.
fn broken_off(event: &TraceEvent) -> Option<&'static str> {
    match event.ending() {
        Ending::ClientDisconnected | Ending::UpstreamReset | Ending::Timeout => Some(ending(event)),
        Ending::Unspecified | Ending::Completed | Ending::Rejected => None,
    }
}

/// The first of some times that did happen; 0 where none did.
fn first_known(times: &[u64]) -> u64 {
    times.iter().copied().find(|time| *time > 0).unwrap_or_default()
}
