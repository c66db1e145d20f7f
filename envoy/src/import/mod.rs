//! Converts another gateway's configuration to ours, and reports by field what has no equivalent.
//!
//! No secret is copied: a key in the file itself is replaced with an environment variable. No variable is sent to two
//! hosts.

mod common;
mod litellm;
mod truefoundry;

pub use common::error::ImportError;

use crate::yaml::{to_yaml, wrapped};
use common::notes::Notes;
use truefoundry::{otel_config, virtual_model};

/// What a configuration was written for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// LiteLLM's config.yaml.
    LiteLlm,
    /// TrueFoundry's virtual models, or its global routing configuration; becomes a gateway.yaml.
    TrueFoundry,
    /// TrueFoundry's OTEL Config; becomes an exporter.yaml.
    TrueFoundryOtel,
}

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Imported {
    /// The gateway.yaml or exporter.yaml, with all of `notes` as a comment above it.
    pub yaml: String,
    /// What could not be carried over, or should be looked at: each names its field in the source.
    pub notes: Vec<String>,
}

/// Reads the configuration of another gateway and gives ours.
pub fn import(source: Source, yaml: &str) -> Result<Imported, ImportError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let file: serde_json::Value = serde_saphyr::from_str_with_options(yaml, options)
        .map_err(|error| ImportError::Syntax(error.to_string()))?;
    let mut notes = Notes::default();
    let (what, value) = match source {
        Source::LiteLlm => ("gateway.yaml", litellm::gateway(&file, &mut notes)?),
        Source::TrueFoundry => ("gateway.yaml", virtual_model::gateway(&file, &mut notes)?),
        Source::TrueFoundryOtel => ("exporter.yaml", otel_config::exporter(&file, &mut notes)?),
    };
    let mut out =
        format!("# {what}, carried over from another gateway's configuration. Read it before you use it.\n");
    if !notes.0.is_empty() {
        out.push_str("#\n# Not carried over, or to be looked at:\n");
    }
    for note in &notes.0 {
        for (index, line) in wrapped(note, 94).into_iter().enumerate() {
            out.push_str(if index == 0 { "# - " } else { "#   " });
            out.push_str(&line);
            out.push('\n');
        }
    }
    out.push('\n');
    out.push_str(&to_yaml(&value)?);
    Ok(Imported { yaml: out, notes: notes.0 })
}
