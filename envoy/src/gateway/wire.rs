//! gateway.yaml: the one file that describes a gateway.
//!
//! What concerns the plugin (providers, models, limits) has the plugin's own types from
//! `weir-filter` and is checked by them; what concerns Envoy alone (addresses, secrets) is here.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

use schemars::JsonSchema;
use serde::Deserialize;
use weir_filter::api::endpoint::Endpoint;
use weir_filter::auth::Key;
use weir_filter::config;
use weir_filter::config::{Limits, Mode, Model, PluginConfig, Role, TokenSource, Trace};
use weir_filter::event::resource;
use weir_filter::redact::Redaction;
use weir_settings::ConfigError;

use super::access_log::AccessLog;
use super::error::Error;
use super::jwt::Jwt;
use super::provider::{Provider, Secret};

/// The Envoy cluster that leads to the exporter's ingest.
pub const EXPORTER_CLUSTER: &str = "weir.exporter";
/// The field of the exporter's token.
pub(crate) const TOKEN_FIELD: &str = "exporter.token";

/// The field of a provider's key.
pub(crate) fn key_field(provider: &str) -> String {
    format!("providers.{provider}.key")
}

/// A gateway as written in gateway.yaml.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// What is done with requests: `route`, or `observe` where another proxy routes them (a sidecar, or a
    /// gateway that has routes of its own). With `observe` every setting about routing is refused, field
    /// by field; `providers` then name the hosts whose requests are observed: those of every host where
    /// there are none.
    #[serde(default)]
    pub mode: Mode,
    /// Address and port for callers, such as `0.0.0.0:8080`. Needed where requests are routed.
    #[serde(default)]
    pub listen: Option<SocketAddr>,
    /// TLS for callers; absent: they speak plain HTTP.
    #[serde(default)]
    pub tls: Option<ListenTls>,
    /// Address and port of Envoy's admin interface; absent: none.
    #[serde(default)]
    pub admin: Option<SocketAddr>,
    /// The providers by name. At least one is needed where requests are routed.
    #[serde(default)]
    pub providers: BTreeMap<String, Provider>,
    /// The models that callers may ask for, by name.
    #[serde(default)]
    pub models: BTreeMap<String, Model>,
    /// The keys of callers. Without keys and without `jwt` everybody may call.
    #[serde(default)]
    pub keys: Vec<Key>,
    /// Callers with a token of an identity provider, which Envoy's jwt_authn filter verifies.
    #[serde(default)]
    pub jwt: Option<Jwt>,
    /// Limits on requests and responses.
    #[serde(default)]
    pub limits: Limits,
    /// Which requests are traced, and how much of their content is captured.
    #[serde(default)]
    pub trace: Trace,
    /// How content is redacted. Absent: traces hold none, and nothing is searched.
    #[serde(default)]
    pub redaction: Option<Redaction>,
    /// Whether responses have headers that say how they were produced (`x-weir-trace-id`, `x-weir-model`,
    /// `x-weir-attempts`, `server-timing`).
    #[serde(default = "yes")]
    pub response_headers: bool,
    /// Whether the filter also runs as an upstream filter of the providers' clusters, which takes Envoy
    /// 1.39 or later. Without it a request goes to its first healthy target and nowhere else: no
    /// retry, no fallback, no limit on the first token.
    #[serde(default = "yes")]
    pub upstream_filter: bool,
    /// Where Envoy's access log goes: `off` (the default), `stdout`, or the absolute path of a file.
    #[serde(default)]
    pub access_log: AccessLog,
    /// Where trace events are sent; absent: nowhere.
    #[serde(default)]
    pub exporter: Option<Exporter>,
}

/// TLS for callers.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ListenTls {
    /// The gateway's certificate, with its chain: absolute path of a PEM file. Where the renderer is
    /// given a directory for secrets, it is read anew when another file is moved over it.
    pub certificate: PathBuf,
    /// The private key of `certificate`: absolute path of a PEM file.
    pub private_key: PathBuf,
    /// The CAs that callers' certificates must come from: absolute path of a PEM file. With it
    /// nobody can connect without one (mTLS); absent: callers are asked for none.
    #[serde(default)]
    pub client_ca: Option<PathBuf>,
}

/// The exporter's ingest.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Exporter {
    /// Its base URL, such as `http://127.0.0.1:4319`.
    pub url: String,
    /// The token that it demands; absent: none is sent.
    #[serde(default)]
    pub token: Option<Secret>,
}

impl Gateway {
    /// The plugin's configuration for the gateway role.
    pub fn plugin(&self) -> Result<PluginConfig, ConfigError> {
        let exporter = match &self.exporter {
            None => None,
            Some(exporter) => Some(config::Exporter {
                cluster: EXPORTER_CLUSTER.to_owned(),
                authority: exporter.endpoint()?.authority,
                // Elsewhere Envoy puts it in, and the filter never sees it.
                token: match &exporter.token {
                    Some(Secret::Env(variable)) if self.observes() => {
                        Some(TokenSource { env: variable.clone() })
                    }
                    _ => None,
                },
            }),
        };
        let providers = self.providers.iter().map(|(name, provider)| {
            let Provider { api, url, api_version, include_usage, grants, .. } = provider.clone();
            (name.clone(), config::Provider { api, url, api_version, include_usage, grants, cluster: None })
        });
        Ok(PluginConfig {
            role: Role::Gateway,
            mode: self.mode,
            providers: providers.collect(),
            models: self.models.clone(),
            keys: self.keys.clone(),
            jwt: self.jwt.as_ref().map(Jwt::plugin),
            limits: self.limits.clone(),
            trace: self.trace.clone(),
            redaction: self.redaction.clone(),
            response_headers: self.response_headers,
            upstream_filter: self.upstream_filter && !self.observes(),
            exporter,
        })
    }

    /// Every secret with the field that names it.
    pub fn secrets(&self) -> impl Iterator<Item = (String, &Secret)> {
        let keys = self
            .providers
            .iter()
            .filter_map(|(name, provider)| provider.key.as_ref().map(|key| (key_field(name), key)));
        let token = self.exporter.as_ref().and_then(|exporter| exporter.token.as_ref());
        keys.chain(token.map(|token| (TOKEN_FIELD.to_owned(), token)))
    }

    /// Fails on the first environment variable that a secret needs and that is not set.
    pub fn check_environment(&self) -> Result<(), Error> {
        for (field, variable) in self.variables() {
            if std::env::var_os(variable).is_none_or(|value| value.is_empty()) {
                return Err(Error::MissingVariable { field, variable: variable.to_owned() });
            }
        }
        Ok(())
    }

    /// The variables that Envoy's environment must have, each with the field that names it.
    pub fn variables(&self) -> Vec<(String, &str)> {
        let of_secrets = self.secrets().filter_map(|(field, secret)| match secret {
            Secret::Env(variable) => Some((format!("{field}.env"), variable.as_str())),
            Secret::File(_) => None,
        });
        let hash_key = self.hash_key().map(|variable| ("redaction.hash_key.env".to_owned(), variable));
        of_secrets.chain(hash_key).collect()
    }

    /// The environment variable that holds the key of redaction's hashes, which the filter reads.
    pub fn hash_key(&self) -> Option<&str> {
        self.redaction.as_ref()?.hash_key.as_ref().map(|source| source.env.as_str())
    }

    /// Whether requests are only observed.
    pub fn observes(&self) -> bool {
        self.mode == Mode::Observe
    }

    /// The environment variables that Envoy hands to the filter: those that must be set, and those that may say where
    /// Envoy runs, if that is exported. Envoy passes over one that is not set.
    pub fn vm_variables(&self) -> Vec<&str> {
        let mut variables = self.filter_variables();
        if self.exporter.is_some() {
            for name in resource::variables() {
                if !variables.contains(&name) {
                    variables.push(name);
                }
            }
        }
        variables
    }

    /// The environment variables that the filter itself needs, in Envoy's process.
    pub fn filter_variables(&self) -> Vec<&str> {
        let token = self.exporter.as_ref().and_then(|exporter| exporter.token.as_ref());
        let token = token.filter(|_| self.observes()).and_then(|token| match token {
            Secret::Env(variable) => Some(variable.as_str()),
            Secret::File(_) => None,
        });
        self.hash_key().into_iter().chain(token).collect()
    }

    /// Whether everybody may call: there are no keys and no tokens are asked for.
    pub fn is_open(&self) -> bool {
        self.keys.is_empty() && self.jwt.is_none()
    }
}

impl Exporter {
    /// The ingest's URL in parts.
    pub fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        Endpoint::parse(&self.url).map_err(|message| ConfigError::at("exporter.url", message))
    }
}

fn yes() -> bool {
    true
}
