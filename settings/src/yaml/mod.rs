//! Wire types from YAML, with errors that name the field, its place, and what would be right.
//!
//! No error shows a line of the file, which may hold a secret in the wrong place.

mod place;

use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_saphyr::Error;

use crate::{ConfigError, Place, did_you_mean};

pub use place::find;

/// Reads a document. An error's path is `.` where nothing was read yet.
pub fn read<T: DeserializeOwned>(yaml: &str) -> Result<T, ConfigError> {
    // The field's path is known only inside; it comes out beside the parser's own error.
    let mut path = None;
    let options = serde_saphyr::options! { with_snippet: false };
    let read = serde_saphyr::with_deserializer_from_str_with_options(yaml, options, |deserializer| {
        serde_path_to_error::deserialize(deserializer).map_err(|error| {
            path = Some(error.path().to_string());
            error.into_inner()
        })
    });
    read.map_err(|error| ConfigError {
        path: path.unwrap_or_else(|| ".".to_owned()),
        message: format!("{}{}", plain(without_place(&error.to_string())), hint(&error)),
        place: error.location().and_then(Place::of),
    })
}

/// Reads any value.
pub fn value(yaml: &str) -> Result<Value, ConfigError> {
    read(yaml)
}

/// Whether there is nothing but comments.
pub fn is_blank(yaml: &str) -> bool {
    yaml.lines().all(|line| {
        let line = line.trim();
        line.is_empty() || line.starts_with('#') || line == "---"
    })
}

/// The parser's message without its own `at line 3, column 5`, which is [`ConfigError::place`].
fn without_place(message: &str) -> &str {
    let (said, place) = message.rsplit_once(" at line ").unwrap_or((message, ""));
    let is_place = place.split(", column ").all(|number| number.bytes().all(|byte| byte.is_ascii_digit()));
    if is_place { said } else { message }
}

/// The parser's message in an operator's terms.
fn plain(message: &str) -> &str {
    match message {
        "expected mapping start" => "must be a map of fields",
        "expected sequence start" => "must be a list",
        "invalid socket address syntax" => "must be an address and a port, such as 0.0.0.0:8080",
        "invalid u16" | "invalid u32" | "invalid u64" => "must be a whole number, 0 or more",
        _ => message,
    }
}

/// The known name nearest to an unknown one.
fn hint(error: &Error) -> String {
    match error.without_snippet() {
        Error::SerdeUnknownField { field: name, expected, .. }
        | Error::SerdeUnknownVariant { variant: name, expected, .. } => {
            did_you_mean(name, expected.iter().copied())
        }
        _ => String::new(),
    }
}
