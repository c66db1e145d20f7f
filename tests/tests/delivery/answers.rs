//! Every answer that an endpoint can give, and several that it should not.

use std::time::Duration;

use weir_tests::fakes::otlp::Reply;

use super::{
    kills::LONG,
    rig::{Ledger, Rig, balanced, load, rss_mib},
};

fn retry_after(status: u16, value: impl Into<String>) -> Reply {
    Reply::Status(status, vec![("retry-after", value.into())])
}

#[tokio::test(flavor = "multi_thread")]
async fn a_passing_failure_delays_events_and_costs_and_repeats_none() {
    let rig = Rig::start().await;
    let mut stored = 0;
    let replies = [
        Reply::status(408),
        retry_after(429, "1"),
        Reply::RetryIn(429, Duration::from_secs(1)),
        Reply::status(500),
        Reply::status(502),
        retry_after(503, "0"),
        Reply::status(504),
        retry_after(503, "soon"),
        Reply::Cut,
        Reply::Nothing,
    ];
    for reply in replies {
        rig.backend.answer_next([reply.clone(), reply]);
        let ids = rig.store(load(40, 2000)).await;
        stored += ids.len();
        rig.backend.wait_for_events(&ids).await;
    }
    let ledger = rig.settled(stored).await;
    assert_eq!((ledger.delivered, ledger.duplicates), (stored as u64, 0), "{ledger:?}");
    ledger.tells_what_came_twice_to(&rig.backend);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_is_left_alone_for_as_long_as_it_asks() {
    let rig = Rig::start().await;
    // A date has whole seconds: of four, at least three are left when it is read.
    let replies = [
        (retry_after(429, "2"), Duration::from_secs(2)),
        (Reply::RetryIn(503, Duration::from_secs(4)), Duration::from_secs(2)),
    ];
    for (reply, least) in replies {
        let before = rig.backend.requests();
        rig.backend.answer_next([reply]);
        let ids = rig.store(1).await;
        rig.backend.wait_for_events(&ids).await;
        let times = rig.backend.times();
        let pause = times[before + 1] - times[before];
        assert!(pause >= least, "came again after {pause:?}");
    }
    rig.settled(2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_setting_that_is_wrong_is_told_and_keeps_the_backlog_until_it_is_mended() {
    let rig = Rig::start().await;
    let mut stored = 0;
    for reply in [401, 403, 404, 405, 415].map(Reply::status).into_iter().chain([Reply::Redirect]) {
        rig.backend.answer(reply.clone());
        let ids = rig.store(load(20, 500)).await;
        stored += ids.len();
        rig.condition("misconfigured").await;
        let kept = balanced(&rig.exporter, "d", |ledger| ledger.backlog == ids.len() as u64).await;
        assert_eq!((kept.dead_lettered, kept.evicted), (0, 0), "{reply:?}: {kept:?}");
        rig.backend.answer(Reply::Take);
        rig.backend.wait_for_events(&ids).await;
        rig.condition("well").await;
    }
    let ledger = rig.settled(stored).await;
    assert_eq!(ledger.delivered, stored as u64);
    ledger.tells_what_came_twice_to(&rig.backend);
    let log = rig.exporter.process.log();
    assert!(log.contains("check the destination's settings") && log.contains("HTTP 401"), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_success_counts_however_its_answer_ends_and_however_large_it_is() {
    let rig = Rig::start().await;
    rig.backend.answer_next([Reply::Garbage, Reply::Half, Reply::Huge, Reply::Huge]);
    let mut stored = 0;
    for _ in 0..4 {
        let ids = rig.store(10).await;
        stored += ids.len();
        rig.backend.wait_for_events(&ids).await;
    }
    let ledger = rig.settled(stored).await;
    assert_eq!((ledger.delivered, ledger.duplicates), (stored as u64, 0), "{ledger:?}");
    assert!(rss_mib(&rig.exporter) < 100, "{} MiB", rss_mib(&rig.exporter));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_taken_without_an_answer_comes_twice_and_is_counted_as_doubtful() {
    let rig = Rig::start().await;
    rig.backend.answer_next([Reply::TakeAndCut]);
    let ids = rig.store(5).await;
    let ledger = rig.settled(5).await;
    rig.backend.wait_for_events(&ids).await;
    let twice = rig.backend.repeated() as u64;
    assert!(twice > 0);
    assert_eq!((ledger.delivered, ledger.duplicates, ledger.doubtful), (5, 0, twice), "{ledger:?}");
    // What was refused was not taken.
    rig.backend.answer_next([Reply::status(503)]);
    rig.store(5).await;
    let ledger = rig.settled(10).await;
    assert_eq!((ledger.delivered, ledger.doubtful), (10, twice), "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_success_rejects_is_counted_and_never_sent_again() {
    let rig = Rig::start().await;
    rig.backend.answer_next([Reply::Partial(i64::MAX)]);
    let ids = rig.store(1).await;
    rig.backend.wait_for_events(&ids).await;
    let ledger = rig.settled(1).await;
    assert_eq!((ledger.rejected, ledger.delivered, ledger.duplicates), (1, 0, 0), "{ledger:?}");

    rig.backend.answer(Reply::Partial(1));
    let ids = rig.store(5).await;
    rig.backend.wait_for_events(&ids).await;
    let ledger = rig.settled(6).await;
    let requests = u64::try_from(rig.backend.requests()).expect("a count");
    assert_eq!(ledger.rejected, requests, "one event of each POST: {ledger:?}");
    ledger.tells_what_came_twice_to(&rig.backend);
}

#[tokio::test(flavor = "multi_thread")]
async fn over_json_and_grpc_it_is_the_same() {
    for (protocol, failures) in [
        ("http/json", vec![Reply::status(503), Reply::Cut, Reply::Partial(0)]),
        // UNAVAILABLE, INTERNAL and a broken connection pass.
        ("grpc", vec![Reply::status(14), Reply::status(13), Reply::Cut]),
    ] {
        // One POST at a time: over gRPC all share one connection, and cutting it would take along the answer to
        // another that was taken, which then rightly comes again.
        let rig = Rig::with(&format!(", protocol: {protocol}, concurrency: 1")).await;
        rig.backend.answer_next(failures);
        let ids = rig.store(load(100, 5000)).await;
        rig.backend.wait_for_events(&ids).await;
        let ledger = rig.settled(ids.len()).await;
        assert_eq!(ledger.delivered, ids.len() as u64, "{protocol}");
        ledger.tells_what_came_twice_to(&rig.backend);
        // 401, or UNAUTHENTICATED.
        rig.backend.answer(Reply::status(if protocol == "grpc" { 16 } else { 401 }));
        rig.store(1).await;
        rig.condition("misconfigured").await;
        rig.backend.answer(Reply::Take);
        rig.settled(ids.len() + 1).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn while_an_endpoint_is_away_events_wait_and_memory_stays_within_bounds() {
    let rig = Rig::start().await;
    rig.backend.server.stop().await;
    let ids = rig.store(load(5000, 100_000)).await;
    rig.condition("retrying").await;
    let waiting = balanced(&rig.exporter, "d", |ledger| ledger.backlog == ids.len() as u64).await;
    assert_eq!(waiting.delivered, 0);
    // An unoptimized build with four lanes of 64 events each; 100 000 events are some 60 MB.
    assert!(rss_mib(&rig.exporter) < 100, "{} MiB", rss_mib(&rig.exporter));
    rig.backend.server.restart().await;
    rig.backend.wait_for_events_within(&ids, LONG).await;
    let ledger: Ledger = rig.settled(ids.len()).await;
    assert_eq!(ledger.delivered, ids.len() as u64);
    ledger.tells_what_came_twice_to(&rig.backend);
    assert!(rss_mib(&rig.exporter) < 100, "{} MiB", rss_mib(&rig.exporter));
}
