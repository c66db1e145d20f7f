//! Weir beside other gateways: LiteLLM's proxy and Portkey's gateway, with bare Envoy for the scale.
//!
//! All are pinned to the same core and lead to the same provider; the load and the provider are on the
//! other core. Whoever is not measured is stopped (SIGSTOP) meanwhile. Rounds are interleaved and figures
//! are medians of rounds. Two loads: that of `make bench`, and the one by which a commercial gateway
//! published its figures (a provider that takes 73 ms, 10 to 300 requests a second on one vCPU). Weir has
//! everything on; the others only route and hold the provider's key.

pub mod others;
pub mod report;

use std::time::Duration;

use anyhow::ensure;

use self::{
    others::{Kind, Others},
    report::{AtRates, Figures, OfRate, Report, Streamed, THINKS},
};
use crate::{
    bench::gateway::{
        load::{self, SIZES, Target},
        wrk,
    },
    measure::{
        cpu::{self, Pins},
        statistics::Spread,
    },
};

/// How long and how often is measured.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Interleaved rounds of each measurement.
    pub rounds: usize,
    /// How long one measurement takes; the published method's takes [`LONGER`] times as long.
    pub each: Duration,
    /// Connections of the saturating load.
    pub connections: usize,
    /// Streams at once.
    pub streams: usize,
    /// Requests a second of the published method.
    pub rates: Vec<u32>,
}

/// So that also the lowest of its rates is enough requests for a quantile.
const LONGER: u32 = 3;
/// How long a gateway has for the answers that it owes when such a round ends.
const PATIENCE: Duration = Duration::from_secs(3);
/// How long a round of streams may take; who is slower has not carried them.
const STREAMS_END: Duration = Duration::from_secs(60);
/// How long each gateway is warmed up before it is measured.
const WARM: Duration = Duration::from_secs(2);

/// Measures all, and says how far it is.
pub async fn run(plan: &Plan, say: impl Fn(&str)) -> anyhow::Result<Report> {
    let pins = Pins::find()?;
    let mut others = Others::start(&pins).await?;
    say("warming up");
    for kind in Kind::ALL {
        others.only(kind)?;
        let script = wrk::script(SIZES[0].1, &others.headers(kind))?;
        wrk::run(&pins, &script, others.port(kind), plan.connections, WARM).await?;
    }
    let mut throughput = Vec::new();
    for (name, size) in SIZES {
        say(&format!("throughput at {name}: {} rounds of {:?} each", plan.rounds, plan.each));
        throughput.push((name, saturate(plan, &pins, &mut others, size).await?));
    }
    say(&format!("streams: {} at once", plan.streams));
    let streams = streams(plan, &mut others).await?;
    others.provider().think(THINKS);
    let mut rates = Vec::new();
    for rate in &plan.rates {
        say(&format!("a provider of {THINKS:?}: {rate} requests a second"));
        rates.push((*rate, at_rate(plan, &mut others, *rate).await?));
    }
    others.provider().think(Duration::ZERO);
    Ok(Report { versions: others.versions().await?, throughput, streams, rates })
}

/// As much as goes.
async fn saturate(
    plan: &Plan,
    pins: &Pins,
    others: &mut Others,
    size: usize,
) -> anyhow::Result<Vec<(Kind, Figures)>> {
    let mut rounds: Vec<(Kind, f64, f64)> = Vec::new();
    for _ in 0..plan.rounds {
        for kind in Kind::ALL {
            others.only(kind)?;
            let script = wrk::script(size, &others.headers(kind))?;
            let before = cpu::time(others.pid(kind))?;
            let load = wrk::run(pins, &script, others.port(kind), plan.connections, plan.each).await?;
            ensure!(load.requests > 0.0, "{} answered nothing", kind.name());
            let took = cpu::time(others.pid(kind))? - before;
            rounds.push((kind, load.per_second, took.as_secs_f64() * 1e6 / load.requests));
        }
    }
    Ok(of_each(&rounds, |mine| Figures {
        rps: Spread::of(mine.iter().map(|round| round.1).collect()),
        cpu_us: Spread::of(mine.iter().map(|round| round.2).collect()),
    }))
}

async fn streams(plan: &Plan, others: &mut Others) -> anyhow::Result<Vec<(Kind, Option<Streamed>)>> {
    let mut rounds: Vec<(Kind, Option<f64>, f64)> = Vec::new();
    for _ in 0..plan.rounds {
        for kind in Kind::ALL {
            others.only(kind)?;
            let target = Target::streamed(others.port(kind)).with(&others.headers(kind));
            let before = cpu::time(others.pid(kind))?;
            let load = load::streams(target, plan.streams, plan.each);
            let (first, chunks) = match tokio::time::timeout(STREAMS_END, load).await {
                Ok(round) => round.map(|round| (Some(round.first_token), round.chunks))?,
                Err(_) => (None, 1),
            };
            let took = cpu::time(others.pid(kind))? - before;
            rounds.push((kind, first, took.as_secs_f64() * 1e6 / chunks as f64));
        }
    }
    Ok(of_each(&rounds, |mine| {
        let first: Option<Vec<f64>> = mine.iter().map(|round| round.1).collect();
        Some(Streamed {
            first_token_ms: Spread::of(first?),
            chunk_cpu_us: Spread::of(mine.iter().map(|round| round.2).collect()),
        })
    }))
}

/// The published method.
async fn at_rate(plan: &Plan, others: &mut Others, rate: u32) -> anyhow::Result<OfRate> {
    let mut rounds = Vec::new();
    let each = plan.each * LONGER;
    for _ in 0..plan.rounds {
        // Nobody's gateway first: what the load and the provider themselves add to its 73 ms.
        for kind in std::iter::once(None).chain(Kind::ALL.map(Some)) {
            let target = match kind {
                None => Target::new(others.provider().address.port(), SIZES[0].1),
                Some(kind) => {
                    others.only(kind)?;
                    Target::new(others.port(kind), SIZES[0].1).with(&others.headers(kind))
                }
            };
            rounds.push((kind, load::at_rate(target, rate.into(), each, PATIENCE).await?));
        }
    }
    Ok(of_each(&rounds, |mine| AtRates::of(&mine.iter().map(|round| round.1).collect::<Vec<_>>())))
}

/// A part of a round: whose it is, and what was seen.
trait Part: Copy {
    type Whose: Copy + PartialEq;
    fn whose(self) -> Self::Whose;
}

impl<A: Copy, B: Copy> Part for (Kind, A, B) {
    type Whose = Kind;
    fn whose(self) -> Kind {
        self.0
    }
}

impl<A: Copy> Part for (Option<Kind>, A) {
    type Whose = Option<Kind>;
    fn whose(self) -> Option<Kind> {
        self.0
    }
}

/// What the rounds of each come to, in the order in which they were first measured.
fn of_each<P: Part, F>(rounds: &[P], of: impl Fn(&[P]) -> F) -> Vec<(P::Whose, F)> {
    let mut out: Vec<(P::Whose, F)> = Vec::new();
    for part in rounds {
        if out.iter().all(|(whose, _)| *whose != part.whose()) {
            let mine: Vec<P> = rounds.iter().copied().filter(|other| other.whose() == part.whose()).collect();
            out.push((part.whose(), of(&mine)));
        }
    }
    out
}
