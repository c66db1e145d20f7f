//! What is wrong with a gateway.yaml.

use weir_settings::{ConfigError, Place};

/// What is wrong with a gateway.yaml.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// It is no YAML, or a field is wrong by itself or beside another.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A secret's environment variable is not set.
    #[error("{field}: the environment variable {variable} is not set; export it before Envoy is started")]
    MissingVariable {
        /// The field that names the variable.
        field: String,
        /// The variable.
        variable: String,
    },
    /// The rendered configuration could not be written as YAML.
    #[error("the rendered configuration could not be written: {0}")]
    Output(String),
}

impl Error {
    /// Where in the file it is, if it is in one place.
    pub fn place(&self) -> Option<Place> {
        match self {
            Self::Config(error) => error.place,
            Self::MissingVariable { .. } | Self::Output(_) => None,
        }
    }
}
