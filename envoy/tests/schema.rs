//! `gateway.schema.json` is what the types say, and says something of every field.
//!
//! `WEIR_UPDATE=1 cargo test -p weir-config --test schema` writes it anew.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use std::path::Path;

use weir_settings::schema::{Survey, is_current};

#[test]
fn the_kept_schema_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("gateway.schema.json");
    let current = is_current(&path, &weir_config::schema()).unwrap();
    assert!(current, "envoy/gateway.schema.json is stale: run `make generate`");
}

#[test]
fn every_field_and_every_type_has_a_description() {
    let survey = survey();
    assert!(survey.fields > 60, "{} fields", survey.fields);
    assert_eq!(survey.undescribed, [""; 0]);
}

#[test]
fn every_object_refuses_fields_that_it_does_not_know() {
    assert_eq!(survey().open, [""; 0]);
}

fn survey() -> Survey {
    Survey::of(&serde_json::from_str(&weir_config::schema()).unwrap(), "Gateway")
}
