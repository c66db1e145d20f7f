//! TrueFoundry's OTEL Config: each endpoint that it names becomes a destination of the exporter.

use serde_json::{Map, Value, json};

use crate::import::common::error::ImportError;
use crate::import::common::host::Host;
use crate::import::common::keys::{Variables, is_secret_header};
use crate::import::common::notes::Notes;
use crate::import::common::value::{duration, number};
use crate::yaml::set;

/// Stands for an endpoint that is no URL.
const SET_ME: &str = "http://set-me.invalid";

pub(in crate::import) fn exporter(file: &Value, notes: &mut Notes) -> Result<Value, ImportError> {
    let mut found = Vec::new();
    find("", file, &mut found);
    let (metrics, traces): (Vec<_>, Vec<_>) = found.into_iter().partition(|(path, exporter)| {
        path.to_ascii_lowercase().contains("metric")
            || exporter["endpoint"].as_str().is_some_and(|endpoint| endpoint.ends_with("/v1/metrics"))
    });
    let (mut destinations, mut variables) = (Map::new(), Variables::default());
    for (path, exporter) in &traces {
        let name = match destinations.len() {
            0 => "imported".to_owned(),
            others => format!("imported-{}", others + 1),
        };
        if exporter["enabled"] == json!(false) {
            notes.add(
                path,
                "is switched off there; it is a destination here, take it out if it should stay off",
            );
        }
        destinations.insert(name, destination(path, exporter, &mut variables, notes));
    }
    if destinations.is_empty() {
        return Err(ImportError::Unknown(
            "no `endpoint` for traces was found; is this an OTEL Config?".to_owned(),
        ));
    }
    for (path, exporter) in metrics {
        let (endpoint, origin) = endpoint(&path, exporter, notes);
        // They go with the destination's headers, and so nowhere else than its spans do.
        let same = |destination: &&mut Value| {
            destination["endpoint"].as_str().and_then(Host::of).is_some_and(|host| host.origin == origin)
        };
        match destinations.values_mut().find(same) {
            Some(destination) => {
                set(destination, "metrics", endpoint);
                notes.add(&path, "metrics go with the protocol and headers of the destination at the same host");
            }
            None => notes.add(
                &path,
                "metrics go with the headers of a destination's spans, and no spans go to this host: left out",
            ),
        }
    }
    Ok(json!({"destinations": destinations}))
}

/// Every map that has an endpoint, with its path.
fn find<'a>(path: &str, value: &'a Value, found: &mut Vec<(String, &'a Value)>) {
    if value["endpoint"].is_string() {
        let path = if path.is_empty() { "the file" } else { path };
        return found.push((path.to_owned(), value));
    }
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                find(&path, value, found);
            }
        }
        Value::Array(list) => {
            list.iter()
                .enumerate()
                .for_each(|(index, value)| find(&format!("{path}[{index}]"), value, found));
        }
        _ => {}
    }
}

/// An endpoint without anything that could be a secret, and the origin that its secrets are bound to.
fn endpoint(path: &str, exporter: &Value, notes: &mut Notes) -> (String, String) {
    let written = exporter["endpoint"].as_str().unwrap_or_default();
    let at = format!("{path}.endpoint");
    match Host::of(written) {
        Some(host) => {
            if host.shortened {
                notes.add(&at, "credentials and queries of a URL stay behind; give them as `headers`");
            }
            (host.url, host.origin)
        }
        None => {
            notes.add(
                &at,
                &format!("is no URL that begins with http:// or https://; write one in place of {SET_ME}"),
            );
            (SET_ME.to_owned(), written.to_owned())
        }
    }
}

fn destination(path: &str, exporter: &Value, variables: &mut Variables, notes: &mut Notes) -> Value {
    let (endpoint, origin) = endpoint(path, exporter, notes);
    let mut ours = json!({"type": "otlp", "endpoint": endpoint});
    let kind = exporter["type"].as_str().unwrap_or_default();
    let protocol = match exporter["encoding"].as_str() {
        _ if kind.contains("grpc") || path.contains("grpc") => "grpc",
        Some("json") => "http/json",
        Some("proto") | None => "http/protobuf",
        Some(other) => {
            notes.add(
                &format!("{path}.encoding"),
                &format!("{other:?} is neither proto nor json; taken for proto"),
            );
            "http/protobuf"
        }
    };
    set(&mut ours, "protocol", protocol);
    let mut headers = Map::new();
    for (name, value) in exporter["headers"].as_object().into_iter().flatten() {
        let name = name.to_ascii_lowercase();
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if is_secret_header(&name, &text) {
            let variable = variables.own(&format!("{name}: {text}"), &origin, None, "OTLP", &name);
            notes.add(&format!("{path}.headers.{name}"), &format!("its value is a secret and stays behind; put it into the variable {variable} of the exporter's environment"));
            headers.insert(name, json!({"env": variable}));
        } else if let Some(value) = value.as_str() {
            headers.insert(name, json!(value));
        }
    }
    if !exporter["headers"].is_null() && !exporter["headers"].is_object() {
        notes.add(&format!("{path}.headers"), "are no map of names and values, and stay behind");
    }
    if !headers.is_empty() {
        set(&mut ours, "headers", headers);
    }
    if let Some(excluded) = exporter["exclude_request_data"].as_bool() {
        set(&mut ours, "exclude_request_data", excluded);
    }
    for field in ["additional_resource_attributes", "resource_attributes"] {
        if let Some(attributes) = exporter[field].as_object() {
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let attributes = attributes.iter().map(|(name, value)| (name.clone(), text(value)));
            set(&mut ours, "resource", attributes.collect::<Value>());
        }
    }
    if let Some(timeout) =
        number(&exporter["timeout"]).or_else(|| number(&exporter["timeout_seconds"])).and_then(duration)
    {
        set(&mut ours, "timeout", timeout);
    }
    match exporter["compression"].as_str() {
        Some(compression @ ("gzip" | "none")) => set(&mut ours, "compression", compression),
        Some(other) => notes.add(
            &format!("{path}.compression"),
            &format!("{other:?} is neither gzip nor none; the default is gzip"),
        ),
        None => {}
    }
    let known = "endpoint type encoding headers exclude_request_data additional_resource_attributes \
         resource_attributes timeout timeout_seconds compression enabled";
    notes.others(
        path,
        exporter,
        known,
        "has no equal here, or under another name: see `when` of a destination for filters",
    );
    ours
}
