//! Time: a clock that jumps, and a batch that comes again long after it was stored.

use std::{
    sync::{Arc, atomic::AtomicBool, atomic::Ordering},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use weir_tests::{
    callers::source::Source,
    fakes::otlp::{Endpoint, Reply},
    stack::exporter::{Exporter, Options},
    system::{clock::Clock, wait},
};

use super::{
    kills::{LONG, more, storing},
    rig::{self, QUICK, Rig, destination, is_long, settled, status},
};

/// How far the clock jumps, in seconds.
const HOUR: i64 = 3600;

/// When a source was last heard of by the exporter's clock, in Unix seconds.
async fn heard(exporter: &Exporter) -> i64 {
    status(exporter).await["gateway"]["latest"][0]["heard"].as_i64().unwrap_or_default()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    i64::try_from(since).expect("before the end of time")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_clock_that_jumps_ahead_and_back_under_load_loses_and_repeats_nothing() {
    let (nats, backend) = (rig::nats().await, Endpoint::counting().await);
    let clock = Clock::new().unwrap_or_else(|error| panic!("{error}"));
    let config = format!("{QUICK}{}", destination(&backend, ""));
    let env = clock.env();
    let options = Options { config: Some(&config), env: &env, ..Options::default() };
    let exporter = Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"));
    let stop = Arc::new(AtomicBool::new(false));
    let storing = storing(exporter.url(), &stop);
    for round in 0..if is_long() { 20 } else { 2 } {
        for ahead in [HOUR, -HOUR, 24 * HOUR, 0] {
            more(&backend, 3).await;
            clock.set(ahead).expect("a clock");
            let goes_by_it = wait::poll(wait::DEADLINE, || async {
                let off = heard(&exporter).await - now();
                ((off - ahead).abs() < HOUR / 2).then_some(())
            });
            assert!(goes_by_it.await.is_some(), "round {round}: the exporter does not go by its clock");
            // An endpoint that asks for a wait means its own clock.
            backend.answer_next([Reply::RetryIn(429, Duration::from_secs(1))]);
            more(&backend, 3).await;
        }
    }
    stop.store(true, Ordering::Relaxed);
    let ids = storing.await.expect("the events");
    backend.wait_for_events_within(&ids, LONG).await;
    let ledger = settled(&exporter, "d", ids.len()).await;
    assert_eq!((ledger.delivered, ledger.evicted), (ids.len() as u64, 0), "{ledger:?}");
    ledger.tells_what_came_twice_to(&backend);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_batch_that_comes_again_after_three_minutes_and_a_restart_of_nats_is_stored_once() {
    let mut rig = Rig::start().await;
    let client = async_nats::connect(rig.nats.url()).await.expect("a connection");
    let jetstream = async_nats::jetstream::new(client);
    let stream = jetstream.get_stream("WEIR_EVENTS").await.expect("the stream");
    let window = stream.cached_info().config.duplicate_window;
    assert_eq!(window, Duration::from_secs(600), "NATS's own would be two minutes");
    let batch = Source::new().batch(100);
    batch.store(&rig.exporter.url()).await;
    for restart in [false, true] {
        if is_long() {
            tokio::time::sleep(Duration::from_secs(180)).await;
        }
        if restart {
            rig.nats.process.kill();
            rig.nats.process.restart().await.expect("NATS is back");
        }
        batch.store(&rig.exporter.url()).await;
    }
    rig.backend.wait_for_events(&batch.ids).await;
    let ledger = rig.settled(100).await;
    // A NATS that is killed may forget acknowledgements: such an event comes twice, and is counted.
    assert_eq!(ledger.delivered, 100, "{ledger:?}");
    ledger.tells_what_came_twice_to(&rig.backend);
    assert_eq!(status(&rig.exporter).await["ingest"]["duplicate"], 200);
}
