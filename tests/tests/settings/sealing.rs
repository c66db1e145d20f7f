//! Secrets go in and do not come out, and a seal holds for one place.

use serde_json::{Value, json};
use weir_tests::{
    callers::source::Source,
    fakes::otlp::Endpoint,
    stack::exporter::Exporter,
    system::{tools, wait},
};

use super::rig::{
    NONE, SEALING_KEY, SECRET, bucket, exporter, get, listed, lists, nats, save, saved, secretive,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_sealed_key_that_is_moved_to_another_host_in_the_bucket_is_not_sent_there() {
    let (nats, backend, evil) = (nats().await, Endpoint::counting().await, Endpoint::counting().await);
    let exporter = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    saved(&exporter, "d", secretive(&backend)).await;
    let ids = Source::new().store(&exporter.url(), 3).await;
    backend.wait_for_events(&ids).await;
    let bucket = bucket(&nats).await;
    let value = bucket.get("destination.d").await.expect("an answer").expect("a value");
    let text = String::from_utf8(value.to_vec()).expect("text");
    assert!(text.contains(&backend.url()) && !text.contains(SECRET), "{text}");
    // Whoever can write to NATS points it elsewhere.
    let moved = text.replace(&backend.url(), &evil.url());
    bucket.put("destination.d", moved.into()).await.expect("a revision");
    let off = lists(&exporter, "d", |one| one.is_some_and(|one| one["state"]["health"] == "off")).await;
    let message = off.expect("it")["state"]["message"].to_string();
    assert!(message.contains("headers.x-api-key") && message.contains("or it was copied"), "{message}");
    let meanwhile = Source::new().store(&exporter.url(), 3).await;
    // Put back, it is an older one, which does not open either.
    bucket.put("destination.d", text.into()).await.expect("a revision");
    put_back(&exporter).await;
    // Entered anew, it does, and what waited is delivered.
    let revision = listed(&exporter, "d").await.expect("it")["revision"].clone();
    let mut anew = secretive(&backend);
    anew["revision"] = revision;
    saved(&exporter, "d", anew).await;
    backend.wait_for_events(&meanwhile).await;
    assert_eq!(evil.requests(), 0);
}

/// Waits until a destination does not run because an older one was put back.
async fn put_back(exporter: &Exporter) {
    let is_put_back = |one: &Value| one["state"]["message"].to_string().contains("an older one was put back");
    let off = lists(exporter, "d", |one| one.is_some_and(is_put_back)).await.expect("it");
    assert_eq!(off["state"]["health"], "off");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_older_record_that_is_put_back_sends_nothing_also_to_an_exporter_that_never_saw_the_newer_one() {
    let (nats, former, backend) = (nats().await, Endpoint::counting().await, Endpoint::counting().await);
    let first = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let revision = saved(&first, "d", secretive(&former)).await;
    let bucket = bucket(&nats).await;
    let old = bucket.get("destination.d").await.expect("an answer").expect("a value");
    // The operator leaves the first place for another.
    let mut body = secretive(&backend);
    body["revision"] = json!(revision);
    saved(&first, "d", body).await;
    let ids = Source::new().store(&first.url(), 3).await;
    backend.wait_for_events(&ids).await;
    // Whoever can write to NATS undoes that, also while nobody looks.
    bucket.put("destination.d", old.clone()).await.expect("a revision");
    put_back(&first).await;
    drop(first);
    bucket.put("destination.d", old.clone()).await.expect("a revision");
    let again = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    put_back(&again).await;
    // What it says of its revision is nothing that opens it.
    let revision = bucket.entry("destination.d").await.expect("an answer").expect("an entry").revision;
    let mut lying: Value = serde_json::from_slice(&old).expect("JSON");
    lying["revision"] = json!(revision + 1);
    bucket.put("destination.d", lying.to_string().into()).await.expect("a revision");
    let is_changed = |one: &Value| one["state"]["message"].to_string().contains("does not open");
    lists(&again, "d", |one| one.is_some_and(is_changed)).await;
    assert_eq!(former.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn destinations_that_are_saved_at_once_are_each_sealed_for_the_revision_that_they_have() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let exporter = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let names: Vec<String> = (0..4).map(|number| format!("d{number}")).collect();
    let saves = names.iter().map(|name| saved(&exporter, name, secretive(&backend)));
    let mut revisions = futures_util::future::join_all(saves).await;
    revisions.sort_unstable();
    revisions.dedup();
    assert_eq!(revisions.len(), names.len());
    for name in &names {
        lists(&exporter, name, |one| one.is_some_and(|one| one["state"]["health"] == "ok")).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_host_clears_the_saved_key_and_a_changed_path_does_not() {
    let (nats, backend, other) = (nats().await, Endpoint::counting().await, Endpoint::counting().await);
    let exporter = exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let revision = saved(&exporter, "d", secretive(&backend)).await;
    let body = |url: &str, revision: u64| {
        json!({
            "revision": revision, "settings": { "type": "otlp", "endpoint": url },
            "secrets": { "headers.x-api-key": "keep" },
        })
    };
    for elsewhere in [other.url(), backend.url().replace("http://", "https://")] {
        let (status, answer) = save(&exporter, "d", body(&elsewhere, revision)).await;
        assert_eq!((status, &answer["error"]["field"]), (422, &json!("headers.x-api-key")), "{answer}");
        assert!(answer["error"]["message"].to_string().contains("must be entered anew"), "{answer}");
        // Nor does a test send it there.
        let mut draft = body(&elsewhere, revision);
        draft["name"] = json!("d");
        let (status, _) = super::rig::ask(&exporter, "POST", "/api/destinations/test", Some(draft)).await;
        assert_eq!(status, 422);
    }
    assert_eq!(listed(&exporter, "d").await.expect("it")["revision"], json!(revision));
    let path = backend.url().replace("/v1/traces", "/prefix/v1/traces");
    let revision = saved(&exporter, "d", body(&path, revision)).await;
    let ids = Source::new().store(&exporter.url(), 3).await;
    backend.wait_for_events(&ids).await;
    assert_eq!(backend.headers()["x-api-key"], SECRET);
    // One that is not named any more is gone.
    let bare = json!({ "revision": revision, "settings": { "type": "otlp", "endpoint": path } });
    saved(&exporter, "d", bare).await;
    let ids = Source::new().store(&exporter.url(), 3).await;
    backend.wait_for_events(&ids).await;
    assert!(!backend.headers().contains_key("x-api-key"));
    assert_eq!(other.requests(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_key_to_seal_by_no_secret_is_saved_and_the_reason_says_how_to_make_one() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let exporter = exporter(&nats, NONE, None).await;
    let (status, answer) = save(&exporter, "d", secretive(&backend)).await;
    assert_eq!((status, &answer["error"]["field"]), (422, &json!("headers.x-api-key")), "{answer}");
    assert!(answer["error"]["message"].to_string().contains("settings-key new"), "{answer}");
    let all = get(&exporter, "/api/destinations").await;
    assert_eq!(all["destinations"], json!([]));
    assert_eq!(all["secrets"]["can_save"], json!(false));
    assert!(all["secrets"]["reason"].to_string().contains("WEIR_SETTINGS_KEY"), "{all}");
    saved(
        &exporter,
        "d",
        json!({ "revision": null, "settings": { "type": "otlp", "endpoint": backend.url() } }),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_rotated_by_sealing_anew() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let new = run(&["settings-key", "new"], &[]).await.trim().to_owned();
    {
        let exporter = exporter(&nats, NONE, Some(SEALING_KEY)).await;
        saved(&exporter, "d", secretive(&backend)).await;
    }
    let both = format!("{new},{SEALING_KEY}");
    let said =
        run(&["settings-key", "reseal", "--nats-url", &nats.url()], &[("WEIR_SETTINGS_KEY", &both)]).await;
    assert!(said.contains("1 secrets were sealed anew"), "{said}");
    let exporter = exporter(&nats, NONE, Some(&new)).await;
    lists(&exporter, "d", |one| one.is_some_and(|one| one["state"]["health"] == "ok")).await;
    let ids = Source::new().store(&exporter.url(), 3).await;
    backend.wait_for_events(&ids).await;
    assert_eq!(backend.headers()["x-api-key"], SECRET);
    drop(exporter);
    let old = super::rig::exporter(&nats, NONE, Some(SEALING_KEY)).await;
    let off = lists(&old, "d", |one| one.is_some_and(|one| one["state"]["health"] == "off")).await;
    assert!(off.expect("it")["state"]["message"].to_string().contains("sealed by a key"), "it says why");
    wait::until("the reason in status", || old.process.log().contains("sealed by a key")).await;
    let status: Value = get(&old, "/api/destinations").await;
    assert_eq!(status["secrets"]["can_save"], json!(true));
}

/// Runs the exporter's command to its end; what it printed.
async fn run(args: &[&str], env: &[(&str, &str)]) -> String {
    let mut command = tokio::process::Command::new(tools::binary("weir-exporter").expect("the exporter"));
    command.args(args).envs(env.iter().copied());
    let output =
        tokio::time::timeout(wait::DEADLINE, command.output()).await.expect("in time").expect("it runs");
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text
}
