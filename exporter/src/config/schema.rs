//! The JSON schema of exporter.yaml, made from the types that read it: their doc comments are its
//! descriptions.

use schemars::{
    Schema,
    generate::SchemaSettings,
    transform::{Transform, transform_subschemas},
};
use serde_json::Value;

use super::wire::Config;

/// The schema (JSON Schema 2020-12) as indented JSON, with a line break at its end.
pub fn schema() -> String {
    let generator = SchemaSettings::draft2020_12().with_transform(Unwrapped).into_generator();
    let mut schema = generator.into_root_schema_for::<Config>();
    schema.insert("title".to_owned(), "exporter.yaml".into());
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
