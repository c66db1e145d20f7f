//! What the manifests for Istio are rendered with.

use std::collections::BTreeMap;

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
