//! Weir beside other gateways: LiteLLM's proxy and Portkey's gateway, with bare Envoy for the scale.
//!
//! All are pinned to the same core and lead to the same provider; the load and the provider are on the
//! other core. Whoever is not measured is stopped (SIGSTOP) meanwhile. Rounds are interleaved and figures
//! are medians of rounds. Two loads: that of `make bench`, and the one by which a commercial gateway
//! published its figures (a provider that takes 73 ms, 10 to 300 requests a second on one vCPU). Weir has
//! everything on; the others only route and hold the provider's key.

pub mod others;
pub mod report;

use std::{path::PathBuf, time::Duration};

use anyhow::ensure;
use clap::Parser;

use self::report::{AtRates, OfRate, Report, Streamed, THINKS};
use crate::{
    bench::gateway::{
        envoys::Gateways,
        kind::Kind,
        load::{self, SIZES, Target},
        report::Saturated,
        wrk,
    },
    measure::{
        cpu::{self, Pins},
        statistics::Spread,
    },
    system::terminal::seconds,
};

/// Measures Weir beside other gateways, in one run.
#[derive(Clone, Debug, Parser)]
pub struct Plan {
    /// Interleaved rounds of each measurement.
    #[arg(long, default_value_t = 3)]
    pub rounds: usize,
    /// Seconds of each measurement; three times as many where the provider takes 73 ms.
    #[arg(long = "seconds", value_name = "SECONDS", value_parser = seconds, default_value = "4")]
    pub each: Duration,
    /// Connections of the saturating load.
    #[arg(long, default_value_t = 20)]
    pub connections: usize,
    /// Streams at once.
    #[arg(long, default_value_t = 200)]
    pub streams: usize,
    /// Requests a second where the provider takes 73 ms.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 200, 300])]
    pub rates: Vec<u32>,
    /// Where the report is written.
    #[arg(long, default_value = "target/bench/peers.json")]
    pub out: PathBuf,
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
    let mut all = others::start(&pins).await?;
    say("warming up");
    for kind in Kind::PEERS {
        all.only(kind)?;
        let script = wrk::script(SIZES[0].1, &others::headers(&all, kind))?;
        wrk::run(&pins, &script, all.port(kind), plan.connections, WARM).await?;
    }
    let mut throughput = Vec::new();
    for (name, size) in SIZES {
        say(&format!("throughput at {name}: {} rounds of {:?} each", plan.rounds, plan.each));
        throughput.push((name, saturate(plan, &pins, &mut all, size).await?));
    }
    say(&format!("streams: {} at once", plan.streams));
    let streams = streams(plan, &mut all).await?;
    all.provider.think(THINKS);
    let mut rates = Vec::new();
    for rate in &plan.rates {
        say(&format!("a provider of {THINKS:?}: {rate} requests a second"));
        rates.push((*rate, at_rate(plan, &mut all, *rate).await?));
    }
    all.provider.think(Duration::ZERO);
    Ok(Report { versions: others::versions().await?, throughput, streams, rates })
}

/// As much as goes.
async fn saturate(
    plan: &Plan,
    pins: &Pins,
    all: &mut Gateways,
    size: usize,
) -> anyhow::Result<Vec<(Kind, Saturated)>> {
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        for kind in Kind::PEERS {
            all.only(kind)?;
            let script = wrk::script(size, &others::headers(all, kind))?;
            let before = cpu::time(all.pid(kind))?;
            let load = wrk::run(pins, &script, all.port(kind), plan.connections, plan.each).await?;
            ensure!(load.requests > 0.0, "{} answered nothing", kind.name());
            let took = cpu::time(all.pid(kind))? - before;
            rounds.push((kind, (load.per_second, took.as_secs_f64() * 1e6 / load.requests)));
        }
    }
    Ok(of_each(&rounds, Saturated::of))
}

async fn streams(plan: &Plan, all: &mut Gateways) -> anyhow::Result<Vec<(Kind, Option<Streamed>)>> {
    let mut rounds: Vec<(Kind, (Option<f64>, f64))> = Vec::new();
    for _ in 0..plan.rounds {
        for kind in Kind::PEERS {
            all.only(kind)?;
            let target = Target::streamed(all.port(kind)).with(&others::headers(all, kind));
            let before = cpu::time(all.pid(kind))?;
            let load = load::streams(target, plan.streams, plan.each);
            let (first, chunks) = match tokio::time::timeout(STREAMS_END, load).await {
                Ok(round) => round.map(|round| (Some(round.first_token), round.chunks))?,
                Err(_) => (None, 1),
            };
            let took = cpu::time(all.pid(kind))? - before;
            rounds.push((kind, (first, took.as_secs_f64() * 1e6 / chunks as f64)));
        }
    }
    Ok(of_each(&rounds, |mine| {
        let first: Option<Vec<f64>> = mine.iter().map(|round| round.0).collect();
        Some(Streamed {
            first_token_ms: Spread::of(first?),
            chunk_cpu_us: Spread::of(mine.iter().map(|round| round.1).collect()),
        })
    }))
}

/// The published method.
async fn at_rate(plan: &Plan, all: &mut Gateways, rate: u32) -> anyhow::Result<OfRate> {
    let mut rounds = Vec::new();
    let each = plan.each * LONGER;
    for _ in 0..plan.rounds {
        // Nobody's gateway first: what the load and the provider themselves add to its 73 ms.
        for kind in std::iter::once(None).chain(Kind::PEERS.map(Some)) {
            let target = match kind {
                None => Target::new(all.provider.address.port(), SIZES[0].1),
                Some(kind) => {
                    all.only(kind)?;
                    Target::new(all.port(kind), SIZES[0].1).with(&others::headers(all, kind))
                }
            };
            rounds.push((kind, load::at_rate(target, rate.into(), each, PATIENCE).await?));
        }
    }
    Ok(of_each(&rounds, AtRates::of))
}

/// What the rounds of each come to, in the order in which they were first measured.
fn of_each<W: Copy + PartialEq, P: Copy, F>(rounds: &[(W, P)], of: impl Fn(&[P]) -> F) -> Vec<(W, F)> {
    let mut out: Vec<(W, F)> = Vec::new();
    for (whose, _) in rounds {
        if out.iter().all(|(other, _)| other != whose) {
            let mine = rounds.iter().filter(|(other, _)| other == whose);
            out.push((*whose, of(&mine.map(|(_, part)| *part).collect::<Vec<P>>())));
        }
    }
    out
}
