//! A way through an HTTP proxy: a listener inside Envoy that asks the proxy for a tunnel.
//!
//! The provider's cluster connects to that listener instead of the network, and speaks TLS to the
//! provider through it, so the proxy sees a host name and a port and nothing else. The proxy is
//! given by name and resolves the provider's; Envoy's own transport socket for it
//! (`http_11_proxy`) takes the proxy by address only and has to resolve the provider itself, which
//! is what a network that needs a proxy often cannot.

use serde_json::{Value, json};
use weir_filter::api::endpoint::Endpoint;

/// The tunnel to one provider.
pub(crate) struct Tunnel {
    /// The name of its listener and of the proxy's cluster.
    pub(crate) name: String,
    /// Where the proxy is.
    pub(crate) proxy: Endpoint,
}

impl Tunnel {
    /// The tunnel through `proxy` to the provider of this name.
    pub(crate) fn new(provider: &str, proxy: Endpoint) -> Self {
        Self { name: format!("weir.proxy.{provider}"), proxy }
    }

    /// The address of its entrance, inside Envoy.
    pub(crate) fn address(&self) -> Value {
        json!({"envoy_internal_address": {"server_listener_name": self.name}})
    }

    /// Its entrance. A proxy that cannot be reached or refuses closes the connection before it can
    /// be used, so that the attempt counts as one that could not connect.
    pub(crate) fn listener(&self, to: &Endpoint) -> Value {
        let host = if to.host.contains(':') { format!("[{}]", to.host) } else { to.host.clone() };
        json!({
            "name": self.name,
            "internal_listener": {},
            "filter_chains": [{"filters": [{
                "name": "envoy.filters.network.tcp_proxy",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy",
                    "stat_prefix": self.name,
                    "cluster": self.name,
                    "tunneling_config": {"hostname": format!("{host}:{}", to.port)},
                },
            }]}],
        })
    }
}

/// What lets Envoy have listeners inside itself.
pub(crate) fn extension() -> Value {
    json!({
        "name": "envoy.bootstrap.internal_listener",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.bootstrap.internal_listener.v3.InternalListener",
        },
    })
}
