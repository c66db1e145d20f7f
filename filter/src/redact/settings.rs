//! The `redaction` section of gateway.yaml, as written.
//!
//! Unknown fields are refused. Names and patterns are checked by [`crate::redact::Detectors::new`] and
//! [`crate::redact::Policies::new`].

use serde::{Deserialize, Serialize};

use crate::redact::custom::settings::Custom;
use crate::redact::engine::compiled::Allow;
use crate::redact::engine::replace::Style;

/// Redaction: what happens to content, for whom, and by which detectors.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Redaction {
    /// What telemetry receives of prompts and completions.
    pub exported: Exported,
    /// What providers receive of prompts.
    pub forwarded: Forwarded,
    /// What callers receive of completions.
    pub returned: Returned,
    /// Your own detectors, in addition to the built-in ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom: Vec<Custom>,
    /// Values that are never redacted, whatever a detector matches.
    pub allow: Allow,
    /// The key of hashes, for `replacement: hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_key: Option<HashKeySource>,
}

/// The source of the hash key; never the key itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HashKeySource {
    /// An environment variable of Envoy's process, of at least 16 bytes.
    pub env: String,
}

/// What a key or a model makes stricter than the gateway's `redaction`. It uses the gateway's detectors and has
/// none of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Stricter {
    /// What is exported to telemetry.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported: Option<Exported>,
    /// What is forwarded to providers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
    /// What is returned to callers.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<Returned>,
}

/// What is exported to telemetry.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Exported {
    /// Whether content is exported as it is, redacted or excluded.
    pub content: Content,
    /// Names of detectors; `secrets` is the group of all that find credentials. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detectors: Option<Vec<String>>,
    /// The replacement of a match.
    pub replacement: Style,
}

/// What is forwarded to providers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Forwarded {
    /// What happens to a match.
    pub action: Action,
    /// Names of detectors; `secrets` is the group of all that find credentials. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detectors: Option<Vec<String>>,
    /// The replacement of a match.
    pub replacement: Style,
    /// Whether the response gets the original values back where the model repeats their placeholders.
    /// Placeholders are then numbered labels, such as `[EMAIL_1]`.
    pub restore: bool,
    /// What happens to a request whose body cannot be read.
    pub on_unreadable: Unreadable,
}

/// What is returned to callers.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Returned {
    /// What happens to a match.
    pub action: Action,
    /// Names of detectors; `secrets` is the group of all that find credentials. Default: all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detectors: Option<Vec<String>>,
    /// The replacement of a match.
    pub replacement: Style,
    /// What happens to a response that cannot be searched: one that is compressed, is neither JSON nor text, or
    /// is larger than `limits.response_body`.
    pub on_unreadable: Unreadable,
}

/// What telemetry receives of content, from lax to strict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// Content as it is.
    Keep,
    /// Content with every match replaced.
    #[default]
    Redact,
    /// No content: no prompt, completion, tool argument or error text. User, conversation and metadata are
    /// still redacted by the detectors.
    Exclude,
}

/// What happens to a match, from lax to strict.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing; no detector runs.
    #[default]
    Off,
    /// It is replaced.
    Mask,
    /// The whole message is refused.
    Block,
}

/// What happens to a body that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// It is refused.
    #[default]
    Refuse,
    /// It passes as it is.
    Pass,
}
