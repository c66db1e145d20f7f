use std::collections::BTreeSet;

use serde_json::Value;

use super::*;

fn described() -> Value {
    serde_json::to_value(description()).unwrap()
}

#[test]
fn every_route_is_described_and_every_description_is_a_route() {
    // A route below /api is added with its description, or it would not be found here.
    for source in [include_str!("mod.rs"), include_str!("api/login.rs"), include_str!("api/destinations.rs")]
    {
        assert!(!source.contains(".route(\"/api"), "a route that nothing describes");
    }
    let described = described();
    let paths: BTreeSet<&str> = described["paths"].as_object().unwrap().keys().map(String::as_str).collect();
    assert_eq!(paths.len(), 20, "{paths:?}");
    for (path, operations) in described["paths"].as_object().unwrap() {
        assert!(path.starts_with("/api/"), "{path}");
        for (method, operation) in operations.as_object().unwrap() {
            assert!(!operation["summary"].as_str().unwrap().is_empty(), "{method} {path}");
            let responses = operation["responses"].as_object().unwrap();
            assert!(responses.contains_key("403") && responses.keys().any(|status| status.starts_with('2')));
            for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
                let schema = &response["content"]["application/json"]["schema"]["$ref"];
                assert_eq!(schema, "#/components/schemas/Errors", "{method} {path} {status}");
            }
            let parameters = operation["parameters"].as_array().cloned().unwrap_or_default();
            let own = parameters.iter().any(|one| one["name"] == "x-weir-page" && one["required"] == true);
            assert_eq!(own, method != "get", "{method} {path}");
        }
    }
}

#[test]
fn what_a_description_refers_to_is_there_and_nothing_else() {
    fn references(value: &Value, found: &mut BTreeSet<String>) {
        match value {
            Value::Object(map) => {
                found.extend(map.get("$ref").and_then(Value::as_str).map(str::to_owned));
                map.values().for_each(|value| references(value, found));
            }
            Value::Array(list) => list.iter().for_each(|value| references(value, found)),
            _ => {}
        }
    }
    let described = described();
    let mut found = BTreeSet::new();
    references(&described, &mut found);
    let schemas = described["components"]["schemas"].as_object().unwrap();
    let there: BTreeSet<_> = schemas.keys().map(|name| format!("#/components/schemas/{name}")).collect();
    assert_eq!(found, there);
}
