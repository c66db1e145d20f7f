//! What the spans of one event have in common: their trace, and ids that are the same at every delivery.
//!
//! An id that the event does not carry is derived from the event's id and the span's place, so an event
//! that is delivered twice yields the same spans twice. A span never ends before it starts.

use opentelemetry_proto::tonic::{
    common::v1::{KeyValue, any_value::Value},
    trace::v1::{Span, SpanFlags, Status, span::SpanKind, status::StatusCode},
};
use sha2::{Digest as _, Sha256};
use weir_event::{EventId, v1::TraceContext};

use super::{
    attributes::{Attributes, pair},
    profile::ExportProfile,
};
use crate::spans::{messages::spec::CHAIN, names};

/// The bits of `flags` that are W3C trace-flags.
const TRACE_FLAGS: u32 = SpanFlags::TraceFlagsMask as u32;

/// Whether the parent is in another process is known.
const KNOWS_REMOTE: u32 = SpanFlags::ContextHasIsRemoteMask as u32;

/// The parent is in another process.
const IS_REMOTE: u32 = SpanFlags::ContextIsRemoteMask as u32;

/// A span's own facts, before it joins the tree.
#[derive(Debug, Default)]
pub(in crate::spans) struct Draft {
    pub(in crate::spans) name: String,
    pub(in crate::spans) kind: SpanKind,
    /// Unix nanoseconds, start and end.
    pub(in crate::spans) times: (u64, u64),
    pub(in crate::spans) attributes: Attributes,
    /// The `error.type` where the operation failed.
    pub(in crate::spans) error: Option<String>,
    /// What the provider said about the failure, where that may be exported.
    pub(in crate::spans) error_text: String,
    /// OpenInference's kind of span; empty for a link in the chain.
    pub(in crate::spans) inference_kind: &'static str,
}

/// The trace that an event belongs to.
pub(in crate::spans) struct SpanTree<'v> {
    id: EventId,
    profile: &'v ExportProfile,
    trace_id: Vec<u8>,
    trace_state: String,
    flags: u32,
    /// The SERVER span.
    pub(in crate::spans) server: Vec<u8>,
    /// The caller's span; empty where there is none.
    caller: Vec<u8>,
}

impl<'v> SpanTree<'v> {
    pub(in crate::spans) fn new(
        id: EventId,
        context: Option<&TraceContext>,
        profile: &'v ExportProfile,
    ) -> Self {
        let unknown = TraceContext::default();
        let context = context.unwrap_or(&unknown);
        let tree = Self {
            id,
            profile,
            trace_id: valid::<16>(&context.trace_id).unwrap_or_else(|| derive::<16>(id, "trace")),
            trace_state: context.trace_state.clone(),
            flags: context.flags & TRACE_FLAGS,
            server: Vec::new(),
            caller: valid::<8>(&context.parent_span_id).unwrap_or_default(),
        };
        Self { server: tree.span_id(&context.span_id, "server"), ..tree }
    }

    /// An id as carried, or the one that belongs to this place.
    pub(in crate::spans) fn span_id(&self, carried: &[u8], place: &str) -> Vec<u8> {
        valid::<8>(carried).unwrap_or_else(|| derive::<8>(self.id, place))
    }

    /// The SERVER span, child of the caller's.
    pub(in crate::spans) fn root(&self, draft: Draft) -> Span {
        let remote = if self.caller.is_empty() { 0 } else { KNOWS_REMOTE | IS_REMOTE };
        self.span(self.server.clone(), self.caller.clone(), remote, draft)
    }

    /// A span within the gateway.
    pub(in crate::spans) fn child(&self, span_id: Vec<u8>, parent: &[u8], draft: Draft) -> Span {
        self.span(span_id, parent.to_vec(), KNOWS_REMOTE, draft)
    }

    fn span(&self, span_id: Vec<u8>, parent_span_id: Vec<u8>, flags: u32, draft: Draft) -> Span {
        let Draft { name, kind, times: (start, end), attributes, error, error_text, inference_kind } = draft;
        let mut head = self.head(inference_kind);
        let status = error.map(|error| {
            head.push(pair(names::ERROR_TYPE, Value::StringValue(error)));
            Status { code: StatusCode::Error.into(), message: error_text }
        });
        let (attributes, dropped_attributes_count) = attributes.finish(head);
        Span {
            trace_id: self.trace_id.clone(),
            span_id,
            trace_state: self.trace_state.clone(),
            parent_span_id,
            flags: self.flags | flags,
            name,
            kind: kind.into(),
            start_time_unix_nano: start,
            end_time_unix_nano: end.max(start),
            attributes,
            dropped_attributes_count,
            status,
            ..Span::default()
        }
    }
}

impl SpanTree<'_> {
    /// What every span of the profile carries.
    fn head(&self, inference_kind: &'static str) -> Vec<KeyValue> {
        let mut head = Vec::new();
        let mut add = |name: &str, value: &str| head.push(pair(name, Value::StringValue(value.to_owned())));
        if self.profile.overlays.openinference {
            let kind = if inference_kind.is_empty() { CHAIN } else { inference_kind };
            add(names::openinference::SPAN_KIND, kind);
        }
        if let Some(service) = &self.profile.middleware_service {
            add(names::MW_SERVICE_DERIVED, service);
        }
        head
    }
}

/// An id of the right length that is not all zero (W3C Trace Context, sections 3.2.2.3 and 3.2.2.4).
fn valid<const LENGTH: usize>(id: &[u8]) -> Option<Vec<u8>> {
    (id.len() == LENGTH && id.iter().any(|byte| *byte != 0)).then(|| id.to_vec())
}

fn derive<const LENGTH: usize>(id: EventId, place: &str) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(id.source);
    hash.update(id.sequence.to_be_bytes());
    hash.update(place.as_bytes());
    let mut derived: Vec<u8> = hash.finalize().iter().copied().take(LENGTH).collect();
    if derived.iter().all(|byte| *byte == 0) {
        derived.fill(1);
    }
    derived
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: EventId = EventId { source: [3; 16], sequence: 9 };

    #[test]
    fn ids_that_are_not_carried_are_the_same_each_time_and_differ_by_place_and_event() {
        let profile = ExportProfile::default();
        let span = |id, place| SpanTree::new(id, None, &profile).span_id(&[], place);
        assert_eq!(span(ID, "chat"), span(ID, "chat"));
        assert_ne!(span(ID, "chat"), span(ID, "stream"));
        assert_ne!(span(ID, "chat"), span(EventId { sequence: 10, ..ID }, "chat"));
        assert_eq!(span(ID, "chat").len(), 8);
    }

    #[test]
    fn an_id_of_zeros_or_of_the_wrong_length_is_not_used() {
        let profile = ExportProfile::default();
        for wrong in [&[0_u8; 8][..], &[1; 7], &[]] {
            let context = TraceContext { span_id: wrong.to_vec().into(), ..TraceContext::default() };
            let tree = SpanTree::new(ID, Some(&context), &profile);
            assert_eq!(tree.server.len(), 8);
            assert_ne!(tree.server, wrong);
            assert_eq!(tree.trace_id.len(), 16);
        }
    }

    #[test]
    fn a_span_never_ends_before_it_starts() {
        let profile = ExportProfile::default();
        let span = SpanTree::new(ID, None, &profile).root(Draft { times: (10, 3), ..Draft::default() });
        assert_eq!((span.start_time_unix_nano, span.end_time_unix_nano), (10, 10));
    }

    #[test]
    fn only_the_servers_parent_is_remote() {
        let profile = ExportProfile::default();
        let context =
            TraceContext { parent_span_id: vec![5; 8].into(), flags: 0x103, ..TraceContext::default() };
        let tree = SpanTree::new(ID, Some(&context), &profile);
        assert_eq!(tree.root(Draft::default()).flags, 0x303);
        assert_eq!(tree.child(vec![1; 8], &[2; 8], Draft::default()).flags, 0x103);
        assert_eq!(SpanTree::new(ID, None, &profile).root(Draft::default()).flags, 0);
    }
}
