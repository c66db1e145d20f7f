//! The order of targets over many requests: shares, stickiness, recovery, and what always holds.

#![cfg(not(target_arch = "wasm32"))]
// What stands outside of test functions here is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::strategy::Strategy as Generator;
use weir_filter::balancing::latency::{PROBE_WAIT_NS, SAMPLES_MIN};
use weir_filter::balancing::sticky::Seed;
use weir_filter::balancing::{
    Candidate, Condition, Facts, Policy, Sticky, Strategy, TargetId, TargetIds, TargetStates, When, order,
};
use weir_filter::headers::Headers;
use weir_filter::random::Random;

const SECOND: u64 = 1_000_000_000;
const START: u64 = 1_700_000_000 * SECOND;

/// One worker with a model of its own numbering.
struct Worker {
    policy: Policy,
    candidates: Vec<Candidate>,
    states: TargetStates,
    random: Random,
    now_ns: u64,
}

impl Worker {
    /// Targets by name and weight. `before` is what the worker's VM has numbered earlier.
    fn new(strategy: Strategy, targets: &[(&str, u32)], before: &[&str]) -> Self {
        let mut ids = TargetIds::default();
        for key in before {
            ids.id(key);
        }
        let candidate = |(key, weight): &(&str, u32)| Candidate {
            id: ids.id(key),
            seed: Seed::new(key, 0),
            weight: *weight,
            when: None,
            may_fallback: true,
        };
        Self {
            policy: Policy { strategy, ..Default::default() },
            candidates: targets.iter().map(candidate).collect(),
            states: TargetStates::default(),
            random: Random::from_seed([9; 32]),
            now_ns: START,
        }
    }

    fn sticky(mut self, json: &str) -> Self {
        self.policy.sticky = Some(serde_json::from_str(json).unwrap());
        self
    }

    fn order_for(&mut self, session: &str) -> Vec<usize> {
        let metadata = BTreeMap::from([("session".to_owned(), session.to_owned())]);
        let headers = Headers::default();
        let facts =
            Facts { metadata: &metadata, key_name: "k", user: "", conversation: "", headers: &headers };
        order(&self.policy, &self.candidates, &facts, &mut self.states, &mut self.random, self.now_ns)
    }

    fn order(&mut self) -> Vec<usize> {
        self.order_for("")
    }

    fn fail_twice(&mut self, index: usize) {
        for _ in 0..2 {
            self.states.health.failed(self.candidates[index].id, self.now_ns);
        }
    }
}

/// Pearson's chi-square of counts against shares.
fn chi_square(counts: &[u32], shares: &[f64]) -> f64 {
    let total: f64 = counts.iter().map(|n| f64::from(*n)).sum();
    let whole: f64 = shares.iter().sum();
    let deviation = |(n, share): (&u32, &f64)| {
        let expected = total * share / whole;
        (f64::from(*n) - expected).powi(2) / expected
    };
    counts.iter().zip(shares).map(deviation).sum()
}

/// What chance alone exceeds once in a thousand, with 2 degrees of freedom.
const CHI_SQUARE_2: f64 = 13.8;

#[test]
fn priority_keeps_the_order_as_written_and_puts_unhealthy_targets_last_until_they_recover() {
    let mut worker = Worker::new(Strategy::Priority, &[("a", 1), ("b", 9), ("c", 0), ("d", 1)], &[]);
    assert_eq!(worker.order(), [0, 1, 2, 3]);
    worker.fail_twice(2);
    worker.fail_twice(0);
    assert_eq!(worker.order(), [1, 3, 0, 2]);
    worker.states.health.succeeded(worker.candidates[2].id);
    assert_eq!(worker.order(), [1, 2, 3, 0]);
    worker.now_ns += 120 * SECOND;
    assert_eq!(worker.order(), [0, 1, 2, 3]);
    for index in 0..4 {
        worker.fail_twice(index);
    }
    assert_eq!(worker.order(), [0, 1, 2, 3], "better than no answer");
}

#[test]
fn a_target_that_may_not_be_a_fallback_is_first_or_nowhere() {
    let mut worker = Worker::new(Strategy::Priority, &[("a", 1), ("b", 1), ("c", 1)], &[]);
    worker.candidates[0].may_fallback = false;
    worker.candidates[1].may_fallback = false;
    assert_eq!(worker.order(), [0, 2]);
    worker.fail_twice(0);
    assert_eq!(worker.order(), [1, 2]);
    worker.fail_twice(1);
    assert_eq!(worker.order(), [2]);
    worker.fail_twice(2);
    assert_eq!(worker.order(), [0, 2]);
}

#[test]
fn weights_are_the_shares_of_first_and_of_second_places() {
    let mut worker = Worker::new(Strategy::Weighted, &[("a", 80), ("b", 15), ("c", 5)], &[]);
    let (mut first, mut second_after_a) = ([0; 3], [0; 3]);
    for _ in 0..20_000 {
        let order = worker.order();
        first[order[0]] += 1;
        if order[0] == 0 {
            second_after_a[order[1]] += 1;
        }
    }
    assert!(chi_square(&first, &[80.0, 15.0, 5.0]) < CHI_SQUARE_2, "{first:?}");
    assert!(chi_square(&second_after_a[1..], &[15.0, 5.0]) < CHI_SQUARE_2, "{second_after_a:?}");
}

#[test]
fn an_unhealthy_targets_share_goes_to_the_others_by_weight() {
    let mut worker = Worker::new(Strategy::Weighted, &[("a", 80), ("b", 15), ("c", 5)], &[]);
    worker.fail_twice(0);
    let mut first = [0; 3];
    for _ in 0..20_000 {
        let order = worker.order();
        assert_eq!(order[2], 0);
        first[order[0]] += 1;
    }
    assert!(chi_square(&first[1..], &[15.0, 5.0]) < CHI_SQUARE_2, "{first:?}");
}

#[test]
fn a_target_of_weight_zero_is_a_fallback_behind_all_that_are_drawn() {
    let mut worker = Worker::new(Strategy::Weighted, &[("spare", 0), ("a", 1), ("b", 1)], &[]);
    for _ in 0..1000 {
        assert_eq!(worker.order()[2], 0);
    }
    worker.fail_twice(1);
    assert_eq!(worker.order(), [2, 0, 1]);
    worker.fail_twice(2);
    assert_eq!(worker.order()[0], 0, "before one that is known to fail");
}

const STICKY: &str = r#"{"by":"metadata.session"}"#;
const TARGETS: [(&str, u32); 3] = [("openai/gpt-4o", 50), ("azure/gpt-4o", 30), ("vllm/llama", 20)];

#[test]
fn sticky_values_are_shared_out_by_weight() {
    let mut worker = Worker::new(Strategy::Weighted, &TARGETS, &[]).sticky(STICKY);
    let (mut first, mut second_after_0) = ([0; 3], [0; 3]);
    for n in 0..20_000 {
        let order = worker.order_for(&format!("session-{n}"));
        first[order[0]] += 1;
        if order[0] == 0 {
            second_after_0[order[1]] += 1;
        }
    }
    assert!(chi_square(&first, &[50.0, 30.0, 20.0]) < CHI_SQUARE_2, "{first:?}");
    assert!(chi_square(&second_after_0[1..], &[30.0, 20.0]) < CHI_SQUARE_2, "{second_after_0:?}");
}

#[test]
fn targets_of_the_same_name_each_have_their_part_of_the_values() {
    let mut worker = Worker::new(Strategy::Weighted, &[("p/m", 3), ("p/m", 1)], &[]).sticky(STICKY);
    worker.candidates[1].seed = Seed::new("p/m", 1);
    let mut first = [0; 2];
    for n in 0..20_000 {
        first[worker.order_for(&n.to_string())[0]] += 1;
    }
    assert!(chi_square(&first, &[3.0, 1.0]) < CHI_SQUARE_2, "{first:?}");
}

#[test]
fn a_target_that_is_removed_or_unhealthy_moves_its_own_values_alone() {
    let mut before = Worker::new(Strategy::Weighted, &TARGETS, &[]).sticky(STICKY);
    let mut unhealthy = Worker::new(Strategy::Weighted, &TARGETS, &[]).sticky(STICKY);
    unhealthy.fail_twice(1);
    let left = [TARGETS[0], TARGETS[2]];
    let mut removed = Worker::new(Strategy::Weighted, &left, &[]).sticky(STICKY);
    for n in 0..2000 {
        let session = n.to_string();
        let order = before.order_for(&session);
        let expected = if order[0] == 1 { order[1] } else { order[0] };
        assert_eq!(unhealthy.order_for(&session)[0], expected);
        assert_eq!(left[removed.order_for(&session)[0]], TARGETS[expected]);
    }
    unhealthy.now_ns += 120 * SECOND;
    assert_eq!(unhealthy.order_for("s"), before.order_for("s"));
}

#[test]
fn without_the_value_targets_are_drawn_by_lot() {
    let mut worker = Worker::new(Strategy::Weighted, &TARGETS, &[]).sticky(STICKY);
    let mut first = [0; 3];
    for _ in 0..20_000 {
        first[worker.order_for("")[0]] += 1;
    }
    assert!(chi_square(&first, &[50.0, 30.0, 20.0]) < CHI_SQUARE_2, "{first:?}");
}

#[test]
fn a_sticky_value_draws_anew_once_its_time_is_over_and_not_before() {
    let mut worker = Worker::new(Strategy::Weighted, &[("a", 1), ("b", 1)], &[])
        .sticky(r#"{"by":"metadata.session","for":"10m"}"#);
    let mut changes = Vec::new();
    let mut last = worker.order_for("s")[0];
    for second in 0..60_000 {
        worker.now_ns = START + second * SECOND;
        let first = worker.order_for("s")[0];
        if first != last {
            changes.push(second);
            last = first;
        }
    }
    assert!((25..75).contains(&changes.len()), "half of 100 draws change the target: {changes:?}");
    assert!(changes.windows(2).all(|pair| (pair[1] - pair[0]) % 600 == 0), "{changes:?}");
}

#[test]
fn with_latency_a_sticky_value_keeps_its_target_and_falls_back_by_speed() {
    let mut worker = Worker::new(Strategy::Latency, &TARGETS, &[]).sticky(STICKY);
    for (index, ns) in [(0, 300), (1, 200), (2, 100)] {
        for _ in 0..5 {
            worker.states.latency.record(worker.candidates[index].id, ns, worker.now_ns);
        }
    }
    let mut first = [0; 3];
    for n in 0..20_000 {
        let order = worker.order_for(&n.to_string());
        assert_eq!(order, worker.order_for(&n.to_string()));
        assert!(order[1] > order[2], "the faster of the two that are left: {order:?}");
        first[order[0]] += 1;
    }
    assert!(chi_square(&first, &[50.0, 30.0, 20.0]) < CHI_SQUARE_2, "{first:?}");
}

/// Sends requests one after the other, `per_second` of them, and records what each took.
fn shares(worker: &mut Worker, requests: u32, per_second: u64, speeds: [u64; 3]) -> [f64; 3] {
    let mut first = [0_u32; 3];
    for n in 0..requests {
        worker.now_ns += SECOND / per_second;
        let index = worker.order()[0];
        first[index] += 1;
        let noise = u64::from(n * 7919 % 21);
        let ns_per_token = speeds[index] * (90 + noise) / 100;
        worker.states.latency.record(worker.candidates[index].id, ns_per_token, worker.now_ns);
    }
    first.map(|n| f64::from(n) / f64::from(requests))
}

#[test]
fn a_slowed_target_loses_its_share_and_gets_it_back_after_it_recovers() {
    let mut worker = Worker::new(Strategy::Latency, &[("a", 1), ("b", 1), ("c", 1)], &[]);
    let well = shares(&mut worker, 2000, 10, [10, 20, 30]);
    assert!(well[0] > 0.9 && well[1] > 0.0 && well[2] > 0.0, "{well:?}");
    let slowed = shares(&mut worker, 2000, 10, [100, 20, 30]);
    assert!(slowed[0] < 0.06 && slowed[1] > 0.9, "{slowed:?}");
    let recovering = shares(&mut worker, 600, 10, [10, 20, 30]);
    let recovered = shares(&mut worker, 2000, 10, [10, 20, 30]);
    assert!(recovered[0] > 0.9, "{recovering:?} {recovered:?}");
}

#[test]
fn one_request_in_twenty_tries_another_target_and_the_rest_follow_by_speed() {
    let mut worker = Worker::new(Strategy::Latency, &[("a", 1), ("b", 1), ("c", 1)], &[]);
    for (index, ns) in [(0, 30), (1, 10), (2, 20)] {
        for _ in 0..SAMPLES_MIN {
            worker.states.latency.record(worker.candidates[index].id, ns, worker.now_ns);
        }
    }
    let mut orders = BTreeMap::<Vec<usize>, u32>::new();
    for _ in 0..20_000 {
        *orders.entry(worker.order()).or_default() += 1;
    }
    let counts: Vec<u32> =
        [[1, 2, 0], [2, 1, 0], [0, 1, 2]].iter().map(|order| orders[&order.to_vec()]).collect();
    assert_eq!(orders.len(), 3, "{orders:?}");
    assert!(chi_square(&counts, &[95.0, 2.5, 2.5]) < CHI_SQUARE_2, "{counts:?}");
}

#[test]
fn a_target_that_never_gives_a_sample_is_probed_and_not_flooded() {
    let mut worker = Worker::new(Strategy::Latency, &[("mute", 1), ("b", 1)], &[]);
    let mut mute: usize = 0;
    let seconds = 300;
    for n in 0..seconds * 100 {
        worker.now_ns = START + n * SECOND / 100;
        match worker.order()[0] {
            0 => mute += 1,
            index => worker.states.latency.record(worker.candidates[index].id, 10, worker.now_ns),
        }
    }
    let probes = SAMPLES_MIN * (seconds * SECOND / PROBE_WAIT_NS) as usize;
    let explored = seconds as usize * 100 / 20;
    assert!((probes..probes + explored * 5 / 4).contains(&mute), "{mute} of {probes} and {explored}");
}

#[test]
fn before_any_answer_requests_spread_over_all_targets() {
    let mut worker = Worker::new(Strategy::Latency, &[("a", 1), ("b", 1), ("c", 1)], &[]);
    let mut first = [0; 3];
    for _ in 0..20_000 {
        first[worker.order()[0]] += 1;
    }
    assert!(chi_square(&first, &[1.0, 1.0, 1.0]) < CHI_SQUARE_2, "{first:?}");
}

#[derive(Clone, Debug)]
struct Sketch {
    weight: u32,
    holds: Option<bool>,
    may_fallback: bool,
    failures: u8,
    samples: Vec<u64>,
}

fn any_target() -> impl Generator<Value = Sketch> {
    let weight = prop_oneof![Just(0), Just(1), Just(u32::MAX), 0..100_u32];
    (weight, any::<Option<bool>>(), any::<bool>(), 0..4_u8, prop::collection::vec(any::<u64>(), 0..5))
        .prop_map(|(weight, holds, may_fallback, failures, samples)| Sketch {
            weight,
            holds,
            may_fallback,
            failures,
            samples,
        })
}

fn any_policy() -> impl Generator<Value = Policy> {
    let strategies = [Strategy::Priority, Strategy::Weighted, Strategy::Latency];
    let stickies = [None, Some(r#"{"by":"key"}"#), Some(r#"{"by":"metadata.session","for":"1s"}"#)];
    (prop::sample::select(strategies.to_vec()), prop::sample::select(stickies.to_vec())).prop_map(
        |(strategy, sticky)| Policy {
            strategy,
            sticky: sticky.map(|json| serde_json::from_str::<Sticky>(json).unwrap()),
            ..Default::default()
        },
    )
}

proptest! {
    #[test]
    fn an_order_holds_every_target_that_may_be_used_once_and_the_healthy_first(
        policy in any_policy(),
        targets in prop::collection::vec(any_target(), 0..10),
        seed: [u8; 32],
        now_ns in START..START + 1000 * SECOND,
        tracked: bool,
    ) {
        let mut worker = Worker::new(policy.strategy, &[], &[]);
        let mut ids = TargetIds::default();
        for (n, target) in targets.iter().enumerate() {
            let key = format!("p/{n}");
            let id = if tracked { ids.id(&key) } else { TargetId::UNTRACKED };
            let when = target.holds.map(|holds| {
                let key = if holds { "k" } else { "other" };
                let when: When = serde_json::from_str(&format!(r#"{{"key":"{key}"}}"#)).unwrap();
                Condition::new(&when, "when").unwrap()
            });
            for _ in 0..target.failures {
                worker.states.health.failed(id, now_ns);
            }
            for sample in &target.samples {
                worker.states.latency.record(id, *sample, now_ns);
            }
            let (weight, may_fallback) = (target.weight, target.may_fallback);
            worker.candidates.push(Candidate { id, seed: Seed::new(&key, 0), weight, when, may_fallback });
        }
        (worker.policy, worker.random, worker.now_ns) = (policy, Random::from_seed(seed), now_ns);
        let order = worker.order_for("s");

        let considered: Vec<usize> = (0..targets.len()).filter(|n| targets[*n].holds != Some(false)).collect();
        prop_assert_eq!(order.is_empty(), considered.is_empty());
        let mut expected: Vec<usize> = considered.iter().copied()
            .filter(|n| targets[*n].may_fallback || order.first() == Some(n)).collect();
        expected.sort_unstable();
        let mut sorted = order.clone();
        sorted.sort_unstable();
        prop_assert_eq!(sorted, expected);
        let unhealthy = |n: &usize| tracked && targets[*n].failures >= 2;
        prop_assert!(order.is_sorted_by_key(unhealthy), "{:?}", order);
        if let Some(first) = order.first() {
            prop_assert!(!unhealthy(first) || considered.iter().all(unhealthy));
        }
    }

    #[test]
    fn workers_agree_on_a_sticky_value_whatever_they_have_seen_before(
        session in ".{1,40}",
        seeds: [[u8; 32]; 2],
        now_ns in START..START + 10_000 * SECOND,
    ) {
        let sticky = r#"{"by":"metadata.session","for":"10m"}"#;
        let mut one = Worker::new(Strategy::Weighted, &TARGETS, &[]).sticky(sticky);
        let mut other =
            Worker::new(Strategy::Weighted, &TARGETS, &["old/model", "vllm/llama", "x/y"]).sticky(sticky);
        (one.random, other.random) = (Random::from_seed(seeds[0]), Random::from_seed(seeds[1]));
        (one.now_ns, other.now_ns) = (now_ns, now_ns);
        let first = one.order_for(&session);
        prop_assert_eq!(&first, &other.order_for(&session));
        prop_assert_eq!(first, one.order_for(&session));
    }
}
