//! The configuration, changed while everything runs.

use weir_tests::{
    callers::source::Source,
    fakes::otlp::{Endpoint, Reply},
    system::wait,
};

use super::rig::{self, QUICK, Rig, condition, destination, settled, status};

#[tokio::test(flavor = "multi_thread")]
async fn a_new_configuration_is_taken_up_without_losing_what_was_pulled() {
    let rig = Rig::start().await;
    rig.backend.answer(Reply::status(401));
    let ids = rig.store(300).await;
    rig.condition("misconfigured").await;
    // The endpoint has moved.
    let moved = Endpoint::counting().await;
    rig.exporter.configure(&format!("{QUICK}{}", destination(&moved, ""))).expect("a file");
    moved.wait_for_events(&ids).await;
    let ledger = rig.settled(300).await;
    assert_eq!((ledger.delivered, rig.backend.events()), (300, 0));
    ledger.tells_what_came_twice_to(&moved);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_told_and_the_one_before_goes_on() {
    let rig = Rig::start().await;
    for (bad, says) in [
        ("destinations: { d: { type: otlp, endpont: x } }", "did you mean \\\"endpoint\\\""),
        (
            "destinations: { d: { type: otlp, endpoint: 'http://h', headers: { authorization: { env: NOT_SET } } } }",
            "destinations.d.headers.authorization.env",
        ),
    ] {
        rig.exporter.configure(bad).expect("a file");
        wait::until("the refusal", || rig.exporter.process.log().contains(says)).await;
        let told = status(&rig.exporter).await;
        assert!(told["configuration"].is_string(), "{told}");
        let ids = rig.store(20).await;
        rig.backend.wait_for_events(&ids).await;
    }
    rig.exporter
        .configure(&format!("{QUICK}{}", destination(&rig.backend, ", concurrency: 2")))
        .expect("a file");
    let mended = wait::poll(wait::DEADLINE, || async {
        status(&rig.exporter).await["configuration"].is_null().then_some(())
    });
    mended.await.expect("the good one applies");
    let ids = rig.store(20).await;
    rig.backend.wait_for_events(&ids).await;
    rig.settled(60).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_added_gets_what_the_stream_has_and_one_that_goes_keeps_its_backlog() {
    let rig = Rig::start().await;
    let before = rig.store(50).await;
    rig.backend.wait_for_events(&before).await;
    let new = Endpoint::counting().await;
    let both = format!(
        "{QUICK}{}  new: {{ type: otlp, endpoint: \"{}\" }}\n",
        destination(&rig.backend, ""),
        new.url()
    );
    rig.exporter.configure(&both).expect("a file");
    new.wait_for_events(&before).await;
    settled(&rig.exporter, "new", 50).await;

    rig.exporter.configure(&format!("{QUICK}{}", destination(&rig.backend, ""))).expect("a file");
    wait::until("the goodbye", || rig.exporter.process.log().contains("remove-destination new")).await;
    let meanwhile = Source::new().store(&rig.exporter.url(), 70).await;
    rig.backend.wait_for_events(&meanwhile).await;
    assert_eq!(new.events(), 50);
    rig.exporter.configure(&both).expect("a file");
    condition(&rig.exporter, "new", "well").await;
    new.wait_for_events(&meanwhile).await;
    let ledger = settled(&rig.exporter, "new", 120).await;
    assert_eq!(ledger.delivered, 120);
    ledger.tells_what_came_twice_to(&new);
    rig::settled(&rig.exporter, "d", 120).await;
}
