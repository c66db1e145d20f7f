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
use weir_filter::balancing::TargetIds;
use weir_filter::config;
use weir_filter::config::{Config, Limits, Mode, Model, PluginConfig, Role, TokenSource, Trace};
use weir_filter::event::resource;
use weir_filter::redact::Redaction;
use weir_settings::{ConfigError, Place, yaml};

use crate::access_log::AccessLog;
use crate::jwt::Jwt;
use crate::observe;
use crate::provider::{Provider, Secret, check_absolute};

/// The Envoy cluster that leads to the exporter's ingest.
pub const EXPORTER_CLUSTER: &str = "weir.exporter";
/// The field of the exporter's token.
pub(crate) const TOKEN_FIELD: &str = "exporter.token";

/// The field of a provider's key.
pub(crate) fn key_field(provider: &str) -> String {
    format!("providers.{provider}.key")
}

/// What is wrong with a gateway.yaml.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML, or a field is wrong by itself or beside another.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A secret's environment variable is not set.
    #[error("{field}: the environment variable {variable} is not set; export it before Envoy is started")]
    MissingVariable {
        /// The field that names the variable.
        field: String,
        /// The variable.
        variable: String,
    },
    /// The rendered configuration could not be written as YAML.
    #[error("the rendered configuration could not be written: {0}")]
    Output(String),
}

impl Error {
    /// Where in the file it is, if it is in one place.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Config(error) => error.place,
            Self::MissingVariable { .. } | Self::Output(_) => None,
        }
    }
}

/// A gateway as written in gateway.yaml.
#[derive(Clone, Debug, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Gateway {
    /// What is done with requests: `route`, or `observe` where the way of a request is somebody else's
    /// (a sidecar, or a gateway that has routes of its own). With `observe` whatever says how to route
    /// is refused, field by field; `providers` then name the hosts whose requests are observed, and
    /// without any those of every host are.
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
    /// Caps on what is taken in.
    #[serde(default)]
    pub limits: Limits,
    /// Which requests are traced, and how much of their content is kept.
    #[serde(default)]
    pub trace: Trace,
    /// What becomes of content. Absent: traces hold none, and nothing is looked for.
    #[serde(default)]
    pub redaction: Option<Redaction>,
    /// Whether answers say how they came about (`x-weir-trace-id`, `x-weir-model`,
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
    /// Where trace events go; absent: nowhere.
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
    /// Reads and checks a gateway.yaml. An error names the field and what would be right, and shows
    /// no line of the file, which may hold a key in the wrong place.
    pub fn parse(yaml: &str) -> Result<Self, Error> {
        let gateway: Self = yaml::read(yaml).map_err(|mut error| {
            if error.path == "." {
                error.path = "the file".to_owned();
            } else if is_secret(&error.path) && !is_explained(&error.message) {
                error.message.push_str(
                    "; give { env: VARIABLE } or { file: /absolute/path }, never the secret itself",
                );
            }
            error
        })?;
        gateway.check().map_err(|error| ConfigError { place: yaml::find(yaml, &error.path), ..error })?;
        Ok(gateway)
    }

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

    fn check(&self) -> Result<(), ConfigError> {
        if self.observes() {
            observe::check(self)?;
        } else if self.listen.is_none() {
            return Err(ConfigError::at(
                "listen",
                "is missing; give an address and a port, such as 0.0.0.0:8080",
            ));
        } else if self.providers.is_empty() {
            return Err(ConfigError::at(
                "providers",
                "name no provider, and so nowhere to route to; name one",
            ));
        }
        Config::new(&self.plugin()?, &mut TargetIds::default())?;
        if let Some(jwt) = &self.jwt {
            jwt.jwks_endpoint()?;
        }
        for (name, provider) in &self.providers {
            provider.check(&format!("providers.{name}"))?;
        }
        if let Some(tls) = &self.tls {
            check_absolute("tls.certificate", &tls.certificate)?;
            check_absolute("tls.private_key", &tls.private_key)?;
            tls.client_ca.as_deref().map_or(Ok(()), |ca| check_absolute("tls.client_ca", ca))?;
        }
        self.access_log.check()?;
        if let Some(variable) = self.hash_key() {
            Secret::Env(variable.to_owned()).check("redaction.hash_key")?;
        }
        match self.exporter.as_ref().and_then(|exporter| exporter.token.as_ref()) {
            Some(token) => token.check(TOKEN_FIELD),
            None => Ok(()),
        }
    }
}

impl Exporter {
    /// The ingest's URL in parts.
    pub fn endpoint(&self) -> Result<Endpoint, ConfigError> {
        Endpoint::parse(&self.url).map_err(|message| ConfigError::at("exporter.url", message))
    }
}

/// Whether a message says by itself what would be right.
fn is_explained(message: &str) -> bool {
    ["unknown ", "give "].iter().any(|start| message.starts_with(start))
}

/// Whether a field says where a secret is.
fn is_secret(path: &str) -> bool {
    path.ends_with(".key") || path == TOKEN_FIELD
}

fn yes() -> bool {
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: &str = "
listen: 127.0.0.1:8080
providers:
  openai: { api: openai, url: https://api.openai.com/v1, key: { env: WEIR_TEST_UNSET } }
models:
  gpt-4o: { targets: [{ provider: openai }] }
exporter: { url: http://127.0.0.1:4319 }
";

    #[test]
    fn a_gateway_becomes_the_plugins_configuration() {
        let gateway = Gateway::parse(GATEWAY).unwrap();
        let plugin = gateway.plugin().unwrap();
        assert_eq!(plugin.exporter.unwrap().cluster, EXPORTER_CLUSTER);
        assert_eq!(plugin.limits.request_body.0, 10 << 20);
    }

    #[test]
    fn a_missing_variable_is_explained_by_name() {
        let error = Gateway::parse(GATEWAY).unwrap().check_environment().unwrap_err();
        assert_eq!(
            error.to_string(),
            "providers.openai.key.env: the environment variable WEIR_TEST_UNSET is not set; \
             export it before Envoy is started"
        );
    }

    #[test]
    fn the_filter_may_read_what_says_where_envoy_runs_each_variable_once() {
        let gateway = Gateway::parse(&format!(
            "{GATEWAY}redaction: {{ hash_key: {{ env: POD_UID }}, exported: {{ content: keep, detectors: [email], replacement: hash }} }}\n"
        ));
        let gateway = gateway.unwrap();
        let variables = gateway.vm_variables();
        assert_eq!((gateway.filter_variables(), variables[0]), (vec!["POD_UID"], "POD_UID"));
        for name in ["HOSTNAME", "POD_NAME", "NODE_NAME", "OTEL_RESOURCE_ATTRIBUTES", "POD_UID"] {
            assert_eq!(variables.iter().filter(|other| **other == name).count(), 1, "{name}");
        }
        let untraced = GATEWAY.replace("exporter: { url: http://127.0.0.1:4319 }", "");
        assert!(Gateway::parse(&untraced).unwrap().vm_variables().is_empty(), "nothing says it to anybody");
    }

    #[test]
    fn errors_name_the_field() {
        let cases = [
            (
                GATEWAY.replace("provider: openai }", "provider: opnai }"),
                "models.gpt-4o.targets[0].provider: no provider named \"opnai\"; did you mean \"openai\"?",
            ),
            (
                GATEWAY.replace("{ url: http:", "{ url: htp:"),
                "exporter.url: must begin with http:// or https://",
            ),
            (
                GATEWAY.replace("{ env: WEIR_TEST_UNSET }", "{ file: key }"),
                "providers.openai.key.file: key is not the absolute path of a file, which Envoy needs",
            ),
        ];
        for (yaml, message) in cases {
            assert_eq!(Gateway::parse(&yaml).unwrap_err().to_string(), message);
        }
        let error = Gateway::parse(&GATEWAY.replace("targets:", "target:")).unwrap_err().to_string();
        assert!(error.starts_with("models.gpt-4o") && error.contains("unknown field `target`"), "{error}");
        assert!(error.ends_with("; did you mean \"targets\"?"), "{error}");
        let error = Gateway::parse(&GATEWAY.replace("api: openai", "api: opnai")).unwrap_err().to_string();
        assert!(error.ends_with("; did you mean \"openai\"?"), "{error}");
        let error = Gateway::parse(&GATEWAY.replace("listen: 127.0.0.1:8080", "listen: here")).unwrap_err();
        assert!(error.to_string().starts_with("listen: "), "{error}");
    }

    #[test]
    fn a_key_in_the_wrong_place_is_in_no_error() {
        let places = [
            ("{ env: WEIR_TEST_UNSET }", "sk-canary"),
            ("{ env: WEIR_TEST_UNSET }", "12345678"),
            ("{ env: WEIR_TEST_UNSET }", "[sk-canary]"),
            ("{ env: WEIR_TEST_UNSET }", "{ env: WEIR_TEST_UNSET }, ky: sk-canary"),
            ("exporter: { url: http://127.0.0.1:4319 }", "exporter: { url: http://h, token: sk-canary }"),
            ("exporter:", "keys: sk-canary\nexporter:"),
            ("exporter:", "keys: [sk-canary]\nexporter:"),
            ("exporter:", "keys: [{ name: a, sha256: sk-canary }]\nexporter:"),
        ];
        for (there, wrong) in places {
            let error = Gateway::parse(&GATEWAY.replace(there, wrong)).unwrap_err().to_string();
            assert!(!error.contains("canary") && !error.contains("12345678"), "{error}");
        }
        let error =
            Gateway::parse(&GATEWAY.replace("{ env: WEIR_TEST_UNSET }", "sk")).unwrap_err().to_string();
        assert!(error.ends_with("never the secret itself"), "{error}");
    }
}
