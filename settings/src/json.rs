//! Wire types from JSON, with errors that name the field.

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::ConfigError;

/// Reads a document. An error has the parser's own words: only for a document that Weir itself has written.
pub fn from_slice<T: DeserializeOwned>(json: &[u8]) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(&mut serde_json::Deserializer::from_slice(json))
        .map_err(|error| ConfigError::at(error.path().to_string(), error.inner().to_string()))
}

/// Reads a tree, with errors that show no value.
pub fn from_value<T: DeserializeOwned>(tree: Value) -> Result<T, ConfigError> {
    serde_path_to_error::deserialize(tree).map_err(|error| {
        let path = error.path().to_string();
        ConfigError::at(path, without_value(&error.into_inner().to_string()))
    })
}

/// The parser's message without what it found, which may be a secret in the wrong place.
fn without_value(message: &str) -> String {
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
