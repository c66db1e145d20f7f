//! JSON schemas of configurations, made from the types that read them: their doc comments are the descriptions.
//!
//! What a schema cannot say (names that must exist, fields that go together) is checked by the crates alone.

use std::{env, fs, io, path::Path};

use schemars::transform::{Transform, transform_subschemas};
use schemars::{JsonSchema, Schema, generate::SchemaSettings};
use serde_json::Value;

/// The schema (JSON Schema 2020-12) of a file as indented JSON, with a line break at its end.
pub fn schema<T: JsonSchema>(file: &str) -> String {
    let generator = SchemaSettings::draft2020_12().with_transform(Unwrapped).into_generator();
    let mut schema = generator.into_root_schema_for::<T>();
    schema.insert("title".to_owned(), file.into());
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

/// Whether a generated file holds what it has to, for the test that compares them. Writes it first where
/// `WEIR_UPDATE` is set, as `make generate` sets it.
pub fn is_current(file: &Path, fresh: &str) -> io::Result<bool> {
    if env::var_os("WEIR_UPDATE").is_some() {
        fs::write(file, fresh)?;
    }
    Ok(fs::read_to_string(file)? == fresh)
}

/// What the tests of a schema look for.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// How many properties and definitions there are.
    pub fields: usize,
    /// The paths of those without a description.
    pub undescribed: Vec<String>,
    /// The names of the types that take fields they do not know.
    pub open: Vec<String>,
}

impl Survey {
    /// Surveys a schema whose root is the type of this name.
    pub fn of(schema: &Value, root: &str) -> Self {
        let mut survey = Self::default();
        survey.walk(schema, "#");
        let definitions = schema["$defs"].as_object().into_iter().flatten();
        for (name, definition) in definitions.map(|(name, it)| (name.as_str(), it)).chain([(root, schema)]) {
            if definition.get("properties").is_some() && definition["additionalProperties"] != false {
                survey.open.push(name.to_owned());
            }
        }
        survey
    }

    fn walk(&mut self, schema: &Value, path: &str) {
        let is_described =
            |value: &Value| value["description"].as_str().is_some_and(|text| !text.trim().is_empty());
        for keyword in ["properties", "$defs"] {
            for (name, field) in schema.get(keyword).and_then(Value::as_object).into_iter().flatten() {
                self.fields += 1;
                // An enum's variant is an object of one field, and described as a whole.
                let is_variant = path.ends_with("/oneOf") && is_described(schema);
                if !is_variant && !is_described(field) {
                    self.undescribed.push(format!("{path}/{name}"));
                }
            }
        }
        match schema {
            Value::Object(map) => {
                map.iter().for_each(|(name, value)| self.walk(value, &format!("{path}/{name}")));
            }
            Value::Array(values) => values.iter().for_each(|value| self.walk(value, path)),
            _ => {}
        }
    }
}
