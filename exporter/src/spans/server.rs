//! The request as the gateway served it, and how its model became a target.

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use weir_event::{
    EventId,
    v1::{Api, Ending, RedactedFor, Response},
};

use super::{
    facts::{
        attributes::Attributes,
        endings::{broken_off, ending},
        event::Facts,
        tree::{Draft, SpanTree},
    },
    names, overlay,
};

/// The SERVER span (semantic conventions for HTTP spans, "HTTP server").
///
/// A response of 4xx is the caller's error, not the server's.
pub(super) fn span(tree: &SpanTree<'_>, id: EventId, facts: &Facts<'_>) -> Span {
    let Facts { event, request, response, timing, caller, .. } = facts;
    // A path may hold the name of a model: as a span's name it would have no end of values.
    let known = request.api() != Api::Unspecified || response.status != 404;
    let route = match request.route.as_str() {
        "" if known => request.path.as_str(),
        route => route,
    };
    // What the conventions call a method that is not known; a span must have a name.
    let method = match request.method.trim() {
        "" => "HTTP",
        method => method,
    };
    let (host, port) = host_and_port(&request.authority);
    let mut attributes = Attributes::new(facts.profile.value_limit);
    attributes
        .text(names::HTTP_METHOD, request.method.as_str())
        .text(names::URL_PATH, request.path.as_str())
        .text(names::URL_SCHEME, request.scheme.as_str())
        .text(names::HTTP_ROUTE, route)
        .some_count(names::HTTP_STATUS_CODE, response.status)
        .text(names::SERVER_ADDRESS, host)
        .count(names::SERVER_PORT, port.map(u64::from))
        .text(names::CLIENT_ADDRESS, request.client_address.as_str())
        .text(names::USER_AGENT, request.user_agent.as_str())
        .count(names::HTTP_REQUEST_BODY_SIZE, request.body_bytes)
        .count(names::HTTP_RESPONSE_BODY_SIZE, response.body_bytes)
        .text(names::WEIR_KEY, caller.key_name.as_str())
        .text(names::USER_ID, caller.user.as_str())
        .text(names::WEIR_TEAM, caller.team.as_str())
        .text(names::WEIR_ENDING, ending(event))
        .text(names::WEIR_EVENT_ID, id.to_string());
    totals(&mut attributes, facts);
    if let Some(sampling) = &event.sampling {
        attributes
            .number(names::WEIR_SAMPLING_RATIO, Some(sampling.ratio))
            .text(names::WEIR_SAMPLING_KEPT_FOR, sampling.kept_for.as_str());
    }
    redacted(&mut attributes, facts, RedactedFor::Export, names::WEIR_REDACTED_EXPORT);
    for (key, value) in &caller.metadata {
        attributes.text(&format!("{}{key}", names::WEIR_METADATA), value.as_str());
    }
    overlay::request(&mut attributes, facts);
    let failed = response.status >= 500;
    let error = failed.then(|| response.status.to_string());
    tree.root(Draft {
        name: format!("{method} {route}").trim_end().to_owned(),
        kind: SpanKind::Server,
        times: (timing.received_ns, timing.done_ns),
        attributes,
        error: error.or_else(|| broken_off(event).map(str::to_owned)),
        ..Draft::default()
    })
}

/// What the request came to, so that it can be searched without its children.
fn totals(attributes: &mut Attributes, facts: &Facts<'_>) {
    attributes
        .text(names::WEIR_MODEL_REQUESTED, facts.request.model.as_str())
        .text(names::WEIR_MODEL_ANSWERED, facts.response.model.as_str())
        .count(names::WEIR_TOTAL_INPUT_TOKENS, facts.usage.input_tokens)
        .count(names::WEIR_TOTAL_OUTPUT_TOKENS, facts.usage.output_tokens)
        .number(names::WEIR_TOTAL_COST, facts.cost.map(|cost| cost.total()));
}

/// The `authenticate` span; none where everybody may call.
pub(super) fn authentication(tree: &SpanTree<'_>, facts: &Facts<'_>) -> Option<Span> {
    let timing = facts.timing;
    if timing.authenticated_ns == 0 {
        return None;
    }
    let mut attributes = Attributes::new(facts.profile.value_limit);
    attributes.text(names::WEIR_KEY, facts.caller.key_name.as_str());
    let denied = facts.response.status == 401 && facts.event.ending() == Ending::Rejected;
    let draft = Draft {
        name: "authenticate".to_owned(),
        kind: SpanKind::Internal,
        times: (timing.received_ns, timing.authenticated_ns),
        attributes,
        error: denied.then(|| refusal(facts.response)),
        ..Draft::default()
    };
    Some(tree.child(tree.span_id(&[], "authenticate"), &tree.server, draft))
}

/// The `redact` spans: the search of the request for what must not reach the provider, and that of the
/// response for what must not reach the caller, or is to be restored; none where nothing is looked for.
pub(super) fn redaction(tree: &SpanTree<'_>, facts: &Facts<'_>) -> Vec<Span> {
    let timing = facts.timing;
    let refused = facts.response.error_type.starts_with("content_");
    let of_request = facts.event.ending() == Ending::Rejected;
    let searches = [
        (
            "request",
            "redact",
            (timing.redacting_ns, timing.redacted_ns),
            refused && of_request,
            &[(RedactedFor::Provider, names::WEIR_REDACTED_PROVIDER)][..],
        ),
        (
            "response",
            "redact response",
            (timing.returning_ns, timing.returned_ns),
            refused && !of_request,
            &[
                (RedactedFor::Caller, names::WEIR_REDACTED_CALLER),
                (RedactedFor::Restored, names::WEIR_REDACTED_RESTORED),
            ],
        ),
    ];
    let made = searches.into_iter().filter(|(_, _, times, ..)| times.0 != 0);
    let spans = made.map(|(of, place, times, failed, scopes)| {
        let mut attributes = Attributes::new(facts.profile.value_limit);
        attributes.text(names::WEIR_REDACT_OF, of);
        for (scope, prefix) in scopes {
            redacted(&mut attributes, facts, *scope, prefix);
        }
        let draft = Draft {
            name: "redact".to_owned(),
            kind: SpanKind::Internal,
            times,
            attributes,
            error: failed.then(|| refusal(facts.response)),
            ..Draft::default()
        };
        tree.child(tree.span_id(&[], place), &tree.server, draft)
    });
    spans.collect()
}

/// How often each detector matched.
fn redacted(attributes: &mut Attributes, facts: &Facts<'_>, scope: RedactedFor, prefix: &str) {
    for found in facts.event.redactions.iter().filter(|found| found.scope() == scope) {
        attributes.count(&format!("{prefix}{}", found.detector), found.count);
    }
}

/// The `resolve_model` span; none where the request was refused before its body was there.
pub(super) fn resolution(tree: &SpanTree<'_>, facts: &Facts<'_>) -> Option<Span> {
    let timing = facts.timing;
    if timing.body_received_ns == 0 || timing.resolved_ns == 0 {
        return None;
    }
    let mut attributes = Attributes::new(facts.profile.value_limit);
    attributes.text(names::WEIR_MODEL_REQUESTED, facts.request.model.as_str());
    if let Some(resolution) = &facts.event.resolution {
        attributes
            .text(names::WEIR_RULE, resolution.rule.as_str())
            .count(names::WEIR_TARGETS, u64::from(resolution.targets))
            .text(names::WEIR_STRATEGY, resolution.strategy.as_str());
    }
    let refuses = matches!(facts.event.ending(), Ending::Rejected | Ending::Overloaded);
    let refused = refuses && facts.event.attempts.is_empty();
    let draft = Draft {
        name: "resolve_model".to_owned(),
        kind: SpanKind::Internal,
        times: (timing.body_received_ns, timing.resolved_ns),
        attributes,
        error: refused.then(|| refusal(facts.response)),
        ..Draft::default()
    };
    Some(tree.child(tree.span_id(&[], "resolve_model"), &tree.server, draft))
}

fn refusal(response: &Response) -> String {
    if response.error_type.is_empty() { response.status.to_string() } else { response.error_type.clone() }
}

/// Host and port of an authority, `[::1]:8080` included.
fn host_and_port(authority: &str) -> (String, Option<u16>) {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !host.contains(':') || host.ends_with(']') => (host, port.parse().ok()),
        _ => (authority, None),
    };
    (host.trim_start_matches('[').trim_end_matches(']').to_owned(), port)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_authority_is_split_into_host_and_port() {
        for (authority, host, port) in [
            ("gateway:8080", "gateway", Some(8080)),
            ("gateway", "gateway", None),
            ("[::1]:8080", "::1", Some(8080)),
            ("[::1]", "::1", None),
            ("gateway:x", "gateway", None),
            ("", "", None),
        ] {
            assert_eq!(host_and_port(authority), (host.to_owned(), port), "{authority}");
        }
    }
}
