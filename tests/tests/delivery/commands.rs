//! The exporter's commands, as an operator types them.

use std::process::{Command, Output};

use weir_tests::{
    callers::source::Source,
    fakes::otlp::{Endpoint, Reply},
    stack::exporter::Exporter,
    system::{tools, wait},
};

use super::rig::{self, QUICK, Rig, balanced, destination, settled};

/// Runs a command on the configuration of this exporter.
fn run(exporter: &Exporter, nats_url: &str, arguments: &[&str]) -> Output {
    let admin = format!("127.0.0.1:{}", exporter.admin_port);
    Command::new(tools::binary("weir-exporter").expect("the exporter"))
        .args(arguments)
        .args(["--config", "exporter.yaml", "--nats-url", nats_url, "--admin-listen", &admin])
        .current_dir(exporter.process.dir())
        .env_clear()
        .output()
        .expect("it runs")
}

fn said(output: &Output) -> String {
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    format!("{out}{err}")
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_listed_shown_replayed_to_their_destination_alone_and_purged() {
    let (nats, picky, other) = (rig::nats().await, Endpoint::counting().await, Endpoint::counting().await);
    let config = format!(
        "{QUICK}{}  other: {{ type: otlp, endpoint: \"{}\" }}\n",
        destination(&picky, ""),
        other.url()
    );
    let exporter = rig::exporter(&nats.url(), &config).await;
    let mut source = Source::new().saying("canary-prompt-5512");
    let batch = source.batch(10);
    picky.poison(batch.ids[3..6].to_vec(), 400);
    batch.store(&exporter.url()).await;
    assert_eq!(settled(&exporter, "d", 10).await.dead_lettered, 3);
    settled(&exporter, "other", 10).await;

    let command = |arguments: &[&str]| run(&exporter, &nats.url(), arguments);
    let listed = said(&command(&["dead-letters", "list", "--destination", "d"]));
    assert_eq!(listed.matches("HTTP 400").count(), 3, "{listed}");
    let shown = said(&command(&["dead-letters", "show", "1"]));
    assert!(shown.contains(&batch.ids[3]) && !shown.contains("canary"), "{shown}");
    assert!(!command(&["dead-letters", "purge", "3"]).status.success());
    assert!(command(&["dead-letters", "purge", "3", "--yes"]).status.success());

    picky.poison([], 400);
    let replayed = said(&command(&["dead-letters", "replay", "--destination", "d"]));
    assert!(replayed.contains("2 events"), "{replayed}");
    picky.wait_for_events(&batch.ids[3..5]).await;
    let ledger = settled(&exporter, "d", 12).await;
    assert_eq!((ledger.delivered, ledger.dead_lettered), (9, 3), "{ledger:?}");
    let beside = settled(&exporter, "other", 12).await;
    assert_eq!((beside.delivered, beside.filtered), (10, 2), "{beside:?}");
    beside.tells_what_came_twice_to(&other);
    assert!(said(&command(&["dead-letters", "list"])).contains("No dead letters"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_is_tested_by_one_labelled_trace_and_the_answer_told_in_words() {
    let rig = Rig::start().await;
    let test = |name: &'static str| {
        let (exporter, url) = (&rig.exporter, rig.nats.url());
        move || tokio::task::block_in_place(|| run(exporter, &url, &["test-destination", name]))
    };
    let output = test("d")();
    assert!(output.status.success() && said(&output).contains("It was taken"), "{}", said(&output));
    assert!(said(&output).contains("model weir-test"));
    assert_eq!(rig.backend.requests(), 1);
    for (reply, says) in [
        (Reply::status(401), "Check the key"),
        (Reply::status(404), "Check the endpoint's path"),
        (Reply::Redirect, "not followed"),
        (Reply::status(503), "may pass"),
        (Reply::Partial(2), "2 of its spans were refused"),
        (Reply::status(400), "does not like what it got"),
    ] {
        rig.backend.answer_next([reply]);
        let output = test("d")();
        assert!(!output.status.success() && said(&output).contains(says), "{}", said(&output));
    }
    let output = test("nowhere")();
    assert!(said(&output).contains("no destination named nowhere; there are: d"), "{}", said(&output));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_no_more_is_removed_on_confirmation_with_its_backlog_named() {
    let rig = Rig::start().await;
    let gone = Endpoint::counting().await;
    gone.answer(Reply::status(503));
    let both = format!(
        "{QUICK}{}  gone: {{ type: otlp, endpoint: \"{}\" }}\n",
        destination(&rig.backend, ""),
        gone.url()
    );
    rig.exporter.configure(&both).expect("a file");
    rig::condition(&rig.exporter, "gone", "well").await;
    rig.store(30).await;
    balanced(&rig.exporter, "gone", |ledger| ledger.backlog == 30).await;
    let remove = |more: &[&str]| {
        tokio::task::block_in_place(|| {
            run(&rig.exporter, &rig.nats.url(), &[&["remove-destination", "gone"], more].concat())
        })
    };
    let refused = remove(&["--yes"]);
    assert!(!refused.status.success() && said(&refused).contains("take it out first"), "{}", said(&refused));
    rig.exporter.configure(&format!("{QUICK}{}", destination(&rig.backend, ""))).expect("a file");
    wait::until("the goodbye", || rig.exporter.process.log().contains("remove-destination gone")).await;
    let unconfirmed = remove(&[]);
    assert!(
        !unconfirmed.status.success() && said(&unconfirmed).contains("30 events wait"),
        "{}",
        said(&unconfirmed)
    );
    let done = remove(&["--yes"]);
    assert!(done.status.success() && said(&done).contains("30 purged now"), "{}", said(&done));
    let again = remove(&["--yes"]);
    assert!(said(&again).contains("no destination named gone"), "{}", said(&again));
}

#[tokio::test(flavor = "multi_thread")]
async fn status_and_check_say_how_things_are_and_show_no_secret() {
    let rig = Rig::with(", headers: { x-key: canary-of-a-key }").await;
    rig.store(5).await;
    rig.settled(5).await;
    let command =
        |arguments: &[&str]| tokio::task::block_in_place(|| run(&rig.exporter, &rig.nats.url(), arguments));
    let status = said(&command(&["status"]));
    assert!(status.contains("d: well") && status.contains("stored 5, delivered 5"), "{status}");
    let check = said(&command(&["check"]));
    assert!(check.contains("The configuration is good") && check.contains("headers: x-key"), "{check}");
    let json: serde_json::Value =
        serde_json::from_slice(&command(&["status", "--json"]).stdout).expect("JSON");
    assert_eq!(json["destinations"][0]["unaccounted"], 0);
    let all =
        [status, check, json.to_string(), rig::metrics(&rig.exporter).await, rig.exporter.process.log()];
    assert!(!all.concat().contains("canary"));
}
