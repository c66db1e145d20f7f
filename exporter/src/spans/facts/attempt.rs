//! What several spans say of an attempt.

use weir_event::v1::Attempt;

/// The `error.type` of an attempt that failed.
pub(in crate::spans) fn failure(attempt: &Attempt) -> Option<String> {
    if attempt.status >= 400 {
        return Some(attempt.status.to_string());
    }
    (!attempt.error.is_empty()).then(|| attempt.error.clone())
}

/// `url.full`; the scheme's own port is left out.
pub(in crate::spans) fn url(attempt: &Attempt) -> String {
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
