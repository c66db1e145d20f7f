//! From YAML and variables to the wire types, with errors that name the field.

use std::ffi::OsString;

use serde::Deserialize as _;
use serde_json::Value;

use super::{ConfigError, did_you_mean, overlay, wire::Config};

/// Reads an exporter.yaml.
///
/// # Errors
///
/// [`ConfigError`], with the field and the place in the file.
pub fn parse(yaml: &str) -> Result<Config, ConfigError> {
    if is_blank(yaml) {
        return Ok(Config::default());
    }
    // The field's path is known only inside; it comes out beside the parser's own error.
    let mut path = None;
    let options = serde_saphyr::options! { with_snippet: false };
    let read = serde_saphyr::with_deserializer_from_str_with_options(yaml, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    });
    read.map_err(|error| {
        let message = format!("{error}{}", hint(&error));
        ConfigError::at(path.unwrap_or_else(|| ".".to_owned()), message)
    })
}

/// Reads an exporter.yaml with what the environment sets laid over it.
///
/// # Errors
///
/// [`ConfigError`].
pub fn parse_over(
    yaml: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Config, ConfigError> {
    let from_file = parse(yaml)?;
    let mut tree = if is_blank(yaml) { Value::Null } else { value(yaml)? };
    if overlay::apply(&mut tree, variables)? == 0 {
        return Ok(from_file);
    }
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let path = error.path().to_string();
        // The reader of JSON values shows what it found, which may be a secret in the wrong place.
        let message = error.into_inner().to_string();
        let safe = message.starts_with("unknown field") || message.starts_with("unknown variant");
        let message = if safe { message } else { "is not of the right type or shape".to_owned() };
        ConfigError::at(path, format!("{message} (set by the environment, {}…)", overlay::PREFIX))
    })
}

/// One YAML value.
pub(super) fn value(yaml: &str) -> Result<Value, ConfigError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let read = serde_saphyr::with_deserializer_from_str_with_options(yaml, options, |deserializer| {
        Value::deserialize(deserializer)
    });
    read.map_err(|error| ConfigError::at(".", error.to_string()))
}

/// Whether there is nothing but comments.
fn is_blank(yaml: &str) -> bool {
    yaml.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

/// What would be right: the known name nearest to one that is not known, or a place for a secret.
fn hint(error: &serde_saphyr::Error) -> String {
    match error.without_snippet() {
        serde_saphyr::Error::SerdeUnknownField { field: name, expected, .. }
        | serde_saphyr::Error::SerdeUnknownVariant { variant: name, expected, .. } => {
            did_you_mean(name, expected.iter().copied())
        }
        _ => String::new(),
    }
}
