//! From YAML and variables to the wire types, with errors that name the field.

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
};

use serde_json::Value;
use weir_settings::{ConfigError, json::from_value, yaml};

use super::{overlay, wire::Config};

/// Reads an exporter.yaml.
pub fn parse(yaml: &str) -> Result<Config, ConfigError> {
    if yaml::is_blank(yaml) {
        return Ok(Config::default());
    }
    yaml::read(yaml).map_err(ConfigError::with_place_in_message)
}

/// Reads an exporter.yaml with what the environment sets laid over it.
pub fn parse_over(
    yaml: &str,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<Written, ConfigError> {
    let config = parse(yaml)?;
    let mut tree = if yaml::is_blank(yaml) { Value::Null } else { yaml::value(yaml)? };
    let in_file = config.destinations.iter().flat_map(BTreeMap::keys).cloned().collect();
    if overlay::apply(&mut tree, variables)? == 0 {
        return Ok(Written { config, tree, in_file });
    }
    let config = from_value(tree.clone()).map_err(|error| {
        let message = format!("{} (set by the environment, {}…)", error.message, overlay::PREFIX);
        ConfigError { message, ..error }
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
