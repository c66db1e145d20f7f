//! Renders a gateway for Envoy: a whole bootstrap, the parts to paste into one's own, or files that
//! a running Envoy reads anew.
//!
//! Every peculiarity here has its reason beside it; the facts were measured on Envoy 1.40.
//! The output is deterministic: the same gateway gives the same bytes.

mod cluster;
mod fragment;
mod hot;
mod listener;
pub(crate) mod routes;
mod secrets;
mod tunnel;
mod version;

use std::path::PathBuf;
use std::{fs, io};

use serde_json::{Map, Value, json};
use weir_filter::config::{Mode, PluginConfig, Role, cluster_name};
use weir_filter::event::resource::DEFAULT_NODE as NODE;
use weir_settings::ConfigError;

pub(crate) use self::cluster::{CIRCUIT_BREAKER_MAX, SYSTEM_CAS, http_options};
use self::cluster::{Cluster, tls_socket};
pub use self::fragment::fragment;
pub use self::hot::{Hot, KEEP_RETIRED, Publish, hot};
use self::secrets::Secrets;
pub(crate) use self::secrets::credential_injector;
use self::tunnel::Tunnel;
pub use self::version::{Version, VersionError};
use crate::gateway::{EXPORTER_CLUSTER, Error, Gateway, TOKEN_FIELD, key_field};
use crate::jwt::{JWKS_CLUSTER, Jwt};
use crate::provider::Provider;
use crate::yaml::to_yaml;

/// How much of a connection Envoy reads at once, and the most that a body grows by before the filter sees it.
pub(crate) const READ_LIMIT: u64 = 1 << 20;
/// How much more of a body Envoy may buffer than the filter takes. Over its own limit Envoy answers a plain
/// 413 before the filter can give the API's, so the limit stands above by more than one read can bring.
const BUFFER_HEADROOM: u64 = 2 * READ_LIMIT;
/// How the exporter's ingest takes its token.
pub(crate) const BEARER: (&str, &str) = ("authorization", "Bearer ");

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
    check_routes(gateway)?;
    let mut secrets = Secrets::new(options.secrets_dir.as_deref());
    let parts = Parts::new(gateway, options, &mut secrets)?;
    let mut listeners = vec![listener::render(
        gateway,
        parts.filters,
        &listener::Routes::Inline(parts.routes),
        &mut secrets,
    )?];
    listeners.extend(parts.tunnels);
    let mut bootstrap = json!({
        "node": {"id": NODE, "cluster": NODE},
        "static_resources": {
            "listeners": listeners,
            "clusters": parts.clusters,
            "secrets": secrets.in_bootstrap,
        },
    });
    if let Some(map) = bootstrap.as_object_mut() {
        admin(gateway, map);
        if listeners.len() > 1 {
            map.insert("bootstrap_extensions".to_owned(), json!([tunnel::extension()]));
        }
    }
    Ok(Rendered { bootstrap: to_yaml(&bootstrap)?, secrets: secrets.files })
}

/// The cluster of the exporter's ingest where the filter itself sends the token; nothing without an exporter.
pub(crate) fn exporter_cluster(gateway: &Gateway) -> Option<Result<Value, Error>> {
    let exporter = gateway.exporter.as_ref()?;
    let rendered = exporter
        .endpoint()
        .map(|endpoint| Cluster::new(EXPORTER_CLUSTER, endpoint, Vec::new(), READ_LIMIT).render());
    Some(rendered.map_err(Error::from))
}

/// Refuses what has no listener and no routes to render.
fn check_routes(gateway: &Gateway) -> Result<(), Error> {
    if !gateway.observes() {
        return Ok(());
    }
    let message = "with `observe` there is no listener and no route to render: what is to be pasted into an Envoy that has \
                   them is rendered by `--fragment`, and what a mesh takes by `weir-config istio` and `envoy-gateway`";
    Err(ConfigError::at("mode", message).into())
}

/// What every form of Envoy's configuration is made of.
struct Parts {
    /// The HTTP filters that go before the router.
    filters: Vec<Value>,
    /// The routes of the one virtual host.
    routes: Vec<Value>,
    /// Every cluster.
    clusters: Vec<Value>,
    /// The listeners inside Envoy that lead through proxies.
    tunnels: Vec<Value>,
}

impl Parts {
    fn new(gateway: &Gateway, options: &Options, secrets: &mut Secrets<'_>) -> Result<Self, Error> {
        let code = json!({"local": {"filename": options.wasm}});
        let (mut clusters, mut tunnels) = (Vec::new(), Vec::new());
        let routed = gateway.providers.iter().filter(|_| !gateway.observes());
        for (name, provider) in routed {
            let cluster = provider_cluster(name, provider, gateway, &code, secrets)?;
            if let Some(tunnel) = &cluster.tunnel {
                tunnels.push(tunnel.listener(&cluster.endpoint));
                clusters.push(tunnel.cluster(cluster.buffer_limit).render());
            }
            clusters.push(cluster.render());
        }
        if let Some(exporter) = &gateway.exporter {
            // Without our filter: a call from the VM would come back into it.
            let filters = match &exporter.token {
                Some(token) if !gateway.observes() => {
                    vec![credential_injector(&secrets.key(TOKEN_FIELD, token)?, BEARER)]
                }
                _ => Vec::new(),
            };
            let mut cluster =
                Cluster::new(EXPORTER_CLUSTER, exporter.endpoint()?, filters, READ_LIMIT).render();
            comment(
                &mut cluster,
                "The exporter's ingest. It must never carry the filter: a call that the filter makes would come back into its own VM.",
            );
            clusters.push(cluster);
        }
        if let Some(endpoint) = gateway.jwt.as_ref().map(Jwt::jwks_endpoint).transpose()?.flatten() {
            clusters.push(Cluster::new(JWKS_CLUSTER, endpoint, Vec::new(), READ_LIMIT).render());
        }
        let mut filters = Vec::new();
        if !gateway.observes() {
            filters.push(listener::health_check());
        }
        filters.extend(gateway.jwt.iter().map(Jwt::filter));
        filters.push(wasm_filter(&gateway.plugin()?, gateway, &code));
        Ok(Self { filters, routes: routes::render(gateway), clusters, tunnels })
    }
}

fn admin(gateway: &Gateway, bootstrap: &mut Map<String, Value>) {
    if let Some(admin) = gateway.admin {
        bootstrap.insert(
            "admin".to_owned(),
            json!({"address": socket_address(&admin.ip().to_string(), admin.port())}),
        );
    }
}

/// Puts a comment above a map's other fields.
fn comment(value: &mut Value, text: &str) {
    if let Some(map) = value.as_object_mut() {
        map.insert(format!("# {text}"), Value::Null);
    }
}

fn provider_cluster(
    name: &str,
    provider: &Provider,
    gateway: &Gateway,
    code: &Value,
    secrets: &mut Secrets<'_>,
) -> Result<Cluster, Error> {
    let path = format!("providers.{name}");
    let endpoint = provider.endpoint(&path)?;
    let mut filters = Vec::new();
    if gateway.upstream_filter {
        filters.push(wasm_filter(&PluginConfig::attempt(), gateway, code));
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

/// The filter in one of its roles, whose code is where `code` says (an AsyncDataSource).
fn wasm_filter(plugin: &PluginConfig, gateway: &Gateway, code: &Value) -> Value {
    json!({"name": plugin_name(plugin.role), "typed_config": wasm_config(plugin, gateway, code)})
}

/// What the filter is called in a role.
pub(crate) fn plugin_name(role: Role) -> &'static str {
    match role {
        Role::Gateway => "weir.gateway",
        Role::Attempt => "weir.attempt",
    }
}

/// The plugin's JSON for a role.
pub fn plugin_json(plugin: &PluginConfig) -> Value {
    match plugin.role {
        Role::Gateway => serde_json::to_value(plugin).unwrap_or_default(),
        Role::Attempt => json!({"role": "attempt"}),
    }
}

/// The configuration of Envoy's wasm filter. Both roles have the same VM, so that they can share what
/// they know of a request.
pub(crate) fn wasm_config(plugin: &PluginConfig, gateway: &Gateway, code: &Value) -> Value {
    let variables = gateway.vm_variables();
    let name = plugin_name(plugin.role);
    let mut wasm = json!({
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
                "code": code,
                // The same for both roles, or they would not share a VM.
                "environment_variables": {"host_env_keys": variables},
            },
            "configuration": {
                "@type": "type.googleapis.com/google.protobuf.StringValue",
                "value": plugin_json(plugin).to_string(),
            },
        },
    });
    let about = match plugin.role {
        Role::Gateway if plugin.mode == Mode::Observe => {
            "Observes calls to providers, and routes nothing. FAIL_RELOAD builds a VM that trapped anew; FAIL_OPEN \
             would let requests pass unsearched."
        }
        Role::Gateway => {
            "The gateway: knows the caller, chooses the target, redacts, watches the answer. FAIL_RELOAD builds a \
             VM that trapped anew; FAIL_OPEN would let requests pass unchecked. Without \
             allow_on_headers_stop_iteration the filter would never see a body."
        }
        Role::Attempt => {
            "The same file and vm_id as the gateway's, so that both share one VM in each worker. Runs once for \
             each attempt and rewrites it for this provider."
        }
    };
    if let Some(config) = wasm.get_mut("config") {
        if let (Mode::Observe, Some(config)) = (plugin.mode, config.as_object_mut()) {
            // It holds no headers, so it runs where this cannot be said.
            config.remove("allow_on_headers_stop_iteration");
        }
        comment(config, about);
    }
    wasm
}

/// How much of a body Envoy may hold, in bytes: more than the filter takes.
pub(crate) fn buffer_limit(gateway: &Gateway) -> u64 {
    let limits = &gateway.limits;
    (limits.request_body.0.max(limits.response_body.0) + BUFFER_HEADROOM).min(u64::from(u32::MAX))
}

fn socket_address(host: &str, port: u16) -> Value {
    json!({"socket_address": {"address": host, "port_value": port}})
}

#[cfg(test)]
mod tests;
