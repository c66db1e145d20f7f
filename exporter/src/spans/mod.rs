//! From a trace event to OpenTelemetry spans. Pure: the same event yields the same spans.
//!
//! ```text
//! POST /v1/chat/completions   SERVER    child of the caller's span
//! ├─ authenticate             INTERNAL  only where callers need a key
//! ├─ redact                   INTERNAL  only where something must not reach the provider; another one
//! │                                     where the answer is searched, or values restored in it
//! ├─ resolve_model            INTERNAL
//! └─ <operation> <model>      CLIENT    only where a provider was tried, and not for plain HTTP
//!    ├─ POST                  CLIENT    one for each attempt
//!    └─ stream                INTERNAL  from the first token to the last
//! ```

mod attempt;
mod attributes;
mod chat;
#[cfg(test)]
mod content_tests;
mod facts;
mod family;
#[cfg(test)]
pub(crate) mod fixture;
mod messages;
pub mod names;
mod overlay;
pub mod prices;
pub mod resource;
mod server;
mod shorten;
#[cfg(test)]
mod tests;
mod view;

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

pub(crate) use chat::failure;
pub(crate) use facts::start;

use facts::Facts;
use family::Family;
pub use view::{Overlays, View};
use weir_event::VERSION;

/// How many spans an event has at most besides its attempts.
const OTHER_SPANS: usize = 7;

/// The scope that all spans are in.
const SCOPE: &str = "weir";

/// The spans of one event as a destination wants them.
pub fn of(id: EventId, event: &TraceEvent, view: &View) -> Vec<Span> {
    let facts = Facts::new(event, view);
    let family = Family::new(id, event.trace.as_ref(), view);
    let mut spans = Vec::with_capacity(event.attempts.len().saturating_add(OTHER_SPANS));
    spans.push(server::span(&family, id, &facts));
    spans.extend(server::authentication(&family, &facts));
    spans.extend(server::redaction(&family, &facts));
    spans.extend(server::resolution(&family, &facts));
    let mut parent = family.server.clone();
    if facts.is_operation() {
        parent = family.span_id(&[], "chat");
        spans.push(chat::span(&family, &parent, &facts));
    }
    spans.extend(event.attempts.iter().map(|attempt| attempt::span(&family, &parent, &facts, attempt)));
    if facts.is_operation() {
        spans.extend(chat::stream(&family, &parent, &facts));
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
        Ending::Truncated => "truncated",
    }
}

/// The ending's name where it is one that no answer accounts for.
fn broken_off(event: &TraceEvent) -> Option<&'static str> {
    match event.ending() {
        Ending::ClientDisconnected | Ending::UpstreamReset | Ending::Timeout | Ending::Truncated => {
            Some(ending(event))
        }
        Ending::Unspecified | Ending::Completed | Ending::Rejected => None,
    }
}

/// The first of some times that did happen; 0 where none did.
pub(crate) fn first_known(times: &[u64]) -> u64 {
    times.iter().copied().find(|time| *time > 0).unwrap_or_default()
}
