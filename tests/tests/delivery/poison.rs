//! Events that an endpoint refuses: found, set aside, and given back on demand; and an endpoint that refuses
//! them all, which is another matter.

use weir_tests::{fakes::otlp::Reply, system::wait};

use super::{
    kills::LONG,
    rig::{Ledger, Rig, balanced, load},
};

#[tokio::test(flavor = "multi_thread")]
async fn the_one_event_that_is_refused_is_set_aside_and_the_others_arrive() {
    for status in [400, 413] {
        let rig = Rig::start().await;
        rig.backend.server.stop().await;
        let ids = rig.store(load(200, 5000)).await;
        let poison: Vec<String> = ids.iter().step_by(67).cloned().collect();
        rig.backend.poison(poison.clone(), status);
        rig.backend.server.restart().await;
        let well: Vec<String> = ids.iter().filter(|id| !poison.contains(id)).cloned().collect();
        rig.backend.wait_for_events_within(&well, LONG).await;
        let ledger = rig.settled(ids.len()).await;
        assert_eq!(ledger.dead_lettered, poison.len() as u64, "{status}: {ledger:?}");
        assert_eq!(ledger.delivered, well.len() as u64, "{status}: {ledger:?}");
        assert_eq!(rig.backend.events(), well.len());
        ledger.tells_what_came_twice_to(&rig.backend);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_endpoint_that_refuses_ten_events_in_a_row_keeps_its_backlog() {
    let rig = Rig::start().await;
    rig.backend.answer(Reply::status(400));
    let ids = rig.store(load(300, 3000)).await;
    rig.condition("refusing").await;
    let kept =
        balanced(&rig.exporter, "d", |ledger| ledger.stored == ids.len() as u64 && ledger.dead_lettered == 9);
    let kept = kept.await;
    assert_eq!(kept.backlog, ids.len() as u64 - 9, "{kept:?}");
    // However long it goes on refusing, no more are set aside.
    let before = rig.backend.requests();
    wait::until("more attempts", || rig.backend.requests() > before + 8).await;
    let still = balanced(&rig.exporter, "d", |ledger| ledger.dead_lettered >= 9).await;
    assert_eq!(still.dead_lettered, 9);
    rig.backend.answer(Reply::Take);
    let ledger = rig.settled(ids.len()).await;
    assert_eq!((ledger.dead_lettered, ledger.delivered), (9, ids.len() as u64 - 9));
    rig.condition("well").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_of_poison_among_good_events_does_not_stop_the_destination() {
    let rig = Rig::start().await;
    rig.backend.server.stop().await;
    let ids = rig.store(200).await;
    let poison: Vec<String> = ids[20..60].to_vec();
    rig.backend.poison(poison.clone(), 400);
    rig.backend.server.restart().await;
    // Each good event that comes by shows that it is not the destination's fault.
    let mut stored = ids.len();
    let found = wait::poll(wait::DEADLINE, || {
        stored += 1;
        let (rig, poison) = (&rig, &poison);
        async move {
            rig.store(1).await;
            (Ledger::of(&rig.exporter, "d").await.dead_lettered == poison.len() as u64).then_some(())
        }
    });
    found.await.expect("all of the poison is set aside");
    let ledger = rig.settled(stored).await;
    assert_eq!((ledger.dead_lettered, rig.backend.events()), (poison.len() as u64, stored - poison.len()));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_error_is_final_where_the_setting_says_so() {
    let rig = Rig::with(", retry: { server_errors: false, first: 20ms, longest: 200ms, slow: 300ms }").await;
    let ids = rig.store(1).await;
    rig.backend.wait_for_events(&ids).await;
    rig.backend.answer_next([Reply::status(500)]);
    rig.store(1).await;
    let ledger = rig.settled(2).await;
    assert_eq!((ledger.delivered, ledger.dead_lettered), (1, 1), "{ledger:?}");
}
