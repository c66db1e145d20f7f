//! NATS as it is shipped: by the nats.conf, the certificates and the users that `weir-config bus new` makes.

use std::{path::Path, process::Command};

use async_nats::jetstream::{self, consumer};
use prost::Message as _;
use serde_json::json;
use weir_config::bus::{self, User, Wanted};
use weir_event::v1::{BatchAnswer, CaptureRule};
use weir_tests::{
    callers::{client::http, source::Source},
    fakes::otlp::Endpoint,
    stack::{
        exporter::{Exporter, Options},
        nats::Nats,
    },
    system::{tools, wait},
};

use super::rig::{QUICK, destination, settled, status};

/// NATS by what was made in this directory.
async fn shipped(dir: &Path) -> Nats {
    let nats = dir.join("nats");
    bus::make(&Wanted { dir: dir.to_owned(), hosts: vec!["127.0.0.1".to_owned()], server_dir: nats.clone() })
        .expect("made");
    let config = std::fs::read_to_string(nats.join("nats.conf")).expect("a configuration");
    // What is a container's own: its port for health checks, and the place of its store.
    let config =
        config.replace("http: \"127.0.0.1:8222\"\n", "").replace("  store_dir: \"/var/lib/weir-nats\"\n", "");
    Nats::configured(&config, &[]).await.unwrap_or_else(|error| panic!("{error}"))
}

/// The part of an exporter's configuration that says who it is.
fn identity(dir: &Path, user: User) -> String {
    let dir = dir.join(user.name());
    let (key, ca) = (dir.join("nkey"), dir.join("ca.pem"));
    format!("nats: {{ nkey: {{ file: \"{}\" }}, tls: {{ ca: \"{}\" }} }}\n", key.display(), ca.display())
}

async fn start(nats: &Nats, role: &str, config: &str) -> Exporter {
    let options = Options { config: Some(config), role: Some(role), unready: true, ..Options::default() };
    Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"))
}

/// A client that is this user.
async fn client(nats: &Nats, dir: &Path, user: User) -> async_nats::Client {
    let own = dir.join(user.name());
    let seed = std::fs::read_to_string(own.join("nkey")).expect("a seed");
    async_nats::ConnectOptions::new()
        .nkey(seed)
        .custom_inbox_prefix(format!("_INBOX_weir_{}", user.name()))
        .require_tls(true)
        .add_root_certificates(own.join("ca.pem"))
        .request_timeout(Some(std::time::Duration::from_millis(300)))
        .connect(nats.url())
        .await
        .expect("connected")
}

#[tokio::test(flavor = "multi_thread")]
async fn each_part_does_its_work_as_a_user_of_its_own() {
    let dir = tempfile::tempdir().expect("a directory");
    let (nats, backend) = (shipped(dir.path()).await, Endpoint::counting().await);
    // Ingest comes first, and is ready once the other has made the stream.
    let ingest = start(&nats, "ingest", &format!("{QUICK}{}", identity(dir.path(), User::Ingest))).await;
    let config = format!("{QUICK}{}{}", identity(dir.path(), User::Ship), destination(&backend, ""));
    let ship = start(&nats, "ship", &config).await;
    // Events of before its consumer are not a destination's.
    let ready = || async {
        let ready = weir_tests::system::probe::status(ship.admin_port, "/readyz").await;
        matches!(ready, Ok(200)).then_some(())
    };
    assert!(wait::poll(wait::DEADLINE, ready).await.is_some(), "{}", ship.process.log_end());
    let batch = Source::new().batch(20);
    backend.poison(batch.ids[3..5].to_vec(), 400);
    batch.store(&ingest.url()).await;
    assert_eq!(settled(&ship, "d", 20).await.dead_lettered, 2);
    // Ingest writes its sources' ledgers, which the other reads.
    for exporter in [&ingest, &ship] {
        let known = || async { (status(exporter).await["gateway"]["sums"]["stored"] == 20).then_some(()) };
        assert!(wait::poll(wait::DEADLINE, known).await.is_some(), "{}", exporter.process.log_end());
    }

    backend.poison([], 400);
    let replayed = Command::new(tools::binary("weir-exporter").expect("the exporter"))
        .args(["dead-letters", "replay", "--destination", "d", "--config", "exporter.yaml"])
        .args(["--nats-url", &nats.url()])
        .current_dir(ship.process.dir())
        .env_clear()
        .output()
        .expect("it runs");
    assert!(replayed.status.success(), "{replayed:?}");
    backend.wait_for_events(&batch.ids).await;
    settled(&ship, "d", 22).await;

    // What is set by one is obeyed by the other, which may read no more of the settings than that.
    let settings = jetstream::new(client(&nats, dir.path(), User::Settings).await);
    let bucket = settings.get_key_value("WEIR_SETTINGS").await.expect("the bucket");
    bucket.put("policy", "{\"switch\":\"exclude\"}".into()).await.expect("written");
    let obeyed = || async {
        let policy = http().get(format!("{}{}", ingest.url(), weir_event::POLICY_PATH)).send().await;
        let answer = BatchAnswer::decode(policy.ok()?.bytes().await.ok()?).ok()?;
        (answer.policy?.content() == CaptureRule::Exclude).then_some(())
    };
    assert!(wait::poll(wait::DEADLINE, obeyed).await.is_some(), "{}", ingest.process.log_end());
    assert!(!nats.process.log().contains("Violation"), "{}", nats.process.log());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_stores_events_cannot_read_them_and_nobody_comes_in_without_a_key() {
    let dir = tempfile::tempdir().expect("a directory");
    let nats = shipped(dir.path()).await;
    let config = format!("{QUICK}{}destinations: {{}}\n", identity(dir.path(), User::Ship));
    let ship = start(&nats, "ship", &config).await;
    let ready = || async {
        let ready = weir_tests::system::probe::status(ship.admin_port, "/readyz").await;
        matches!(ready, Ok(200)).then_some(())
    };
    assert!(wait::poll(wait::DEADLINE, ready).await.is_some(), "{}", ship.process.log_end());

    let all = jetstream::new(client(&nats, dir.path(), User::Ship).await);
    // The stream is there first: it is what readiness is about.
    let bucket = || async { all.get_key_value("WEIR_SETTINGS").await.ok() };
    let bucket = wait::poll(wait::DEADLINE, bucket).await.expect("the bucket");
    bucket.put("destination.d", "sealed".into()).await.expect("written");
    for user in [User::Ingest, User::Settings] {
        let client = client(&nats, dir.path(), user).await;
        let bus = jetstream::new(client.clone());
        let pull = consumer::pull::Config { durable_name: Some("thief".to_owned()), ..Default::default() };
        assert!(
            bus.create_consumer_on_stream(pull, "WEIR_EVENTS").await.is_err(),
            "{user:?} made a consumer"
        );
        assert!(client.request("$JS.API.STREAM.MSG.GET.WEIR_EVENTS", "{\"seq\":1}".into()).await.is_err());
        assert!(bus.delete_stream("WEIR_EVENTS").await.is_err(), "{user:?} deleted the stream");
        for subject in ["weir.events.>", "_INBOX_weir_ship.>", "_INBOX.>", ">"] {
            let _ = client.subscribe(subject).await.expect("asked");
            client.flush().await.expect("sent");
            let refused =
                || nats.process.log().contains(&format!("Subscription Violation - Subject \"{subject}\""));
            wait::until("the refusal", refused).await;
        }
    }
    only_what_is_needed_is_answered(&nats, dir.path()).await;
    ledger_of_ships_is_safe(&nats, dir.path()).await;
    let (ca, url) = (dir.path().join("ship/ca.pem"), nats.url());
    let stranger = async_nats::ConnectOptions::new().require_tls(true).add_root_certificates(ca);
    assert!(stranger.connect(url.clone()).await.is_err(), "a client without a key came in");
    assert!(async_nats::connect(url).await.is_err(), "a client without TLS came in");
}

/// Whether anything answers this user's request.
async fn is_answered(client: &async_nats::Client, subject: &str, body: &serde_json::Value) -> bool {
    client.request(subject.to_owned(), body.to_string().into()).await.is_ok()
}

/// By what is refused here a user would read what it should not, or change what is not its own.
async fn only_what_is_needed_is_answered(nats: &Nats, dir: &Path) {
    const STREAMS: [&str; 5] =
        ["WEIR_EVENTS", "WEIR_DEAD_LETTERS", "KV_WEIR_LEDGER", "KV_WEIR_SETTINGS", "WEIR_AUDIT"];
    for user in [User::Ingest, User::Settings] {
        let client = client(nats, dir, user).await;
        let needed = "$JS.API.STREAM.INFO.KV_WEIR_SETTINGS";
        assert!(is_answered(&client, needed, &json!({})).await, "{user:?}: {needed}");
        for stream in STREAMS {
            // A consumer has the server send what is stored to any subject, in its own name.
            let push = json!({ "name": "c", "deliver_subject": format!("_INBOX_weir_{}.c", user.name()) });
            let consumer = json!({ "stream_name": stream, "config": push, "action": "create" });
            // A stream that copies another holds what that one does.
            let copy = json!({ "name": stream, "subjects": [], "sources": [{ "name": "WEIR_EVENTS" }] });
            for (call, body) in [
                (format!("CONSUMER.CREATE.{stream}"), &consumer),
                (format!("CONSUMER.CREATE.{stream}.c"), &consumer),
                (format!("CONSUMER.DURABLE.CREATE.{stream}.c"), &consumer),
                (format!("STREAM.CREATE.{stream}"), &copy),
                (format!("STREAM.UPDATE.{stream}"), &copy),
                (format!("STREAM.PURGE.{stream}"), &json!({})),
                (format!("DIRECT.GET.{stream}"), &json!({ "seq": 1 })),
            ] {
                let subject = format!("$JS.API.{call}");
                assert!(!is_answered(&client, &subject, body).await, "{user:?}: {subject}");
            }
        }
    }
    let ingest = client(nats, dir, User::Ingest).await;
    let key = "$JS.API.DIRECT.GET.KV_WEIR_SETTINGS.$KV.WEIR_SETTINGS";
    assert!(is_answered(&ingest, &format!("{key}.policy"), &json!({})).await, "ingest asks for the policy");
    assert!(
        !is_answered(&ingest, &format!("{key}.destination.d"), &json!({})).await,
        "ingest read a destination"
    );

    let ship = client(nats, dir, User::Ship).await;
    for call in ["STREAM.DELETE.WEIR_EVENTS", "STREAM.DELETE.WEIR_AUDIT", "STREAM.PURGE.WEIR_AUDIT"] {
        let subject = format!("$JS.API.{call}");
        assert!(!is_answered(&ship, &subject, &json!({})).await, "ship: {subject}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_goes_to_no_subject_that_who_asks_could_not_write_to() {
    let dir = tempfile::tempdir().expect("a directory");
    let nats = shipped(dir.path()).await;
    let config = format!("{QUICK}{}destinations: {{}}\n", identity(dir.path(), User::Ship));
    let _ship = start(&nats, "ship", &config).await;
    let all = jetstream::new(client(&nats, dir.path(), User::Ship).await);
    let opened = || async { all.get_key_value("WEIR_SETTINGS").await.ok() };
    let settings = wait::poll(wait::DEADLINE, opened).await.expect("the bucket");

    // What it may write and read back, as an answer that the server sends where it is told to.
    let client = client(&nats, dir.path(), User::Ingest).await;
    let forged = "{\"version\":1,\"settings\":{\"type\":\"otlp\",\"endpoint\":\"https://h.example\"}}";
    client.request("$KV.WEIR_LEDGER.source.0", forged.into()).await.expect("stored");
    let ask = "$JS.API.DIRECT.GET.KV_WEIR_LEDGER.$KV.WEIR_LEDGER.source.0";
    for target in ["$KV.WEIR_SETTINGS.destination.d", "$KV.WEIR_LEDGER.ship.d", "weir.dead.d"] {
        client.publish_with_reply(ask, target, "".into()).await.expect("sent");
    }
    // What is asked after them is answered after them.
    let answer = client.request(ask, "".into()).await.expect("an answer");
    assert_eq!(answer.payload, forged);
    let put = settings.put("policy", "{\"switch\":\"off\"}".into()).await;
    put.expect("what was sent before is stored before");
    assert_eq!(settings.get("destination.d").await.expect("read"), None, "ingest wrote a destination");
    let ledger = all.get_key_value("WEIR_LEDGER").await.expect("the bucket");
    assert_eq!(ledger.get("ship.d").await.expect("read"), None, "ingest wrote ship's ledger");
    let dead = all.get_stream("WEIR_DEAD_LETTERS").await.expect("the stream");
    assert_eq!(dead.cached_info().state.messages, 0, "ingest wrote a dead letter");
}

/// Ingest writes and reads `source.*` in the bucket of ledgers, and nothing else of it.
async fn ledger_of_ships_is_safe(nats: &Nats, dir: &Path) {
    let ship = jetstream::new(client(nats, dir, User::Ship).await);
    let whole = ship.get_key_value("WEIR_LEDGER").await.expect("the bucket");
    whole.put("ship.d", "ship's".into()).await.expect("ship writes");

    let client = client(nats, dir, User::Ingest).await;
    let bus = jetstream::new(client.clone());
    let bucket = bus.get_key_value("WEIR_LEDGER").await.expect("ingest opens it");
    let revision = bucket.update("source.0", "one".into(), 0).await.expect("ingest writes its own");
    assert!(bucket.update("source.0", "two".into(), 0).await.is_err(), "over another's revision");
    bucket.update("source.0", "two".into(), revision).await.expect("ingest writes its own again");
    assert_eq!(bucket.get("source.0").await.expect("read").as_deref(), Some(&b"two"[..]));

    assert!(bucket.put("ship.d", "mine".into()).await.is_err(), "ingest wrote ship's ledger");
    assert!(bucket.put("source", "mine".into()).await.is_err(), "ingest wrote beside its own");
    assert!(bucket.get("ship.d").await.is_err(), "ingest read ship's ledger");
    assert!(bucket.delete("ship.d").await.is_err(), "ingest deleted ship's ledger");
    assert!(bus.delete_stream("KV_WEIR_LEDGER").await.is_err(), "ingest deleted the bucket");
    // This header would empty the whole bucket by a message to its own key.
    let mut headers = async_nats::HeaderMap::new();
    headers.insert("Nats-Rollup", "all");
    let sent = bus.publish_with_headers("$KV.WEIR_LEDGER.source.0", headers, "gone".into()).await;
    assert!(sent.expect("sent").await.is_err(), "ingest emptied the bucket");
    assert_eq!(whole.get("ship.d").await.expect("read").as_deref(), Some(&b"ship's"[..]));
}
