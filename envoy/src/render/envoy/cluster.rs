//! Clusters: how Envoy reaches a provider or the exporter.
//!
//! Every cluster has circuit breakers of its own, and every certificate is checked, by CA and by
//! name.

use std::{net::IpAddr, path::Path};

use serde_json::{Value, json};
use weir_filter::api::endpoint::Endpoint;

use super::connection::socket_address;
use super::tunnel::Tunnel;
use crate::gateway::Tls;
use crate::yaml::set;

/// Envoy allows 3 concurrent retries and 1024 requests a cluster by default; neither is meant here.
pub(crate) const CIRCUIT_BREAKER_MAX: u32 = 100_000;
/// Longest time until a connection can be used, tunnel and TLS included.
const CONNECT_TIMEOUT: &str = "5s";
/// Where Debian, Alpine and Envoy's own images keep the system's CAs.
pub(crate) const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";

/// A cluster before it is rendered.
pub(crate) struct Cluster {
    name: String,
    /// Where its requests end.
    pub(crate) endpoint: Endpoint,
    /// What stands between Envoy's router and its codec.
    filters: Vec<Value>,
    /// How much of a body it may hold, in bytes.
    pub(crate) buffer_limit: u64,
    /// How its connections are secured.
    pub(crate) transport_socket: Option<Value>,
    /// What leads to the endpoint; absent: the network.
    pub(crate) tunnel: Option<Tunnel>,
}

impl Cluster {
    /// A cluster for an endpoint; by TLS where its URL says https.
    pub(crate) fn new(name: &str, endpoint: Endpoint, filters: Vec<Value>, buffer_limit: u64) -> Self {
        let tls = (endpoint.scheme == "https").then(|| tls_socket(&endpoint, &Tls::default(), None));
        Self { name: name.to_owned(), endpoint, filters, buffer_limit, transport_socket: tls, tunnel: None }
    }

    /// The cluster as Envoy takes it.
    pub(crate) fn render(self) -> Value {
        let address = match &self.tunnel {
            Some(tunnel) => tunnel.address(),
            None => socket_address(&self.endpoint.host, self.endpoint.port),
        };
        let thresholds = json!({
            "max_connections": CIRCUIT_BREAKER_MAX,
            "max_pending_requests": CIRCUIT_BREAKER_MAX,
            "max_requests": CIRCUIT_BREAKER_MAX,
            "max_retries": CIRCUIT_BREAKER_MAX,
        });
        let mut cluster = json!({
            "name": self.name,
            // A dot ends a cluster's name in the names of stats.
            "alt_stat_name": self.name.replace('.', "_"),
            "connect_timeout": CONNECT_TIMEOUT,
            "per_connection_buffer_limit_bytes": self.buffer_limit,
            "circuit_breakers": {"thresholds": [thresholds]},
            "load_assignment": {
                "cluster_name": self.name,
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": address}}]}],
            },
            "typed_extension_protocol_options": {
                "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                    http_options(self.transport_socket.is_some(), self.filters),
            },
        });
        if self.tunnel.is_some() || is_address(&self.endpoint.host) {
            set(&mut cluster, "type", "STATIC");
        } else {
            set(&mut cluster, "type", "STRICT_DNS");
            // By itself Envoy takes the IPv6 address of a host that has both, and never the other;
            // in a container without IPv6 such a host would be out of reach.
            set(&mut cluster, "dns_lookup_family", "V4_PREFERRED");
        }
        if let Some(socket) = self.transport_socket {
            set(&mut cluster, "transport_socket", socket);
        }
        cluster
    }
}

/// The HTTP side of a cluster: what it speaks, and the filters before its codec.
pub(crate) fn http_options(tls: bool, filters: Vec<Value>) -> Value {
    // auto_config speaks HTTP/2 where the peer's ALPN offers it, which only TLS can tell.
    let mut options = if tls {
        json!({"auto_config": {"http_protocol_options": {}, "http2_protocol_options": {}}})
    } else {
        json!({"explicit_http_config": {"http_protocol_options": {}}})
    };
    set(&mut options, "@type", "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions");
    if !filters.is_empty() {
        let filters: Value = filters.into_iter().chain([upstream_codec()]).collect();
        set(&mut options, "http_filters", filters);
    }
    options
}

/// TLS to an endpoint. `identity` is the field of the common TLS context that holds Envoy's own
/// certificate.
pub(crate) fn tls_socket(endpoint: &Endpoint, tls: &Tls, identity: Option<(&'static str, Value)>) -> Value {
    let name = tls.server_name.as_deref().unwrap_or(&endpoint.host);
    let san_type = if is_address(name) { "IP_ADDRESS" } else { "DNS" };
    let ca = tls.ca.as_deref().unwrap_or(Path::new(SYSTEM_CAS));
    let mut common = json!({"validation_context": {
        "trusted_ca": {"filename": ca},
        "match_typed_subject_alt_names": [{"san_type": san_type, "matcher": {"exact": name}}],
    }});
    if let Some((field, certificate)) = identity {
        set(&mut common, field, certificate);
    }
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": common,
    });
    // SNI holds host names only (RFC 6066, section 3).
    if !is_address(name) {
        set(&mut context, "sni", name);
    }
    json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
}

fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

fn upstream_codec() -> Value {
    json!({
        "name": "envoy.filters.http.upstream_codec",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        },
    })
}
