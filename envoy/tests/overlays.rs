//! The manifests in `envoy/kubernetes` that are made from other files: they are what is rendered now.
//! `WEIR_UPDATE=1` writes them anew.

#![allow(clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use weir_config::{Gateway, envoy_gateway, istio};

const IMAGE: &str = "oci://registry.example.com/weir-filter:0.1.0";
/// No image's: whoever pushes one renders with its own.
const SHA256: &str = "0000000000000000000000000000000000000000000000000000000000000000";

fn kubernetes() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes")
}

fn gateway(overlay: &str) -> Gateway {
    let yaml = fs::read_to_string(kubernetes().join("overlays").join(overlay).join("weir.yaml")).unwrap();
    Gateway::parse(&yaml).unwrap_or_else(|error| panic!("{overlay}: {error}"))
}

/// Compares a file with what it has to be.
fn same(path: &Path, made: &str) {
    let current = weir_settings::schema::is_current(path, made).unwrap();
    assert!(current, "{} is not what is rendered; run `make generate`", path.display());
}

/// With the command that makes it, for those who change its weir.yaml.
fn rendered(overlay: &str, command: &str, manifests: &str) {
    let head = format!("# {command} weir.yaml --image {IMAGE} --sha256 … > rendered.yaml\n");
    same(&kubernetes().join("overlays").join(overlay).join("rendered.yaml"), &(head + manifests));
}

fn istio(overlay: &str, namespace: &str) {
    let options = istio::Options {
        namespace: namespace.to_owned(),
        selector: BTreeMap::from([("weir-gateway".to_owned(), "true".to_owned())]),
        hosts: vec!["*".to_owned()],
        image: IMAGE.to_owned(),
        sha256: SHA256.to_owned(),
        gateway: None,
    };
    let manifests = istio::istio(&gateway(overlay), &options).unwrap();
    let command = format!("weir-config istio --namespace {namespace} --selector weir-gateway=true");
    rendered(overlay, &command, &manifests);
}

#[test]
fn the_istio_gateways_manifests_are_what_is_rendered() {
    istio("istio-gateway", "weir");
}

#[test]
fn the_istio_sidecars_manifests_are_what_is_rendered() {
    istio("istio-sidecar", "apps");
}

#[test]
fn the_envoy_gateways_manifests_are_what_is_rendered() {
    let options = envoy_gateway::Options {
        namespace: "apps".to_owned(),
        gateway: "eg".to_owned(),
        image: IMAGE.to_owned(),
        sha256: SHA256.to_owned(),
    };
    let manifests = envoy_gateway::envoy_gateway(&gateway("envoy-gateway"), &options).unwrap();
    rendered("envoy-gateway", "weir-config envoy-gateway --namespace apps --gateway-name eg", &manifests);
}

#[test]
fn the_prometheus_rule_has_the_alerts_that_are_shipped() {
    let rules = Path::new(env!("CARGO_MANIFEST_DIR")).join("../exporter/monitoring/alerts.yaml");
    let rules = fs::read_to_string(rules).unwrap();
    let indented = |line: &str| if line.is_empty() { "\n".to_owned() } else { format!("  {line}\n") };
    let spec: String = rules.lines().map(indented).collect();
    let head = "# For the Prometheus operator: the rules of exporter/monitoring/alerts.yaml.\napiVersion: monitoring.coreos.com/v1\n\
                kind: PrometheusRule\nmetadata:\n  name: weir-exporter\nspec:\n";
    same(&kubernetes().join("base").join("alerts.yaml"), &format!("{head}{spec}"));
}
