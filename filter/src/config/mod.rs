//! The plugin's configuration: the JSON that Envoy hands to the filter at load.
//!
//! The wire types ([`PluginConfig`] and below) are also what gateway.yaml is made of, so there is
//! one definition and one validation. [`Config::new`] checks them against each other and gives the
//! typed form that requests are served from. Every error names its field.

mod checked;
mod model;
mod observed;
mod redaction;
mod target;
#[cfg(test)]
mod tests;
mod token;
mod trace;
mod upstream;
mod wire;

pub use crate::config::checked::{Config, NoPassthrough, Resolved};
pub use crate::config::model::{Failover, VirtualModel};
pub use crate::config::observed::{Observed, Seen};
pub use crate::config::target::Route;
pub use crate::config::token::Token;
pub use crate::config::trace::Capture;
pub use crate::config::upstream::cluster_name;
pub use crate::config::wire::{
    ByteSize, Exporter, Fallback, Jwt, Limits, Mode, Model, PluginConfig, Provider, Retry, Role, Target,
    TargetHeaders, Timeouts, TokenSource, Trace,
};

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

/// `; did you mean "…"?` for the nearest known name, or nothing where none is near.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| format!("; did you mean {candidate:?}?"))
        .unwrap_or_default()
}
