//! Redaction: finding what must not leave in texts, and putting something else in its place.
//!
//! [`Detectors`] are compiled once from a configuration. They redact a text in one piece, a text
//! that comes in pieces ([`StreamRedactor`]), and the strings, keys and long numbers of a JSON text
//! ([`redact_json`]). For every split of a text the result is the same; a replacement is never
//! matched again; time is linear in the input; and matched text is in no error, count or `Debug`.

mod counts;
mod custom;
pub mod detectors;
pub mod engine;
pub mod json;
mod names;
mod policy;
mod replace;
mod restore;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
mod text;

pub use crate::redact::counts::Counts;
pub use crate::redact::engine::compiled::Detectors;
#[cfg(any(test, feature = "steps"))]
pub use crate::redact::engine::cost::steps;
pub(crate) use crate::redact::json::body::Edit;
pub use crate::redact::json::body::{NESTED_MAX, Redacted, Search, redact_json};
pub use crate::redact::json::fields::Fields;
pub use crate::redact::names::{Builtin, CUSTOM_MAX, DetectorId, SECRETS, Set};
pub use crate::redact::policy::{Actions, ExportedPolicy, ForwardedPolicy, Policies, ReturnedPolicy};
pub use crate::redact::replace::{
    Form, HASH_DIGITS_MAX, HASH_DIGITS_MIN, HashKey, MASK, PartialHash, Replace, Replacement,
};
pub use crate::redact::restore::{Restorer, StreamRestorer, escape};
pub use crate::redact::settings::{
    Action, Allow, Checksum, Content, Custom, Exported, Forwarded, HashKeySource, Redaction, Returned,
    Stricter, Style, Unreadable,
};
pub use crate::redact::stream::{Channel, HELD_MAX, StreamRedactor};

/// The text of a JSON string, given without its quotes.
pub(crate) fn unescaped(raw: &str) -> std::borrow::Cow<'_, str> {
    engine::fold::fold(raw, engine::fold::Reading::EscapesOnly).text
}
