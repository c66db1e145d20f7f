//! One attempt at a provider (semantic conventions for HTTP spans, "HTTP client").

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use weir_event::v1::Attempt;

use super::{
    facts::{
        attempt::{failure, url},
        attributes::Attributes,
        event::Facts,
        tree::{Draft, SpanTree},
    },
    names,
};

/// The CLIENT span of an attempt. Its id is the one that the provider may have received as parent.
pub(super) fn span(tree: &SpanTree<'_>, parent: &[u8], facts: &Facts<'_>, attempt: &Attempt) -> Span {
    let method = Some(facts.request.method.as_str()).filter(|method| !method.is_empty()).unwrap_or("POST");
    let mut attributes = Attributes::new(facts.profile.value_limit);
    attributes
        .text(names::HTTP_METHOD, method)
        .text(names::URL_FULL, url(attempt))
        .text(names::SERVER_ADDRESS, attempt.host.as_str())
        .some_count(names::SERVER_PORT, attempt.port)
        .some_count(names::HTTP_STATUS_CODE, attempt.status)
        .some_count(names::HTTP_RESEND_COUNT, attempt.number.saturating_sub(1))
        .text(names::WEIR_ATTEMPT_MODEL, attempt.model.as_str())
        .text(names::WEIR_PROVIDER, attempt.provider.as_str())
        .some_count(names::WEIR_ATTEMPT, attempt.number);
    if matches!(attempt.status, 401 | 403) {
        attributes.text(names::WEIR_ATTEMPT_ERROR, attempt.error.as_str());
    }
    if std::ptr::eq(attempt, facts.last) {
        attributes.number(names::WEIR_ATTEMPT_COST, facts.cost.map(|cost| cost.total()));
    }
    let draft = Draft {
        name: method.to_owned(),
        kind: SpanKind::Client,
        times: (attempt.started_ns, attempt.ended_ns),
        attributes,
        error: failure(attempt),
        ..Draft::default()
    };
    let id = tree.span_id(&attempt.span_id, &format!("attempt {}", attempt.number));
    tree.child(id, parent, draft)
}
