//! Checks every request to the page, and adds security headers to every response.
//!
//! A browser on the operator's machine can be made to send requests here by any site it visits. So a request
//! must name a host that is ours (or a site could take over a name and point it here: DNS rebinding), must not
//! come from another origin, and must carry a header that a form cannot send where it changes something.

use std::{net::IpAddr, sync::Arc, time::Duration};

use axum::{
    extract::{Request, State},
    http::{
        HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri,
        header::{CACHE_CONTROL, HOST, ORIGIN},
        uri::Authority,
    },
    middleware::Next,
    response::{IntoResponse as _, Response},
};
use tokio::time::timeout;

use super::login::Login;
use crate::{http::server::Peer, page::auth::Actor, page::respond::Refusal};

/// What requests that change something must carry, with any value.
pub(in crate::page) const OWN: HeaderName = HeaderName::from_static("x-weir-page");

/// What of `/api` asks for no login.
pub(in crate::page) const OPEN: [&str; 2] = ["/api/login", "/api/session"];

/// How long a response may take to begin: a destination's test has its own deadline below this.
const DEADLINE: Duration = Duration::from_secs(60);

/// Security headers of every response: nothing from elsewhere, nothing inline, no frame, and no text becomes
/// script or markup.
const HEADERS: [(&str, &str); 8] = [
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; \
         trusted-types 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("x-frame-options", "DENY"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-opener-policy", "same-origin"),
    ("cross-origin-resource-policy", "same-origin"),
    ("cross-origin-embedder-policy", "require-corp"),
    ("permissions-policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
];

/// Whom requests are let through for.
pub(in crate::page) struct Guard {
    /// Whether only this machine can connect.
    pub(in crate::page) loopback: bool,
    /// Further names by which the page is reached.
    pub(in crate::page) hosts: Vec<String>,
    /// Who is logged in.
    pub(in crate::page) login: Login,
}

impl Guard {
    /// Whether a request may name this host. A name could be anybody's, an address is where it leads.
    fn knows(&self, host: &str) -> bool {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if let Ok(address) = bare.parse::<IpAddr>() {
            return !self.loopback || address.is_loopback();
        }
        let name = host.trim_end_matches('.').to_ascii_lowercase();
        name == "localhost" || name.ends_with(".localhost") || self.hosts.contains(&name)
    }

    fn check(&self, method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
        let forbidden = |message: &str| Err(Refusal::new(StatusCode::FORBIDDEN, message));
        let Some(host) = host(uri, headers) else {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "one Host header, and a valid one, is needed"));
        };
        if !self.knows(host.host()) {
            return forbidden(
                "the page is not known by this host name; page.hosts in exporter.yaml lists others",
            );
        }
        if let Some(origin) = headers.get(ORIGIN)
            && !same(origin, &host)
        {
            return forbidden("the request comes from another origin");
        }
        let api = uri.path().starts_with("/api/");
        let site = headers.get("sec-fetch-site").map(HeaderValue::as_bytes);
        if api && !matches!(site, None | Some(b"same-origin" | b"none")) {
            return forbidden("the request comes from another site");
        }
        let safe = matches!(*method, Method::GET | Method::HEAD);
        if !safe && !headers.contains_key(OWN) {
            return forbidden("a request that changes something needs the header x-weir-page");
        }
        Ok(())
    }
}

/// The host that a request names, once.
fn host(uri: &Uri, headers: &HeaderMap) -> Option<Authority> {
    let mut named = headers.get_all(HOST).iter();
    match (named.next(), named.next()) {
        (Some(host), None) => host.to_str().ok()?.parse().ok(),
        (None, None) => uri.authority().cloned(),
        _ => None,
    }
}

/// Whether an origin is that of this host. Its scheme is not known here where a proxy speaks TLS for us.
fn same(origin: &HeaderValue, host: &Authority) -> bool {
    let Ok(origin) = origin.to_str().unwrap_or_default().parse::<Uri>() else { return false };
    let (Some(scheme), Some(authority)) = (origin.scheme_str(), origin.authority()) else { return false };
    let own = match scheme {
        "https" => 443,
        "http" => 80,
        _ => return false,
    };
    authority.host().eq_ignore_ascii_case(host.host())
        && authority.port_u16().unwrap_or(own) == host.port_u16().unwrap_or(own)
}

/// Lets a request through with its caller among the extensions, or refuses it.
pub(in crate::page) async fn pass(
    State(guard): State<Arc<Guard>>,
    mut request: Request,
    next: Next,
) -> Response {
    let api = request.uri().path().starts_with("/api/");
    let peer = request.extensions().get::<Peer>().copied().unwrap_or_default();
    let allowed = guard.check(request.method(), request.uri(), request.headers()).and_then(|()| {
        // All that is not named here asks who it is.
        let path = request.uri().path();
        if path == "/" || OPEN.contains(&path) || path.starts_with("/assets/") {
            return Ok(());
        }
        let who = guard.login.who(request.headers(), peer)?;
        let address = peer.0.map(|address| address.to_string()).unwrap_or_default();
        request.extensions_mut().insert(Actor { name: who.name().to_owned(), address });
        request.extensions_mut().insert(who);
        Ok(())
    });
    let mut response = match allowed {
        Err(refusal) => refusal.into_response(),
        Ok(()) => match timeout(DEADLINE, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Refusal::new(StatusCode::GATEWAY_TIMEOUT, "it took too long").into_response(),
        },
    };
    let headers = response.headers_mut();
    for (name, value) in HEADERS {
        headers.insert(HeaderName::from_static(name), HeaderValue::from_static(value));
    }
    if api {
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guard(loopback: bool) -> Guard {
        Guard { loopback, hosts: vec!["weir.example.com".to_owned()], login: Login::new(None) }
    }

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = pairs.iter().map(|(name, value)| (HeaderName::from_static(name), value.parse().unwrap()));
        pairs.collect()
    }

    fn passes(loopback: bool, method: &Method, pairs: &[(&'static str, &str)]) -> bool {
        guard(loopback).check(method, &"/api/policy".parse().unwrap(), &headers(pairs)).is_ok()
    }

    #[test]
    fn on_loopback_only_names_of_this_machine_and_those_configured_are_ours() {
        for host in
            ["localhost:4321", "127.0.0.1", "[::1]:1", "WEIR.example.com", "a.localhost", "localhost."]
        {
            assert!(passes(true, &Method::GET, &[("host", host)]), "{host}");
        }
        for host in ["evil.example", "127.0.0.1.evil.example", "10.0.0.1", "weir.example.com.evil", "", "a b"]
        {
            assert!(!passes(true, &Method::GET, &[("host", host)]), "{host}");
        }
        assert!(passes(false, &Method::GET, &[("host", "10.0.0.1:4321")]));
        assert!(!passes(false, &Method::GET, &[("host", "evil.example")]));
        assert!(!passes(true, &Method::GET, &[]));
    }

    #[test]
    fn only_the_pages_own_origin_and_site_are_let_through() {
        let host = ("host", "localhost:4321");
        for origin in ["http://localhost:4321", "https://LOCALHOST:4321"] {
            assert!(passes(true, &Method::GET, &[host, ("origin", origin)]), "{origin}");
        }
        for origin in [
            "http://localhost:4322",
            "http://evil.example",
            "null",
            "ftp://localhost:4321",
            "http://localhost",
        ] {
            assert!(!passes(true, &Method::GET, &[host, ("origin", origin)]), "{origin}");
        }
        assert!(passes(
            true,
            &Method::GET,
            &[("host", "weir.example.com"), ("origin", "https://weir.example.com")]
        ));
        assert!(!passes(true, &Method::GET, &[host, ("sec-fetch-site", "cross-site")]));
        assert!(!passes(true, &Method::GET, &[host, ("sec-fetch-site", "same-site")]));
        assert!(passes(true, &Method::GET, &[host, ("sec-fetch-site", "same-origin")]));
    }

    #[test]
    fn what_a_form_of_another_page_can_send_changes_nothing() {
        let host = ("host", "localhost:4321");
        for method in [Method::POST, Method::PUT, Method::DELETE] {
            assert!(!passes(true, &method, &[host]));
            assert!(passes(true, &method, &[host, ("x-weir-page", "1")]));
            assert!(!passes(true, &method, &[host, ("x-weir-page", "1"), ("origin", "http://evil.example")]));
        }
    }
}
