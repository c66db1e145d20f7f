//! `docs/settings-gateway.md` is what the types say.
//!
//! `WEIR_UPDATE=1 cargo test -p weir-config --test settings` writes it anew.

#![allow(
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice,
    clippy::unwrap_used,
    reason = "tests fail by panicking"
)]

use std::path::Path;

use serde_json::Value;
use weir_settings::schema::is_current;

#[test]
fn the_kept_reference_is_what_the_types_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/settings-gateway.md");
    let current = is_current(&path, &weir_config::settings()).unwrap();
    assert!(current, "docs/settings-gateway.md is stale: run `make generate`");
}

#[test]
fn every_field_of_the_schema_is_in_the_reference() {
    let schema: Value = serde_json::from_str(&weir_config::schema()).unwrap();
    let text = weir_config::settings();
    let definitions = schema["$defs"].as_object().unwrap().values().chain([&schema]);
    for name in
        definitions.filter_map(|definition| definition["properties"].as_object()).flat_map(|it| it.keys())
    {
        assert!(text.contains(&format!("`{name}`")) || text.contains(&format!("`{name}:`")), "{name}");
    }
}
