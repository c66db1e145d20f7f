//! What is wrong with a configuration, and where.

use std::fmt;

/// What is wrong with a configuration: `<field>: <what, and what would be right>`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {message}")]
pub struct ConfigError {
    /// The field, such as `models.smart.targets[1].provider`, or `.` for the whole file.
    pub path: String,
    /// What is wrong with it, and what would be right.
    pub message: String,
    /// Where in the file it stands, where that is known.
    pub place: Option<Place>,
}

impl ConfigError {
    /// An error at a field.
    pub fn at(path: impl Into<String>, message: impl Into<String>) -> Self {
        Self { path: path.into(), message: message.into(), place: None }
    }

    /// Moves the place into the message, for callers that show no file name before it.
    #[must_use]
    pub fn with_place_in_message(mut self) -> Self {
        if let Some(Place { line, column }) = self.place.take() {
            self.message.push_str(&format!(" (line {line}, column {column})"));
        }
        self
    }
}

/// A line and a column, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.line, self.column)
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
