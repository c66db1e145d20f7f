//! Renders the manifests with which Istio's sidecars, or a gateway with routes of its own, observe calls to providers.
//!
//! A WasmPlugin is all that the filter needs here: it holds no headers. A sidecar sees the content only
//! where it originates TLS itself, so an https provider becomes a host that applications call by http, and to
//! which the sidecar speaks TLS. The exporter is found by the cluster that the mesh has for its service.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use weir_filter::api::endpoint::Endpoint;

use super::options::Options;
use super::resource::{NETWORKING, host_name, in_registry, object, outside, tls};
use crate::gateway::{Error, Gateway};
use crate::render::{envoy::plugin_name, manifest::ManifestError};

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
    documents.push(wasm_plugin(gateway, config, options));
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
    let mut entry = object(NETWORKING, "ServiceEntry", &host_name(host, endpoint.port), options, &about);
    let port = json!({"name": "http", "number": port, "protocol": "HTTP", "targetPort": endpoint.port});
    entry.insert("spec".to_owned(), outside(host, &port));
    Value::Object(entry)
}

fn destination_rule(endpoint: &Endpoint, port: u16, options: &Options) -> Value {
    let about = "TLS to it, with its name checked by the system's CAs.";
    let name = host_name(&endpoint.host, endpoint.port);
    let mut rule = object(NETWORKING, "DestinationRule", &name, options, about);
    let settings = json!({"port": {"number": port}, "tls": tls(endpoint, None)});
    rule.insert(
        "spec".to_owned(),
        json!({
            "host": endpoint.host,
            "exportTo": ["."],
            "trafficPolicy": {"portLevelSettings": [settings]},
        }),
    );
    Value::Object(rule)
}

fn wasm_plugin(gateway: &Gateway, config: Value, options: &Options) -> Value {
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
    let mut plugin = object("extensions.istio.io/v1alpha1", "WasmPlugin", "weir", options, &about);
    let mut spec = Map::from_iter([
        ("url".to_owned(), json!(options.image)),
        ("sha256".to_owned(), json!(options.sha256)),
        ("imagePullPolicy".to_owned(), json!("IfNotPresent")),
        ("type".to_owned(), json!("HTTP")),
        ("pluginName".to_owned(), json!(plugin_name(weir_filter::config::Role::Gateway))),
        // Behind whatever authenticates and authorises.
        ("phase".to_owned(), json!("STATS")),
        ("failStrategy".to_owned(), json!("FAIL_RELOAD")),
        // What the workload itself asks for, and what a gateway forwards; nothing that comes in.
        ("match".to_owned(), json!([{"mode": "CLIENT"}])),
        ("pluginConfig".to_owned(), config),
    ]);
    match &options.gateway {
        Some(name) => {
            let target = json!([{"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": name}]);
            spec.insert("targetRefs".to_owned(), target);
        }
        None => {
            spec.insert("selector".to_owned(), json!({"matchLabels": options.selector}));
        }
    }
    let variables = gateway.vm_variables();
    if !variables.is_empty() {
        let env: Vec<Value> =
            variables.iter().map(|name| json!({"name": name, "valueFrom": "HOST"})).collect();
        spec.insert("vmConfig".to_owned(), json!({"env": env}));
    }
    plugin.insert("spec".to_owned(), Value::Object(spec));
    Value::Object(plugin)
}
