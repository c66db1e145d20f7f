//! What manifests of a gateway that routes and of one that observes are both made of.

use std::path::Path;

use serde_json::{Map, Value, json};
use weir_filter::api::endpoint::Endpoint;

use super::options::Options;
use crate::gateway::Provider;
use crate::render::{envoy::SYSTEM_CAS, manifest::object_in};

/// The API of Istio's networking resources.
pub(crate) const NETWORKING: &str = "networking.istio.io/v1";

/// The head of a document in the options' namespace.
pub(crate) fn object(
    api: &str,
    kind: &str,
    name: &str,
    options: &Options,
    about: &str,
) -> Map<String, Value> {
    object_in(&options.namespace, api, kind, name, about)
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
    if let (true, Some(spec)) = (is_address(host), spec.as_object_mut()) {
        spec.insert("resolution".to_owned(), json!("STATIC"));
        spec.insert("endpoints".to_owned(), json!([{"address": host}]));
        spec.insert("addresses".to_owned(), json!([host]));
    }
    spec
}

/// TLS to an endpoint, as its provider asks for it.
pub(crate) fn tls(endpoint: &Endpoint, provider: Option<&Provider>) -> Value {
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
