//! Redaction: finding what must not leave in texts, and putting something else in its place.
//!
//! [`Detectors`] are compiled once from a configuration. They redact a text in one piece, a text
//! that comes in pieces ([`StreamRedactor`]), and the strings, keys and long numbers of a JSON text
//! ([`redact_json`]). For every split of a text the result is the same; a replacement is never
//! matched again; time is linear in the input; and matched text is in no error, count or `Debug`.

mod birth;
mod body;
mod cost;
mod counts;
mod custom;
mod custom_cost;
mod detectors;
mod document;
mod email;
mod fields;
mod fold;
mod hardware;
mod iban;
mod judged;
mod key;
mod keys;
mod label;
mod lexicon;
mod literals;
mod names;
mod nesting;
mod number;
mod pem;
mod phone;
mod policy;
mod replace;
mod restore;
mod scan;
mod secret;
mod settings;
mod stream;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod tests_cost;
#[cfg(test)]
mod tests_json;
mod text;
mod view;

pub(crate) use body::Edit;
pub use body::{NESTED_MAX, Redacted, Search, redact_json};
#[cfg(any(test, feature = "steps"))]
pub use cost::steps;
pub use counts::Counts;
pub use detectors::Detectors;
pub use fields::Fields;
pub use names::{Builtin, CUSTOM_MAX, DetectorId, SECRETS, Set};
pub use policy::{Actions, ExportedPolicy, ForwardedPolicy, Policies, ReturnedPolicy};
pub use replace::{Form, HASH_DIGITS_MAX, HASH_DIGITS_MIN, HashKey, MASK, PartialHash, Replace, Replacement};
pub use restore::{Restorer, StreamRestorer, escape};
pub use settings::{
    Action, Allow, Checksum, Content, Custom, Exported, Forwarded, HashKeySource, Redaction, Returned,
    Stricter, Style, Unreadable,
};
pub use stream::{Channel, HELD_MAX, StreamRedactor};

/// The text of a JSON string, given without its quotes.
pub(crate) fn unescaped(raw: &str) -> std::borrow::Cow<'_, str> {
    fold::fold(raw, fold::Reading::EscapesOnly).text
}
