//! Which host a URL leads to, in one spelling, so that two spellings of one host are one host and no key goes to
//! another.

use std::net::{IpAddr, Ipv6Addr};

use weir_filter::api::endpoint::Endpoint;

/// A base URL, without anything in it that could be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::import) struct Host {
    /// The URL as ours is written: no credentials, no query, no slash at the end.
    pub(in crate::import) url: String,
    /// Scheme, host and port, the port always. What a key is bound to.
    pub(in crate::import) origin: String,
    /// Whether a key would be readable on its way there: plain HTTP beyond this machine.
    pub(in crate::import) in_clear: bool,
    /// Whether credentials or a query were left out of the URL.
    pub(in crate::import) shortened: bool,
}

impl Host {
    /// Reads an absolute `http` or `https` URL; nothing where it is none.
    pub(in crate::import) fn of(written: &str) -> Option<Self> {
        let (scheme, rest) = written.trim().split_once("://")?;
        let scheme = scheme.to_ascii_lowercase();
        let end = rest.find(['?', '#']).unwrap_or(rest.len());
        let (rest, query) = rest.split_at_checked(end)?;
        let slash = rest.find('/').unwrap_or(rest.len());
        let (authority, path) = rest.split_at_checked(slash)?;
        let (credentials, authority) =
            authority.rsplit_once('@').map_or((false, authority), |(_, authority)| (true, authority));
        let path = path.trim_end_matches('/');
        let parsed = Endpoint::parse(&format!("{scheme}://{authority}{path}")).ok()?;
        let name = parsed.host.trim_end_matches('.').to_ascii_lowercase();
        if name.is_empty() {
            return None;
        }
        let (name, local) = match name.parse::<IpAddr>() {
            Ok(IpAddr::V6(address)) => (format!("[{address}]"), address == Ipv6Addr::LOCALHOST),
            Ok(address) => (address.to_string(), address.is_loopback()),
            Err(_) => {
                let local = name == "localhost" || name.ends_with(".localhost");
                (name, local)
            }
        };
        let usual = if parsed.scheme == "https" { 443 } else { 80 };
        let port = if parsed.port == usual { String::new() } else { format!(":{}", parsed.port) };
        Some(Self {
            url: format!("{scheme}://{name}{port}{path}"),
            origin: format!("{scheme}://{name}:{}", parsed.port),
            in_clear: scheme == "http" && !local,
            shortened: credentials || !query.is_empty(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spellings_of_one_host_are_one() {
        for (written, url, origin) in [
            ("https://API.Example.com:443/v1/", "https://api.example.com/v1", "https://api.example.com:443"),
            ("HTTPS://api.example.com./V1", "https://api.example.com/V1", "https://api.example.com:443"),
            ("http://10.0.0.5:80", "http://10.0.0.5", "http://10.0.0.5:80"),
            ("http://[0:0::1]:8000/v1", "http://[::1]:8000/v1", "http://[::1]:8000"),
        ] {
            let host = Host::of(written).unwrap();
            assert_eq!((host.url.as_str(), host.origin.as_str()), (url, origin), "{written}");
            assert!(!host.shortened);
        }
    }

    #[test]
    fn what_could_be_a_secret_is_left_out() {
        let host = Host::of("https://user:canary@api.example.com/v1?key=canary#canary").unwrap();
        assert!(host.shortened && !format!("{host:?}").contains("canary"), "{host:?}");
        assert_eq!(host.url, "https://api.example.com/v1");
    }

    #[test]
    fn what_is_no_absolute_url_is_none() {
        for written in
            ["", "api.example.com/v1", "localhost:11434", "ftp://h", "https://", "https://a b", "https://."]
        {
            assert_eq!(Host::of(written), None, "{written}");
        }
        let tricky = Host::of("https://api.openai.com\\@evil.example/v1");
        assert!(tricky.is_none_or(|host| host.origin == "https://evil.example:443"));
    }

    #[test]
    fn only_plain_http_beyond_this_machine_is_in_the_clear() {
        let in_clear = |url| Host::of(url).unwrap().in_clear;
        assert!(in_clear("http://10.0.0.5") && in_clear("http://vllm:8000/v1"));
        assert!(
            !["https://h", "http://localhost:1", "http://127.0.0.1:1", "http://[::1]"]
                .into_iter()
                .any(in_clear)
        );
    }
}
