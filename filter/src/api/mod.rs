//! The APIs that callers may use, and what a call looks like at a provider.
//!
//! Each family of APIs is a folder, whose `FAMILY` says all that is its own; [`FAMILIES`] is the only place that lists
//! them. [`family`] holds what a family is described with, and what families share.
//!
//! A call is known by its path against the families' tables, and what goes to a provider is written anew from them: no
//! byte of the caller's path or query is copied into it, unless both provider and key grant what is beyond the tables.
//! A model's name in a path is always one percent-encoded segment.

pub mod anthropic;
pub mod call;
pub mod cohere;
pub mod credentials;
pub mod endpoint;
pub mod family;
pub mod gemini;
pub mod kind;
pub mod openai;
pub mod passthrough;
#[cfg(test)]
mod tests;

pub use crate::api::family::feature::{Feature, Features};
pub use crate::api::family::{Api, Family};

/// Every family. The first that claims a path decides the shape of its errors, also where the path is not served.
pub const FAMILIES: [&Family; 4] = [&openai::FAMILY, &anthropic::FAMILY, &gemini::FAMILY, &cohere::FAMILY];
/// The family of a request that no family claims.
pub const DEFAULT_FAMILY: &Family = &openai::FAMILY;
