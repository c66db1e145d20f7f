//! The Secret of keys, the ConfigMap that says where Envoy finds each, and references to them.

use serde_json::{Value, json};

use super::{options::Options, resource::object};
use crate::gateway::{Gateway, Secret};
use crate::render::manifest::ManifestError;
use crate::yaml::{set, to_yaml};

/// Where the pod has the Secret of keys, and the ConfigMap that says where each key is.
const KEYS_DIR: &str = "/etc/weir/keys";
const SDS_DIR: &str = "/etc/weir/sds";
/// The Secret and the ConfigMap.
const KEYS: &str = "weir-keys";
const SDS: &str = "weir-sds";
pub(super) fn keys(gateway: &Gateway, options: &Options) -> Value {
    let files: Vec<String> =
        gateway.secrets().map(|(field, _)| format!("--from-file={field}=FILE")).collect();
    let about = format!(
        "The keys of the providers, one file each. It is empty on purpose: no key goes through this file. Make it with \
         `kubectl -n {} create secret generic {KEYS} {}` instead of applying this document, and mount it into the gateway's \
         pods at {KEYS_DIR} (a value that is changed is read anew, without a restart).",
        options.namespace,
        files.join(" "),
    );
    object("v1", "Secret", KEYS, options, &about, ("type", json!("Opaque")))
}

/// The resource files by which Envoy finds each key in the mounted Secret.
pub(super) fn sds(gateway: &Gateway, options: &Options) -> Result<Value, ManifestError> {
    let mut data = json!({});
    for (field, secret) in gateway.secrets() {
        let name = format!("weir.{field}");
        let resource = json!({"resources": [{
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            "generic_secret": {"secret": {
                "filename": format!("{KEYS_DIR}/{field}"),
                "watched_directory": {"path": KEYS_DIR},
            }},
        }]});
        let mut text = to_yaml(&resource)?;
        if let Secret::Env(variable) = secret {
            text =
                format!("# {variable} in gateway.yaml; here the file {field} of the Secret {KEYS}.\n{text}");
        }
        set(&mut data, &format!("{name}.yaml"), json!(text));
    }
    let about = format!(
        "Says where Envoy finds each key, and holds none. Mount it into the gateway's pods at {SDS_DIR}."
    );
    Ok(object("v1", "ConfigMap", SDS, options, &about, ("data", data)))
}

/// The reference to a field's key.
pub(super) fn reference(field: &str) -> Value {
    let name = format!("weir.{field}");
    json!({
        "name": name,
        "sds_config": {
            "path_config_source": {"path": format!("{SDS_DIR}/{name}.yaml")},
            "resource_api_version": "V3",
        },
    })
}
