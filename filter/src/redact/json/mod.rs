//! Redaction of JSON: which strings are content, at which depth, and what takes their place.

pub mod body;
pub mod fields;
mod keys;
pub mod nesting;
