//! exporter.yaml: read, laid under the environment, checked.
//!
//! Precedence, the strongest first: a flag, its variable, `WEIR_EXPORTER__…`, the file, the default. An
//! error names the field and what would be right and shows no value, which may be a secret in the wrong
//! place.

mod overlay;
mod read;
mod scalars;
pub mod wire;

use std::net::SocketAddr;

pub use overlay::PREFIX;
pub use read::{Written, parse, parse_over};
pub use weir_settings::{ConfigError, did_you_mean, json::from_value as from_json};
pub use wire::Config;

/// The schema of exporter.yaml (JSON Schema 2020-12) as indented JSON.
pub fn schema() -> String {
    weir_settings::schema::schema::<Config>("exporter.yaml")
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

/// Checks that the files of a listener's TLS are there.
pub(crate) fn tls_is_there(path: &str, tls: &wire::ServerTls) -> Result<(), ConfigError> {
    let client_ca = tls.client_ca.iter().map(|file| ("client_ca", file));
    for (field, file) in [("certificate", &tls.certificate), ("key", &tls.key)].into_iter().chain(client_ca) {
        if let Err(error) = std::fs::metadata(file) {
            let why = format!("{}: {error}", file.display());
            return Err(ConfigError::at(format!("{path}.{field}"), why));
        }
    }
    Ok(())
}

/// A port on this machine alone.
pub(crate) fn loopback(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

#[cfg(test)]
mod tests;
