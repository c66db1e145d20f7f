//! Observations that are right, and what the verdict says when one thing in them is not.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use super::*;
use crate::{
    chaos::rig::{
        apply::Happened,
        observed::Arrived,
        plant::DESTINATIONS,
        schedule::{Act, Fault, Part},
    },
    fakes::otlp::Reported,
    load::{
        TraceId,
        caller::{Ask, Outcome, Record},
        figures::{Gateway, Ledger},
        provider::Seen,
    },
};

const GOOD: Outcome = Outcome::Answered { status: 200, whole: true };
const SOURCE: u128 = 7;

fn seconds(count: u64) -> Duration {
    Duration::from_secs(count)
}

fn record(begun: Instant, trace: TraceId) -> Record {
    let sent = begun + Duration::from_millis(u64::try_from(trace).expect("a small number") * 100);
    let ended = sent + Duration::from_millis(50);
    Record { trace, ask: Ask::Chat, due: sent, sent, first: Some(ended), ended, outcome: GOOD }
}

/// A hundred requests in ten seconds, all of them reported at both endpoints.
fn right() -> (Instant, Observed) {
    let begun = Instant::now() + seconds(100);
    let mut observed = Observed::default();
    for trace in 1..=100 {
        let record = record(begun, trace);
        observed.providers[0].insert(trace, Seen { times: 1, last: record.ended });
        let reported =
            Reported { trace, status: 200, ending: "completed".to_owned(), attempts: 1, answered: 1 };
        for endpoint in &mut observed.endpoints {
            endpoint.reported.insert((SOURCE, u64::try_from(trace).expect("small")), reported.clone());
        }
        observed.records.push(record);
    }
    observed.last_look = Gateway { created: 100, accepted: 100, ..Gateway::default() };
    let fates: BTreeMap<String, u64> = [("delivered".to_owned(), 100), ("evicted".to_owned(), 0)].into();
    let ledger = Ledger { stored: 100, fates, backlog: 0 };
    for ledgers in &mut observed.ledgers {
        ledgers.extend(DESTINATIONS.map(|name| (name.to_owned(), ledger.clone())));
    }
    (begun, observed)
}

fn happened(begun: Instant, from: u64, to: u64, part: Part, act: Act) -> Happened {
    let fault = Fault { at: seconds(from), lasts: seconds(to - from), part, act };
    Happened { fault, from: begun + seconds(from), struck: begun + seconds(from), to: begun + seconds(to) }
}

/// Which checks do not hold.
fn broken(observed: &Observed) -> Vec<String> {
    let verdict = Verdict::on(observed);
    let broken = verdict.checks.iter().filter(|check| !check.violations.is_empty());
    broken.map(|check| check.name.clone()).collect()
}

fn assert_breaks(observed: &Observed, words: &str) {
    let names = broken(observed);
    assert!(names.iter().any(|name| name.contains(words)), "{words}: {names:?}");
}

#[test]
fn what_is_right_is_good() {
    let (_, observed) = right();
    assert_eq!(broken(&observed), Vec::<String>::new());
    assert!(Verdict::on(&observed).to_string().contains("holds"));
}

#[test]
fn an_event_that_is_lost_is_noticed() {
    let (_, mut observed) = right();
    observed.endpoints.iter_mut().for_each(|Arrived { reported, .. }| {
        reported.remove(&(SOURCE, 40));
    });
    assert_breaks(&observed, "every request is reported");
    assert_breaks(&observed, "without a gap");
    assert_breaks(&observed, "says what arrived");
    assert_breaks(&observed, "says what its endpoint has");
}

#[test]
fn an_event_that_one_endpoint_lacks_is_noticed() {
    let (_, mut observed) = right();
    observed.endpoints[1].reported.remove(&(SOURCE, 40));
    assert_breaks(&observed, "at both endpoints");
    assert_breaks(&observed, "says what its endpoint has");
}

#[test]
fn a_request_that_is_reported_twice_or_was_never_made_is_noticed() {
    let (_, mut observed) = right();
    let reported = observed.endpoints[0].reported[&(SOURCE, 40)].clone();
    observed.endpoints[0].reported.insert((SOURCE, 101), reported);
    assert_breaks(&observed, "reported twice");
    let (_, mut observed) = right();
    observed.records.remove(0);
    assert_breaks(&observed, "a request that was made");
}

#[test]
fn an_event_that_says_something_else_than_its_caller_saw_is_noticed() {
    let (_, mut observed) = right();
    for endpoint in &mut observed.endpoints {
        endpoint.reported.get_mut(&(SOURCE, 40)).expect("an event").status = 503;
    }
    assert_breaks(&observed, "the status that its caller saw");
}

#[test]
fn an_attempt_that_only_the_provider_knows_of_is_noticed() {
    let (begun, mut observed) = right();
    observed.providers[1].insert(40, Seen { times: 1, last: begun });
    assert_breaks(&observed, "every attempt");
}

#[test]
fn a_wrong_answer_is_excused_by_a_fault_of_both_providers_and_by_nothing_else() {
    let (begun, mut observed) = right();
    observed.records[39].outcome = Outcome::Answered { status: 503, whole: true };
    assert_breaks(&observed, "answered as promised");
    observed.happened = vec![
        happened(begun, 3, 5, Part::AllNats, Act::Kill),
        happened(begun, 3, 5, Part::Exporters, Act::Pause),
        happened(begun, 3, 5, Part::Provider(0), Act::Fail(503)),
    ];
    assert_breaks(&observed, "answered as promised");
    observed.happened.push(happened(begun, 3, 5, Part::ToProvider(1), Act::Cut));
    assert!(!broken(&observed).iter().any(|name| name.contains("answered as promised")));
    observed.records[39].outcome = Outcome::Answered { status: 503, whole: false };
    assert_breaks(&observed, "answered as promised");
}

#[test]
fn the_tail_of_a_killed_envoy_may_be_unknown_and_what_was_before_it_may_not() {
    let (begun, mut observed) = right();
    // Envoy is killed at 5 s; its outbox was last seen empty at 3 s. Of 48 requests before that, 8 are unknown.
    observed.happened = vec![happened(begun, 5, 5, Part::Envoy, Act::Kill)];
    let look = |accepted, created| Gateway { accepted, created, ..Gateway::default() };
    observed.looks =
        vec![(begun + seconds(3), look(28, 28)), (begun + Duration::from_millis(4800), look(28, 46))];
    for endpoint in &mut observed.endpoints {
        endpoint.reported.retain(|(_, sequence), _| *sequence <= 40 || *sequence >= 50);
        let later: Vec<_> = endpoint.reported.extract_if(|(_, sequence), _| *sequence >= 50).collect();
        endpoint.reported.extend(
            later.into_iter().map(|((_, sequence), reported)| ((SOURCE + 1, sequence - 49), reported)),
        );
    }
    observed.last_look = look(51, 51);
    for ledger in observed.ledgers.iter_mut().flat_map(BTreeMap::values_mut) {
        ledger.stored = 91;
        ledger.fates.insert("delivered".to_owned(), 91);
    }
    assert_eq!(broken(&observed), Vec::<String>::new());
    let mut more = observed.clone();
    for endpoint in &mut more.endpoints {
        endpoint.reported.remove(&(SOURCE, 5));
    }
    assert_breaks(&more, "only the unsent tail");
    // What the filter said was accepted must be there, tail or not.
    observed.looks[1].1 = look(45, 46);
    assert_breaks(&observed, "only the unsent tail");
}

#[test]
fn a_ledger_that_does_not_add_up_is_noticed() {
    let (_, mut observed) = right();
    observed.ledgers[1].get_mut(DESTINATIONS[0]).expect("a ledger").backlog = 1;
    assert_breaks(&observed, "ledger is balanced");
    let (_, mut observed) = right();
    observed.ledgers[0].clear();
    assert_breaks(&observed, "ledger is balanced");
}
