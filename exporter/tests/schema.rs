//! `exporter.schema.json` is what the types say, and says something of every field.
//!
//! `WEIR_UPDATE=1 cargo test -p weir-exporter --test schema` writes it anew.

use std::{env, fs, path::Path};

use serde_json::Value;

#[test]
fn the_kept_schema_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("exporter.schema.json");
    let fresh = weir_exporter::config::schema();
    if env::var_os("WEIR_UPDATE").is_some() {
        fs::write(&path, &fresh).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == fresh, "exporter/exporter.schema.json is stale: run `make generate`");
}

#[test]
fn every_field_and_every_type_has_a_description() {
    let schema: Value = serde_json::from_str(&weir_exporter::config::schema()).unwrap();
    let (mut fields, mut missing) = (0, Vec::new());
    walk(&schema, "#", &mut |path, described| {
        fields += 1;
        if !described {
            missing.push(path.to_owned());
        }
    });
    assert!(fields > 80, "{fields} fields");
    assert_eq!(missing, [""; 0]);
}

/// Tells of each property and definition, with its path, whether it is described.
fn walk(schema: &Value, path: &str, tell: &mut impl FnMut(&str, bool)) {
    for keyword in ["properties", "$defs"] {
        for (name, field) in schema.get(keyword).and_then(Value::as_object).into_iter().flatten() {
            let says =
                |value: &Value| value["description"].as_str().is_some_and(|text| !text.trim().is_empty());
            // An enum's variant is an object of one field, and described as a whole.
            let is_variant = path.ends_with("/oneOf") && says(schema);
            tell(&format!("{path}/{name}"), says(field) || is_variant);
        }
    }
    match schema {
        Value::Object(map) => {
            map.iter().for_each(|(name, value)| walk(value, &format!("{path}/{name}"), tell));
        }
        Value::Array(values) => values.iter().for_each(|value| walk(value, path, tell)),
        _ => {}
    }
}

#[test]
fn every_object_refuses_fields_that_it_does_not_know() {
    let schema: Value = serde_json::from_str(&weir_exporter::config::schema()).unwrap();
    let definitions = schema["$defs"].as_object().unwrap().iter();
    for (name, definition) in definitions.chain([(&"Config".to_owned(), &schema)]) {
        if definition.get("properties").is_some() {
            assert_eq!(definition["additionalProperties"], false, "{name}");
        }
    }
}
