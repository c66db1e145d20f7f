//! Schemas that no type has of itself, for descriptions of JSON.

use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

/// A text that is one of these words.
pub fn one_of<const N: usize>(words: [&str; N]) -> Object {
    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).build()
}
