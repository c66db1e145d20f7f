//! Bad input is refused or told beside the field that caused it, and nothing of it is saved.

use serde_json::{Map, Value, json};
use weir_tests::{
    fakes::otlp::{Endpoint, Reply},
    system::ports,
};

use super::rig::{NONE, SEALING_KEY, SECRET, ask, exporter, get, nats, save};

#[tokio::test(flavor = "multi_thread")]
async fn each_bad_input_is_refused_beside_its_field_and_nothing_is_saved() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let exporter = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let at = |url: &str| json!({ "type": "otlp", "endpoint": url });
    let with = |more: Value| {
        let mut all = at(&backend.url());
        for (name, value) in more.as_object().expect("fields") {
            all[name] = value.clone();
        }
        all
    };
    let many: Map<String, Value> = (0..10_000).map(|n| (format!("x-{n}"), json!("v"))).collect();
    let secrets: Map<String, Value> =
        (0..10_000).map(|n| (format!("headers.x-{n}"), json!({ "set": SECRET }))).collect();
    let newline = json!({ "key": { "set": format!("{SECRET}\n") } });
    let split = json!({ "headers.x-a": { "set": format!("{SECRET}\r\nx-evil: 1") } });
    for (name, settings, secrets, field) in [
        ("d", at("not a url"), json!({}), "endpoint"),
        ("d", at("ftp://h/"), json!({}), "endpoint"),
        ("d", at("https://user:pass@h/"), json!({}), "endpoint"),
        ("d", at("http://169.254.169.254/latest/meta-data"), json!({}), "endpoint"),
        ("d", at("http://[fe80::1]:4318/v1/traces"), json!({}), "endpoint"),
        ("d", at("http://[::ffff:a9fe:a9fe]/"), json!({}), "endpoint"),
        ("d", at("http://metadata.google.internal/"), json!({}), "endpoint"),
        ("d", with(json!({ "headers": many })), json!({}), "headers"),
        ("d", at(&backend.url()), Value::Object(secrets), "headers"),
        ("d", with(json!({ "headers": { "authorization": SECRET } })), json!({}), "headers.authorization"),
        ("d", with(json!({ "headers": { "x-a": { "env": "PATH" } } })), json!({}), "headers.x-a"),
        ("d", at(&backend.url()), split, "headers.x-a"),
        ("d", with(json!({ "unknown": 1 })), json!({}), "unknown"),
        ("d", with(json!({ "when": { "status": "6xx" } })), json!({}), "when.status"),
        ("d", with(json!({ "batch": { "delay": "soon" } })), json!({}), "batch.delay"),
        ("d", with(json!({ "metrics": "http://elsewhere.example/v1/metrics" })), json!({}), "metrics"),
        ("d", json!({ "type": "middleware", "tenant": "acme" }), newline, "key"),
        ("d", json!({ "type": "middleware", "tenant": "acme" }), json!({}), "key"),
        ("d", json!({ "type": "middleware", "tenant": "acme" }), json!({ "key": SECRET }), "key"),
        ("d", json!({ "type": "middleware", "tenant": "acme" }), json!({ "key": "keep" }), "key"),
        ("d", json!({ "type": "file", "path": "/tmp/x" }), json!({}), "type"),
        ("a.b", at(&backend.url()), json!({}), "name"),
    ] {
        let body = json!({ "revision": null, "settings": settings, "secrets": secrets });
        let (status, answer) = save(&exporter, name, body).await;
        let shown = settings.to_string();
        let shown = shown.get(..200).unwrap_or(&shown);
        assert_eq!(status, 422, "{shown} {answer}");
        let told = answer["error"]["field"].as_str().unwrap_or("name");
        let message = answer["error"]["message"].to_string();
        assert_eq!(told, field, "{shown}: {answer}");
        assert!(message.len() > 10 && !message.contains("destinations.d"), "{answer}");
    }
    for body in
        ["", "[]", "{", r#"{"settings": 5}"#, r#"{"revision": "1", "settings": {}}"#, r#"{"sets": 1}"#]
    {
        let request = weir_tests::callers::client::http().put(exporter.page("/api/destinations/d"));
        let response = request.header("x-weir-page", "1").body(body).send().await.expect("an answer");
        assert_eq!(response.status().as_u16(), 422, "{body}");
    }
    assert_eq!(get(&exporter, "/api/destinations").await["destinations"], json!([]));
    assert_eq!(get(&exporter, "/api/audit").await["entries"], json!([]));
    assert!(!exporter.process.log().contains(SECRET));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_may_be_saved_and_is_yet_doubtful_is_warned_of_beside_its_field() {
    let nats = nats().await;
    let exporter = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let body = |url: &str| {
        json!({
            "revision": null, "settings": { "type": "otlp", "endpoint": url, "proxy_from_environment": false },
            "secrets": { "headers.x-api-key": { "set": SECRET } },
        })
    };
    let (status, answer) = save(&exporter, "clear", body("http://192.0.2.1:4318/v1/traces")).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["warnings"][0]["field"], "endpoint");
    assert!(answer["warnings"][0]["message"].to_string().contains("plain http"), "{answer}");
    let (status, answer) = save(&exporter, "nowhere", body("https://nowhere.invalid/v1/traces")).await;
    assert_eq!(status, 200, "{answer}");
    assert!(answer["warnings"][0]["message"].to_string().contains("no address"), "{answer}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_test_says_in_words_what_came_back_follows_nothing_and_saves_nothing() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let exporter = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let test = async |url: &str| {
        let draft = json!({
            "name": "d", "revision": null,
            "settings": { "type": "otlp", "endpoint": url, "timeout": "2s", "proxy_from_environment": false },
            "secrets": { "headers.authorization": { "set": format!("Bearer {SECRET}") } },
        });
        ask(&exporter, "POST", "/api/destinations/test", Some(draft)).await
    };
    let (status, answer) = test(&backend.url()).await;
    assert_eq!((status, &answer["ok"], &answer["status"]), (200, &json!(true), &json!(200)), "{answer}");
    assert!(answer["latency_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{answer}");
    assert_eq!(backend.headers()["authorization"], format!("Bearer {SECRET}"));
    for (reply, says, field) in [
        (Reply::status(401), "Check the key or the headers", "headers"),
        (Reply::Redirect, "redirects, which is not followed", "endpoint"),
        (Reply::status(404), "Check the endpoint's path", "endpoint"),
        (Reply::status(503), "That may pass", "endpoint"),
        (Reply::Nothing, "no answer in time", "endpoint"),
    ] {
        let before = backend.requests();
        backend.answer_next([reply.clone()]);
        let (status, answer) = test(&backend.url()).await;
        assert_eq!(
            (status, &answer["ok"], &answer["field"]),
            (200, &json!(false), &json!(field)),
            "{answer}"
        );
        assert!(answer["words"].to_string().contains(says), "{reply:?}: {answer}");
        assert_eq!(backend.requests(), before + 1, "{reply:?}: one request, and none where it leads");
    }
    // An endpoint that repeats what it got, at length: 512 bytes of it, and our key is not among them.
    let echo = axum::Router::new().fallback(|headers: axum::http::HeaderMap| async move {
        let key = headers.get("authorization").and_then(|key| key.to_str().ok()).unwrap_or_default();
        (axum::http::StatusCode::FORBIDDEN, format!("no: {key} {}", "x".repeat(100_000)))
    });
    let echo = weir_tests::fakes::server::Server::start(echo).await;
    let (_, answer) = test(&format!("http://{}/v1/traces", echo.address())).await;
    let said = answer["said"].as_str().expect("what it said");
    assert!(said.len() <= 512 && said.starts_with("no: [withheld]"), "{answer}");
    // TLS that is none, nobody there, no such name.
    let (_, answer) = test(&backend.url().replace("http://", "https://")).await;
    assert!(answer["words"].to_string().contains("TLS"), "{answer}");
    assert_eq!(answer["field"], "endpoint");
    let nobody = format!("http://127.0.0.1:{}/v1/traces", ports::free().expect("a port"));
    let (_, answer) = test(&nobody).await;
    assert!(answer["words"].to_string().contains("refused"), "{answer}");
    let (_, answer) = test("https://nowhere.invalid/v1/traces").await;
    assert!(answer["words"].to_string().contains("no address"), "{answer}");
    for forbidden in ["http://169.254.169.254/", "http://metadata.google.internal/", "http://[fe80::1]/"] {
        let (status, answer) = test(forbidden).await;
        assert_eq!((status, &answer["error"]["field"]), (422, &json!("endpoint")), "{answer}");
    }
    assert_eq!(get(&exporter, "/api/destinations").await["destinations"], json!([]));
}
