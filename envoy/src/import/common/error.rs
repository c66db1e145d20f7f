//! Why a file could not be taken over.

use crate::gateway::Error;

/// Why a file could not be taken over.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// It is no YAML.
    #[error("not YAML: {0}")]
    Syntax(String),
    /// It is YAML, and nothing that we know.
    #[error("{0}")]
    Unknown(String),
    /// The result could not be written.
    #[error(transparent)]
    Output(#[from] Error),
}
