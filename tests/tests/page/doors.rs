//! Who is let in: nobody without the token, from another origin, under a foreign name, or on an old revision.

use std::net::SocketAddr;

use reqwest::Method;
use serde_json::json;
use weir_tests::{
    callers::client,
    stack::{
        exporter::{Exporter, Options},
        nats::Nats,
    },
    system::{probe, wait},
};

use crate::rig::{Rig, SEALING, TOKEN, json_of, settings, status_of};

/// Everything of `/api` that tells or changes something, one each.
const DOORS: [(&str, &str); 12] = [
    ("GET", "/api/overview"),
    ("GET", "/api/ledger"),
    ("GET", "/api/traces"),
    ("GET", "/api/events"),
    ("GET", "/api/dead-letters"),
    ("POST", "/api/dead-letters/1/replay"),
    ("DELETE", "/api/dead-letters/1"),
    ("GET", "/api/destinations"),
    ("PUT", "/api/destinations/mw"),
    ("POST", "/api/destinations/test"),
    ("PUT", "/api/policy"),
    ("GET", "/api/audit"),
];

fn method(name: &str) -> Method {
    name.parse().expect("a method")
}

#[tokio::test]
async fn without_the_token_nothing_is_told_and_nothing_changed() {
    let rig = Rig::start(&[("WEIR_PAGE_TOKEN", TOKEN)]).await;
    for (verb, path) in DOORS {
        let status = status_of(rig.ask(method(verb), path).body(json!({}).to_string())).await;
        assert_eq!(status, 401, "{verb} {path}");
        let wrong =
            rig.ask(method(verb), path).bearer_auth("not-the-token-at-all").body(json!({}).to_string());
        assert!(matches!(status_of(wrong).await, 401 | 429), "{verb} {path}");
    }
    // By now this address has to wait, also with the right one.
    let right = rig.ask(Method::GET, "/api/overview").bearer_auth(TOKEN).send().await.expect("an answer");
    assert_eq!(right.status(), 429);
    assert!(right.headers().contains_key("retry-after"));
    let log = rig.exporter.process.log();
    assert!(!log.contains(TOKEN), "the token is in the log");
}

#[tokio::test]
async fn a_session_is_a_cookie_that_no_script_and_no_other_site_has_and_ends_with_the_logout() {
    let rig = Rig::start(&[("WEIR_PAGE_TOKEN", TOKEN)]).await;
    let login = |token: &str| {
        rig.ask(Method::POST, "/api/login").body(json!({ "token": token, "name": "Ada" }).to_string())
    };
    assert_eq!(status_of(login("not-the-token-at-all")).await, 401);
    let answer = login(TOKEN).send().await.expect("an answer");
    assert_eq!(answer.status(), 204);
    let cookie = answer.headers()["set-cookie"].to_str().expect("text").to_owned();
    assert!(cookie.contains("; HttpOnly; SameSite=Strict;") && !cookie.contains(TOKEN), "{cookie}");
    let session = cookie.split(';').next().expect("a pair").to_owned();
    let with = |verb: Method, path: &str| rig.ask(verb, path).header("cookie", &session);
    assert_eq!(json_of(with(Method::GET, "/api/session")).await["name"], "Ada");
    assert_eq!(status_of(with(Method::GET, "/api/overview")).await, 200);
    assert_eq!(status_of(with(Method::POST, "/api/logout")).await, 204);
    assert_eq!(status_of(with(Method::GET, "/api/overview")).await, 401);
}

#[tokio::test]
async fn under_a_foreign_host_or_from_another_origin_loopback_answers_nothing() {
    let rig = Rig::start(&[]).await;
    let own = format!("http://127.0.0.1:{}", rig.exporter.page_port);
    assert_eq!(status_of(rig.ask(Method::GET, "/api/overview").header("origin", &own)).await, 200);
    for (verb, path) in DOORS.into_iter().chain([("GET", "/"), ("GET", "/assets/app.js")]) {
        let evil = rig.ask(method(verb), path).header("host", "evil.example").body(json!({}).to_string());
        assert_eq!(status_of(evil).await, 403, "{verb} {path} under a foreign host");
        for origin in ["http://evil.example", "null", "http://127.0.0.1:1"] {
            let evil = rig.ask(method(verb), path).header("origin", origin).body(json!({}).to_string());
            assert_eq!(status_of(evil).await, 403, "{verb} {path} from {origin}");
        }
    }
    // What a form of any site can send: no header of ours, no preflight.
    let form = client::http()
        .post(rig.exporter.page("/api/dead-letters/1/replay"))
        .header("content-type", "text/plain");
    assert_eq!(status_of(form).await, 403);
    let two =
        b"GET /api/overview HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n";
    let answer = client::raw(SocketAddr::from(([127, 0, 0, 1], rig.exporter.page_port)), two).await;
    assert!(answer.starts_with(b"HTTP/1.1 400"), "{}", String::from_utf8_lossy(&answer));
}

#[tokio::test]
async fn every_answer_forbids_what_the_page_does_not_need() {
    let rig = Rig::start(&[]).await;
    for path in ["/", "/assets/app.js", "/api/overview", "/no-such-thing"] {
        let answer = rig.ask(Method::GET, path).send().await.expect("an answer");
        let header =
            |name: &str| answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default();
        let policy = header("content-security-policy");
        assert!(
            policy.starts_with("default-src 'none'; script-src 'self'; style-src 'self';"),
            "{path}: {policy}"
        );
        assert!(!policy.contains("unsafe") && !policy.contains("http"), "{path}: {policy}");
        assert_eq!(header("x-content-type-options"), "nosniff");
        assert_eq!(header("x-frame-options"), "DENY");
        assert_eq!(header("cache-control") == "no-store", path.starts_with("/api"), "{path}");
        assert_eq!(header("access-control-allow-origin"), "");
    }
}

#[tokio::test]
async fn of_two_who_change_a_destination_the_second_is_told_and_a_sealed_key_goes_to_no_other_host() {
    let rig = Rig::start(&[("WEIR_SETTINGS_KEY", SEALING)]).await;
    let put = |revision: &serde_json::Value, settings: serde_json::Value, secret: serde_json::Value| {
        let secrets = json!({ "headers.x-api-key": secret });
        let body = json!({ "revision": revision, "settings": settings, "secrets": secrets });
        rig.ask(Method::PUT, "/api/destinations/second").body(body.to_string())
    };
    let url = rig.backend.url();
    let first =
        json_of(put(&json!(null), settings(&url), json!({ "set": "canary-of-the-key" }))).await["revision"]
            .clone();
    let second = json_of(put(&first, settings(&url), json!("keep"))).await["revision"].clone();
    let stale = put(&first, settings(&url), json!("keep")).send().await.expect("an answer");
    assert_eq!(stale.status(), 409);
    let body = stale.text().await.expect("text");
    assert!(body.contains("\"current\"") && !body.contains("canary-of-the-key"), "{body}");
    let moved = put(&second, settings("http://127.0.0.1:9/v1/traces"), json!("keep"));
    assert_eq!(status_of(moved).await, 422, "a kept secret for another port");
    let moved = rig.ask(Method::POST, "/api/destinations/test").body(
        json!({
            "name": "second", "revision": second, "settings": settings("http://127.0.0.1:9/v1/traces"),
            "secrets": { "headers.x-api-key": "keep" },
        })
        .to_string(),
    );
    let answer = moved.send().await.expect("an answer");
    assert!(answer.status() == 422 || !answer.text().await.expect("text").contains("canary"));
    let listed = rig.get("/api/destinations").await.to_string();
    assert!(!listed.contains("canary-of-the-key") && listed.contains("-key"), "{listed}");
}

#[tokio::test]
async fn a_page_that_is_off_listens_nowhere_and_looks_at_nothing() {
    let nats = Nats::start().await.expect("NATS");
    let consumers = |url: String| async move {
        let context = async_nats::jetstream::new(async_nats::connect(url).await.expect("a connection"));
        let stream = context.get_stream("WEIR_EVENTS").await.expect("the stream");
        stream.cached_info().state.consumer_count
    };
    let off = "stream: { max_bytes: 64MiB }\npage: { listen: off }\n";
    let options = Options { config: Some(off), ..Options::default() };
    let exporter = Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(!probe::connects(exporter.page_port).await);
    let without = consumers(nats.url()).await;
    drop(exporter);
    let with = Exporter::start(&nats.url(), &[], false).await.unwrap_or_else(|error| panic!("{error}"));
    assert!(probe::connects(with.page_port).await);
    let looks = || async { (consumers(nats.url()).await == without + 1).then_some(()) };
    wait::poll(wait::DEADLINE, looks).await.expect("one consumer more");
}
