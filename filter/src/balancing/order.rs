//! Orders the targets of a model for one request.
//!
//! Invariants: each target occurs at most once; none whose condition fails occurs; one that may not be a
//! fallback comes first or not at all; and unhealthy targets come last, in the order that they would have had
//! among themselves.

use serde::{Deserialize, Serialize};

use crate::balancing::condition::{Condition, Facts};
use crate::balancing::health::HealthSettings;
use crate::balancing::states::TargetStates;
use crate::balancing::sticky::{Draw, Seed, Sticky};
use crate::balancing::target::TargetId;
use crate::random::Random;

/// The share of requests that try a healthy target other than the fastest first, to notice when it has become
/// faster.
const EXPLORED: f64 = 0.05;
/// A rank after every estimate: no `u64` is larger.
const UNKNOWN: f64 = 18_446_744_073_709_551_616.0;
/// A rank before every other.
const FOREMOST: f64 = -1.0;

/// How a model's targets are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// As written.
    #[default]
    Priority,
    /// Drawn at random by weight, each from those that are left.
    Weighted,
    /// By time per output token, the shortest first.
    Latency,
}

/// One target of a model.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// Its number, which locates its state.
    pub id: TargetId,
    /// Its seed in sticky draws.
    pub seed: Seed,
    /// Its share of the requests, relative to the others'. A target of weight 0 is never drawn, and comes after
    /// those that are. Unused with [`Strategy::Priority`], and with [`Strategy::Latency`] unless sticky.
    pub weight: u32,
    /// When it is considered; `None`: always.
    pub when: Option<Condition>,
    /// Whether it may be tried after another target has failed.
    pub may_fallback: bool,
}

/// The load balancing of one model.
#[derive(Clone, Debug, Default)]
pub struct LoadBalancing {
    /// The strategy.
    pub strategy: Strategy,
    /// When a target counts as unhealthy.
    pub health: HealthSettings,
    /// Which requests share their first target.
    pub sticky: Option<Sticky>,
}

/// A target under consideration.
#[derive(Clone, Copy)]
struct Considered<'a> {
    index: usize,
    candidate: &'a Candidate,
    healthy: bool,
    /// Lower ranks come first.
    rank: f64,
}

/// Returns the indices of the targets that this request may use, in the order to try them; empty if no target's
/// condition holds. Unhealthy targets are included: they are better than no response. `now_ns` is Unix time in
/// nanoseconds.
pub fn order(
    balancing: &LoadBalancing,
    candidates: &[Candidate],
    facts: &Facts<'_>,
    states: &mut TargetStates,
    random: &mut Random,
    now_ns: u64,
) -> Vec<usize> {
    let mut considered = Vec::with_capacity(candidates.len());
    for (index, candidate) in candidates.iter().enumerate() {
        if candidate.when.as_ref().is_none_or(|condition| condition.holds(facts)) {
            let healthy = states.health.is_healthy(candidate.id, &balancing.health, now_ns);
            considered.push(Considered { index, candidate, healthy, rank: 0.0 });
        }
    }
    let draw = balancing.sticky.as_ref().and_then(|sticky| sticky.draw(facts, now_ns));
    match balancing.strategy {
        Strategy::Priority => {}
        Strategy::Weighted => {
            for target in &mut considered {
                let unit = match draw {
                    Some(draw) => draw.unit(target.candidate.seed),
                    None => 1.0 - random.fraction(),
                };
                target.rank = exponential(target.candidate.weight, unit);
            }
        }
        Strategy::Latency => rank_by_latency(&mut considered, draw, states, random, now_ns),
    }
    considered.sort_unstable_by(|a, b| {
        b.healthy.cmp(&a.healthy).then(a.rank.total_cmp(&b.rank)).then(a.index.cmp(&b.index))
    });
    let usable = |(place, target): (usize, Considered<'_>)| {
        (place == 0 || target.candidate.may_fallback).then_some(target.index)
    };
    considered.into_iter().enumerate().filter_map(usable).collect()
}

/// Turns a uniform number in (0, 1] into one that is exponentially distributed with the weight as its rate.
/// Sorting by it draws targets by weight without replacement (Efraimidis and Spirakis, "Weighted random
/// sampling with a reservoir", 2006).
fn exponential(weight: u32, unit: f64) -> f64 {
    match weight {
        0 => f64::INFINITY,
        weight => -unit.ln() / f64::from(weight),
    }
}

/// Ranks by time per token, with targets without an estimate last, in random order; a sticky or probed target
/// comes before all others.
fn rank_by_latency(
    considered: &mut [Considered<'_>],
    draw: Option<Draw>,
    states: &mut TargetStates,
    random: &mut Random,
    now_ns: u64,
) {
    for target in considered.iter_mut() {
        target.rank = match states.latency.estimate(target.candidate.id, now_ns) {
            Some(ns_per_token) => ns_per_token as f64,
            None => UNKNOWN * (1.0 + random.fraction()),
        };
    }
    if let Some(draw) = draw {
        let healthy = considered.iter_mut().filter(|target| target.healthy);
        let lots = healthy.map(|target| {
            let Candidate { weight, seed, .. } = target.candidate;
            (exponential(*weight, draw.unit(*seed)), target)
        });
        if let Some((_, first)) = lots.min_by(|a, b| a.0.total_cmp(&b.0)) {
            first.rank = FOREMOST;
        }
        return;
    }
    let latency = &mut states.latency;
    let unknown = |target: &Considered<'_>| {
        target.healthy && target.rank >= UNKNOWN && latency.may_probe(target.candidate.id, now_ns)
    };
    if let Some(first) = pick(considered, random, unknown) {
        first.rank = FOREMOST;
        latency.probe(first.candidate.id, now_ns);
        return;
    }
    if random.fraction() < EXPLORED {
        let healthy = considered.iter().filter(|target| target.healthy);
        let fastest = healthy.min_by(|a, b| a.rank.total_cmp(&b.rank)).map(|target| target.index);
        if let Some(first) =
            pick(considered, random, |target| target.healthy && Some(target.index) != fastest)
        {
            first.rank = FOREMOST;
        }
    }
}

/// Picks one of the eligible targets with equal probability.
fn pick<'t, 'c>(
    considered: &'t mut [Considered<'c>],
    random: &mut Random,
    eligible: impl Fn(&Considered<'c>) -> bool,
) -> Option<&'t mut Considered<'c>> {
    let count = considered.iter().filter(|target| eligible(target)).count();
    if count == 0 {
        return None;
    }
    let nth = (random.fraction() * count as f64) as usize;
    considered.iter_mut().filter(|target| eligible(target)).nth(nth)
}
