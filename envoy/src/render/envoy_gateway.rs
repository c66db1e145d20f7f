//! Renders the manifests with which an Envoy Gateway observes calls to providers.
//!
//! An EnvoyExtensionPolicy loads the filter, which holds no headers. The filter's own calls need a cluster,
//! and Envoy Gateway makes clusters for routes alone: so an EnvoyPatchPolicy adds one, which has to be
//! enabled there. Where bodies are held to be searched, Envoy Gateway's small buffers are made larger.

use serde_json::{Value, json};
use weir_filter::redact::Action;

use super::envoy::{buffer_limit, exporter_cluster, plugin_name};
use super::manifest::{ManifestError, check_image, object_in, yaml};
use crate::gateway::{EXPORTER_CLUSTER, Error, Gateway};
use crate::yaml::set;

const API: &str = "gateway.envoyproxy.io/v1alpha1";

/// What an Envoy Gateway is rendered with.
#[derive(Clone, Debug)]
pub struct Options {
    /// The namespace of the Gateway.
    pub namespace: String,
    /// The Gateway's name.
    pub gateway: String,
    /// The filter's OCI image, such as `oci://registry.example.com/weir-filter:0.1.0`.
    pub image: String,
    /// The image's digest, 64 hex digits.
    pub sha256: String,
}

/// The manifests, separated by `---`, for `kubectl apply -f -`.
pub fn envoy_gateway(gateway: &Gateway, options: &Options) -> Result<String, ManifestError> {
    check_image(&options.image, &options.sha256)?;
    if !gateway.observes() {
        let message = "routes, for which a filter must hold a request's headers, and EnvoyExtensionPolicy has no field for that; \
                       say `mode: observe`, or run an Envoy of Weir's own (`weir-config envoy`)";
        return Err(ManifestError::Field { field: "mode".to_owned(), message: message.to_owned() });
    }
    let mut documents = Vec::new();
    if let Some(cluster) = exporter_cluster(gateway).transpose()? {
        documents.push(patch_policy(&cluster, options));
    }
    if holds_bodies(gateway) {
        documents.push(traffic_policy(gateway, options));
    }
    documents.push(extension_policy(gateway, options)?);
    yaml(&documents)
}

fn document(kind: &str, options: &Options, about: &str, spec: Value) -> Value {
    object_in(&options.namespace, API, kind, "weir", about, ("spec", spec))
}

fn target(options: &Options) -> Value {
    json!({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": options.gateway})
}

fn patch_policy(cluster: &Value, options: &Options) -> Value {
    let about = "The cluster by which the filter reaches the exporter. EnvoyPatchPolicy has to be allowed: \
                 extensionApis.enableEnvoyPatchPolicy: true in Envoy Gateway's own configuration. Without it the filter \
                 works, but exports no traces.";
    let patch = json!({
        "type": "type.googleapis.com/envoy.config.cluster.v3.Cluster",
        "name": EXPORTER_CLUSTER,
        "operation": {"op": "add", "path": "", "value": cluster},
    });
    let spec = json!({"targetRef": target(options), "type": "JSONPatch", "jsonPatches": [patch]});
    document("EnvoyPatchPolicy", options, about, spec)
}

/// Whether bodies are held to be searched.
fn holds_bodies(gateway: &Gateway) -> bool {
    let holds = |forwarded: Action, returned: Action| forwarded != Action::Off || returned != Action::Off;
    let of_keys = gateway.keys.iter().filter_map(|key| key.redaction.as_ref()).any(|stricter| {
        let forwarded = stricter.forwarded.as_ref().map(|it| it.action).unwrap_or_default();
        holds(forwarded, stricter.returned.as_ref().map(|it| it.action).unwrap_or_default())
    });
    let of_all = gateway.redaction.as_ref().is_some_and(|it| holds(it.forwarded.action, it.returned.action));
    of_keys || of_all
}

fn traffic_policy(gateway: &Gateway, options: &Options) -> Value {
    let about = "Bodies that are searched are held, and Envoy Gateway's buffers hold 32 KiB, beyond which Envoy responds with 413. If \
                 the Gateway has a ClientTrafficPolicy already, only one counts: add this field to it instead.";
    let spec = json!({
        "targetRefs": [target(options)],
        "connection": {"bufferLimit": buffer_limit(gateway).to_string()},
    });
    document("ClientTrafficPolicy", options, about, spec)
}

fn extension_policy(gateway: &Gateway, options: &Options) -> Result<Value, ManifestError> {
    let variables = gateway.filter_variables();
    let mut about =
        "The filter, for every route of the Gateway. failOpen: true would let requests pass unsearched."
            .to_owned();
    if !variables.is_empty() {
        about.push_str(&format!(
            " Envoy's container must have in its environment: {} (EnvoyProxy: \
             spec.provider.kubernetes.envoyDeployment.container.env). Without it the filter refuses its configuration.",
            variables.join(", ")
        ));
    }
    let plugin = gateway.plugin().map_err(Error::from)?;
    let name = plugin_name(plugin.role);
    let image = options.image.trim_start_matches("oci://");
    let mut wasm = json!({
        "name": name,
        "rootID": name,
        "code": {"type": "Image", "image": {"url": image, "sha256": options.sha256}},
        "config": plugin,
        "failOpen": false,
    });
    let variables = gateway.vm_variables();
    if !variables.is_empty() {
        set(&mut wasm, "env", json!({"hostKeys": variables}));
    }
    let spec = json!({"targetRefs": [target(options)], "wasm": [wasm]});
    Ok(document("EnvoyExtensionPolicy", options, &about, spec))
}
