//! A provider in gateway.yaml: the plugin's part, and Envoy's.
//!
//! Keys, certificates and proxies are references, never values. The plugin sees none of them.

use std::net::IpAddr;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::Deserialize;
use weir_filter::api::Feature;
use weir_filter::api::endpoint::Endpoint;
use weir_filter::api::kind::Kind;
use weir_settings::ConfigError;

/// Longest name that a certificate is checked against, in bytes (RFC 1035, section 2.3.4).
const SERVER_NAME_MAX: usize = 253;

/// A provider: the plugin's part, its key, and the way to it.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The API it speaks.
    pub api: Kind,
    /// Its base URL, such as `https://api.openai.com/v1`.
    pub url: String,
    /// Azure's `api-version`.
    #[serde(default)]
    pub api_version: Option<String>,
    /// Whether the gateway asks it for the usage of a stream on behalf of callers that do not
    /// (`stream_options.include_usage`), and removes it from the response. Set `false` for a provider that
    /// sends usage without being asked: else its callers lose the chunk that they would have without the
    /// gateway, and `"usage":null` of the others. Absent: unless the provider is known to send it anyway
    /// (DeepSeek, Groq, Hugging Face, Mistral, Moonshot, OpenRouter, Perplexity, Together, xAI, by their own
    /// hosts) or to refuse that.
    #[serde(default)]
    pub include_usage: Option<bool>,
    /// What it lets callers use beyond the calls that are understood, if their key grants it too;
    /// without keys and `jwt`, everybody.
    #[serde(default)]
    pub grants: Vec<Feature>,
    /// Its key; absent: none is sent.
    #[serde(default)]
    pub key: Option<Secret>,
    /// How an https provider is verified, and Envoy's own certificate; absent: the URL's host is
    /// verified against the system's CAs, and Envoy presents no certificate.
    #[serde(default)]
    pub tls: Option<Tls>,
    /// The HTTP proxy that leads to it, such as `http://proxy:3128`; absent: none. Only for https:
    /// the proxy is asked for a tunnel (CONNECT) to host and port, and resolves the host itself.
    #[serde(default)]
    #[schemars(regex(pattern = "^http://"))]
    pub proxy: Option<String>,
}

/// TLS to a provider.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Tls {
    /// The CAs that its certificate may come from: absolute path of a PEM file. Absent: the system's.
    pub ca: Option<PathBuf>,
    /// Envoy's own certificate, with its chain, for providers that ask for one: absolute path of a
    /// PEM file. Goes together with `private_key`.
    pub certificate: Option<PathBuf>,
    /// The private key of `certificate`: absolute path of a PEM file.
    pub private_key: Option<PathBuf>,
    /// The name that is asked for (SNI) and that its certificate must have; absent: the URL's host.
    pub server_name: Option<String>,
}

/// Where Envoy finds a secret: a variable or a file. Never the secret itself.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(try_from = "SecretFields")]
pub enum Secret {
    /// An environment variable of Envoy's process.
    Env(String),
    /// A file that Envoy can read, by its absolute path.
    File(PathBuf),
}

/// Where Envoy finds a secret: `{ env: VARIABLE }` or `{ file: /absolute/path }`. Never the secret
/// itself.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
#[schemars(rename = "Secret", extend("minProperties" = 1, "maxProperties" = 1))]
struct SecretFields {
    /// An environment variable of Envoy's process. It is read once, when Envoy starts.
    #[schemars(with = "String")]
    env: Option<String>,
    /// A file that Envoy can read, by its absolute path. Where the renderer is given a directory
    /// for secrets, a file that is moved over it, or a symbolic link of Kubernetes' that is
    /// swapped, is read anew; a file that is written in place is not.
    #[schemars(with = "String")]
    file: Option<PathBuf>,
}

/// Why a secret's fields name no secret.
#[derive(Debug, thiserror::Error)]
#[error("give one of {{ env: VARIABLE }} and {{ file: /absolute/path }}")]
struct SecretError;

impl TryFrom<SecretFields> for Secret {
    type Error = SecretError;

    fn try_from(fields: SecretFields) -> Result<Self, SecretError> {
        match (fields.env, fields.file) {
            (Some(variable), None) => Ok(Self::Env(variable)),
            (None, Some(file)) => Ok(Self::File(file)),
            _ => Err(SecretError),
        }
    }
}

impl Secret {
    /// Checks the secret that stands at `path`.
    pub(crate) fn check(&self, path: &str) -> Result<(), ConfigError> {
        match self {
            Self::Env(variable) if variable.is_empty() || variable.contains(['=', '\0']) => {
                Err(ConfigError::at(format!("{path}.env"), "must name an environment variable"))
            }
            Self::Env(_) => Ok(()),
            Self::File(file) => check_absolute(&format!("{path}.file"), file),
        }
    }
}

impl Provider {
    /// Its URL in parts; `path` is where the provider stands.
    pub(crate) fn endpoint(&self, path: &str) -> Result<Endpoint, ConfigError> {
        Endpoint::parse(&self.url).map_err(|message| ConfigError::at(format!("{path}.url"), message))
    }

    /// Its proxy in parts; `path` is where the provider stands.
    pub(crate) fn proxy(&self, path: &str) -> Result<Option<Endpoint>, ConfigError> {
        let Some(proxy) = &self.proxy else { return Ok(None) };
        let at = |message: &str| ConfigError::at(format!("{path}.proxy"), message);
        if proxy.contains('@') {
            return Err(at("must not hold credentials; only proxies that ask for none can be used"));
        }
        let endpoint = Endpoint::parse(proxy).map_err(|message| at(&message))?;
        if endpoint.scheme != "http" || !endpoint.path_prefix.is_empty() {
            return Err(at("must be http://, a host and a port, such as http://proxy:3128"));
        }
        Ok(Some(endpoint))
    }

    /// Checks what Envoy alone knows of it; `path` is where it stands.
    pub(crate) fn check(&self, path: &str) -> Result<(), ConfigError> {
        let endpoint = self.endpoint(path)?;
        if let Some(key) = &self.key {
            key.check(&format!("{path}.key"))?;
        }
        if endpoint.scheme != "https" {
            if self.tls.is_some() {
                let message = "is for providers with an https:// URL; leave it out, or change `url`";
                return Err(ConfigError::at(format!("{path}.tls"), message));
            }
            if self.proxy.is_some() {
                let message = "is for providers with an https:// URL: through a tunnel the proxy sees neither \
                               keys nor prompts, and over http:// it would; leave it out, or change `url`";
                return Err(ConfigError::at(format!("{path}.proxy"), message));
            }
        }
        self.proxy(path)?;
        self.tls.as_ref().map_or(Ok(()), |tls| tls.check(&format!("{path}.tls")))
    }
}

impl Tls {
    /// Its certificate and private key, where it has them.
    pub(crate) fn identity(&self) -> Option<(&Path, &Path)> {
        self.certificate.as_deref().zip(self.private_key.as_deref())
    }

    fn check(&self, path: &str) -> Result<(), ConfigError> {
        let files =
            [("ca", &self.ca), ("certificate", &self.certificate), ("private_key", &self.private_key)];
        for (field, file) in files {
            if let Some(file) = file {
                check_absolute(&format!("{path}.{field}"), file)?;
            }
        }
        let missing = match (&self.certificate, &self.private_key) {
            (Some(_), None) => Some(("private_key", "certificate")),
            (None, Some(_)) => Some(("certificate", "private_key")),
            _ => None,
        };
        if let Some((missing, given)) = missing {
            let message = format!("is missing: `{given}` is given, and one is of no use without the other");
            return Err(ConfigError::at(format!("{path}.{missing}"), message));
        }
        match &self.server_name {
            Some(name) if !is_server_name(name) => Err(ConfigError::at(
                format!("{path}.server_name"),
                "must be a host name such as llm.example.com, or an IP address, without port and wildcards",
            )),
            _ => Ok(()),
        }
    }
}

fn is_server_name(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    name.parse::<IpAddr>().is_ok()
        || ((1..=SERVER_NAME_MAX).contains(&name.len()) && name.bytes().all(allowed))
}

pub(crate) fn check_absolute(path: &str, file: &Path) -> Result<(), ConfigError> {
    // A file's directory is watched, so it must name a file in a directory.
    if file.is_absolute() && file.file_name().is_some() {
        return Ok(());
    }
    let message = format!("{} is not the absolute path of a file, which Envoy needs", file.display());
    Err(ConfigError::at(path, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(yaml: &str) -> Result<(), String> {
        let provider: Provider = serde_saphyr::from_str(&format!("{{ api: openai, {yaml} }}"))
            .map_err(|error| error.to_string())?;
        provider.check("providers.p").map_err(|error| error.to_string())
    }

    #[test]
    fn tls_and_a_proxy_belong_to_https() {
        let identity = "certificate: /c.pem, private_key: /c.key";
        for fields in [
            "tls: {}".to_owned(),
            "tls: { ca: /ca.pem }".to_owned(),
            format!("tls: {{ ca: /ca.pem, {identity}, server_name: llm.example.com }}"),
            format!("tls: {{ {identity}, server_name: \"::1\" }}"),
            "proxy: http://proxy:3128".to_owned(),
            "proxy: \"http://[::1]:3128/\", tls: { ca: /ca.pem }".to_owned(),
        ] {
            assert_eq!(check(&format!("url: https://h, {fields}")), Ok(()), "{fields}");
            let error = check(&format!("url: http://h, {fields}")).unwrap_err();
            assert!(error.contains("is for providers with an https:// URL"), "{error}");
        }
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_field() {
        for (fields, message) in [
            ("tls: { ca: ca.pem }", "providers.p.tls.ca: ca.pem is not the absolute path of a file"),
            ("tls: { ca: / }", "providers.p.tls.ca: / is not the absolute path of a file"),
            ("tls: { certificate: /c }", "providers.p.tls.private_key: is missing: `certificate` is given"),
            ("tls: { private_key: /c }", "providers.p.tls.certificate: is missing: `private_key` is given"),
            ("tls: { server_name: \"*.h\" }", "providers.p.tls.server_name: must be a host name"),
            ("tls: { server_name: \"h:443\" }", "providers.p.tls.server_name: must be a host name"),
            ("tls: { server_name: \"\" }", "providers.p.tls.server_name: must be a host name"),
            ("proxy: https://proxy", "providers.p.proxy: must be http://, a host and a port"),
            ("proxy: http://proxy:1/x", "providers.p.proxy: must be http://, a host and a port"),
            ("proxy: proxy:3128", "providers.p.proxy: must begin with http"),
            ("proxy: \"http://u:canary@proxy\"", "providers.p.proxy: must not hold credentials"),
            ("key: { file: k }", "providers.p.key.file: k is not the absolute path of a file"),
            ("key: { env: A=B }", "providers.p.key.env: must name an environment variable"),
        ] {
            let error = check(&format!("url: https://h, {fields}")).unwrap_err();
            assert!(error.starts_with(message) && !error.contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_secret_is_named_in_one_way() {
        for fields in ["{}", "{ env: A, file: /b }"] {
            let error = check(&format!("url: https://h, key: {fields}")).unwrap_err();
            assert!(error.contains("give one of { env: VARIABLE } and { file: /absolute/path }"), "{error}");
        }
    }
}
