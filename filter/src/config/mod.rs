//! The plugin's configuration: the JSON that Envoy hands to the filter at load.
//!
//! The wire types ([`PluginConfig`] and below) are also what gateway.yaml is made of, so there is
//! one definition and one validation. [`Config::new`] checks them against each other and gives the
//! typed form that requests are served from. Every error names its field.

mod checked;
mod memory;
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
pub use crate::config::memory::{MEMORY_BUDGET, Memory};
pub use crate::config::model::{Failover, VirtualModel};
pub use crate::config::observed::{Observed, Seen};
pub use crate::config::target::Route;
pub use crate::config::token::Token;
pub use crate::config::trace::Capture;
pub use crate::config::upstream::cluster_name;
pub use crate::config::wire::{
    Exporter, Fallback, Jwt, Limits, Mode, Model, PluginConfig, Provider, Retry, Role, Target, TargetHeaders,
    Timeouts, TokenSource, Trace,
};
pub use weir_settings::{ByteSize, ConfigError, did_you_mean};

impl PluginConfig {
    /// The configuration of the attempt role.
    pub fn attempt() -> Self {
        Self { role: Role::Attempt, ..Self::default() }
    }

    /// Reads the plugin's JSON. An error names the field and what would be right.
    pub fn from_json(json: &[u8]) -> Result<Self, ConfigError> {
        weir_settings::json::from_slice(json)
    }
}
