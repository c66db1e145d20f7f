//! The plugin's configuration: the JSON that Envoy hands to the filter at load.
//!
//! The wire types here are also what gateway.yaml is made of, so there is one definition and one
//! validation. Wire types refuse unknown fields; [`Config::new`] checks them against each other
//! and gives the typed form that requests are served from. Every error names its field.

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::rc::Rc;

use serde::de::{self, Deserializer, Visitor};
use serde::{Deserialize, Serialize, Serializer};

use crate::endpoint::Endpoint;

/// Longest name of a provider, in bytes: it becomes part of an Envoy cluster's name.
const PROVIDER_NAME_MAX: usize = 64;
/// Longest name of a model, in bytes.
const MODEL_NAME_MAX: usize = 256;

/// What one instance of the plugin is for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// The downstream HTTP filter: reads, decides, records.
    #[default]
    Gateway,
    /// The upstream HTTP filter of a provider's cluster: rewrites one attempt.
    Attempt,
}

/// The plugin's configuration as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct PluginConfig {
    /// What this instance is for; with `attempt` nothing else is given.
    #[serde(default)]
    pub role: Role,
    /// The providers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub providers: BTreeMap<String, Provider>,
    /// The models that callers may ask for, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub models: BTreeMap<String, Model>,
    /// Caps on what is taken in.
    #[serde(default)]
    pub limits: Limits,
    /// Where trace events go; absent: nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub exporter: Option<Exporter>,
}

/// The API that a provider speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, Serialize)]
pub enum ProviderApi {
    /// OpenAI's, or anything compatible with it.
    #[serde(rename = "openai")]
    OpenAi,
}

impl ProviderApi {
    /// The `gen_ai.provider.name` of the OpenTelemetry GenAI conventions.
    pub fn kind(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
        }
    }
}

/// A provider as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Provider {
    /// The API it speaks.
    pub api: ProviderApi,
    /// Its base URL, such as `https://api.openai.com/v1`.
    pub url: String,
    /// The Envoy cluster that leads to it; `provider.<name>` by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cluster: Option<String>,
}

/// A model as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Where requests for it go.
    pub targets: Vec<Target>,
}

/// A target as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// The provider's name.
    pub provider: String,
    /// The model's name at the provider; the name of the model by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Whether the provider receives the trace context: on by default for private hosts, off
    /// for public ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub propagate: Option<bool>,
}

/// Caps as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Largest request body, such as `10MiB` (the default).
    pub request_body: ByteSize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { request_body: ByteSize(10 << 20) }
    }
}

/// The way to the exporter as written.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Exporter {
    /// The Envoy cluster that leads to its ingest. It must not carry this filter.
    pub cluster: String,
    /// The value of `:authority` for calls to it.
    pub authority: String,
}

/// A number of bytes, written as a number or with a unit: `512`, `64KiB`, `10MiB`, `1GiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl<'de> Deserialize<'de> for ByteSize {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct SizeVisitor;
        impl Visitor<'_> for SizeVisitor {
            type Value = ByteSize;
            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a number of bytes such as 65536, \"64KiB\" or \"10MiB\"")
            }
            fn visit_u64<E: de::Error>(self, bytes: u64) -> Result<ByteSize, E> {
                Ok(ByteSize(bytes))
            }
            fn visit_str<E: de::Error>(self, text: &str) -> Result<ByteSize, E> {
                ByteSize::parse(text).ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(SizeVisitor)
    }
}

impl Serialize for ByteSize {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0)
    }
}

impl ByteSize {
    fn parse(text: &str) -> Option<Self> {
        let digits = text.trim_end_matches(|c: char| !c.is_ascii_digit());
        let unit: u64 = match text.strip_prefix(digits)?.trim() {
            "" | "B" => 1,
            "KiB" => 1 << 10,
            "MiB" => 1 << 20,
            "GiB" => 1 << 30,
            _ => return None,
        };
        digits.parse::<u64>().ok()?.checked_mul(unit).map(Self)
    }
}

impl fmt::Display for ByteSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            n if n > 0 && n.is_multiple_of(1 << 20) => write!(f, "{} MiB", n >> 20),
            n if n > 0 && n.is_multiple_of(1 << 10) => write!(f, "{} KiB", n >> 10),
            n => write!(f, "{n} bytes"),
        }
    }
}

/// What is wrong with a configuration, and where.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ConfigError {
    /// The field, such as `models.smart.targets[1].provider`.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
}

impl ConfigError {
    /// An error at a field.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// Where one target of a model leads, ready for use.
#[derive(Debug)]
pub struct Route {
    /// The provider's name.
    pub provider: String,
    /// The API that it speaks.
    pub api: ProviderApi,
    /// Its URL in parts.
    pub endpoint: Endpoint,
    /// The Envoy cluster that leads to it.
    pub cluster: String,
    /// The model's name at the provider.
    pub model: String,
    /// The same as a JSON string, quotes included: what is spliced into a body.
    pub model_json: String,
    /// Whether the provider receives the trace context.
    pub propagate: bool,
}

/// A checked configuration of the gateway role.
#[derive(Debug)]
pub struct Config {
    models: HashMap<String, Rc<Route>>,
    /// The body that answers `GET /v1/models`.
    pub model_list: String,
    /// Largest request body in bytes.
    pub request_body_max: usize,
    /// The way to the exporter.
    pub exporter: Option<Exporter>,
}

impl PluginConfig {
    /// The configuration of the attempt role.
    pub fn attempt() -> Self {
        Self { role: Role::Attempt, ..Self::default() }
    }

    /// Reads the plugin's JSON. An error names the field and what would be right.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        let mut deserializer = serde_json::Deserializer::from_slice(json);
        serde_path_to_error::deserialize(&mut deserializer)
            .map_err(|error| ConfigError::at(error.path().to_string(), error.inner().to_string()))
    }
}

impl Config {
    /// Checks a configuration and puts it into the form that requests are served from.
    pub fn new(plugin: &PluginConfig) -> Result<Self, ConfigError> {
        let mut clusters = BTreeMap::new();
        for (name, provider) in &plugin.providers {
            check_provider_name(name)?;
            let endpoint = Endpoint::parse(&provider.url)
                .map_err(|message| ConfigError::at(format!("providers.{name}.url"), message))?;
            clusters.insert(
                name.as_str(),
                (provider, endpoint, provider.cluster.clone().unwrap_or_else(|| cluster_name(name))),
            );
        }
        if let Some(exporter) = &plugin.exporter
            && let Some((name, _)) = clusters.iter().find(|(_, (_, _, cluster))| *cluster == exporter.cluster)
        {
            return Err(ConfigError::at(
                "exporter.cluster",
                format!(
                    "{:?} is the cluster of provider {name:?}, which carries this filter: a call to it \
                         would re-enter the VM; give the exporter a cluster of its own",
                    exporter.cluster
                ),
            ));
        }
        let mut models = HashMap::with_capacity(plugin.models.len());
        for (name, model) in &plugin.models {
            check_model_name(name)?;
            let path = format!("models.{name}.targets");
            let [target] = model.targets.as_slice() else {
                return Err(ConfigError::at(
                    path,
                    format!(
                        "{} targets given; this version routes a model to exactly one",
                        model.targets.len()
                    ),
                ));
            };
            let Some((provider, endpoint, cluster)) = clusters.get(target.provider.as_str()) else {
                return Err(ConfigError::at(
                    format!("{path}[0].provider"),
                    format!(
                        "no provider named {:?}{}",
                        target.provider,
                        did_you_mean(&target.provider, clusters.keys())
                    ),
                ));
            };
            let upstream = target.model.as_deref().unwrap_or(name);
            check_model_text(upstream)
                .map_err(|message| ConfigError::at(format!("{path}[0].model"), message))?;
            let route = Route {
                provider: target.provider.clone(),
                api: provider.api,
                endpoint: endpoint.clone(),
                cluster: cluster.clone(),
                model: upstream.to_owned(),
                model_json: serde_json::Value::from(upstream).to_string(),
                propagate: target.propagate.unwrap_or_else(|| endpoint.is_private()),
            };
            models.insert(name.clone(), Rc::new(route));
        }
        Ok(Self {
            model_list: model_list(&plugin.models),
            models,
            request_body_max: usize::try_from(plugin.limits.request_body.0).unwrap_or(usize::MAX),
            exporter: plugin.exporter.clone(),
        })
    }

    /// The route of a model, by the name that the caller used.
    pub fn route(&self, model: &str) -> Option<&Rc<Route>> {
        self.models.get(model)
    }
}

/// The Envoy cluster that leads to a provider, unless it names another.
pub fn cluster_name(provider: &str) -> String {
    format!("provider.{provider}")
}

/// `; did you mean "…"?` for the nearest known name, or nothing where none is near.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a &'a str>) -> String {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), *candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| format!("; did you mean {candidate:?}?"))
        .unwrap_or_default()
}

fn check_provider_name(name: &str) -> Result<(), ConfigError> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    if name.is_empty() || name.len() > PROVIDER_NAME_MAX || !name.chars().all(allowed) {
        let message =
            format!("a provider's name is 1 to {PROVIDER_NAME_MAX} letters, digits, '-', '_' or '.'");
        return Err(ConfigError::at(format!("providers.{name:?}"), message));
    }
    Ok(())
}

fn check_model_name(name: &str) -> Result<(), ConfigError> {
    check_model_text(name).map_err(|message| ConfigError::at(format!("models.{name:?}"), message))
}

fn check_model_text(name: &str) -> Result<(), String> {
    if name.is_empty() || name.len() > MODEL_NAME_MAX || name.chars().any(char::is_control) {
        return Err(format!("a model's name is 1 to {MODEL_NAME_MAX} bytes without control characters"));
    }
    Ok(())
}

/// OpenAI's list of models (API reference, "List models"), sorted by name.
fn model_list(models: &BTreeMap<String, Model>) -> String {
    let data: Vec<_> = models
        .iter()
        .map(|(name, model)| {
            let owner = model.targets.first().map(|target| target.provider.as_str());
            serde_json::json!({"id": name, "object": "model", "created": 0, "owned_by": owner})
        })
        .collect();
    serde_json::json!({"object": "list", "data": data}).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(json: &str) -> Result<Config, ConfigError> {
        Config::new(&PluginConfig::from_json(json.as_bytes())?)
    }

    const OPENAI: &str = r#""providers":{"openai":{"api":"openai","url":"https://api.openai.com/v1"}}"#;

    #[test]
    fn a_target_takes_the_models_name_unless_it_gives_its_own() {
        let config = config(&format!(
            r#"{{{OPENAI},"models":{{"gpt-4o":{{"targets":[{{"provider":"openai"}}]}},
                "fast":{{"targets":[{{"provider":"openai","model":"gpt-4o-mini"}}]}}}}}}"#
        ))
        .unwrap();
        assert_eq!(config.route("gpt-4o").unwrap().model, "gpt-4o");
        let fast = config.route("fast").unwrap();
        assert_eq!(fast.model_json, r#""gpt-4o-mini""#);
        assert_eq!(fast.cluster, "provider.openai");
        assert!(!fast.propagate, "a public host receives no trace context by default");
        assert!(config.route("slow").is_none());
        assert!(config.model_list.starts_with(r#"{"data":["#));
    }

    #[test]
    fn errors_name_the_field_and_what_would_be_right() {
        let messages = [
            (
                format!(r#"{{{OPENAI},"models":{{"smart":{{"targets":[{{"provider":"opnai"}}]}}}}}}"#),
                r#"models.smart.targets[0].provider: no provider named "opnai"; did you mean "openai"?"#,
            ),
            (
                format!(r#"{{{OPENAI},"models":{{"smart":{{"targets":[]}}}}}}"#),
                "models.smart.targets: 0 targets given; this version routes a model to exactly one",
            ),
            (
                r#"{"providers":{"x":{"api":"openai","url":"ftp://h"}}}"#.to_owned(),
                r#"providers.x.url: must begin with http:// or https://"#,
            ),
            (
                r#"{"providers":{"a/b":{"api":"openai","url":"http://h"}}}"#.to_owned(),
                r#"providers."a/b": a provider's name is 1 to 64 letters, digits, '-', '_' or '.'"#,
            ),
            (
                format!(r#"{{{OPENAI},"exporter":{{"cluster":"provider.openai","authority":"e"}}}}"#),
                r#"exporter.cluster: "provider.openai" is the cluster of provider "openai", which carries this filter: a call to it would re-enter the VM; give the exporter a cluster of its own"#,
            ),
        ];
        for (json, message) in messages {
            assert_eq!(config(&json).unwrap_err().to_string(), message);
        }
    }

    #[test]
    fn unknown_fields_and_wrong_types_are_refused_by_path() {
        let error = config(r#"{"limits":{"request_body":"10 apples"}}"#).unwrap_err();
        assert_eq!(error.path, "limits.request_body");
        assert!(error.message.contains("\"64KiB\""), "{error}");
        let error = config(r#"{"providers":{"x":{"api":"openai","url":"http://h","uri":1}}}"#).unwrap_err();
        assert_eq!(error.path, "providers.x.uri");
        assert!(error.message.contains("unknown field `uri`"), "{error}");
    }

    #[test]
    fn sizes_are_read_with_and_without_units() {
        for (text, bytes) in [("7", 7), ("7B", 7), ("64KiB", 65536), ("10 MiB", 10 << 20), ("1GiB", 1 << 30)]
        {
            assert_eq!(ByteSize::parse(text), Some(ByteSize(bytes)), "{text}");
        }
        for text in ["", "MiB", "1.5MiB", "-1", "99999999999999GiB"] {
            assert_eq!(ByteSize::parse(text), None, "{text}");
        }
    }
}
