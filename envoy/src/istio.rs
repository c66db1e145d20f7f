//! Renders a gateway for Istio: the manifests that make an Istio gateway a Weir, or ([`observe`]) those that
//! have sidecars or a gateway observe.
//!
//! Istio's WasmPlugin has no field for stop-iteration, and an EnvoyFilter cannot change what a
//! WasmPlugin became; without it a filter that holds a request's headers never sees its body. So the
//! filter comes by EnvoyFilter, as an extension configuration whose `oci://` URL Istio's agent fetches
//! just as it does a WasmPlugin's. Providers are ServiceEntries; each has a subset of its own, and so a
//! cluster of its own, even where two share a host. Keys are files of one Secret, which the pod mounts.

mod observe;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};
use weir_filter::api::endpoint::Endpoint;
use weir_filter::config::{PluginConfig, Role};

use crate::access_log::AccessLog;
use crate::envoy::{
    BEARER, CIRCUIT_BREAKER_MAX, READ_LIMIT, SYSTEM_CAS, buffer_limit, credential_injector, http_options,
    plugin_name, routes, wasm_config,
};
use crate::gateway::{Error, Gateway, TOKEN_FIELD, key_field};
use crate::provider::{Provider, Secret};
use crate::yaml::to_yaml;

/// Where the pod has the Secret of keys, and the ConfigMap that says where each key is.
const KEYS_DIR: &str = "/etc/weir/keys";
const SDS_DIR: &str = "/etc/weir/sds";
/// The Secret and the ConfigMap.
const KEYS: &str = "weir-keys";
const SDS: &str = "weir-sds";
/// The subset of the exporter's, which has no filter.
const EXPORTER_SUBSET: &str = "weir-exporter";

/// One subset of a host: its name, where it leads, and the provider that it is of, if it is of one.
type Subset<'a> = (&'a str, &'a Endpoint, Option<&'a Provider>);

/// What an Istio gateway is rendered with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of the gateway's pods.
    pub namespace: String,
    /// Their labels.
    pub selector: BTreeMap<String, String>,
    /// The host names that callers use; `*` is every name.
    pub hosts: Vec<String>,
    /// The filter's OCI image, such as `oci://registry.example.com/weir-filter:0.1.0`.
    pub image: String,
    /// The image's digest, 64 hex digits: what Istio's agent compares for an image, rather than that of the
    /// .wasm file in it.
    pub sha256: String,
    /// A Gateway of the Gateway API in place of the labels, where requests are observed.
    pub gateway: Option<String>,
}

/// Why a gateway cannot be rendered for Istio.
#[derive(Debug, thiserror::Error)]
pub enum IstioError {
    /// What every rendering can fail with.
    #[error(transparent)]
    Gateway(#[from] Error),
    /// An option is wrong.
    #[error("{option}: {message}")]
    Option {
        /// The option.
        option: &'static str,
        /// What would be right.
        message: String,
    },
    /// A field has no equal there.
    #[error("{field}: {message}")]
    Field {
        /// The field of gateway.yaml.
        field: String,
        /// What would be right.
        message: String,
    },
}

/// The manifests, separated by `---`, for `kubectl apply -f -`.
///
/// # Errors
/// [`IstioError`] when an option is wrong, or a field has no equal in Istio.
pub fn istio(gateway: &Gateway, options: &Options) -> Result<String, IstioError> {
    check_image(&options.image, &options.sha256)?;
    if gateway.observes() {
        return yaml(&observe::documents(gateway, options)?);
    }
    check(gateway, options)?;
    yaml(&documents(gateway, options)?)
}

/// What a gateway asks for and Istio's manifests leave out, one sentence each.
pub fn lost(gateway: &Gateway) -> Vec<String> {
    let with_backoff = gateway.models.iter().filter(|(_, model)| model.retry.backoff.is_some());
    with_backoff
        .map(|(name, _)| {
            format!("models.{name}.retry.backoff: the one route of Istio's has one pause, the usual 25ms")
        })
        .collect()
}

/// Documents as YAML, each behind its `---`.
pub(crate) fn yaml(documents: &[Value]) -> Result<String, IstioError> {
    let mut out = String::new();
    for document in documents {
        out.push_str("---\n");
        out.push_str(&to_yaml(document)?);
    }
    Ok(out)
}

/// Checks how the filter's image is named.
pub(crate) fn check_image(image: &str, sha256: &str) -> Result<(), IstioError> {
    let option = |option, message: &str| Err(IstioError::Option { option, message: message.to_owned() });
    if !image.starts_with("oci://") {
        return option(
            "--image",
            "must be the URL of an OCI image, such as oci://registry.example.com/weir-filter:0.1.0",
        );
    }
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if sha256.len() != 64 || !sha256.bytes().all(is_digit) {
        let message =
            "must be the image's digest: the 64 hex digits that `weir-config image` prints behind sha256:";
        return option("--sha256", message);
    }
    Ok(())
}

fn check(gateway: &Gateway, options: &Options) -> Result<(), IstioError> {
    if options.gateway.is_some() {
        let message = "is for `mode: observe`; where requests are routed, the gateway is named by its labels";
        return Err(IstioError::Option { option: "--gateway-name", message: message.to_owned() });
    }
    let field = |field: String, message: &str| Err(IstioError::Field { field, message: message.to_owned() });
    for (name, provider) in &gateway.providers {
        if provider.proxy.is_some() {
            return field(
                format!("providers.{name}.proxy"),
                "has no equal here: in a mesh the way out is an egress gateway's; leave it out",
            );
        }
        if subset(name).is_none() {
            let message =
                "becomes the name of a subset in Istio: lowercase letters, digits and '-' only, at most 63";
            return field(format!("providers.{name}"), message);
        }
    }
    if gateway.jwt.is_some() {
        return field("jwt".to_owned(), "has no equal here yet; use keys");
    }
    if gateway.tls.is_some() {
        return field(
            "tls".to_owned(),
            "is for Envoy's own listener; here the Gateway's `tls` and its credentialName say it",
        );
    }
    if gateway.hash_key().is_some() {
        return field(
            "redaction.hash_key".to_owned(),
            "needs a variable of the proxy's environment that is not rendered here; use another replacement",
        );
    }
    Ok(())
}

/// A provider's name as that of a subset (RFC 1123 label); nothing where it is none.
fn subset(name: &str) -> Option<&str> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    (name.len() <= 63 && name.bytes().all(allowed) && !name.starts_with('-') && !name.ends_with('-'))
        .then_some(name)
}

/// An endpoint as Istio's registry knows it: services of the cluster by their whole name.
fn in_registry(mut endpoint: Endpoint) -> Endpoint {
    if endpoint.host.ends_with(".svc") {
        endpoint.host.push_str(".cluster.local");
    }
    endpoint
}

/// Istio's name of the cluster of a host's subset.
fn cluster_name(subset: &str, endpoint: &Endpoint) -> String {
    format!("outbound|{}|{subset}|{}", endpoint.port, endpoint.host)
}

fn documents(gateway: &Gateway, options: &Options) -> Result<Vec<Value>, IstioError> {
    let mut endpoints = BTreeMap::new();
    for (name, provider) in &gateway.providers {
        let endpoint = provider.endpoint(&format!("providers.{name}")).map_err(Error::from)?;
        endpoints.insert(name.as_str(), in_registry(endpoint));
    }
    let exporter = match &gateway.exporter {
        Some(exporter) => Some(in_registry(exporter.endpoint().map_err(Error::from)?)),
        None => None,
    };
    let mut plugin = gateway.plugin().map_err(Error::from)?;
    for (name, provider) in &mut plugin.providers {
        provider.cluster = endpoints.get(name.as_str()).map(|endpoint| cluster_name(name, endpoint));
    }
    if let (Some(ours), Some(endpoint)) = (&mut plugin.exporter, &exporter) {
        ours.cluster = cluster_name(EXPORTER_SUBSET, endpoint);
    }

    let mut documents = vec![
        keys(gateway, options),
        sds(gateway, options)?,
        listener(options),
        virtual_service(options, &endpoints),
    ];
    let mut hosts: BTreeMap<(&str, u16), Vec<Subset<'_>>> = BTreeMap::new();
    for (name, endpoint) in &endpoints {
        hosts.entry((&endpoint.host, endpoint.port)).or_default().push((
            name,
            endpoint,
            gateway.providers.get(*name),
        ));
    }
    if let Some(endpoint) = &exporter {
        hosts.entry((&endpoint.host, endpoint.port)).or_default().push((EXPORTER_SUBSET, endpoint, None));
    }
    for ((host, port), subsets) in &hosts {
        // What is of the cluster has a service already.
        if !host.contains(".svc") {
            documents.push(service_entry(host, *port, subsets, options));
        }
        documents.push(destination_rule(host, *port, subsets, options));
    }
    documents.push(extensions(gateway, &plugin, options)?);
    documents.push(gateway_filter(gateway, &plugin, &endpoints, options)?);
    Ok(documents)
}

fn object(api: &str, kind: &str, name: &str, options: &Options, about: &str) -> Map<String, Value> {
    object_in(&options.namespace, api, kind, name, about)
}

/// The head of a document, under a comment.
pub(crate) fn object_in(
    namespace: &str,
    api: &str,
    kind: &str,
    name: &str,
    about: &str,
) -> Map<String, Value> {
    let Value::Object(mut object) = json!({
        "apiVersion": api,
        "kind": kind,
        "metadata": {"name": name, "namespace": namespace},
    }) else {
        return Map::new();
    };
    object.insert(format!("# {about}"), Value::Null);
    object
}

const NETWORKING: &str = "networking.istio.io/v1";

fn keys(gateway: &Gateway, options: &Options) -> Value {
    let files: Vec<String> =
        gateway.secrets().map(|(field, _)| format!("--from-file={field}=FILE")).collect();
    let about = format!(
        "The keys of the providers, one file each. It is empty on purpose: no key goes through this file. Make it with \
         `kubectl -n {} create secret generic {KEYS} {}` instead of applying this document, and mount it into the gateway's \
         pods at {KEYS_DIR} (a value that is changed is read anew, without a restart).",
        options.namespace,
        files.join(" "),
    );
    let mut secret = object("v1", "Secret", KEYS, options, &about);
    secret.insert("type".to_owned(), json!("Opaque"));
    Value::Object(secret)
}

/// The resource files by which Envoy finds each key in the mounted Secret.
fn sds(gateway: &Gateway, options: &Options) -> Result<Value, IstioError> {
    let mut data = Map::new();
    for (field, secret) in gateway.secrets() {
        let name = format!("weir.{field}");
        let resource = json!({"resources": [{
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            "generic_secret": {"secret": {
                "filename": format!("{KEYS_DIR}/{field}"),
                "watched_directory": {"path": KEYS_DIR},
            }},
        }]});
        let mut text = to_yaml(&resource)?;
        if let Secret::Env(variable) = secret {
            text =
                format!("# {variable} in gateway.yaml; here the file {field} of the Secret {KEYS}.\n{text}");
        }
        data.insert(format!("{name}.yaml"), json!(text));
    }
    let about = format!(
        "Says where Envoy finds each key, and holds none. Mount it into the gateway's pods at {SDS_DIR}."
    );
    let mut map = object("v1", "ConfigMap", SDS, options, &about);
    map.insert("data".to_owned(), Value::Object(data));
    Ok(Value::Object(map))
}

fn listener(options: &Options) -> Value {
    let about = "Where callers reach the gateway. For TLS and mTLS change the server: protocol HTTPS, tls: { mode: SIMPLE or \
                 MUTUAL, credentialName: … }.";
    let mut gateway = object(NETWORKING, "Gateway", "weir", options, about);
    gateway.insert(
        "spec".to_owned(),
        json!({
            "selector": options.selector,
            "servers": [{"hosts": options.hosts, "port": {"name": "http", "number": 80, "protocol": "HTTP"}}],
        }),
    );
    Value::Object(gateway)
}

fn virtual_service(options: &Options, endpoints: &BTreeMap<&str, Endpoint>) -> Value {
    let about = "The route of every request. Where it leads is changed by the EnvoyFilter below: the filter decides for each \
                 attempt. Istio's own retries are off, or they would come on top.";
    let mut service = object(NETWORKING, "VirtualService", "weir", options, about);
    let destination = endpoints.iter().next().map_or_else(
        || json!({}),
        |(name, endpoint)| json!({"host": endpoint.host, "subset": name, "port": {"number": endpoint.port}}),
    );
    service.insert(
        "spec".to_owned(),
        json!({
            "hosts": options.hosts,
            "gateways": ["weir"],
            "http": [{
                "name": "weir",
                "route": [{"destination": destination}],
                "retries": {"attempts": 0},
                "timeout": routes::ROUTE_TIMEOUT,
            }],
        }),
    );
    Value::Object(service)
}

/// A name for the objects of a host: a DNS label.
fn host_name(host: &str, port: u16) -> String {
    let label: String = host
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' })
        .take(50)
        .collect();
    format!("weir-{label}-{port}")
}

fn is_address(host: &str) -> bool {
    host.parse::<std::net::IpAddr>().is_ok()
}

fn service_entry(host: &str, port: u16, subsets: &[Subset<'_>], options: &Options) -> Value {
    let names: Vec<&str> = subsets.iter().map(|(name, ..)| *name).collect();
    let about = format!("Makes {host} known to the mesh, for: {}.", names.join(", "));
    let mut entry = object(NETWORKING, "ServiceEntry", &host_name(host, port), options, &about);
    // The gateway itself begins TLS, so that the filters of the cluster see requests.
    entry.insert(
        "spec".to_owned(),
        outside(host, &json!({"name": "http", "number": port, "protocol": "HTTP"})),
    );
    Value::Object(entry)
}

/// The spec of a ServiceEntry: a host outside the mesh, called at this port.
fn outside(host: &str, port: &Value) -> Value {
    let mut spec = json!({
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "ports": [port],
        "exportTo": ["."],
        "resolution": "DNS",
    });
    if let (true, Some(spec)) = (is_address(host), spec.as_object_mut()) {
        spec.insert("resolution".to_owned(), json!("STATIC"));
        spec.insert("endpoints".to_owned(), json!([{"address": host}]));
        spec.insert("addresses".to_owned(), json!([host]));
    }
    spec
}

fn destination_rule(host: &str, port: u16, subsets: &[Subset<'_>], options: &Options) -> Value {
    let about = "One subset, and so one cluster, for each provider: two can share a host and not a key. Its limits are Envoy's \
                 circuit breakers, whose defaults would allow 3 retries at a time. There is no outlier detection: the filter \
                 knows which target is well, and a host of one address must not be thrown out.";
    let mut rule = object(NETWORKING, "DestinationRule", &host_name(host, port), options, about);
    let subsets: Vec<Value> = subsets
        .iter()
        .map(|(name, endpoint, provider)| {
            let mut policy = json!({
                "connectionPool": {
                    "tcp": {"maxConnections": CIRCUIT_BREAKER_MAX, "connectTimeout": "5s"},
                    "http": {
                        "http1MaxPendingRequests": CIRCUIT_BREAKER_MAX,
                        "http2MaxRequests": CIRCUIT_BREAKER_MAX,
                        "maxRetries": CIRCUIT_BREAKER_MAX,
                    },
                },
            });
            if let (true, Some(policy)) = (endpoint.scheme == "https", policy.as_object_mut()) {
                policy.insert("tls".to_owned(), tls(endpoint, *provider));
            }
            json!({"name": name, "trafficPolicy": policy})
        })
        .collect();
    rule.insert("spec".to_owned(), json!({"host": host, "exportTo": ["."], "subsets": subsets}));
    Value::Object(rule)
}

fn tls(endpoint: &Endpoint, provider: Option<&Provider>) -> Value {
    let given = provider.and_then(|provider| provider.tls.clone()).unwrap_or_default();
    let name = given.server_name.as_deref().unwrap_or(&endpoint.host);
    let path = |path: &Path| json!(path);
    let mut tls = Map::from_iter([
        ("mode".to_owned(), json!("SIMPLE")),
        ("subjectAltNames".to_owned(), json!([name])),
        // By name: what is not given is not checked by older versions.
        ("caCertificates".to_owned(), given.ca.as_deref().map_or_else(|| json!(SYSTEM_CAS), path)),
    ]);
    if !is_address(name) {
        tls.insert("sni".to_owned(), json!(name));
    }
    if let Some((certificate, key)) = given.identity() {
        tls.insert("mode".to_owned(), json!("MUTUAL"));
        tls.insert("clientCertificate".to_owned(), path(certificate));
        tls.insert("privateKey".to_owned(), path(key));
    }
    Value::Object(tls)
}

fn envoy_filter(name: &str, options: &Options, about: &str, patches: &[Value]) -> Value {
    let mut filter = object("networking.istio.io/v1alpha3", "EnvoyFilter", name, options, about);
    filter.insert(
        "spec".to_owned(),
        json!({"workloadSelector": {"labels": options.selector}, "configPatches": patches}),
    );
    Value::Object(filter)
}

/// The filter in both roles, by name: Istio's agent fetches the image.
fn extensions(gateway: &Gateway, plugin: &PluginConfig, options: &Options) -> Result<Value, IstioError> {
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

fn reference(field: &str) -> Value {
    let name = format!("weir.{field}");
    json!({
        "name": name,
        "sds_config": {
            "path_config_source": {"path": format!("{SDS_DIR}/{name}.yaml")},
            "resource_api_version": "V3",
        },
    })
}

fn gateway_filter(
    gateway: &Gateway,
    plugin: &PluginConfig,
    endpoints: &BTreeMap<&str, Endpoint>,
    options: &Options,
) -> Result<Value, IstioError> {
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
        _ => gateway.access_log.render(),
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
