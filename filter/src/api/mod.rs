//! The APIs that callers may use, and what a call looks like at a provider.
//!
//! A call is known by its path against a fixed table, and what goes to a provider is written anew
//! from that table: no byte of the caller's path or query is copied into it, unless both provider and
//! key grant what is beyond the table. A model's name in a path is always one percent-encoded segment.

pub mod call;
pub mod credentials;
pub mod error_shape;
pub mod passage;
pub mod upstream;

pub use call::{Api, Call, Family, NotServed};
pub use passage::{Feature, Features, Passage};
pub use upstream::{Kind, Settings};
