//! Events that whoever takes them up does not survive: set aside after three times, and no others.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind, consumer::PullConsumer};
use futures_util::StreamExt as _;
use weir_tests::system::wait;

use super::rig::{Ledger, Rig, metrics};

/// What was in hand at a kill comes again after the ack wait of half a minute.
const AGAIN: Duration = Duration::from_secs(90);

/// Waits until the exporter has so many events in hand.
async fn in_hand(rig: &Rig, count: usize) {
    let line = format!("events_in_hand{{destination=\"d\"}} {count}");
    let held = wait::poll(wait::DEADLINE, || async {
        metrics(&rig.exporter).await.lines().any(|shown| shown.ends_with(&line)).then_some(())
    });
    held.await.unwrap_or_else(|| panic!("not {count} in hand:\n{}", rig.exporter.process.log_end()));
}

async fn jetstream(rig: &Rig) -> jetstream::Context {
    jetstream::new(async_nats::connect(rig.nats.url()).await.expect("a connection"))
}

/// Takes the next event up, and gives how often that was done.
async fn taken_up(consumer: &PullConsumer) -> (jetstream::Message, i64) {
    let mut events = consumer.fetch().max_messages(1).expires(AGAIN).messages().await.expect("a pull");
    let event = events.next().await.expect("an event").expect("an event");
    let times = event.info().expect("from a consumer").delivered;
    (event, times)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_that_was_taken_up_three_times_without_an_end_is_a_dead_letter() {
    let mut rig = Rig::start().await;
    rig.backend.server.stop().await;
    rig.store(1).await;
    in_hand(&rig, 1).await;
    rig.exporter.process.kill();
    let jetstream = jetstream(&rig).await;
    let consumer = jetstream.get_consumer_from_stream("ship-d", "WEIR_EVENTS").await.expect("a consumer");
    for times in [2, 3] {
        let (event, taken) = taken_up(&consumer).await;
        assert_eq!(taken, times);
        event.ack_with(AckKind::Nak(None)).await.expect("given back without a word in the ledger");
    }
    rig.backend.server.restart().await;
    rig.exporter.process.restart().await.expect("the exporter is back");
    let ids = rig.store(5).await;
    rig.backend.wait_for_events(&ids).await;
    let ledger = rig.settled(6).await;
    assert_eq!((ledger.dead_lettered, ledger.delivered), (1, 5), "{ledger:?}");
    assert_eq!(rig.backend.events(), 5);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_given_back_in_order_is_never_set_aside_however_often() {
    let mut rig = Rig::start().await;
    rig.backend.server.stop().await;
    let ids = rig.store(3).await;
    for _ in 0..5 {
        in_hand(&rig, 3).await;
        rig.exporter.process.stop(Duration::from_secs(20)).await.expect("a signal");
        rig.exporter.process.restart().await.expect("the exporter is back");
    }
    rig.backend.server.restart().await;
    rig.backend.wait_for_events(&ids).await;
    let ledger = rig.settled(3).await;
    assert_eq!((ledger.dead_lettered, ledger.delivered), (0, 3), "{ledger:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_event_of_too_many_elements_that_lies_in_the_stream_is_set_aside_at_once() {
    let rig = Rig::start().await;
    // As an exporter before this one stored it: a quarter of a million attempts, each of two bytes.
    let bomb = [0x32, 0].repeat(1 << 18);
    let jetstream = jetstream(&rig).await;
    let published = jetstream.publish("weir.events.v1", bomb.into()).await.expect("sent");
    published.await.expect("stored");
    let ids = rig.store(5).await;
    rig.backend.wait_for_events(&ids).await;
    let ledger = rig.settled(6).await;
    assert_eq!((ledger.dead_lettered, ledger.delivered), (1, 5), "{ledger:?}");
    assert_eq!(Ledger::of(&rig.exporter, "d").await.backlog, 0);
}
