//! Dead letters in a browser: why, and once more.

use serde_json::Value;
use weir_tests::callers::{browser::Browser, source::Source};

use crate::rig::Rig;

#[tokio::test]
async fn a_dead_letter_says_why_and_is_delivered_once_it_is_replayed() {
    let rig = Rig::start(&[]).await;
    let mut source = Source::new();
    let batch = source.batch(3);
    rig.backend.poison([batch.ids[1].clone()], 400);
    batch.store(&rig.exporter.url()).await;
    rig.wait_for("/api/ledger", |ledger| ledger["dead_letters"] == 1).await;

    let browser = Browser::start().await;
    browser.open(&rig.exporter.page("/")).await;
    browser.reads("1 event was refused by a destination and set aside.").await;
    browser.click("a", "Go there").await;
    browser.reads("HTTP 400").await;
    browser.click("button", "Show").await;
    browser.reads("POST /v1/chat/completions").await;

    rig.backend.poison([], 400);
    browser.click("button", "Replay").await;
    browser.reads("No dead letters").await;
    rig.backend.wait_for_events(&batch.ids).await;
    let settled = |ledger: &Value| ledger["destinations"][0]["delivered"] == 3 && ledger["dead_letters"] == 0;
    rig.wait_for("/api/ledger", settled).await;
    rig.wait_for("/api/audit", |audit| {
        let last = &audit["entries"][0];
        last["what"] == "replayed" && last["name"].is_string() && last["changes"][0] == "1 dead letter"
    })
    .await;
    assert_eq!(browser.complaints().await, [] as [&str; 0]);
}
