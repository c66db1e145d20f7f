//! From another gateway's configuration to ours: what can be carried over is, and what cannot is told
//! by field.
//!
//! No secret is carried over: where a key stands in the file itself, a variable takes its place. No variable is sent
//! to two hosts.

mod host;
mod keys;
mod litellm;
mod otel_config;
mod routing;
mod virtual_model;

use serde_json::Value;

use crate::gateway::Error;
use crate::yaml::{to_yaml, wrapped};

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

/// Reads the configuration of another gateway and gives ours.
///
/// # Errors
/// [`ImportError`] when the file is not what it is said to be, or nothing of it can be carried over.
pub fn import(source: Source, yaml: &str) -> Result<Imported, ImportError> {
    let options = serde_saphyr::options! { with_snippet: false };
    let file: Value = serde_saphyr::from_str_with_options(yaml, options)
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

/// What a reader should know beside the result.
#[derive(Debug, Default)]
struct Notes(Vec<String>);

impl Notes {
    fn add(&mut self, field: &str, message: &str) {
        let note = format!("{field}: {message}");
        if !self.0.contains(&note) {
            self.0.push(note);
        }
    }

    /// Notes every field of a map that is not among these.
    fn others(&mut self, path: &str, map: &Value, known: &[&str], message: &str) {
        for name in map.as_object().into_iter().flat_map(|map| map.keys()) {
            if !known.contains(&name.as_str()) {
                self.add(&format!("{path}.{name}"), message);
            }
        }
    }
}

/// The items of a list; none where it is no list.
fn items(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// A number, also where it is written as text.
fn number(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())
}

/// Statuses, also where they are written as text; those that ours takes.
fn statuses(value: &Value) -> Vec<u64> {
    let whole = |value: &Value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    items(value).filter_map(whole).filter(|status| (400..600).contains(status)).collect()
}

/// Seconds as we write them.
fn duration(seconds: f64) -> Option<String> {
    let ms = (seconds * 1000.0).round();
    if !(1.0..=86_400_000.0).contains(&ms) {
        return None;
    }
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "within bounds")]
    let ms = ms as u64;
    Some(if ms.is_multiple_of(1000) { format!("{}s", ms / 1000) } else { format!("{ms}ms") })
}
