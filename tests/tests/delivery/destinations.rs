//! Several destinations side by side, each with its own view and its own share.

use weir_tests::{
    callers::{client, source::Source},
    fakes::otlp::Endpoint,
    system::{process::Stopped, wait},
};

use super::rig::{self, QUICK, Rig, balanced, metrics, settled};

#[tokio::test(flavor = "multi_thread")]
async fn each_destination_gets_what_it_asks_for_and_the_rest_is_counted_as_filtered() {
    let (nats, all, some) = (rig::nats().await, Endpoint::counting().await, Endpoint::counting().await);
    let config = format!(
        "{QUICK}destinations:
  all: {{ type: otlp, endpoint: \"{}\", headers: {{ x-scope: everything }} }}
  some: {{ type: otlp, endpoint: \"{}\", when: {{ key: team-b, status: 2xx, model: 'gpt-*' }}, exclude_request_data: true }}
",
        all.url(),
        some.url(),
    );
    let exporter = rig::exporter(&nats.url(), &config).await;
    let canary = "canary-of-a-prompt-77ab";
    some.look_for(canary);
    let theirs = Source::new().of_key("team-a").saying(canary).store(&exporter.url(), 100).await;
    let ours = Source::new().of_key("team-b").saying(canary).store(&exporter.url(), 50).await;
    all.wait_for_events(&[theirs, ours.clone()].concat()).await;
    some.wait_for_events(&ours).await;
    let (whole, part) = (settled(&exporter, "all", 150).await, settled(&exporter, "some", 150).await);
    assert_eq!((whole.delivered, whole.filtered), (150, 0));
    assert_eq!((part.delivered, part.filtered), (50, 100));
    assert_eq!(some.events(), 50);
    assert_eq!(all.headers()["x-scope"], "everything");
    assert!(!some.leaked());
    let text = metrics(&exporter).await;
    for line in [
        "weir_exporter_ledger_events{destination=\"some\",state=\"filtered\"} 100",
        "weir_exporter_ledger_events_stored{destination=\"all\"} 150",
        "weir_exporter_ship_condition{destination=\"all\",state=\"well\"} 1",
        "weir_exporter_ingest_source_events{state=\"stored\"} 150",
    ] {
        assert!(text.contains(line), "{line} in\n{text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_has_every_event_as_a_line_of_otlp_and_is_rotated() {
    let nats = rig::nats().await;
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("spans.jsonl");
    let config = format!(
        "{QUICK}destinations:\n  disk: {{ type: file, path: \"{}\", max_bytes: 256KiB, max_files: 50 }}\n",
        path.display()
    );
    let exporter = rig::exporter(&nats.url(), &config).await;
    let ids = Source::new().store(&exporter.url(), 400).await;
    settled(&exporter, "disk", 400).await;
    let mut found = Vec::new();
    let files: Vec<_> =
        std::fs::read_dir(dir.path()).expect("files").map(|file| file.expect("a file").path()).collect();
    for file in &files {
        for line in std::fs::read_to_string(file).expect("text").lines() {
            found.extend(weir_tests::fakes::otlp::events(&serde_json::from_str(line).expect("OTLP")));
        }
    }
    assert_eq!(rig::set(&found), rig::set(&ids));
    assert_eq!(found.len(), 400);
    assert!(files.len() > 1, "{files:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_console_prints_beside_another_destination() {
    let rig = Rig::start().await;
    let yaml = format!("{QUICK}{}  here: {{ type: console }}\n", rig::destination(&rig.backend, ""));
    rig.exporter.configure(&yaml).expect("a file");
    wait::until("the console", || rig.exporter.process.log().contains("standard output")).await;
    rig.store(1).await;
    balanced(&rig.exporter, "here", |ledger| ledger.delivered >= 1 && ledger.backlog == 0).await;
    assert!(rig.exporter.process.log().contains("POST /v1/chat/completions"));
}

#[tokio::test(flavor = "multi_thread")]
async fn at_a_stop_what_was_not_sent_is_handed_back_at_once() {
    let mut rig = Rig::start().await;
    rig.backend.answer(weir_tests::fakes::otlp::Reply::status(503));
    let ids = rig.store(100).await;
    rig.condition("retrying").await;
    let stopped = rig.exporter.process.stop(std::time::Duration::from_secs(20)).await.expect("a stop");
    assert!(matches!(stopped, Stopped::Gracefully(status) if status.success()), "{stopped:?}");
    rig.backend.answer(weir_tests::fakes::otlp::Reply::Take);
    rig.exporter.process.restart().await.expect("it is back");
    // Far sooner than the ack wait.
    rig.backend.wait_for_events_within(&ids, std::time::Duration::from_secs(15)).await;
    let ledger = rig.settled(100).await;
    assert_eq!(ledger.delivered, 100);
    ledger.tells_what_came_twice_to(&rig.backend);
    let live = client::http().get(rig.exporter.admin("/healthz")).send().await.expect("an answer");
    assert_eq!(live.status(), 200);
}
