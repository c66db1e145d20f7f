//! The ledger of the gateway's workers: one for all exporters, and the same after whatever ended one of them.

use std::time::Duration;

use serde_json::Value;
use weir_tests::{callers::source::Source, fakes::otlp::Endpoint, stack::exporter::Exporter, system::wait};

use super::rig::{QUICK, Rig, destination, exporter, metrics, nats, status};

/// Events a batch.
const BATCH: usize = 50;

/// The gateway's side once it is known.
async fn gateway(exporter: &Exporter) -> Value {
    let known = wait::poll(wait::DEADLINE, || async {
        Some(status(exporter).await["gateway"].clone()).filter(Value::is_object)
    });
    known.await.unwrap_or_else(|| panic!("nothing is told:\n{}", exporter.process.log_end()))
}

/// Waits until so many events of so many sources are all told as stored, with nothing open.
async fn whole(exporter: &Exporter, sources: u64, events: usize) {
    let events = events as u64;
    let mut last = Value::Null;
    for _ in 0..600 {
        last = gateway(exporter).await;
        let sums = &last["sums"];
        let open = [&sums["unsent"], &sums["missing"], &sums["refused"], &sums["dropped"]];
        if last["sources"] == sources
            && sums["stored"] == events
            && sums["created"] == events
            && open.iter().all(|figure| **figure == 0)
        {
            return;
        }
        // More than there are is never right.
        assert!(sums["stored"].as_u64() <= Some(events), "{last}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the sources' ledgers do not come to rest at {events}: {last}\n{}", exporter.process.log_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sources_ledger_is_whole_after_its_exporter_was_killed() {
    let mut rig = Rig::start().await;
    let (mut one, mut other) = (Source::new(), Source::new());
    let mut stored = 0;
    for round in 0..3 {
        // Killed as soon as the batch is answered, so the last of it is hardly written.
        one.store(&rig.exporter.url(), 3 * BATCH).await;
        stored += 3 * BATCH;
        if round == 0 {
            other.store(&rig.exporter.url(), BATCH).await;
            stored += BATCH;
        }
        rig.exporter.process.kill();
        rig.exporter.process.restart().await.expect("the exporter is back");
        let known = gateway(&rig.exporter).await["sums"]["stored"].as_u64().expect("a count");
        assert!(known <= stored as u64, "{known} of {stored}");
    }
    // The sources' next words hold what was not written.
    for source in [&mut one, &mut other] {
        source.store(&rig.exporter.url(), BATCH).await;
        stored += BATCH;
    }
    whole(&rig.exporter, 2, stored).await;

    // Who ends in order has written all of it.
    one.store(&rig.exporter.url(), BATCH).await;
    rig.exporter.process.terminate().expect("SIGTERM");
    rig.exporter.process.ends_within(Duration::from_secs(20)).await;
    rig.exporter.process.restart().await.expect("the exporter is back");
    whole(&rig.exporter, 2, stored + BATCH).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_exporters_that_share_a_source_tell_the_same_of_it_and_neither_doubles_it() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let config = format!("{QUICK}{}", destination(&backend, ""));
    let mut all = [exporter(&nats.url(), &config).await, exporter(&nats.url(), &config).await];
    let mut source = Source::new();
    let mut stored = 0;
    for round in 0..24 {
        source.store(&all[round % 2].url(), BATCH).await;
        stored += BATCH;
        if round == 12 {
            all[1].process.kill();
            all[1].process.restart().await.expect("it is back");
        }
    }
    // A batch that one has and the other gets again is stored once.
    let again = source.batch(BATCH);
    for exporter in &all {
        again.store(&exporter.url()).await;
    }
    stored += BATCH;
    for exporter in &all {
        whole(exporter, 1, stored).await;
        let line = format!("weir_exporter_ingest_source_events{{state=\"stored\"}} {stored}");
        let text = metrics(exporter).await;
        assert!(text.contains(&line), "{line} in:\n{text}");
    }
}
