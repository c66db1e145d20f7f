//! exporter.yaml: read, laid under the environment, checked.
//!
//! Precedence, the strongest first: a flag, its variable, `WEIR_EXPORTER__…`, the file, the default. An
//! error names the field and what would be right and shows no value, which may be a secret in the wrong
//! place.

mod overlay;
mod read;
mod scalars;
mod schema;
pub mod units;
pub mod wire;

use std::net::SocketAddr;

pub use overlay::PREFIX;
pub use read::{Written, from_json, parse, parse_over};
pub use schema::schema;
pub use wire::Config;

/// What is wrong with a configuration: `<field>: <what, and what would be right>`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ConfigError {
    /// The field, or `.` for the whole file.
    pub path: String,
    /// What is wrong with it.
    pub message: String,
}

impl ConfigError {
    /// An error of this field.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into() }
    }
}

/// `; did you mean "…"?` for the nearest of the names that are known, where one is near.
pub fn did_you_mean<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> String {
    known
        .map(|candidate| (strsim::damerau_levenshtein(name, candidate), candidate))
        .filter(|(distance, candidate)| *distance <= candidate.len().max(3) / 3)
        .min()
        .map(|(_, candidate)| format!("; did you mean {candidate:?}?"))
        .unwrap_or_default()
}

/// A number within its range, or the default.
pub(crate) fn ranged(
    path: &str,
    given: Option<u32>,
    default: u32,
    least: u32,
    most: u32,
) -> Result<u32, ConfigError> {
    let number = given.unwrap_or(default);
    if (least..=most).contains(&number) {
        Ok(number)
    } else {
        Err(ConfigError::at(path, format!("must be from {least} to {most}")))
    }
}

/// A port on this machine alone.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[cfg(test)]
mod tests;
