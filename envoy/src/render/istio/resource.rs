//! What manifests of a gateway that routes and of one that observes are both made of.

use std::path::Path;

use serde_json::{Value, json};
use weir_filter::api::endpoint::Endpoint;

use super::options::Options;
use crate::gateway::Provider;
use crate::render::{envoy::SYSTEM_CAS, manifest::object_in};
use crate::yaml::set;

/// The API of Istio's networking resources.
pub(crate) const NETWORKING: &str = "networking.istio.io/v1";

/// A document in the options' namespace.
pub(crate) fn object(
    api: &str,
    kind: &str,
    name: &str,
    options: &Options,
    about: &str,
    body: (&str, Value),
) -> Value {
    object_in(&options.namespace, api, kind, name, about, body)
}

/// An endpoint as Istio's registry knows it: services of the cluster by their whole name.
pub(crate) fn in_registry(mut endpoint: Endpoint) -> Endpoint {
    if endpoint.host.ends_with(".svc") {
        endpoint.host.push_str(".cluster.local");
    }
    endpoint
}

/// A name for the objects of a host: a DNS label.
pub(crate) fn host_name(host: &str, port: u16) -> String {
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

/// The spec of a ServiceEntry: a host outside the mesh, called at this port.
pub(crate) fn outside(host: &str, port: &Value) -> Value {
    let mut spec = json!({
        "hosts": [host],
        "location": "MESH_EXTERNAL",
        "ports": [port],
        "exportTo": ["."],
        "resolution": "DNS",
    });
    if is_address(host) {
        set(&mut spec, "resolution", "STATIC");
        set(&mut spec, "endpoints", json!([{"address": host}]));
        set(&mut spec, "addresses", json!([host]));
    }
    spec
}

/// TLS to an endpoint, as its provider asks for it.
pub(crate) fn tls(endpoint: &Endpoint, provider: Option<&Provider>) -> Value {
    let given = provider.and_then(|provider| provider.tls.clone()).unwrap_or_default();
    let name = given.server_name.as_deref().unwrap_or(&endpoint.host);
    let mut tls = json!({
        "mode": "SIMPLE",
        "subjectAltNames": [name],
        // By name: what is not given is not checked by older versions.
        "caCertificates": given.ca.as_deref().unwrap_or(Path::new(SYSTEM_CAS)),
    });
    if !is_address(name) {
        set(&mut tls, "sni", name);
    }
    if let Some((certificate, key)) = given.identity() {
        set(&mut tls, "mode", "MUTUAL");
        set(&mut tls, "clientCertificate", json!(certificate));
        set(&mut tls, "privateKey", json!(key));
    }
    tls
}
