//! What every form of Envoy's configuration is made of: filters, routes, clusters and tunnels.

use std::path::PathBuf;

use serde_json::{Value, json};
use weir_filter::config::{PluginConfig, cluster_name};

use super::cluster::{Cluster, tls_socket};
use super::connection::{READ_LIMIT, buffer_limit};
use super::secrets::{Secrets, credential_injector};
use super::tunnel::Tunnel;
use super::wasm::wasm_filter;
use super::{jwt, listener, routes};
use crate::gateway::{EXPORTER_CLUSTER, Error, Gateway, JWKS_CLUSTER, Jwt, Provider, TOKEN_FIELD, key_field};
use crate::yaml::comment;

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

/// The cluster of the exporter's ingest where the filter itself sends the token; nothing without an exporter.
pub(crate) fn exporter_cluster(gateway: &Gateway) -> Option<Result<Value, Error>> {
    let exporter = gateway.exporter.as_ref()?;
    let rendered = exporter
        .endpoint()
        .map(|endpoint| Cluster::new(EXPORTER_CLUSTER, endpoint, Vec::new(), READ_LIMIT).render());
    Some(rendered.map_err(Error::from))
}

/// What every form of Envoy's configuration is made of.
pub(crate) struct Parts {
    /// The HTTP filters that go before the router.
    pub(crate) filters: Vec<Value>,
    /// The routes of the one virtual host.
    pub(crate) routes: Vec<Value>,
    /// Every cluster.
    pub(crate) clusters: Vec<Value>,
    /// The listeners inside Envoy that lead through proxies.
    pub(crate) tunnels: Vec<Value>,
}

impl Parts {
    pub(crate) fn new(
        gateway: &Gateway,
        options: &Options,
        secrets: &mut Secrets<'_>,
    ) -> Result<Self, Error> {
        let code = json!({"local": {"filename": options.wasm}});
        let (mut clusters, mut tunnels) = (Vec::new(), Vec::new());
        let routed = gateway.providers.iter().filter(|_| !gateway.observes());
        for (name, provider) in routed {
            let cluster = provider_cluster(name, provider, gateway, &code, secrets)?;
            if let Some(tunnel) = &cluster.tunnel {
                tunnels.push(tunnel.listener(&cluster.endpoint));
                let proxy =
                    Cluster::new(&tunnel.name, tunnel.proxy.clone(), Vec::new(), cluster.buffer_limit);
                clusters.push(proxy.render());
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
        filters.extend(gateway.jwt.iter().map(jwt::filter));
        filters.push(wasm_filter(&gateway.plugin()?, gateway, &code));
        Ok(Self { filters, routes: routes::render(gateway), clusters, tunnels })
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
