//! A stream that is full, a destination that is dead beside one that is not, and what becomes of events that
//! everybody has.

use async_nats::jetstream::consumer::pull;
use weir_tests::{
    callers::source::Source,
    fakes::otlp::{Endpoint, Reply},
    system::wait,
};

use super::rig::{self, Rig, balanced, condition, destination, load, settled};

/// A stream that a few hundred events fill.
const SMALL: &str = "batch: { events: 64, delay: 20ms }
retry: { first: 20ms, longest: 200ms, slow: 300ms }
";

#[tokio::test(flavor = "multi_thread")]
async fn what_a_dead_destination_loses_to_a_full_stream_is_counted_exactly() {
    let rig = Rig::configured(&format!("{SMALL}stream: {{ max_bytes: 1MiB }}\n"), "").await;
    rig.backend.answer(Reply::status(503));
    let ids = Source::new().of_bytes(4000).store(&rig.exporter.url(), load(1000, 5000)).await;
    let full =
        balanced(&rig.exporter, "d", |ledger| ledger.stored == ids.len() as u64 && ledger.evicted > 0).await;
    assert!(full.evicted > ids.len() as u64 / 2, "{full:?}");
    rig.backend.answer(Reply::Take);
    let ledger = rig.settled(ids.len()).await;
    assert_eq!(ledger.delivered, rig.backend.events() as u64, "{ledger:?}");
    assert_eq!(ledger.evicted, ids.len() as u64 - ledger.delivered, "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_stream_that_refuses_answers_503_and_loses_nothing() {
    let stream = "stream: { max_bytes: 1MiB, when_full: refuse, keep: 1h }\n";
    let rig = Rig::configured(&format!("{SMALL}{stream}"), "").await;
    rig.backend.answer(Reply::status(503));
    let (mut source, mut ids, url) = (Source::new().of_bytes(4000), Vec::new(), rig.exporter.url());
    let refused = loop {
        let batch = source.batch(50);
        let (status, answer) = batch.post(&url).await.expect("an answer");
        ids.extend(batch.ids.clone());
        if status == 503 {
            assert!(answer.stored.len() < 50);
            break batch;
        }
        assert!(ids.len() < 5000, "a stream of 1 MiB took {} events", ids.len());
    };
    // Once the destination takes them there is room again, though they are not old yet.
    rig.backend.answer(Reply::Take);
    refused.store(&url).await;
    rig.backend.wait_for_events(&ids).await;
    let ledger = rig.settled(ids.len()).await;
    assert_eq!((ledger.delivered, ledger.evicted), (ids.len() as u64, 0), "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_every_destination_has_is_purged_and_what_one_lacks_is_kept() {
    let (nats, well, dead) = (rig::nats().await, Endpoint::counting().await, Endpoint::counting().await);
    let config = format!(
        "{SMALL}stream: {{ max_bytes: 256MiB, keep: 1s }}
destinations:
  well: {{ type: otlp, endpoint: \"{}\" }}
  dead: {{ type: otlp, endpoint: \"{}\" }}
",
        well.url(),
        dead.url()
    );
    let exporter = rig::exporter(&nats.url(), &config).await;
    dead.answer(Reply::status(503));
    let ids = Source::new().store(&exporter.url(), 200).await;
    well.wait_for_events(&ids).await;
    settled(&exporter, "well", 200).await;
    let kept = balanced(&exporter, "dead", |ledger| ledger.backlog == 200).await;
    assert_eq!(kept.evicted, 0);
    dead.answer(Reply::Take);
    dead.wait_for_events(&ids).await;
    settled(&exporter, "dead", 200).await;
    // A consumer that comes now finds nothing: it has all been purged.
    let late = Endpoint::counting().await;
    let purged = wait::poll(wait::DEADLINE, || async {
        let with = config.replace(
            "destinations:",
            &format!("destinations:\n  late: {{ type: otlp, endpoint: \"{}\" }}", late.url()),
        );
        exporter.configure(&with).expect("a file");
        condition(&exporter, "late", "well").await;
        Some(())
    });
    purged.await.expect("the late one runs");
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_else_reads_the_stream_holds_back_no_purge() {
    let (nats, backend) = (rig::nats().await, Endpoint::counting().await);
    let stream = "stream: { max_bytes: 256MiB, keep: 1s }\n";
    let exporter = rig::exporter(&nats.url(), &format!("{SMALL}{stream}{}", destination(&backend, ""))).await;
    let client = async_nats::connect(nats.url()).await.expect("a connection");
    let jetstream = async_nats::jetstream::new(client);
    let idle = pull::Config { durable_name: Some("other".to_owned()), ..pull::Config::default() };
    jetstream.create_consumer_on_stream(idle, "WEIR_EVENTS").await.expect("a consumer");
    let ids = Source::new().store(&exporter.url(), 100).await;
    backend.wait_for_events(&ids).await;
    let empty = wait::poll(wait::DEADLINE, || async {
        let stream = jetstream.get_stream("WEIR_EVENTS").await.ok()?;
        (stream.cached_info().state.messages == 0).then_some(())
    });
    empty.await.expect("everything is purged");
    settled(&exporter, "d", 100).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_destination_does_not_hold_back_the_one_beside_it() {
    let (nats, well, dead) = (rig::nats().await, Endpoint::counting().await, Endpoint::counting().await);
    // Each of the dead one's POSTs hangs for longer than the test lasts.
    dead.answer(Reply::Nothing);
    let config = format!(
        "{SMALL}stream: {{ max_bytes: 256MiB }}
destinations:
  dead: {{ type: otlp, endpoint: \"{}\", timeout: 1h, concurrency: 2 }}
  well: {{ type: otlp, endpoint: \"{}\" }}
",
        dead.url(),
        well.url()
    );
    let exporter = rig::exporter(&nats.url(), &config).await;
    let (mut source, mut ids) = (Source::new(), Vec::new());
    let rounds = load(100, 2000);
    for _ in 0..rounds {
        let some = source.store(&exporter.url(), 5).await;
        well.wait_for_events(&some).await;
        ids.extend(some);
    }
    wait::until("the dead one's POSTs", || dead.requests() == 2).await;
    let ledger = settled(&exporter, "well", ids.len()).await;
    assert_eq!(ledger.delivered, ids.len() as u64, "{ledger:?}");
    ledger.tells_what_came_twice_to(&well);
    let waiting = balanced(&exporter, "dead", |ledger| ledger.backlog == ids.len() as u64).await;
    assert_eq!((waiting.delivered, dead.requests(), dead.events()), (0, 2, 0), "{waiting:?}");
}
