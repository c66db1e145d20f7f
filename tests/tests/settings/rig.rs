//! Exporters whose destinations are made on the page.

use std::ffi::OsString;

use async_nats::jetstream::{self, kv};
use serde_json::{Value, json};
use weir_tests::{
    callers::client,
    fakes::otlp::Endpoint,
    stack::{
        exporter::{Exporter, Options},
        nats::Nats,
    },
    system::wait,
};

/// A secret that is found nowhere that it must not be.
pub const SECRET: &str = "canary-key-0123456789";

/// What secrets are sealed with in most tests.
pub const SEALING_KEY: &str = "c2VhbGluZyBrZXkgb2YgdGVzdHMsIDMyIGJ5dGVzISE=";

/// Short batches and pauses, and no destination but those of the page.
pub const QUICK: &str = "batch: { events: 64, delay: 20ms }
retry: { first: 20ms, longest: 200ms, slow: 300ms }
stream: { max_bytes: 256MiB }
";

/// No destination of the configuration.
pub const NONE: &str = "destinations: {}\n";

/// An exporter with this configuration and this sealing key.
pub async fn exporter(nats: &Nats, config: &str, key: Option<&str>) -> Exporter {
    part(nats, "run", config, key).await
}

/// The same of a part of it, ready as soon as it lives.
pub async fn part(nats: &Nats, role: &str, config: &str, key: Option<&str>) -> Exporter {
    let env: Vec<(String, OsString)> =
        key.into_iter().map(|key| ("WEIR_SETTINGS_KEY".to_owned(), key.into())).collect();
    let config = format!("{QUICK}{config}");
    let unready = role != "run";
    let options =
        Options { config: Some(&config), env: &env, role: Some(role), unready, ..Options::default() };
    Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"))
}

pub async fn nats() -> Nats {
    Nats::start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// The bucket of settings, as whoever reaches NATS sees it.
pub async fn bucket(nats: &Nats) -> kv::Store {
    let client = async_nats::connect(nats.url()).await.expect("a connection");
    jetstream::new(client).get_key_value("WEIR_SETTINGS").await.expect("the bucket")
}

/// Asks the page: the status and the answer.
pub async fn ask(exporter: &Exporter, method: &str, path: &str, body: Option<Value>) -> (u16, Value) {
    let method = method.parse().expect("a method");
    let mut request = client::http().request(method, exporter.page(path)).header("x-weir-page", "1");
    if let Some(body) = body {
        request = request.header("content-type", "application/json").body(body.to_string());
    }
    let response = request.send().await.expect("an answer");
    let status = response.status().as_u16();
    let text = response.text().await.expect("a body");
    assert!(!text.contains(SECRET), "{text}");
    (status, serde_json::from_str(&text).unwrap_or_else(|_| panic!("{status}: {text}")))
}

pub async fn get(exporter: &Exporter, path: &str) -> Value {
    let (status, answer) = ask(exporter, "GET", path, None).await;
    assert_eq!(status, 200, "{answer}");
    answer
}

/// Saves a destination.
pub async fn save(exporter: &Exporter, name: &str, body: Value) -> (u16, Value) {
    ask(exporter, "PUT", &format!("/api/destinations/{name}"), Some(body)).await
}

/// Saves it, and it is taken.
pub async fn saved(exporter: &Exporter, name: &str, body: Value) -> u64 {
    let (status, answer) = save(exporter, name, body).await;
    assert_eq!(status, 200, "{answer}\n{}", exporter.process.log_end());
    answer["revision"].as_u64().expect("a revision")
}

/// A new destination at this backend, with a secret header.
pub fn secretive(backend: &Endpoint) -> Value {
    json!({
        "revision": null,
        "settings": { "type": "otlp", "endpoint": backend.url(), "timeout": "1s" },
        "secrets": { "headers.x-api-key": { "set": SECRET } },
    })
}

/// A destination as an exporter lists it.
pub async fn listed(exporter: &Exporter, name: &str) -> Option<Value> {
    let all = get(exporter, "/api/destinations").await;
    all["destinations"].as_array().expect("a list").iter().find(|one| one["name"] == name).cloned()
}

/// Waits until a destination is listed like this.
pub async fn lists(
    exporter: &Exporter,
    name: &str,
    passes: impl Fn(Option<&Value>) -> bool,
) -> Option<Value> {
    let found = wait::poll(wait::DEADLINE, || async {
        let found = listed(exporter, name).await;
        passes(found.as_ref()).then_some(found)
    });
    match found.await {
        Some(found) => found,
        None => panic!("{name} is {:?}\n{}", listed(exporter, name).await, exporter.process.log_end()),
    }
}
