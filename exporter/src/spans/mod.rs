//! From a trace event to OpenTelemetry spans. Pure: the same event yields the same spans.
//!
//! ```text
//! POST /v1/chat/completions   SERVER    child of the caller's span
//! ├─ authenticate             INTERNAL  only where callers need a key
//! ├─ redact                   INTERNAL  only where something must not reach the provider; another one
//! │                                     where the response is searched, or values restored in it
//! ├─ resolve_model            INTERNAL
//! └─ <operation> <model>      CLIENT    only where a provider was tried, and not for plain HTTP
//!    ├─ POST                  CLIENT    one for each attempt
//!    └─ stream                INTERNAL  from the first token to the last
//! ```

mod attempt;
mod build;
mod chat;
#[cfg(test)]
mod content_tests;
mod facts;
mod families;
mod messages;
pub mod names;
mod overlay;
pub mod prices;
pub mod resource;
mod server;
#[cfg(test)]
mod tests;

pub use build::{of, request};
pub(crate) use facts::endings::{failure, first_known, start};
pub use facts::profile::{ExportProfile, Overlays};
#[cfg(test)]
pub(crate) use weir_event::fixtures as fixture;
