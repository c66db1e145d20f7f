//! What an operator may say of redaction (`redaction` in gateway.yaml), as written.
//!
//! Unknown fields are refused. Names and patterns are checked by [`crate::redact::Detectors::new`] and
//! [`crate::redact::Policies::new`].

use serde::{Deserialize, Serialize};

use crate::redact::custom::settings::Custom;
use crate::redact::engine::compiled::Allow;
use crate::redact::engine::replace::Style;

/// Redaction as written: what is done with content, for whom, and by which detectors.
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
    /// Detectors of your own, beside the built-in ones.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub custom: Vec<Custom>,
    /// What is never redacted, whatever a detector says.
    pub allow: Allow,
    /// The key of hashes, for `replacement: hash`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hash_key: Option<HashKeySource>,
}

/// Where the key of hashes is, as written. Never the key itself.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HashKeySource {
    /// An environment variable of Envoy's process, of at least 16 bytes.
    pub env: String,
}

/// What of `redaction` a key or a model makes stricter, as written. It has the detectors of
/// the gateway, and none of its own.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Stricter {
    /// What telemetry receives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub exported: Option<Exported>,
    /// What providers receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forwarded: Option<Forwarded>,
    /// What callers receive.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<Returned>,
}

/// What telemetry receives, as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Exported {
    /// Whether content is kept, redacted or left out.
    pub content: Content,
    /// The detectors by name; `secrets` stands for all that find credentials. Absent: all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detectors: Option<Vec<String>>,
    /// What stands in a match's place.
    pub replacement: Style,
}

/// What providers receive, as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Forwarded {
    /// What is done with a match.
    pub action: Action,
    /// The detectors by name; `secrets` stands for all that find credentials. Absent: all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detectors: Option<Vec<String>>,
    /// What stands in a match's place.
    pub replacement: Style,
    /// Whether the response has the original values again where the model repeats their
    /// placeholders. Then placeholders are numbered labels, such as `[EMAIL_1]`.
    pub restore: bool,
    /// What becomes of a request whose body cannot be read.
    pub on_unreadable: Unreadable,
}

/// What callers receive, as written.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Returned {
    /// What is done with a match.
    pub action: Action,
    /// The detectors by name; `secrets` stands for all that find credentials. Absent: all there are.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detectors: Option<Vec<String>>,
    /// What stands in a match's place.
    pub replacement: Style,
    /// What becomes of an answer that cannot be searched: one that is compressed, is neither JSON nor
    /// text, or is larger than `limits.response_body`.
    pub on_unreadable: Unreadable,
}

/// What telemetry receives of content. The later is the stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Content {
    /// As it is.
    Keep,
    /// With every match replaced.
    #[default]
    Redact,
    /// Nothing of it: no prompt, completion, tool argument or error text. User, conversation and metadata
    /// are redacted by the detectors all the same.
    Exclude,
}

/// What is done with a match. The later is the stricter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// Nothing; no detector runs.
    #[default]
    Off,
    /// It is replaced.
    Mask,
    /// The whole is refused.
    Block,
}

/// What becomes of a body that cannot be read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unreadable {
    /// It is refused.
    #[default]
    Refuse,
    /// It goes on as it is.
    Pass,
}
