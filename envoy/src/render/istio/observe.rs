//! Renders the manifests with which Istio's sidecars, or a gateway with routes of its own, observe calls to providers.
//!
//! A WasmPlugin is all that the filter needs here: it holds no headers. A sidecar sees the content only
//! where it originates TLS itself, so an https provider becomes a host that applications call by http, and to
//! which the sidecar speaks TLS. The exporter is found by the cluster that the mesh has for its service.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use weir_filter::api::endpoint::Endpoint;

use super::options::Options;
use super::resource::{NETWORKING, host_name, in_registry, object, outside, tls};
use crate::gateway::{Error, Gateway};
use crate::render::{envoy::plugin_name, manifest::ManifestError};
use crate::yaml::set;

/// The port by which applications call an https provider of the usual port, without TLS of their own.
const PLAIN_PORT: u16 = 80;

/// The manifests.
pub(crate) fn documents(gateway: &Gateway, options: &Options) -> Result<Vec<Value>, ManifestError> {
    let mut documents = Vec::new();
    // A gateway has its own ways to the providers.
    if options.gateway.is_none() {
        let mut hosts = BTreeMap::new();
        for (name, provider) in &gateway.providers {
            let endpoint = provider.endpoint(&format!("providers.{name}")).map_err(Error::from)?;
            hosts.entry((endpoint.host.clone(), endpoint.port)).or_insert(endpoint);
        }
        for endpoint in hosts.values().filter(|endpoint| !is_of_cluster(endpoint)) {
            documents.push(service_entry(endpoint, outer_port(endpoint), options));
            if endpoint.scheme == "https" {
                documents.push(destination_rule(endpoint, outer_port(endpoint), options));
            }
        }
    }
    let mut plugin = gateway.plugin().map_err(Error::from)?;
    if let (Some(ours), Some(exporter)) = (&mut plugin.exporter, &gateway.exporter) {
        let endpoint = in_registry(exporter.endpoint().map_err(Error::from)?);
        ours.cluster = format!("outbound|{}||{}", endpoint.port, endpoint.host);
        if !is_of_cluster(&endpoint) {
            documents.push(service_entry(&endpoint, endpoint.port, options));
        }
        if endpoint.scheme == "https" {
            documents.push(destination_rule(&endpoint, endpoint.port, options));
        }
    }
    let config = serde_json::to_value(&plugin).unwrap_or_default();
    documents.push(wasm_plugin(gateway, &config, options));
    Ok(documents)
}

/// Whether a host is a service of the cluster, which the mesh knows already.
fn is_of_cluster(endpoint: &Endpoint) -> bool {
    endpoint.host.ends_with(".svc.cluster.local") || endpoint.host.ends_with(".svc")
}

/// The port by which a provider is called within the mesh.
fn outer_port(endpoint: &Endpoint) -> u16 {
    match (endpoint.scheme, endpoint.port) {
        ("https", 443) => PLAIN_PORT,
        (_, port) => port,
    }
}

fn service_entry(endpoint: &Endpoint, port: u16, options: &Options) -> Value {
    let Endpoint { host, .. } = endpoint;
    let about = match endpoint.scheme {
        "https" => format!(
            "Applications call http://{host}{}: the sidecar originates TLS, so that it sees the content.",
            if port == PLAIN_PORT { String::new() } else { format!(":{port}") }
        ),
        _ => format!("Makes {host} known to the mesh."),
    };
    let port = json!({"name": "http", "number": port, "protocol": "HTTP", "targetPort": endpoint.port});
    let (name, body) = (host_name(host, endpoint.port), outside(host, &port));
    object(NETWORKING, "ServiceEntry", &name, options, &about, ("spec", body))
}

fn destination_rule(endpoint: &Endpoint, port: u16, options: &Options) -> Value {
    let about = "TLS to it, with its name checked by the system's CAs.";
    let name = host_name(&endpoint.host, endpoint.port);
    let settings = json!({"port": {"number": port}, "tls": tls(endpoint, None)});
    let body = json!({
        "host": endpoint.host,
        "exportTo": ["."],
        "trafficPolicy": {"portLevelSettings": [settings]},
    });
    object(NETWORKING, "DestinationRule", &name, options, about, ("spec", body))
}

fn wasm_plugin(gateway: &Gateway, config: &Value, options: &Options) -> Value {
    let variables = gateway.filter_variables();
    let mut about = "The filter. FAIL_RELOAD (Istio 1.27 or later) builds a VM that trapped anew; FAIL_OPEN would let requests \
                     pass unsearched."
        .to_owned();
    if !variables.is_empty() {
        about.push_str(&format!(
            " The proxy's container must have in its environment: {}. Without it the filter refuses its configuration.",
            variables.join(", ")
        ));
    }
    let mut spec = json!({
        "url": options.image,
        "sha256": options.sha256,
        "imagePullPolicy": "IfNotPresent",
        "type": "HTTP",
        "pluginName": plugin_name(weir_filter::config::Role::Gateway),
        // Behind whatever authenticates and authorises.
        "phase": "STATS",
        "failStrategy": "FAIL_RELOAD",
        // What the workload itself asks for, and what a gateway forwards; nothing that comes in.
        "match": [{"mode": "CLIENT"}],
        "pluginConfig": config,
    });
    if let Some(name) = &options.gateway {
        let target = json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}]);
        set(&mut spec, "targetRefs", target);
    } else {
        set(&mut spec, "selector", json!({"matchLabels": options.selector}));
    }
    let variables = gateway.vm_variables();
    if !variables.is_empty() {
        let env: Vec<Value> =
            variables.iter().map(|name| json!({"name": name, "valueFrom": "HOST"})).collect();
        set(&mut spec, "vmConfig", json!({"env": env}));
    }
    object("extensions.istio.io/v1alpha1", "WasmPlugin", "weir", options, &about, ("spec", spec))
}
