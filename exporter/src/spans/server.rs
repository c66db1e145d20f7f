//! The request as the gateway served it, and how its model became a target.

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use weir_event::{
    EventId,
    v1::{Api, Ending, TraceEvent},
};

use super::{
    attributes::Attributes,
    broken_off, ending,
    family::{Draft, Family},
    names,
};

/// The SERVER span (semantic conventions for HTTP spans, "HTTP server").
///
/// An answer of 4xx is the caller's affair and no error of the server's.
pub(super) fn span(family: &Family, id: EventId, event: &TraceEvent) -> Span {
    let request = event.request.clone().unwrap_or_default();
    let response = event.response.clone().unwrap_or_default();
    let timing = event.timing.unwrap_or_default();
    let caller = event.caller.clone().unwrap_or_default();
    // A path may hold the name of a model: as a span's name it would have no end of values.
    let known = request.api() != Api::Unspecified || response.status != 404;
    let route = match request.route.as_str() {
        "" if known => request.path.clone(),
        route => route.to_owned(),
    };
    let name = format!("{} {route}", request.method);
    let (host, port) = host_and_port(&request.authority);
    let mut attributes = Attributes::default();
    attributes
        .text(names::HTTP_METHOD, request.method)
        .text(names::URL_PATH, request.path.clone())
        .text(names::URL_SCHEME, request.scheme)
        .text(names::HTTP_ROUTE, route)
        .some_count(names::HTTP_STATUS_CODE, response.status)
        .text(names::SERVER_ADDRESS, host)
        .count(names::SERVER_PORT, port.map(u64::from))
        .text(names::CLIENT_ADDRESS, request.client_address)
        .text(names::USER_AGENT, request.user_agent)
        .count(names::HTTP_REQUEST_BODY_SIZE, request.body_bytes)
        .count(names::HTTP_RESPONSE_BODY_SIZE, response.body_bytes)
        .text(names::WEIR_KEY, caller.key_name)
        .text(names::USER_ID, caller.user)
        .text(names::WEIR_TEAM, caller.team)
        .text(names::WEIR_ENDING, ending(event))
        .text(names::WEIR_EVENT_ID, id.to_string());
    for (key, value) in caller.metadata {
        attributes.text(&format!("{}{key}", names::WEIR_METADATA), value);
    }
    let failed = response.status >= 500;
    let error = failed.then(|| response.status.to_string());
    family.root(Draft {
        name: name.trim().to_owned(),
        kind: SpanKind::Server,
        times: (timing.received_ns, timing.done_ns),
        attributes,
        error: error.or_else(|| broken_off(event).map(str::to_owned)),
    })
}

/// The `authenticate` span; none where everybody may call.
pub(super) fn authentication(family: &Family, event: &TraceEvent) -> Option<Span> {
    let timing = event.timing.unwrap_or_default();
    if timing.authenticated_ns == 0 {
        return None;
    }
    let mut attributes = Attributes::default();
    attributes.text(names::WEIR_KEY, event.caller.clone().unwrap_or_default().key_name);
    let denied = event.response.as_ref().is_some_and(|response| response.status == 401);
    let denied = denied && event.ending() == Ending::Rejected;
    let draft = Draft {
        name: "authenticate".to_owned(),
        kind: SpanKind::Internal,
        times: (timing.received_ns, timing.authenticated_ns),
        attributes,
        error: denied.then(|| refusal(event)),
    };
    Some(family.child(family.span_id(&[], "authenticate"), &family.server, draft))
}

/// The `resolve_model` span; none where the request was refused before its body was there.
pub(super) fn resolution(family: &Family, event: &TraceEvent) -> Option<Span> {
    let timing = event.timing.unwrap_or_default();
    if timing.body_received_ns == 0 || timing.resolved_ns == 0 {
        return None;
    }
    let mut attributes = Attributes::default();
    if let Some(request) = &event.request {
        attributes.text(names::WEIR_MODEL_REQUESTED, request.model.clone());
    }
    if let Some(resolution) = &event.resolution {
        attributes
            .text(names::WEIR_RULE, resolution.rule.clone())
            .count(names::WEIR_TARGETS, u64::from(resolution.targets))
            .text(names::WEIR_STRATEGY, resolution.strategy.clone());
    }
    let refused = event.ending() == Ending::Rejected && event.attempts.is_empty();
    let draft = Draft {
        name: "resolve_model".to_owned(),
        kind: SpanKind::Internal,
        times: (timing.body_received_ns, timing.resolved_ns),
        attributes,
        error: refused.then(|| refusal(event)),
    };
    Some(family.child(family.span_id(&[], "resolve_model"), &family.server, draft))
}

fn refusal(event: &TraceEvent) -> String {
    let response = event.response.clone().unwrap_or_default();
    if response.error_type.is_empty() { response.status.to_string() } else { response.error_type }
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
