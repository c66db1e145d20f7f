//! The APIs that callers may use, and what a call looks like at a provider.
//!
//! A call is known by its path against a fixed table, and what goes to a provider is written anew
//! from that table: no byte of the caller's path or query is copied into it, unless both provider and
//! key grant what is beyond the table. A model's name in a path is always one percent-encoded segment.

pub mod call;
pub mod credentials;
pub mod endpoint;
pub mod error_shape;
pub mod passage;
pub mod reading;
pub mod upstream;

pub use crate::api::call::{Api, Call, Family, NotServed};
pub use crate::api::passage::{Feature, Features, Passage};
pub use crate::api::upstream::{Kind, Settings};
