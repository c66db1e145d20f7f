//! Renders a gateway into a whole Envoy bootstrap.
//!
//! Every peculiarity here has its reason beside it; the facts were measured on Envoy 1.40.
//! The output is deterministic: the same gateway gives the same bytes.

use std::path::PathBuf;

use serde_json::{Value, json};
use weir_filter::config::{ConfigError, PluginConfig, Role, cluster_name};
use weir_filter::endpoint::Endpoint;

use crate::gateway::{EXPORTER_CLUSTER, Error, Gateway, Secret, TOKEN_FIELD, key_field};

/// How much more Envoy may buffer than the filter takes: over its own limit Envoy answers a plain
/// 413 before the filter can give the API's, so Envoy's must stand above.
const BUFFER_HEADROOM: u64 = 1 << 20;
/// Longest time for a whole response, streams included. Ten minutes is what OpenAI's own clients
/// wait; Envoy's default of 15 s would cut long answers.
const ROUTE_TIMEOUT: &str = "600s";
/// Longest silence on a stream in either direction.
const STREAM_IDLE_TIMEOUT: &str = "300s";
/// Envoy allows 3 concurrent retries and 1024 requests a cluster by default; neither is meant here.
const CIRCUIT_BREAKER_MAX: u32 = 100_000;
/// Where Debian, Alpine and Envoy's own images keep the system's CAs.
const SYSTEM_CAS: &str = "/etc/ssl/certs/ca-certificates.crt";
/// Filter state that holds the cluster of the next attempt (written by the filter as `weir.cluster`).
const CLUSTER_STATE: &str = "wasm.weir.cluster";

/// What a bootstrap needs beside the gateway.
#[derive(Clone, Debug)]
pub struct Options {
    /// The filter: absolute path of the .wasm file, as Envoy sees it.
    pub wasm: PathBuf,
}

/// Renders the whole bootstrap as YAML.
pub fn bootstrap(gateway: &Gateway, options: &Options) -> Result<String, Error> {
    let plugin = gateway.plugin()?;
    let mut clusters = Vec::new();
    for (name, provider) in &gateway.providers {
        let endpoint = Endpoint::parse(&provider.url)
            .map_err(|message| ConfigError::at(format!("providers.{name}.url"), message))?;
        let mut filters = vec![wasm_filter(&PluginConfig::attempt(), options)];
        if provider.key.is_some() {
            // After our filter, which leaves no other credential behind, and out of wasm's sight.
            filters.push(credential_injector(&secret_name(&key_field(name))));
        }
        filters.push(upstream_codec());
        clusters.push(cluster(&cluster_name(name), &endpoint, &filters, buffer_limit(gateway)));
    }
    if let Some(exporter) = &gateway.exporter {
        // Without our filter: a call from the VM would come back into it.
        let mut filters = Vec::new();
        if exporter.token.is_some() {
            filters.push(credential_injector(&secret_name(TOKEN_FIELD)));
            filters.push(upstream_codec());
        }
        clusters.push(cluster(EXPORTER_CLUSTER, &exporter.endpoint()?, &filters, BUFFER_HEADROOM));
    }
    let secrets: Vec<Value> =
        gateway.secrets().map(|(field, secret)| static_secret(&field, secret)).collect();
    let mut bootstrap = json!({
        "node": {"id": "weir", "cluster": "weir"},
        "static_resources": {
            "listeners": [listener(gateway, &plugin, options)],
            "clusters": clusters,
            "secrets": secrets,
        },
    });
    if let (Some(admin), Some(map)) = (gateway.admin, bootstrap.as_object_mut()) {
        map.insert(
            "admin".to_owned(),
            json!({"address": socket_address(&admin.ip().to_string(), admin.port())}),
        );
    }
    serde_saphyr::to_string(&bootstrap).map_err(|error| Error::Output(error.to_string()))
}

fn listener(gateway: &Gateway, plugin: &PluginConfig, options: &Options) -> Value {
    let cluster_names = gateway.providers.keys().map(|name| {
        let cluster = cluster_name(name);
        (cluster.clone(), json!({"action": {
            "name": "cluster",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.ClusterAction",
                "cluster": cluster,
            },
        }}))
    });
    let matcher = json!({
        "matcher_tree": {
            "input": {
                "name": "cluster_of_this_attempt",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.matching.common_inputs.network.v3.FilterStateInput",
                    "key": CLUSTER_STATE,
                },
            },
            "exact_match_map": {"map": Value::Object(cluster_names.collect())},
        },
    });
    let route = json!({
        "match": {"prefix": "/"},
        "route": {
            // The filter names the cluster, attempt by attempt; a name that matches none reaches none.
            "inline_cluster_specifier_plugin": {"extension": {
                "name": "envoy.router.cluster_specifier_plugin.matcher",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.router.cluster_specifiers.matcher.v3.MatcherClusterSpecifier",
                    "cluster_matcher": matcher,
                },
            }},
            "timeout": ROUTE_TIMEOUT,
        },
    });
    let manager = json!({
        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "weir",
        // Makes the last x-forwarded-for entry the caller's address, and drops x-envoy-* headers from outside.
        "use_remote_address": true,
        "normalize_path": true,
        "merge_slashes": true,
        "stream_idle_timeout": STREAM_IDLE_TIMEOUT,
        "request_headers_timeout": "10s",
        "route_config": {
            "name": "weir",
            "virtual_hosts": [{"name": "weir", "domains": ["*"], "routes": [route]}],
        },
        "http_filters": [
            wasm_filter(plugin, options),
            {
                "name": "envoy.filters.http.router",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
                    "suppress_envoy_headers": true,
                },
            },
        ],
    });
    json!({
        "name": "weir",
        "address": socket_address(&gateway.listen.ip().to_string(), gateway.listen.port()),
        "per_connection_buffer_limit_bytes": buffer_limit(gateway),
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": manager,
        }]}],
    })
}

/// The filter in one of its roles. Both roles have the same VM, so that they can share what they
/// know of a request.
fn wasm_filter(plugin: &PluginConfig, options: &Options) -> Value {
    let (name, configuration) = match plugin.role {
        Role::Gateway => ("weir.gateway", serde_json::to_value(plugin).unwrap_or_default()),
        Role::Attempt => ("weir.attempt", json!({"role": "attempt"})),
    };
    json!({
        "name": name,
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
            "config": {
                "name": name,
                "root_id": name,
                // A VM that trapped is built anew for the next request. Never FAIL_OPEN: it would let
                // requests pass unchecked.
                "failure_policy": "FAIL_RELOAD",
                // Without it a filter that holds the headers never sees the body.
                "allow_on_headers_stop_iteration": true,
                "vm_config": {
                    "vm_id": "weir",
                    "runtime": "envoy.wasm.runtime.v8",
                    "code": {"local": {"filename": options.wasm}},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration.to_string(),
                },
            },
        },
    })
}

fn upstream_codec() -> Value {
    json!({
        "name": "envoy.filters.http.upstream_codec",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.upstream_codec.v3.UpstreamCodec",
        },
    })
}

fn cluster(name: &str, endpoint: &Endpoint, upstream_filters: &[Value], buffer_limit: u64) -> Value {
    let tls = endpoint.scheme == "https";
    let is_address = endpoint.host.parse::<std::net::IpAddr>().is_ok();
    // auto_config speaks HTTP/2 where the peer's ALPN offers it, which only TLS can tell.
    let protocol = if tls {
        json!({"auto_config": {"http_protocol_options": {}, "http2_protocol_options": {}}})
    } else {
        json!({"explicit_http_config": {"http_protocol_options": {}}})
    };
    let mut options = json!({
        "@type": "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions",
    });
    if let (Some(options), Some(protocol)) = (options.as_object_mut(), protocol.as_object()) {
        options.extend(protocol.clone());
        if !upstream_filters.is_empty() {
            options.insert("http_filters".to_owned(), json!(upstream_filters));
        }
    }
    let thresholds = json!({
        "max_connections": CIRCUIT_BREAKER_MAX,
        "max_pending_requests": CIRCUIT_BREAKER_MAX,
        "max_requests": CIRCUIT_BREAKER_MAX,
        "max_retries": CIRCUIT_BREAKER_MAX,
    });
    let mut cluster = json!({
        "name": name,
        "type": if is_address { "STATIC" } else { "STRICT_DNS" },
        "connect_timeout": "5s",
        "per_connection_buffer_limit_bytes": buffer_limit,
        "circuit_breakers": {"thresholds": [thresholds]},
        "load_assignment": {
            "cluster_name": name,
            "endpoints": [{"lb_endpoints": [
                {"endpoint": {"address": socket_address(&endpoint.host, endpoint.port)}},
            ]}],
        },
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options,
        },
    });
    if let (true, Some(map)) = (tls, cluster.as_object_mut()) {
        map.insert("transport_socket".to_owned(), tls_socket(&endpoint.host, is_address));
    }
    cluster
}

fn tls_socket(host: &str, is_address: bool) -> Value {
    let san_type = if is_address { "IP_ADDRESS" } else { "DNS" };
    let mut context = json!({
        "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
        "common_tls_context": {"validation_context": {
            "trusted_ca": {"filename": SYSTEM_CAS},
            "match_typed_subject_alt_names": [{"san_type": san_type, "matcher": {"exact": host}}],
        }},
    });
    if let (false, Some(map)) = (is_address, context.as_object_mut()) {
        map.insert("sni".to_owned(), json!(host));
    }
    json!({"name": "envoy.transport_sockets.tls", "typed_config": context})
}

/// Puts `Authorization: Bearer <secret>` onto a request inside Envoy, so that no secret is in wasm.
fn credential_injector(secret: &str) -> Value {
    json!({
        "name": "envoy.filters.http.credential_injector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
            "overwrite": true,
            "credential": {
                "name": "envoy.http.injected_credentials.generic",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                    "credential": {"name": secret},
                    "header": "authorization",
                    "header_value_prefix": "Bearer ",
                },
            },
        },
    })
}

/// A secret by reference: the bootstrap, and so config_dump, holds the place and not the value.
fn static_secret(field: &str, secret: &Secret) -> Value {
    let source = match secret {
        Secret::Env(variable) => json!({"environment_variable": variable}),
        Secret::File(path) => json!({"filename": path}),
    };
    json!({"name": secret_name(field), "generic_secret": {"secret": source}})
}

fn secret_name(field: &str) -> String {
    format!("weir.{field}")
}

fn buffer_limit(gateway: &Gateway) -> u64 {
    (gateway.limits.request_body.0 + BUFFER_HEADROOM).min(u64::from(u32::MAX))
}

fn socket_address(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

#[cfg(test)]
mod tests {
    use super::*;

    fn render(yaml: &str) -> Value {
        let gateway = Gateway::parse(yaml).unwrap();
        let options = Options { wasm: "/weir_filter.wasm".into() };
        let rendered = bootstrap(&gateway, &options).unwrap();
        assert_eq!(rendered, bootstrap(&gateway, &options).unwrap(), "the same gateway gives the same bytes");
        serde_saphyr::from_str(&rendered).unwrap()
    }

    fn clusters(bootstrap: &Value) -> &[Value] {
        bootstrap["static_resources"]["clusters"].as_array().unwrap()
    }

    const GATEWAY: &str = "
listen: 127.0.0.1:8080
providers:
  openai: { api: openai, url: https://api.openai.com/v1, key: { env: OPENAI_API_KEY } }
  vllm: { api: openai, url: http://10.0.0.7:8000/v1 }
models:
  gpt-4o: { targets: [{ provider: openai }] }
exporter: { url: http://127.0.0.1:4319, token: { file: /run/token } }
";

    #[test]
    fn the_exporters_cluster_never_carries_the_filter_and_every_providers_does() {
        let bootstrap = render(GATEWAY);
        for cluster in clusters(&bootstrap) {
            let carries = cluster.to_string().contains("weir.attempt");
            assert_eq!(carries, cluster["name"] != EXPORTER_CLUSTER, "{}", cluster["name"]);
        }
    }

    #[test]
    fn every_cluster_has_circuit_breakers_of_its_own() {
        let bootstrap = render(GATEWAY);
        assert_eq!(clusters(&bootstrap).len(), 3);
        for cluster in clusters(&bootstrap) {
            let threshold = &cluster["circuit_breakers"]["thresholds"][0];
            for field in ["max_connections", "max_pending_requests", "max_requests", "max_retries"] {
                assert!(threshold[field].as_u64().unwrap() > 1024, "{field}");
            }
        }
    }

    #[test]
    fn a_public_provider_is_reached_by_tls_with_its_name_checked() {
        let bootstrap = render(GATEWAY);
        let openai =
            clusters(&bootstrap).iter().find(|cluster| cluster["name"] == "provider.openai").unwrap();
        let tls = &openai["transport_socket"]["typed_config"];
        assert_eq!(tls["sni"], "api.openai.com");
        let names = &tls["common_tls_context"]["validation_context"]["match_typed_subject_alt_names"];
        assert_eq!(names[0]["matcher"]["exact"], "api.openai.com");
    }

    #[test]
    fn secrets_are_named_and_never_written() {
        let bootstrap = render(GATEWAY);
        let secrets = bootstrap["static_resources"]["secrets"].as_array().unwrap();
        assert_eq!(secrets[0]["generic_secret"]["secret"]["environment_variable"], "OPENAI_API_KEY");
        assert_eq!(secrets[1]["generic_secret"]["secret"]["filename"], "/run/token");
    }
}
