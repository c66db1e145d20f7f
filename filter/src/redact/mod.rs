//! Redaction: finds sensitive values in texts and replaces them.
//!
//! [`Detectors`] are compiled once from the configuration. They redact plain text, streamed text
//! ([`StreamRedactor`]), and the strings, keys and long numbers of JSON ([`redact_json`]). However a text is
//! split, the result is the same; a replacement is never matched again; time is linear in the input; and no
//! matched value appears in an error, a count or `Debug` output.

mod custom;
mod detectors;
mod engine;
mod json;
mod policy;
mod restore;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod text;

pub use crate::redact::custom::settings::{Checksum, Custom};
pub use crate::redact::detectors::names::{Builtin, CUSTOM_MAX, DetectorId, SECRETS, Set};
pub use crate::redact::engine::compiled::{Allow, Detectors};
pub use crate::redact::engine::counts::Counts;
pub use crate::redact::engine::replace::{
    HASH_DIGITS_MAX, HASH_DIGITS_MIN, HashKey, PartialHash, Replace, Replacement, Style,
};
pub(crate) use crate::redact::json::body::Edit;
pub use crate::redact::json::body::{Redacted, Search, redact_json};
pub use crate::redact::json::fields::Fields;
pub use crate::redact::json::nesting::NESTED_MAX;
pub use crate::redact::policy::{Actions, ExportedPolicy, ForwardedPolicy, Policies, ReturnedPolicy};
pub use crate::redact::restore::{Restorer, StreamRestorer};
pub use crate::redact::settings::{
    Action, Content, Exported, Forwarded, HashKeySource, Redaction, Returned, Stricter, Unreadable,
};
pub use crate::redact::stream::{Channel, HELD_MAX, StreamRedactor};
pub use crate::redact::text::cost::steps;
pub use crate::redact::text::fold::escape;
pub use crate::redact::text::placeholder::{Form, MASK};
pub use crate::redact::text::slices::{SLICE, Slice, Sliced, now};

/// Decodes the escapes of a JSON string, given without its quotes.
pub(crate) fn unescaped(raw: &str) -> std::borrow::Cow<'_, str> {
    text::fold::fold(raw, text::fold::Reading::EscapesOnly).text
}
