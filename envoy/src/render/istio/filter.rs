//! The EnvoyFilters: the filter in both roles, and the routing that Istio's own resources cannot say.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_filter::api::endpoint::Endpoint;
use weir_filter::config::{PluginConfig, Role};

use super::keys::reference;
use super::options::Options;
use super::resource::{in_registry, object};
use crate::gateway::{AccessLog, Error, Gateway, TOKEN_FIELD, key_field};
use crate::render::envoy::{
    BEARER, READ_LIMIT, access_log, buffer_limit, credential_injector, http_options, plugin_name, routes,
    wasm_config,
};
use crate::render::manifest::ManifestError;

/// The subset of the exporter's, which has no filter.
pub(crate) const EXPORTER_SUBSET: &str = "weir-exporter";

fn envoy_filter(name: &str, options: &Options, about: &str, patches: &[Value]) -> Value {
    let body = json!({"workloadSelector": {"labels": options.selector}, "configPatches": patches});
    object("networking.istio.io/v1alpha3", "EnvoyFilter", name, options, about, ("spec", body))
}

/// The filter in both roles, by name: Istio's agent fetches the image.
pub(crate) fn extensions(
    gateway: &Gateway,
    plugin: &PluginConfig,
    options: &Options,
) -> Result<Value, ManifestError> {
    let code = json!({"remote": {
        "http_uri": {"uri": options.image, "timeout": "30s", "cluster": "_"},
        "sha256": options.sha256,
    }});
    let mut roles = vec![plugin.clone()];
    if gateway.upstream_filter {
        roles.push(PluginConfig::attempt());
    }
    let patches: Vec<Value> = roles
        .iter()
        .map(|plugin| {
            json!({
                "applyTo": "EXTENSION_CONFIG",
                "match": {"context": "GATEWAY"},
                "patch": {"operation": "ADD", "value": {
                    "name": plugin_name(plugin.role),
                    "typed_config": wasm_config(plugin, gateway, &code),
                }},
            })
        })
        .collect();
    let about = "The filter itself. A WasmPlugin cannot carry it: it has no field for allow_on_headers_stop_iteration. Istio's agent \
                 sees the oci:// URL and fetches the image, as it does for a WasmPlugin.";
    Ok(envoy_filter("weir-filter", options, about, &patches))
}

/// By name, from the extension configurations above.
fn discovered(role: Role) -> Value {
    json!({
        "name": plugin_name(role),
        "config_discovery": {
            "config_source": {"ads": {}, "initial_fetch_timeout": "60s", "resource_api_version": "V3"},
            "type_urls": ["type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm"],
        },
    })
}

pub(crate) fn gateway_filter(
    gateway: &Gateway,
    plugin: &PluginConfig,
    endpoints: &BTreeMap<&str, Endpoint>,
    options: &Options,
) -> Result<Value, ManifestError> {
    let manager = "envoy.filters.network.http_connection_manager";
    let mut patches = vec![
        json!({
            "applyTo": "HTTP_FILTER",
            "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {
                "name": manager, "subFilter": {"name": "envoy.filters.http.router"},
            }}}},
            "patch": {"operation": "INSERT_BEFORE", "value": discovered(Role::Gateway)},
        }),
        json!({
            "# How much is read at once; how much of a body is held is the route's to say.": null,
            "applyTo": "LISTENER",
            "match": {"context": "GATEWAY"},
            "patch": {"operation": "MERGE", "value": {"per_connection_buffer_limit_bytes": READ_LIMIT}},
        }),
    ];
    let access_log = match gateway.access_log {
        AccessLog::Off => Vec::new(),
        _ => access_log::render(&gateway.access_log),
    };
    if !access_log.is_empty() {
        patches.push(json!({
            "applyTo": "NETWORK_FILTER",
            "match": {"context": "GATEWAY", "listener": {"filterChain": {"filter": {"name": manager}}}},
            "patch": {"operation": "MERGE", "value": {"typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "access_log": access_log,
            }}},
        }));
    }
    let clusters = plugin.providers.values().filter_map(|provider| provider.cluster.clone());
    patches.push(json!({
        "# Each attempt goes where the filter says (filter state), and to no provider where it says nothing known.": null,
        "applyTo": "HTTP_ROUTE",
        "match": {"context": "GATEWAY", "routeConfiguration": {"vhost": {"route": {"name": "weir"}}}},
        "patch": {"operation": "MERGE", "value": {
            "request_body_buffer_limit": buffer_limit(gateway),
            "route": routes::action(gateway, clusters),
        }},
    }));
    let mut cluster_patch = |subset: &str, endpoint: &Endpoint, filters: Vec<Value>, limit: u64| {
        patches.push(json!({
            "applyTo": "CLUSTER",
            "match": {"context": "GATEWAY", "cluster": {
                "service": endpoint.host, "subset": subset, "portNumber": endpoint.port,
            }},
            "patch": {"operation": "MERGE", "value": {
                "per_connection_buffer_limit_bytes": limit,
                "typed_extension_protocol_options": {
                    "envoy.extensions.upstreams.http.v3.HttpProtocolOptions":
                        http_options(endpoint.scheme == "https", filters),
                },
            }},
        }));
    };
    for (name, provider) in &gateway.providers {
        let Some(endpoint) = endpoints.get(name.as_str()) else { continue };
        let mut filters = Vec::new();
        if gateway.upstream_filter {
            filters.push(discovered(Role::Attempt));
        }
        if provider.key.is_some() {
            filters.push(credential_injector(&reference(&key_field(name)), provider.api.auth_header()));
        }
        cluster_patch(name, endpoint, filters, buffer_limit(gateway));
    }
    if let Some(exporter) = gateway.exporter.as_ref().filter(|exporter| exporter.token.is_some()) {
        let endpoint = in_registry(exporter.endpoint().map_err(Error::from)?);
        let filters = vec![credential_injector(&reference(TOKEN_FIELD), BEARER)];
        cluster_patch(EXPORTER_SUBSET, &endpoint, filters, 1 << 20);
    }
    let about = "Routing: the filter before the router, the cluster of each attempt by filter state, and in each provider's cluster the \
                 filter again and then the provider's key, which Envoy puts in itself.";
    Ok(envoy_filter("weir-routing", options, about, &patches))
}
