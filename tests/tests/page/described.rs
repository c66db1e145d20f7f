//! What the page serves, held against what `/api/openapi.json` says of it.

use reqwest::Method;
use serde_json::{Map, Value, json};
use weir_tests::callers::source::Source;

use crate::rig::{Rig, SEALING, settings};

/// The description.
struct Description(Value);

impl Description {
    /// The schema of a response.
    fn of(&self, method: &Method, path: &str, status: u16) -> &Value {
        let operation = &self.0["paths"][path][method.as_str().to_lowercase()];
        let response = &operation["responses"][status.to_string()];
        let schema = &response["content"]["application/json"]["schema"];
        assert!(schema.is_object(), "{method} {path} {status} is not described");
        schema
    }

    fn resolved<'s>(&'s self, schema: &'s Value) -> &'s Value {
        match schema["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.trim_start_matches('#')).expect("a schema"),
            None => schema,
        }
    }

    /// The members that a schema describes, those of its parts included.
    fn members<'s>(&'s self, schema: &'s Value, all: &mut Map<String, Value>) {
        let schema = self.resolved(schema);
        all.extend(schema["properties"].as_object().cloned().unwrap_or_default());
        schema["allOf"].as_array().into_iter().flatten().for_each(|part| self.members(part, all));
    }

    /// Why a value is not as its schema says.
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = self.resolved(schema);
        let wrong = |why: &str| Err(format!("{at}: {why}: {value} by {schema}"));
        if let Some(words) = schema["enum"].as_array()
            && !words.contains(value)
        {
            return wrong("none of the words");
        }
        let types: Vec<&str> = match &schema["type"] {
            Value::Array(types) => types.iter().filter_map(Value::as_str).collect(),
            one => one.as_str().into_iter().collect(),
        };
        let is = |name: &&str| match *name {
            "null" => value.is_null(),
            "boolean" => value.is_boolean(),
            "integer" => value.is_i64() || value.is_u64(),
            "number" => value.is_number(),
            "string" => value.is_string(),
            "array" => value.is_array(),
            _ => value.is_object(),
        };
        if !types.is_empty() && !types.iter().any(is) {
            return wrong("another type");
        }
        if let Some(ways) = schema["oneOf"].as_array()
            && ways.iter().filter(|way| self.check(way, value, at).is_ok()).count() != 1
        {
            return wrong("not one of the ways");
        }
        for part in schema["allOf"].as_array().into_iter().flatten() {
            self.part(part, value, at)?;
        }
        for (place, item) in value.as_array().into_iter().flatten().enumerate() {
            self.check(&schema["items"], item, &format!("{at}/{place}"))?;
        }
        self.part(schema, value, at)?;
        let mut known = Map::new();
        self.members(schema, &mut known);
        // A state has its report's members beside its own, where there is a report.
        if let Some(fields) = value.as_object().filter(|_| !known.is_empty() && !at.ends_with("/state")) {
            for name in fields.keys() {
                if !known.contains_key(name) {
                    return wrong(&format!("{name} is not described"));
                }
            }
        }
        Ok(())
    }

    /// The members that a schema itself names.
    fn part(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let schema = self.resolved(schema);
        for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
            if value.get(name).is_none() {
                return Err(format!("{at}: {name} is missing in {value}"));
            }
        }
        for (name, schema) in schema["properties"].as_object().into_iter().flatten() {
            if let Some(member) = value.get(name) {
                self.check(schema, member, &format!("{at}/{name}"))?;
            }
        }
        Ok(())
    }
}

#[tokio::test]
async fn every_response_is_as_it_is_described() {
    let rig = Rig::start(&[("WEIR_SETTINGS_KEY", SEALING)]).await;
    let batch = Source::new().batch(3);
    rig.backend.poison([batch.ids[1].clone()], 400);
    batch.store(&rig.exporter.url()).await;
    rig.wait_for("/api/ledger", |ledger| ledger["dead_letters"] == 1).await;
    let traces = rig.wait_for("/api/traces", |traces| traces["matching"] == 3).await;
    let id = traces["requests"][0]["id"].as_str().expect("an id").to_owned();
    let number = rig.get("/api/dead-letters").await["letters"][0]["number"].as_u64().expect("a number");
    let description = Description(rig.get("/api/openapi.json").await);

    let (get, post, put, delete) = (Method::GET, Method::POST, Method::PUT, Method::DELETE);
    let none = Value::Null;
    let new = json!({ "revision": null, "settings": settings(&rig.backend.url()), "secrets": {} });
    let stale = json!({ "revision": 7, "settings": settings(&rig.backend.url()), "secrets": {} });
    let letters = json!({ "destination": "otlp", "up_to": number });
    let one = format!("/api/dead-letters/{number}");
    let asked = [
        (&get, "/api/session", "", &none, 200),
        (&get, "/api/overview", "", &none, 200),
        (&get, "/api/ledger", "", &none, 200),
        (&get, "/api/traces", "?limit=2", &none, 200),
        (&get, "/api/traces", "?colour=red", &none, 400),
        (&get, "/api/traces/{id}", id.as_str(), &none, 200),
        (&get, "/api/traces/{id}", "none", &none, 404),
        (&get, "/api/traces/{id}/otlp", id.as_str(), &none, 200),
        (&get, "/api/dead-letters", "?limit=1", &none, 200),
        (&get, "/api/dead-letters", "?destination=a.b", &none, 400),
        (&get, "/api/dead-letters/{number}", one.as_str(), &none, 200),
        (&get, "/api/dead-letters/{number}", "first", &none, 400),
        (&get, "/api/destinations", "", &none, 200),
        (&put, "/api/destinations/{name}", "saved", &new, 200),
        (&put, "/api/destinations/{name}", "saved", &stale, 409),
        (&put, "/api/destinations/{name}", "saved", &letters, 422),
        (&put, "/api/destinations/{name}", "otlp", &new, 403),
        (&post, "/api/destinations/test", "", &json!({ "name": "otlp" }), 200),
        (&post, "/api/destinations/test", "", &json!({ "name": "none" }), 404),
        (&delete, "/api/destinations/{name}", "saved", &none, 422),
        (&get, "/api/policy", "", &none, 200),
        (&put, "/api/policy", "", &json!({ "revision": 9, "switch": "off" }), 409),
        (&put, "/api/policy", "", &json!({ "revision": 0, "switch": "exclude" }), 200),
        (&get, "/api/audit", "?limit=3", &none, 200),
        (&post, "/api/dead-letters/replay", "", &json!({ "destination": "otlp" }), 422),
        (&post, "/api/dead-letters/replay", "", &letters, 200),
    ];
    for (method, path, more, body, status) in asked {
        let place = match path.split_once('{') {
            Some((_, rest)) => {
                let more = more.rsplit('/').next().expect("a part");
                path.replace(&format!("{{{}", rest.split('/').next().expect("a name")), more)
            }
            None => format!("{path}{more}"),
        };
        let request = rig.ask(method.clone(), &place);
        let request = if body.is_null() { request } else { request.body(body.to_string()) };
        let response = request.send().await.expect("a response");
        assert_eq!(response.status().as_u16(), status, "{method} {place}");
        assert_eq!(response.headers()["content-type"], "application/json", "{method} {place}");
        let body: Value = serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON");
        let schema = description.of(method, path, status);
        description.check(schema, &body, path).unwrap_or_else(|why| panic!("{method} {place}: {why}"));
    }
}
