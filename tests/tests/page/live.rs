//! What the page tells of requests: at once, in bounded memory, and only what the event holds.

use futures_util::StreamExt as _;
use reqwest::Method;
use serde_json::Value;
use weir_tests::{callers::source::Source, system::wait};

use crate::rig::{Rig, status_of};

#[tokio::test]
async fn a_first_request_is_told_at_once_and_its_figures_add_up() {
    let rig = Rig::start(&[]).await;
    let overview = rig.get("/api/overview").await;
    assert_eq!(overview["trouble"][0]["level"], "note", "{overview}");
    let events = rig.ask(Method::GET, "/api/events").send().await.expect("an answer");
    assert_eq!(events.headers()["content-type"], "text/event-stream");
    let mut events = events.bytes_stream();
    Source::new().saying("canary-of-a-prompt").store(&rig.exporter.url(), 3).await;
    let heard = async {
        let mut text = String::new();
        while !text.contains("event: requests") {
            let piece = events.next().await.expect("more events").expect("a piece");
            text.push_str(&String::from_utf8_lossy(&piece));
        }
    };
    tokio::time::timeout(wait::DEADLINE, heard).await.expect("an event that says so");

    let list = rig.wait_for("/api/traces", |list| list["matching"] == 3).await;
    let row = &list["requests"][0];
    assert_eq!(
        (&row["model"], &row["provider"], &row["key"]),
        (&"gpt-4o".into(), &"openai".into(), &"team-a".into())
    );
    let id = row["id"].as_str().expect("an id");
    let whole = rig.get(&format!("/api/traces/{id}")).await;
    assert!(whole.to_string().contains("canary-of-a-prompt"), "{whole:#}");
    assert!(
        whole["curl"]["line"].as_str().expect("a line").starts_with("curl -X POST http://127.0.0.1:8080/")
    );
    let otlp = rig.get(&format!("/api/traces/{id}/otlp")).await;
    assert_eq!(otlp["resourceSpans"][0]["scopeSpans"][0]["spans"][0]["traceId"], row["trace_id"]);

    let settled = |ledger: &Value| {
        ledger["destinations"][0]["delivered"] == 3 && ledger["destinations"][0]["backlog"] == 0
    };
    let ledger = rig.wait_for("/api/ledger", settled).await;
    assert_eq!(
        (&ledger["gateway"]["created"], &ledger["gateway"]["accepted"]),
        (&3.into(), &3.into()),
        "{ledger}"
    );
    let done = rig.wait_for("/api/traces", |list| list["requests"][2]["settled"] == true).await;
    assert_eq!(done["requests"].as_array().expect("a list").len(), 3);
    let overview = rig.get("/api/overview").await;
    assert_eq!(overview["hour"]["sums"]["requests"], 3);
    assert_eq!(overview["trouble"], Value::Array(Vec::new()));
}

#[tokio::test]
async fn only_so_many_requests_are_held_and_they_are_found_by_what_they_are() {
    let rig = Rig::start(&[("WEIR_EXPORTER__PAGE__TRACES", "50")]).await;
    let ids = Source::new().of_key("team-b").store(&rig.exporter.url(), 120).await;
    Source::new().store(&rig.exporter.url(), 10).await;
    let full = |list: &Value| {
        list["room"]["held"] == 50 && list["values"]["keys"].as_array().is_some_and(|keys| keys.len() == 2)
    };
    rig.wait_for("/api/traces", full).await;
    let count = |list: Value| list["matching"].as_u64().expect("a number");
    assert_eq!(count(rig.wait_for("/api/traces?key=team-a", |list| list["matching"] == 10).await), 10);
    assert_eq!(count(rig.get("/api/traces?key=team-b&status=ok").await), 40);
    assert_eq!(count(rig.get("/api/traces?status=error").await), 0);
    assert_eq!(count(rig.get(&format!("/api/traces?text={}", ids[119])).await), 1);
    assert_eq!(rig.get("/api/traces?limit=7").await["requests"].as_array().expect("a list").len(), 7);
    assert_eq!(status_of(rig.ask(Method::GET, &format!("/api/traces/{}", ids[0]))).await, 404);
    assert_eq!(status_of(rig.ask(Method::GET, "/api/traces?colour=red")).await, 400);
}

#[tokio::test]
async fn a_destination_that_refuses_is_told_in_a_sentence_with_what_to_do() {
    let rig = Rig::start(&[]).await;
    rig.backend.answer(weir_tests::fakes::otlp::Reply::status(401));
    Source::new().store(&rig.exporter.url(), 2).await;
    let what = "otlp refuses what it gets: HTTP 401. 2 events wait.";
    let overview = rig.wait_for("/api/overview", |overview| overview["trouble"][0]["what"] == what).await;
    let trouble = &overview["trouble"][0];
    assert_eq!(trouble["level"], "error");
    assert!(trouble["advice"].as_str().expect("words").contains("key"), "{trouble}");
    assert_eq!(trouble["view"], "settings/otlp");
}
