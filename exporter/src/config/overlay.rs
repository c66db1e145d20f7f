//! Every setting by environment: `WEIR_EXPORTER__STREAM__MAX_BYTES=1GiB` stands for `stream.max_bytes`.
//!
//! A name's parts are fields in lower case; of a part that is there already, `-`, `_` and `.` are the same.
//! A value is read as YAML, so lists and maps can be given whole: `[error, "4xx"]`.

use std::ffi::OsString;

use serde_json::{Map, Value};
use weir_settings::{ConfigError, yaml};

/// What the names of such variables begin with.
pub const PREFIX: &str = "WEIR_EXPORTER__";

/// The most parts of a name.
const MAX_DEPTH: usize = 8;

/// Lays variables over a configuration; gives how many there were.
pub(super) fn apply(
    tree: &mut Value,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<usize, ConfigError> {
    let mut named = Vec::new();
    for (name, value) in variables {
        let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else { continue };
        if value.is_empty() {
            continue;
        }
        let value = value.into_string().map_err(|_| ConfigError::at(name, "is not valid UTF-8"))?;
        named.push((name.to_owned(), value));
    }
    // A map given whole comes before single fields of it.
    named.sort();
    for (name, text) in &named {
        let parts: Vec<&str> = name.trim_start_matches(PREFIX).split("__").collect();
        if parts.len() > MAX_DEPTH || parts.iter().any(|part| part.is_empty()) {
            return Err(ConfigError::at(
                name.as_str(),
                "must name a field, its parts separated by two underscores",
            ));
        }
        let value = yaml::value(text).map_err(|_| ConfigError::at(name.as_str(), "is not valid YAML"))?;
        set(tree, &parts, value);
    }
    Ok(named.len())
}

fn set(tree: &mut Value, parts: &[&str], value: Value) {
    let Some((part, rest)) = parts.split_first() else {
        *tree = value;
        return;
    };
    if !tree.is_object() {
        *tree = Value::Object(Map::new());
    }
    let Some(fields) = tree.as_object_mut() else { return };
    let folded = fold(part);
    let name = fields.keys().find(|name| fold(name) == folded).cloned();
    let name = name.unwrap_or_else(|| part.to_ascii_lowercase());
    set(fields.entry(name).or_insert(Value::Null), rest, value);
}

fn fold(name: &str) -> String {
    name.chars().map(|c| if matches!(c, '-' | '.') { '_' } else { c.to_ascii_lowercase() }).collect()
}
