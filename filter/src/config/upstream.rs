//! A provider, checked: its name, its URL in parts, and the Envoy cluster that leads to it.

use weir_settings::ConfigError;

use crate::api::Features;
use crate::api::endpoint::Endpoint;
use crate::api::family::provider::Settings;
use crate::api::kind::Kind;
use crate::config::wire::Provider;

/// Longest name of a provider, in bytes: it becomes part of an Envoy cluster's name.
const PROVIDER_NAME_MAX: usize = 64;

/// A provider, ready for use.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) settings: Settings,
    pub(crate) endpoint: Endpoint,
    pub(crate) cluster: String,
    pub(crate) include_usage: bool,
    pub(crate) grants: Features,
}

impl Upstream {
    pub(crate) fn new(name: &str, provider: &Provider) -> Result<Self, ConfigError> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        if name.is_empty() || name.len() > PROVIDER_NAME_MAX || !name.chars().all(allowed) {
            let message =
                format!("a provider's name is 1 to {PROVIDER_NAME_MAX} letters, digits, '-', '_' or '.'");
            return Err(ConfigError::at(format!("providers.{name:?}"), message));
        }
        let endpoint = Endpoint::parse(&provider.url)
            .map_err(|message| ConfigError::at(format!("providers.{name}.url"), message))?;
        let settings = Settings::new(provider.api_version.clone())
            .map_err(|error| ConfigError::at(format!("providers.{name}.api_version"), error.to_string()))?;
        let is_asked = provider.api.is_asked_for_usage(&endpoint.host, &settings);
        let include_usage = provider.include_usage.unwrap_or(is_asked);
        Ok(Self {
            name: name.to_owned(),
            kind: provider.api,
            settings,
            endpoint,
            cluster: provider.cluster.clone().unwrap_or_else(|| cluster_name(name)),
            include_usage,
            grants: provider.grants.iter().copied().collect(),
        })
    }
}

/// The Envoy cluster that leads to a provider, unless it names another.
pub fn cluster_name(provider: &str) -> String {
    format!("provider.{provider}")
}
