//! Secrets by reference: what is rendered says where Envoy finds one, and never holds it.
//!
//! A secret in the bootstrap is read once: Envoy 1.40 does not reread its file, even if it watches
//! the directory. The same secret in a resource file of its own (SDS from the file
//! system) is read anew when something is moved into the directory of the secret's file, which is
//! how `mv` and Kubernetes replace it. A trailing line break in a secret's file is not part of it.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::gateway::{Error, Secret};
use crate::yaml::{set, to_yaml};

/// The secrets of one bootstrap.
pub(super) struct Secrets<'a> {
    dir: Option<&'a Path>,
    /// Whether those of the environment are resource files too: a bootstrap that stays as it is cannot
    /// name what is yet to come.
    all_in_files: bool,
    /// Those that are read once.
    pub(super) in_bootstrap: Vec<Value>,
    /// The resource files of the others.
    pub(super) files: Vec<(PathBuf, String)>,
}

impl<'a> Secrets<'a> {
    /// None yet; `dir` is where resource files will lie.
    pub(super) fn new(dir: Option<&'a Path>) -> Self {
        Self { dir, all_in_files: false, in_bootstrap: Vec::new(), files: Vec::new() }
    }

    /// None yet; all of them will be resource files in `dir`.
    pub(super) fn in_files(dir: &'a Path) -> Self {
        Self { all_in_files: true, ..Self::new(Some(dir)) }
    }

    /// The reference to the key that `field` names.
    pub(super) fn key(&mut self, field: &str, secret: &Secret) -> Result<Value, Error> {
        let name = format!("weir.{field}");
        match (secret, self.dir) {
            (Secret::File(file), Some(dir)) => {
                let source = json!({"filename": file, "watched_directory": directory_of(file)});
                self.resource(dir, &name, "generic_secret", &json!({"secret": source}))
            }
            (Secret::File(file), None) => Ok(self.read_once(&name, &json!({"filename": file}))),
            (Secret::Env(variable), Some(dir)) if self.all_in_files => {
                let source = json!({"environment_variable": variable});
                self.resource(dir, &name, "generic_secret", &json!({"secret": source}))
            }
            (Secret::Env(variable), _) => {
                Ok(self.read_once(&name, &json!({"environment_variable": variable})))
            }
        }
    }

    /// Envoy's own certificate and its private key: a field of the common TLS context, and its value.
    pub(super) fn identity(
        &mut self,
        field: &str,
        (certificate, key): (&Path, &Path),
    ) -> Result<(&'static str, Value), Error> {
        let mut files =
            json!({"certificate_chain": {"filename": certificate}, "private_key": {"filename": key}});
        let Some(dir) = self.dir else { return Ok(("tls_certificates", json!([files]))) };
        set(&mut files, "watched_directory", directory_of(certificate));
        let reference = self.resource(dir, &format!("weir.{field}"), "tls_certificate", &files)?;
        Ok(("tls_certificate_sds_secret_configs", json!([reference])))
    }

    fn read_once(&mut self, name: &str, source: &Value) -> Value {
        self.in_bootstrap.push(json!({"name": name, "generic_secret": {"secret": source}}));
        json!({"name": name})
    }

    fn resource(&mut self, dir: &Path, name: &str, kind: &str, value: &Value) -> Result<Value, Error> {
        let resource = json!({
            "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret",
            "name": name,
            kind: value,
        });
        let file = dir.join(format!("{name}.yaml"));
        self.files.push((file.clone(), to_yaml(&json!({"resources": [resource]}))?));
        let source = json!({"path_config_source": {"path": file}, "resource_api_version": "V3"});
        Ok(json!({"name": name, "sds_config": source}))
    }
}

/// The directory that is watched for a file that is moved over this one.
fn directory_of(file: &Path) -> Value {
    json!({"path": file.parent().unwrap_or(file)})
}

/// Puts a secret into a header inside Envoy, so that none is in wasm. `header` is its name and what
/// stands before the secret.
pub(crate) fn credential_injector(secret: &Value, header: (&str, &str)) -> Value {
    let (header, prefix) = header;
    json!({
        "name": "envoy.filters.http.credential_injector",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.credential_injector.v3.CredentialInjector",
            "overwrite": true,
            "credential": {
                "name": "envoy.http.injected_credentials.generic",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.http.injected_credentials.generic.v3.Generic",
                    "credential": secret,
                    "header": header,
                    "header_value_prefix": prefix,
                },
            },
        },
    })
}
