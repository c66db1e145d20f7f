//! `GET /api/openapi.json`: what `/api` is, kept by hand in one file and held against the routes by a test.

use axum::{
    http::header::CONTENT_TYPE,
    response::{IntoResponse as _, Response},
};

/// The description (OpenAPI 3.1).
const DESCRIPTION: &str = include_str!("openapi.json");

/// `GET /api/openapi.json`.
pub(in crate::page) async fn openapi() -> Response {
    ([(CONTENT_TYPE, "application/json")], DESCRIPTION).into_response()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;

    /// The paths of routes in a source file.
    fn routes(source: &str) -> BTreeSet<String> {
        let parts = source.split(".route(\"").skip(1).filter_map(|rest| rest.split('"').next());
        parts.filter(|path| path.starts_with("/api/")).map(str::to_owned).collect()
    }

    #[test]
    fn every_route_is_described_and_every_description_is_a_route() {
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let described: BTreeSet<String> = description["paths"].as_object().unwrap().keys().cloned().collect();
        let settings = [
            "/api/destinations",
            "/api/destinations/test",
            "/api/destinations/{name}",
            "/api/policy",
            "/api/audit",
        ];
        let mut there = routes(include_str!("../mod.rs"));
        there.extend(settings.map(str::to_owned));
        assert_eq!(described, there);
    }

    #[test]
    fn what_a_description_refers_to_is_there() {
        fn references(value: &Value, found: &mut Vec<String>) {
            match value {
                Value::Object(map) => {
                    found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                    map.values().for_each(|value| references(value, found));
                }
                Value::Array(list) => list.iter().for_each(|value| references(value, found)),
                _ => {}
            }
        }
        let description: Value = serde_json::from_str(DESCRIPTION).unwrap();
        let mut found = Vec::new();
        references(&description, &mut found);
        assert!(found.len() > 20);
        for reference in found {
            let pointer = reference.strip_prefix('#').unwrap();
            assert!(description.pointer(pointer).is_some(), "{reference}");
        }
    }
}
