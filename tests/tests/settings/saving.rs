//! What is saved in one exporter is run by every one, and of two people the second is told.

use serde_json::json;
use weir_tests::{
    callers::source::Source,
    fakes::otlp::{Endpoint, Reply},
    system::wait,
};

use super::rig::{
    NONE, SEALING_KEY, SECRET, ask, exporter, get, listed, lists, nats, save, saved, secretive,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_saved_in_one_exporter_is_shipped_to_by_every_one_and_removed_from_every_one() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let one = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let other = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let early = Source::new().store(&one.url(), 20).await;
    let revision = saved(&one, "page", secretive(&backend)).await;
    // In the exporter that took it, it runs when the answer comes.
    let found = listed(&one, "page").await.expect("it is listed");
    assert_eq!(
        (&found["source"], &found["locked"], &found["revision"]),
        (&json!("page"), &json!(false), &json!(revision))
    );
    assert_eq!(found["settings"]["headers"]["x-api-key"], json!({ "set": true, "last4": "6789" }));
    assert_ne!(found["state"]["health"], "off");
    let found = lists(&other, "page", |one| one.is_some_and(|one| one["state"]["health"] == "ok")).await;
    assert_eq!(found.expect("it")["settings"], listed(&one, "page").await.expect("it")["settings"]);
    // What the stream has goes there too, and it goes with its key.
    backend.wait_for_events(&early).await;
    assert_eq!(backend.headers()["x-api-key"], SECRET);
    // The other one alone ships as well: it has opened the key.
    drop(one);
    let late = Source::new().store(&other.url(), 20).await;
    backend.wait_for_events(&late).await;
    assert_eq!(backend.headers()["x-api-key"], SECRET);
    // A third one finds it at its start.
    let third = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    lists(&third, "page", |one| one.is_some_and(|one| one["state"]["health"] == "ok")).await;
    // What waits for it is named before it is removed.
    backend.answer(Reply::status(503));
    Source::new().store(&other.url(), 5).await;
    lists(&other, "page", |one| one.is_some_and(|one| one["state"]["backlog"] == 5)).await;
    let path = format!("/api/destinations/page?revision={revision}");
    let (status, answer) = ask(&other, "DELETE", &path, None).await;
    assert_eq!((status, &answer["backlog"]), (409, &json!(5)), "{answer}");
    let (status, answer) = ask(&other, "DELETE", &format!("{path}&backlog=5"), None).await;
    assert_eq!((status, &answer["purged"]), (200, &json!(5)), "{answer}");
    lists(&third, "page", |one| one.is_none()).await;
    let client = async_nats::connect(nats.url()).await.expect("a connection");
    let stream = async_nats::jetstream::new(client).get_stream("WEIR_EVENTS").await.expect("the stream");
    let gone = wait::poll(wait::DEADLINE, || async {
        stream.consumer_info("ship-page").await.is_err().then_some(())
    });
    gone.await.expect("its consumer is gone");
    let audit = get(&third, "/api/audit?limit=2").await;
    let what: Vec<_> = audit["entries"].as_array().expect("a list").iter().map(|one| &one["what"]).collect();
    assert_eq!(what, ["removed", "created"], "{audit}");
    assert_eq!(audit["entries"][1]["address"], "127.0.0.1");
    assert!(audit["entries"][1]["changes"].to_string().contains("headers.x-api-key (new value)"), "{audit}");
    for process in [&other.process, &third.process] {
        assert!(!process.log().contains(SECRET));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_people_the_second_is_told_and_what_the_configuration_says_is_locked() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let config = format!(
        "destinations: {{ own: {{ type: otlp, endpoint: '{}?token=canary-key-0123456789', headers: {{ x-a: canary-key-0123456789 }} }} }}\n",
        backend.url()
    );
    let exporter = exporter(&nats, &config, Some(SEALING_KEY)).await;
    let settings =
        |more: bool| json!({ "type": "otlp", "endpoint": backend.url(), "exclude_request_data": more });
    let body = |revision: Option<u64>, more| json!({ "revision": revision, "settings": settings(more) });
    let first = saved(&exporter, "d", body(None, false)).await;
    let (status, answer) = save(&exporter, "d", body(None, true)).await;
    assert_eq!((status, &answer["current"]["revision"]), (409, &json!(first)), "{answer}");
    let second = saved(&exporter, "d", body(Some(first), true)).await;
    let (status, answer) = save(&exporter, "d", body(Some(first), false)).await;
    assert_eq!((status, &answer["current"]["settings"]), (409, &settings(true)), "{answer}");
    assert_eq!(answer["current"]["revision"], json!(second));
    let (status, _) = ask(&exporter, "DELETE", &format!("/api/destinations/d?revision={first}"), None).await;
    assert_eq!(status, 409);
    let (status, _) = save(&exporter, "own", body(None, true)).await;
    assert_eq!(status, 403);
    let (status, _) = ask(&exporter, "DELETE", "/api/destinations/own?revision=1", None).await;
    assert_eq!(status, 403);
    let own = listed(&exporter, "own").await.expect("it is listed");
    assert_eq!((&own["source"], &own["locked"]), (&json!("file"), &json!(true)));
    assert_eq!(own["settings"]["endpoint"], backend.url());
    assert_eq!(own["settings"]["headers"]["x-a"], json!({ "set": true, "last4": "6789" }));
    // Two at once: one of them is told.
    let both = tokio::join!(
        save(&exporter, "d", body(Some(second), false)),
        save(&exporter, "d", body(Some(second), true))
    );
    let mut statuses = [both.0.0, both.1.0];
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 409]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_change_takes_effect_at_once_and_loses_no_event() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let exporter = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let body = |revision: Option<u64>, note: usize| {
        let settings =
            json!({ "type": "otlp", "endpoint": backend.url(), "resource": { "note": note.to_string() } });
        json!({ "revision": revision, "settings": settings })
    };
    let mut revision = saved(&exporter, "d", body(None, 0)).await;
    let (mut source, mut ids, url) = (Source::new(), Vec::new(), exporter.url());
    for note in 1..=5 {
        let (stored, next) =
            tokio::join!(source.store(&url, 200), saved(&exporter, "d", body(Some(revision), note)));
        ids.extend(stored);
        revision = next;
    }
    backend.wait_for_events(&ids).await;
    lists(&exporter, "d", |one| {
        one.is_some_and(|one| one["state"]["delivered"] == 1000 && one["state"]["backlog"] == 0)
    })
    .await;
    assert_eq!(backend.repeated(), 0, "{}", exporter.process.log());
}
