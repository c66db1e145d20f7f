//! One attempt at a provider (semantic conventions for HTTP spans, "HTTP client").

use opentelemetry_proto::tonic::trace::v1::{Span, span::SpanKind};
use weir_event::v1::Attempt;

use super::{
    attributes::Attributes,
    facts::Facts,
    family::{Draft, Family},
    names,
};

/// The CLIENT span of an attempt. Its id is the one that the provider may have received as parent.
pub(super) fn span(family: &Family<'_>, parent: &[u8], facts: &Facts<'_>, attempt: &Attempt) -> Span {
    let method = Some(facts.request.method.as_str()).filter(|method| !method.is_empty()).unwrap_or("POST");
    let mut attributes = Attributes::new(facts.view.value_limit);
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
    let id = family.span_id(&attempt.span_id, &format!("attempt {}", attempt.number));
    family.child(id, parent, draft)
}

/// The `error.type` of an attempt that failed.
pub(super) fn failure(attempt: &Attempt) -> Option<String> {
    if attempt.status >= 400 {
        return Some(attempt.status.to_string());
    }
    (!attempt.error.is_empty()).then(|| attempt.error.clone())
}

/// `url.full`; the scheme's own port is left out.
pub(super) fn url(attempt: &Attempt) -> String {
    if attempt.scheme.is_empty() || attempt.host.is_empty() {
        return String::new();
    }
    let own = matches!((attempt.scheme.as_str(), attempt.port), (_, 0) | ("https", 443) | ("http", 80));
    let port = if own { String::new() } else { format!(":{}", attempt.port) };
    let bare_ipv6 = attempt.host.contains(':') && !attempt.host.starts_with('[');
    let host = if bare_ipv6 { format!("[{}]", attempt.host) } else { attempt.host.clone() };
    format!("{}://{host}{port}{}", attempt.scheme, attempt.path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(scheme: &str, host: &str, port: u32) -> String {
        url(&Attempt {
            scheme: scheme.to_owned(),
            host: host.to_owned(),
            port,
            path: "/v1/x".to_owned(),
            ..Attempt::default()
        })
    }

    #[test]
    fn a_url_leaves_the_schemes_own_port_out() {
        assert_eq!(at("https", "h", 443), "https://h/v1/x");
        assert_eq!(at("http", "h", 80), "http://h/v1/x");
        assert_eq!(at("https", "h", 80), "https://h:80/v1/x");
        assert_eq!(at("http", "::1", 8000), "http://[::1]:8000/v1/x");
        assert_eq!(at("", "h", 80), "");
    }
}
