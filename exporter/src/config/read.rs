//! From YAML and variables to the wire types, with errors that name the field.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use serde::{Deserialize as _, de::DeserializeOwned};
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
) -> Result<Written, ConfigError> {
    let config = parse(yaml)?;
    let mut tree = if is_blank(yaml) { Value::Null } else { value(yaml)? };
    let in_file = config.destinations.iter().flat_map(BTreeMap::keys).cloned().collect();
    if overlay::apply(&mut tree, variables)? == 0 {
        return Ok(Written { config, tree, in_file });
    }
    let config = from_json(tree.clone()).map_err(|ConfigError { path, message }| {
        ConfigError::at(path, format!("{message} (set by the environment, {}…)", overlay::PREFIX))
    })?;
    Ok(Written { config, tree, in_file })
}

/// A configuration as it was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// What it says.
    pub config: Config,
    /// The same as a tree, environment included. It may hold secrets in wrong places: for [`Config`] to read.
    pub tree: Value,
    /// The destinations that the file itself names.
    pub in_file: BTreeSet<String>,
}

/// Reads a wire type from JSON, with errors that name the field and show no value.
///
/// # Errors
///
/// [`ConfigError`].
pub fn from_json<T: DeserializeOwned>(tree: Value) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let path = error.path().to_string();
        ConfigError::at(path, safe(&error.into_inner().to_string()))
    })
}

/// A message of the reader of JSON values without what it found, which may be a secret in the wrong place.
fn safe(message: &str) -> String {
    let ours = ["unknown field", "unknown variant", "missing field", "must be ", "give "];
    if ours.iter().any(|start| message.starts_with(start)) {
        return message.to_owned();
    }
    // What was found stands before the last of these words, what is right behind it.
    match message.rsplit_once(", expected ") {
        Some((_, right)) => format!("must be {right}"),
        None => "is not of the right type or shape".to_owned(),
    }
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
