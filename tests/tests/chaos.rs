//! Chaos in its short form: load while exporters, Envoy, a provider and NATS are killed and an endpoint is cut off,
//! by a fixed schedule, and then the ledger. The long form is `make chaos`.

use std::time::Duration;

use weir_tests::chaos::{
    self, Settings,
    rig::schedule::{self, Act, Part},
};

/// Its schedule holds what the test is about, as the test itself says.
const SEED: u64 = 359_279;

const LENGTH: Duration = Duration::from_secs(24);

const NODES: usize = 1;

#[tokio::test(flavor = "multi_thread")]
async fn whoever_is_killed_every_request_is_answered_as_promised_and_every_event_is_accounted_for() {
    let drawn = schedule::draw(SEED, NODES, LENGTH);
    for (part, act) in [
        (Part::Exporters, Act::Kill),
        (Part::Envoy, Act::Kill),
        (Part::Provider(0), Act::Kill),
        (Part::ToEndpoint(1), Act::Stall),
        (Part::AllNats, Act::Kill),
    ] {
        assert!(drawn.iter().any(|fault| (fault.part, fault.act) == (part, act)), "{part} {act}: {drawn:?}");
    }
    let settings = Settings { length: LENGTH, seed: SEED, nodes: NODES, rate: 40, logs: None };
    let verdict = chaos::run(&settings, |line| println!("{line}")).await.expect("everything comes up");
    println!("{verdict}");
    assert!(verdict.is_good());
    let looked_at = |check: &chaos::verdict::Check| check.of > 0;
    assert!(verdict.checks.iter().all(looked_at), "a check had nothing to look at");
}
