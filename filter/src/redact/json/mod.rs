//! Redaction of JSON: which strings are content, at which depth, and what replaces them.

pub mod body;
mod depths;
pub mod fields;
mod keys;
pub mod nesting;
