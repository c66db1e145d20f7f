//! Kills: of the exporter, of NATS, of one node of three. What ingest acknowledged arrives.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::task::JoinHandle;
use weir_tests::{
    callers::source::Source,
    fakes::otlp::{Endpoint, Reply},
    stack::{exporter::Exporter, nats::Nats},
    system::wait,
};

use super::rig::{QUICK, Rig, destination, exporter, is_long, settled};

/// What is stored under load may be a hundred thousand events.
pub const LONG: Duration = Duration::from_secs(600);

/// Pause between two batches: a slow machine that delivers later than it stores would fill the stream.
const PAUSE: Duration = Duration::from_millis(20);

/// Stores events until it is told to stop; gives their ids.
pub fn storing(url: String, stop: &Arc<AtomicBool>) -> JoinHandle<Vec<String>> {
    let stop = Arc::clone(stop);
    tokio::spawn(async move {
        let (mut source, mut ids) = (Source::new(), Vec::new());
        while !stop.load(Ordering::Relaxed) {
            let batch = source.batch(50);
            batch.store(&url).await;
            ids.extend(batch.ids);
            tokio::time::sleep(PAUSE).await;
        }
        ids
    })
}

/// How long nothing may arrive: after several kills what was in hand may be all that a consumer gives out, for as
/// long as the ack wait, and a cluster chooses its leaders anew.
const STALL: Duration = Duration::from_secs(180);

/// Waits until events arrive again.
async fn goes_on(backend: &Endpoint, exporter: &Exporter, when: &str) {
    let on = tokio::time::timeout(STALL, more(backend, 5)).await;
    assert!(on.is_ok(), "nothing goes on {when}:\n{}", exporter.process.log_end());
}

fn rounds() -> usize {
    if is_long() { 12 } else { 2 }
}

/// Waits until so many more requests came.
pub async fn more(backend: &Endpoint, count: usize) {
    let before = backend.requests();
    let come = wait::poll(STALL, || std::future::ready((backend.requests() >= before + count).then_some(())));
    assert!(come.await.is_some(), "no more requests came");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_is_killed_under_load_loses_nothing_and_its_ledger_adds_up() {
    let mut rig = Rig::start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let storing = storing(rig.exporter.url(), &stop);
    for _ in 0..rounds() {
        more(&rig.backend, 5).await;
        rig.exporter.process.kill();
        rig.exporter.process.restart().await.expect("the exporter is back");
    }
    more(&rig.backend, 2).await;
    stop.store(true, Ordering::Relaxed);
    let ids = storing.await.expect("the events");
    rig.backend.wait_for_events_within(&ids, LONG).await;
    // What was in hand at the kill comes again after the ack wait: twice at the endpoint, once in the ledger.
    let ledger = wait::poll(LONG, || async {
        let ledger = super::rig::Ledger::of(&rig.exporter, "d").await;
        (ledger.backlog == 0 && ledger.stored == ids.len() as u64).then_some(ledger)
    });
    let ledger = ledger.await.expect("the backlog is empty in the end");
    assert_eq!((ledger.delivered, ledger.sum()), (ids.len() as u64, ledger.stored), "{ledger:?}");
    assert_eq!(rig.backend.events(), ids.len());
    ledger.tells_what_came_twice_to(&rig.backend);
}

#[tokio::test(flavor = "multi_thread")]
async fn nats_that_is_killed_under_load_loses_nothing_that_was_acknowledged() {
    let mut rig = Rig::start().await;
    let stop = Arc::new(AtomicBool::new(false));
    let storing = storing(rig.exporter.url(), &stop);
    for _ in 0..rounds() {
        more(&rig.backend, 5).await;
        rig.nats.process.kill();
        rig.nats.process.restart().await.expect("NATS is back");
    }
    more(&rig.backend, 2).await;
    stop.store(true, Ordering::Relaxed);
    let ids = storing.await.expect("the events");
    rig.backend.wait_for_events_within(&ids, LONG).await;
    // A batch whose acknowledgement was lost with NATS is sent again, within the duplicate window.
    let ledger = wait::poll(LONG, || async {
        let ledger = super::rig::Ledger::of(&rig.exporter, "d").await;
        (ledger.backlog == 0 && ledger.sum() == ledger.stored).then_some(ledger)
    });
    let ledger = ledger.await.expect("the backlog is empty in the end");
    assert_eq!(ledger.delivered, ids.len() as u64, "{ledger:?}");
    assert_eq!(rig.backend.events(), ids.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_loses_one_of_three_nodes_loses_nothing() {
    let mut nodes = Nats::cluster().await.unwrap_or_else(|error| panic!("{error}"));
    let urls: Vec<String> = nodes.iter().map(Nats::url).collect();
    let backend = Endpoint::counting().await;
    let config = format!("{QUICK}{}", destination(&backend, ""))
        .replace("stream: { max_bytes: 256MiB }", "stream: { max_bytes: 64MiB, replicas: 3 }");
    let exporter = exporter(&urls.join(","), &config).await;
    let stop = Arc::new(AtomicBool::new(false));
    let storing = storing(exporter.url(), &stop);
    let killed = if is_long() { 3 } else { 1 };
    for node in nodes.iter_mut().take(killed) {
        goes_on(&backend, &exporter, "before the kill").await;
        node.process.kill();
        goes_on(&backend, &exporter, "without a node").await;
        node.process.restart().await.expect("the node is back");
        goes_on(&backend, &exporter, "with the node again").await;
    }
    stop.store(true, Ordering::Relaxed);
    let ids = storing.await.expect("the events");
    backend.wait_for_events_within(&ids, LONG).await;
    // The exporter looks at the stream from time to time, so its ledger may balance before it has seen the last events.
    let ledger = wait::poll(LONG, || async {
        let ledger = super::rig::Ledger::of(&exporter, "d").await;
        let is_whole = ledger.stored >= ids.len() as u64 && ledger.backlog == 0;
        (is_whole && ledger.sum() == ledger.stored).then_some(ledger)
    });
    let ledger = ledger.await.expect("all events are in the ledger, and the backlog is empty in the end");
    assert_eq!(ledger.delivered, ids.len() as u64, "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn two_exporters_share_a_destination_and_its_ledger() {
    let rig = Rig::start().await;
    let config = format!("{QUICK}{}", destination(&rig.backend, ""));
    let mut other = exporter(&rig.nats.url(), &config).await;
    let urls = [rig.exporter.url(), other.url()];
    let stop = Arc::new(AtomicBool::new(false));
    let storing = urls.map(|url| storing(url, &stop));
    more(&rig.backend, 20).await;
    other.process.terminate().expect("SIGTERM");
    other.process.ends_within(Duration::from_secs(20)).await;
    other.process.restart().await.expect("it is back");
    more(&rig.backend, 20).await;
    rig.backend.answer_next([Reply::status(503), Reply::status(503)]);
    stop.store(true, Ordering::Relaxed);
    let mut ids = Vec::new();
    for one in storing {
        ids.extend(one.await.expect("the events"));
    }
    rig.backend.wait_for_events_within(&ids, LONG).await;
    let ledger = rig.settled(ids.len()).await;
    assert_eq!(ledger.delivered, ids.len() as u64, "{ledger:?}");
    assert_eq!(settled(&other, "d", ids.len()).await, ledger);
    ledger.tells_what_came_twice_to(&rig.backend);
}
