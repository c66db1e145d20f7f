//! Renders a gateway into a whole Envoy bootstrap.
//!
//! Every peculiarity here has its reason beside it; the facts were measured on Envoy 1.40.
//! The output is deterministic: the same gateway gives the same bytes.

mod cluster;
mod routes;
mod secrets;
mod tunnel;

use std::path::PathBuf;
use std::{fs, io};

use serde_json::{Value, json};
use weir_filter::config::{PluginConfig, Role, cluster_name};

use self::cluster::{Cluster, tls_socket};
use self::secrets::{Secrets, credential_injector};
use self::tunnel::Tunnel;
use crate::gateway::{EXPORTER_CLUSTER, Error, Gateway, TOKEN_FIELD, key_field};
use crate::jwt::{JWKS_CLUSTER, Jwt};
use crate::provider::Provider;

/// How much more Envoy may buffer than the filter takes: over its own limit Envoy answers a plain
/// 413 before the filter can give the API's, so Envoy's must stand above.
const BUFFER_HEADROOM: u64 = 1 << 20;
/// Longest silence on a stream in either direction.
const STREAM_IDLE_TIMEOUT: &str = "300s";

/// How the exporter's ingest takes its token.
const BEARER: (&str, &str) = ("authorization", "Bearer ");

/// What a bootstrap needs beside the gateway.
#[derive(Clone, Debug)]
pub struct Options {
    /// The filter: absolute path of the .wasm file, as Envoy sees it.
    pub wasm: PathBuf,
    /// Absolute path of the directory where the files of [`Rendered::secrets`] will lie, as Envoy
    /// sees it. Without one Envoy reads keys and certificates once, when it starts, and does not
    /// notice that a file was replaced.
    pub secrets_dir: Option<PathBuf>,
}

/// What Envoy is started with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The whole bootstrap as YAML.
    pub bootstrap: String,
    /// What must lie in the directory for secrets: the path of each file, and what stands in it.
    /// They say where Envoy finds a secret, and hold none.
    pub secrets: Vec<(PathBuf, String)>,
}

impl Rendered {
    /// Writes the files of the directory for secrets, and makes the directory where it is not
    /// there. Each is moved into place, so that an Envoy that runs reads it anew, and whole.
    pub fn write_secrets(&self) -> io::Result<()> {
        for (path, content) in &self.secrets {
            if let Some(dir) = path.parent() {
                fs::create_dir_all(dir)?;
            }
            let unfinished = path.with_extension("yaml.new");
            fs::write(&unfinished, content)?;
            fs::rename(&unfinished, path)?;
        }
        Ok(())
    }
}

/// Renders the whole bootstrap, and what must lie beside it.
pub fn bootstrap(gateway: &Gateway, options: &Options) -> Result<Rendered, Error> {
    let plugin = gateway.plugin()?;
    let mut secrets = Secrets::new(options.secrets_dir.as_deref());
    let mut listeners = vec![listener(gateway, &plugin, options)];
    let mut clusters = Vec::new();
    for (name, provider) in &gateway.providers {
        let cluster = provider_cluster(name, provider, gateway, options, &mut secrets)?;
        if let Some(tunnel) = &cluster.tunnel {
            listeners.push(tunnel.listener(&cluster.endpoint));
            clusters.push(tunnel.cluster(cluster.buffer_limit).render());
        }
        clusters.push(cluster.render());
    }
    if let Some(exporter) = &gateway.exporter {
        // Without our filter: a call from the VM would come back into it.
        let filters = match &exporter.token {
            Some(token) => vec![credential_injector(&secrets.key(TOKEN_FIELD, token)?, BEARER)],
            None => Vec::new(),
        };
        clusters
            .push(Cluster::new(EXPORTER_CLUSTER, exporter.endpoint()?, filters, BUFFER_HEADROOM).render());
    }
    if let Some(endpoint) = gateway.jwt.as_ref().map(Jwt::jwks_endpoint).transpose()?.flatten() {
        clusters.push(Cluster::new(JWKS_CLUSTER, endpoint, Vec::new(), BUFFER_HEADROOM).render());
    }
    let mut bootstrap = json!({
        "node": {"id": "weir", "cluster": "weir"},
        "static_resources": {
            "listeners": listeners,
            "clusters": clusters,
            "secrets": secrets.in_bootstrap,
        },
    });
    if let Some(map) = bootstrap.as_object_mut() {
        if let Some(admin) = gateway.admin {
            map.insert(
                "admin".to_owned(),
                json!({"address": socket_address(&admin.ip().to_string(), admin.port())}),
            );
        }
        if listeners.len() > 1 {
            map.insert("bootstrap_extensions".to_owned(), json!([tunnel::extension()]));
        }
    }
    Ok(Rendered { bootstrap: yaml(&bootstrap)?, secrets: secrets.files })
}

fn provider_cluster(
    name: &str,
    provider: &Provider,
    gateway: &Gateway,
    options: &Options,
    secrets: &mut Secrets<'_>,
) -> Result<Cluster, Error> {
    let path = format!("providers.{name}");
    let endpoint = provider.endpoint(&path)?;
    let mut filters = Vec::new();
    if gateway.upstream_filter {
        filters.push(wasm_filter(&PluginConfig::attempt(), gateway, options));
    }
    if let Some(key) = &provider.key {
        // After our filter, which leaves no other credential behind, and out of wasm's sight.
        filters.push(credential_injector(&secrets.key(&key_field(name), key)?, provider.api.auth_header()));
    }
    let mut cluster = Cluster::new(&cluster_name(name), endpoint, filters, buffer_limit(gateway));
    if let Some(tls) = &provider.tls {
        let identity = match tls.identity() {
            Some(files) => Some(secrets.identity(&format!("{path}.tls.certificate"), files)?),
            None => None,
        };
        cluster.transport_socket = Some(tls_socket(&cluster.endpoint, tls, identity));
    }
    cluster.tunnel = provider.proxy(&path)?.map(|proxy| Tunnel::new(name, proxy));
    Ok(cluster)
}

fn listener(gateway: &Gateway, plugin: &PluginConfig, options: &Options) -> Value {
    let mut filters: Vec<Value> = gateway.jwt.iter().map(Jwt::filter).collect();
    filters.push(wasm_filter(plugin, gateway, options));
    filters.push(json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        },
    }));
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
            "virtual_hosts": [{"name": "weir", "domains": ["*"], "routes": routes::render(gateway)}],
        },
        "http_filters": filters,
        "access_log": gateway.access_log.render(),
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
fn wasm_filter(plugin: &PluginConfig, gateway: &Gateway, options: &Options) -> Value {
    let variables: Vec<&str> = gateway.hash_key().into_iter().collect();
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
                    // The same for both roles, or they would not share a VM.
                    "environment_variables": {"host_env_keys": variables},
                },
                "configuration": {
                    "@type": "type.googleapis.com/google.protobuf.StringValue",
                    "value": configuration.to_string(),
                },
            },
        },
    })
}

fn buffer_limit(gateway: &Gateway) -> u64 {
    let limits = &gateway.limits;
    (limits.request_body.0.max(limits.response_body.0) + BUFFER_HEADROOM).min(u64::from(u32::MAX))
}

fn socket_address(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

fn yaml(value: &Value) -> Result<String, Error> {
    serde_saphyr::to_string(value).map_err(|error| Error::Output(error.to_string()))
}

#[cfg(test)]
mod tests;
