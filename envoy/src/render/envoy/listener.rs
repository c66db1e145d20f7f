//! The listener for callers: TLS, the connection manager and the health check.

use serde_json::{Value, json};
use weir_settings::ConfigError;

use super::access_log;
use super::connection::{READ_LIMIT, socket_address};
use super::secrets::Secrets;
use crate::gateway::{Error, Gateway};
use crate::yaml::{comment, set};

/// Longest silence on a stream in either direction.
const STREAM_IDLE_TIMEOUT: &str = "300s";
/// The path of health checks by load balancers.
const HEALTH_PATH: &str = "/healthz";
/// The field of the listener's certificate.
const CERTIFICATE_FIELD: &str = "tls.certificate";

/// Where the connection manager has its routes from.
pub(super) enum Routes {
    /// They stand in it.
    Inline(Vec<Value>),
    /// They are the resource of this name in the file of this config source.
    Elsewhere(&'static str, Value),
}

/// The listener.
pub(super) fn render(
    gateway: &Gateway,
    mut filters: Vec<Value>,
    routes: &Routes,
    secrets: &mut Secrets<'_>,
) -> Result<Value, Error> {
    let missing = || ConfigError::at("listen", "is missing, and so there is no listener to render");
    let listen = gateway.listen.ok_or_else(missing)?;
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        },
    }));
    let mut manager = json!({
        "# use_remote_address makes the last x-forwarded-for entry the caller's address, and drops x-envoy-* headers \
         from outside.": null,
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "weir",
        "use_remote_address": true,
        "normalize_path": true,
        "merge_slashes": true,
        "stream_idle_timeout": STREAM_IDLE_TIMEOUT,
        "request_headers_timeout": "10s",
        "http_filters": filters,
        "access_log": access_log::render(&gateway.access_log),
    });
    match routes {
        Routes::Inline(routes) => set(&mut manager, "route_config", route_configuration(routes)),
        Routes::Elsewhere(name, source) => {
            set(&mut manager, "rds", json!({"route_config_name": name, "config_source": source}));
        }
    }
    let filter = json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": manager});
    let mut chain = json!({"filters": [filter]});
    if let Some(socket) = tls_socket(gateway, secrets)? {
        set(&mut chain, "transport_socket", socket);
    }
    let mut listener = json!({
        "name": "weir",
        "address": socket_address(&listen.ip().to_string(), listen.port()),
        "per_connection_buffer_limit_bytes": READ_LIMIT,
        "filter_chains": [chain],
    });
    comment(
        &mut listener,
        "For callers. The buffer limit is how much is read at once; how much of a body is held is the routes' \
         request_body_buffer_limit. That is above limits.request_body by more than one read, so that a body that is \
         too large gets the API's 413 and not Envoy's plain one.",
    );
    Ok(listener)
}

/// The one virtual host and its routes.
pub(super) fn route_configuration(routes: &[Value]) -> Value {
    json!({"name": "weir", "virtual_hosts": [virtual_host(routes)]})
}

/// The virtual host of every name.
pub(super) fn virtual_host(routes: &[Value]) -> Value {
    json!({"name": "weir", "domains": ["*"], "routes": routes})
}

/// Responds to health checks: 200, and 503 once Envoy drains. Needs no key.
pub(super) fn health_check() -> Value {
    json!({
        "# Responds to load balancers without a key: 200, and 503 once Envoy drains \
         (POST /healthcheck/fail on its admin interface).": null,
        "name": "envoy.filters.http.health_check",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.health_check.v3.HealthCheck",
            "pass_through_mode": false,
            "headers": [{"name": ":path", "string_match": {"exact": HEALTH_PATH}}],
        },
    })
}

fn tls_socket(gateway: &Gateway, secrets: &mut Secrets<'_>) -> Result<Option<Value>, Error> {
    let Some(tls) = &gateway.tls else { return Ok(None) };
    let (field, certificate) = secrets.identity(CERTIFICATE_FIELD, (&tls.certificate, &tls.private_key))?;
    let mut common = json!({field: certificate, "alpn_protocols": ["h2", "http/1.1"]});
    if let Some(ca) = &tls.client_ca {
        set(&mut common, "validation_context", json!({"trusted_ca": {"filename": ca}}));
    }
    let context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "require_client_certificate": tls.client_ca.is_some(),
        "common_tls_context": common,
    });
    Ok(Some(json!({"name": "envoy.transport_sockets.tls", "typed_config": context})))
}
