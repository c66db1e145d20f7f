//! Kubernetes manifests as they are handed out, and why there are none.

use serde_json::{Value, json};

use crate::gateway::Error;
use crate::yaml::{comment, set, to_yaml};

/// Why a gateway cannot be rendered as manifests.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// What every rendering can fail with.
    #[error(transparent)]
    Gateway(#[from] Error),
    /// An option is wrong.
    #[error("{option}: {message}")]
    Option {
        /// The option.
        option: &'static str,
        /// What would be right.
        message: String,
    },
    /// A field has no equal in the mesh.
    #[error("{field}: {message}")]
    Field {
        /// The field of gateway.yaml.
        field: String,
        /// What would be right.
        message: String,
    },
}

/// Documents as YAML, each behind its `---`.
pub(super) fn yaml(documents: &[Value]) -> Result<String, ManifestError> {
    let mut out = String::new();
    for document in documents {
        out.push_str("---\n");
        out.push_str(&to_yaml(document)?);
    }
    Ok(out)
}

/// Checks how the filter's image is named.
pub(super) fn check_image(image: &str, sha256: &str) -> Result<(), ManifestError> {
    let option = |option, message: &str| Err(ManifestError::Option { option, message: message.to_owned() });
    if !image.starts_with("oci://") {
        return option(
            "--image",
            "must be the URL of an OCI image, such as oci://registry.example.com/weir-filter:0.1.0",
        );
    }
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if sha256.len() != 64 || !sha256.bytes().all(is_digit) {
        let message =
            "must be the image's digest: the 64 hex digits that `weir-config image` prints behind sha256:";
        return option("--sha256", message);
    }
    Ok(())
}

/// A document under a comment; `body` is the field that says what it is for.
pub(super) fn object_in(
    namespace: &str,
    api: &str,
    kind: &str,
    name: &str,
    about: &str,
    (field, body): (&str, Value),
) -> Value {
    let mut object = json!({"apiVersion": api, "kind": kind, field: body});
    set(&mut object, "metadata", json!({"name": name, "namespace": namespace}));
    comment(&mut object, about);
    object
}
