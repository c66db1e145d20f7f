//! A provider's base URL, taken apart once at load.
//!
//! Only what a request line and a Host header need is retained: no credentials, query or fragment.

use std::net::IpAddr;

use http::Uri;

/// Where a provider listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `http` or `https`.
    pub scheme: &'static str,
    /// Host name or address; an IPv6 address without brackets.
    pub host: String,
    /// Port, by the scheme's default where the URL has none.
    pub port: u16,
    /// The value of Host or `:authority`: the port only where it is not the scheme's default.
    pub authority: String,
    /// What stands before an API's own path, without a trailing slash: `/v1`, or empty.
    pub path_prefix: String,
}

impl Endpoint {
    /// Parses a base URL. The error names what would be right.
    pub fn parse(url: &str) -> Result<Self, String> {
        let (scheme, default_port) = if url.starts_with("https://") {
            ("https", 443)
        } else if url.starts_with("http://") {
            ("http", 80)
        } else {
            return Err("must begin with http:// or https://".to_owned());
        };
        if url.contains(['?', '#']) {
            return Err("must end with the path: no query and no fragment".to_owned());
        }
        let uri: Uri = url.parse().map_err(|error| format!("not a URL: {error}"))?;
        let authority = uri.authority().ok_or("has no host")?;
        if authority.as_str().contains('@') {
            return Err("must not hold credentials; give them as the provider's `key`".to_owned());
        }
        let bracketed = authority.host();
        let host = bracketed.trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err("has no host".to_owned());
        }
        let port = match authority.as_str().strip_prefix(bracketed).unwrap_or_default() {
            "" => default_port,
            port => port
                .strip_prefix(':')
                .and_then(|digits| digits.parse().ok())
                .filter(|port| *port > 0)
                .ok_or("has a port that is not between 1 and 65535")?,
        };
        let authority =
            if port == default_port { bracketed.to_owned() } else { format!("{bracketed}:{port}") };
        let path_prefix = uri.path().trim_end_matches('/').to_owned();
        Ok(Self { scheme, host, port, authority, path_prefix })
    }

    /// Whether the host is of a private network by its address or by its name: one that public
    /// DNS does not know (RFC 6761, RFC 6762, RFC 8375, and `.internal`).
    pub fn is_private(&self) -> bool {
        const PRIVATE_SUFFIXES: [&str; 7] =
            [".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa", ".test"];
        if let Ok(address) = self.host.parse::<IpAddr>() {
            return match address {
                IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || v4.is_link_local(),
                IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local() || v6.is_unicast_link_local(),
            };
        }
        let host = self.host.to_ascii_lowercase();
        !host.contains('.') || PRIVATE_SUFFIXES.iter().any(|suffix| host.ends_with(suffix))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_comes_apart_into_what_a_request_needs() {
        let endpoint = Endpoint::parse("https://api.openai.com/v1/").unwrap();
        assert_eq!(endpoint.authority, "api.openai.com");
        assert_eq!((endpoint.port, endpoint.path_prefix.as_str()), (443, "/v1"));
        let endpoint = Endpoint::parse("http://[::1]:8000").unwrap();
        assert_eq!((endpoint.host.as_str(), endpoint.authority.as_str()), ("::1", "[::1]:8000"));
        assert_eq!(endpoint.path_prefix, "");
    }

    #[test]
    fn a_url_that_cannot_be_served_is_refused() {
        for url in [
            "api.openai.com",
            "https://",
            "http://user:secret@h/",
            "http://h/v1?x=1",
            "http://h:0/",
            "http://h:99999/",
            "http://a b/",
        ] {
            let error = Endpoint::parse(url).unwrap_err();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn private_hosts_are_told_from_public_ones() {
        for url in [
            "http://vllm:8000",
            "http://10.1.2.3",
            "http://127.0.0.1:1",
            "http://a.b.svc",
            "http://[fd00::1]",
        ] {
            assert!(Endpoint::parse(url).unwrap().is_private(), "{url}");
        }
        for url in ["https://api.openai.com", "http://8.8.8.8", "http://[2606:4700::1111]"] {
            assert!(!Endpoint::parse(url).unwrap().is_private(), "{url}");
        }
    }
}
