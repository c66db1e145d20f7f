//! The JSON schema of gateway.yaml, made from the types that read it.
//!
//! Their doc comments are its descriptions. What a schema cannot say (names that must exist, fields
//! that go together) is checked by `weir-config check` alone.

use schemars::Schema;
use schemars::generate::SchemaSettings;
use schemars::transform::{Transform, transform_subschemas};
use serde_json::Value;

use crate::Gateway;

/// The schema (JSON Schema 2020-12) as indented JSON, with a line break at its end.
pub fn schema() -> String {
    let generator = SchemaSettings::draft2020_12().with_transform(Unwrapped).into_generator();
    let mut schema = generator.into_root_schema_for::<Gateway>();
    schema.insert("title".to_owned(), "gateway.yaml".into());
    // A schema is a JSON value in another coat; writing one cannot fail.
    format!("{:#}\n", schema.to_value())
}

/// Makes paragraphs of descriptions that are wrapped as the source is.
#[derive(Clone)]
struct Unwrapped;

impl Transform for Unwrapped {
    fn transform(&mut self, schema: &mut Schema) {
        if let Some(Value::String(description)) = schema.get_mut("description") {
            let paragraphs: Vec<String> =
                description.split("\n\n").map(|paragraph| paragraph.replace('\n', " ")).collect();
            *description = paragraphs.join("\n\n");
        }
        transform_subschemas(self, schema);
    }
}
