//! What Weir costs: bare Envoy, Envoy with a filter that does nothing, and Weir with everything on, side
//! by side in one run.
//!
//! Every Envoy has one worker and is pinned to one core; load, provider, exporter, NATS and endpoint are
//! on the other. Rounds are interleaved, so that what else the machine does meets all alike, and figures
//! are medians of rounds. Ratios are against bare Envoy; absolute times are this machine's.

pub mod envoys;
pub mod kind;
pub mod load;
pub mod noop;
pub mod picture;
pub mod report;
pub mod server;
pub mod wrk;

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, ensure};
use clap::Parser;

use self::{
    envoys::Gateways,
    kind::Kind,
    load::{SIZES, Target},
    report::{HalfLoad, Memory, Stream, Summary, Throughput},
};
use crate::{
    measure::{
        cpu::{self, Pins},
        statistics::Spread,
    },
    system::terminal::seconds,
};

/// Measures what Weir costs beside bare Envoy, in one run.
#[derive(Clone, Debug, Parser)]
pub struct Plan {
    /// Interleaved rounds of each measurement.
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// Seconds of each measurement.
    #[arg(long = "seconds", value_name = "SECONDS", value_parser = seconds, default_value = "4")]
    pub each: Duration,
    /// Connections of the saturating load.
    #[arg(long, default_value_t = 20)]
    pub connections: usize,
    /// How many requests are under way at once where that is varied.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50, 200])]
    pub concurrency: Vec<usize>,
    /// Streams at once.
    #[arg(long, default_value_t = 200)]
    pub streams: usize,
    /// Where the summary is written; its picture stands beside it.
    #[arg(long, default_value = "target/bench/summary.json")]
    pub out: PathBuf,
}

/// Chunks of the shorter streams and of the longer ones.
const LENGTHS: [usize; 2] = [20, 80];

/// How long each gateway is warmed up before it is measured.
const WARM: Duration = Duration::from_secs(1);

/// Measures all, and says how far it is.
pub async fn run(plan: &Plan, say: impl Fn(&str)) -> anyhow::Result<Summary> {
    let pins = Pins::find()?;
    let gateways = Gateways::start(&pins).await?;
    let mut throughput = Vec::new();
    for (name, size) in SIZES {
        say(&format!("throughput at {name}: {} rounds of {:?} each", plan.rounds, plan.each));
        throughput.push((name, saturate(plan, &pins, &gateways, size, plan.connections).await?));
    }
    let mut concurrency = Vec::new();
    for connections in plan.concurrency.iter().copied() {
        say(&format!("{connections} under way at once"));
        concurrency.push((connections, saturate(plan, &pins, &gateways, SIZES[0].1, connections).await?));
    }
    let (_, small) = throughput.first().context("no size was measured")?;
    let rate = (small.of(Kind::Weir).rps.median / 2.0).max(1.0);
    say(&format!("half load: {rate:.0} requests a second"));
    let half_load = at_half_load(plan, &gateways, rate).await?;
    say(&format!("streams: {} at once", plan.streams));
    let stream = streams(plan, &gateways).await?;
    let memory = Memory {
        wasm_mib: gateways.wasm_bytes().await? / f64::from(1 << 20),
        envoy_rss_mib: cpu::resident_bytes(gateways.pid(Kind::Weir))? / f64::from(1 << 20),
    };
    let events = gateways.events().await?;
    ensure!(events.created > 0.0, "not one event was created, so tracing was not on");
    Ok(Summary { throughput, concurrency, half_load, stream, memory, events })
}

/// As much as goes.
async fn saturate(
    plan: &Plan,
    pins: &Pins,
    gateways: &Gateways,
    size: usize,
    connections: usize,
) -> anyhow::Result<Throughput> {
    let script = wrk::script(size, &load::headers())?;
    let mut rounds = Vec::new();
    for kind in Kind::OURS {
        wrk::run(pins, &script, gateways.port(kind), connections, WARM).await?;
    }
    for _ in 0..plan.rounds {
        for kind in Kind::OURS {
            let before = cpu::time(gateways.pid(kind))?;
            let port = gateways.port(kind);
            let load = wrk::run(pins, &script, port, connections, plan.each).await?;
            let took = cpu::time(gateways.pid(kind))? - before;
            rounds.push((kind, (load.per_second, took.as_secs_f64() * 1e6 / load.requests)));
        }
    }
    Ok(Throughput::of_rounds(&rounds))
}

/// At a constant rate, each latency from the moment at which its request was due.
async fn at_half_load(plan: &Plan, gateways: &Gateways, rate: f64) -> anyhow::Result<HalfLoad> {
    let mut rounds = Vec::new();
    for _ in 0..plan.rounds {
        for kind in [Kind::Bare, Kind::Weir] {
            let target = Target::new(gateways.port(kind), SIZES[0].1);
            rounds.push((kind, load::constant_rate(target, rate, plan.each).await?));
        }
    }
    Ok(HalfLoad::of(rate, &rounds))
}

/// Many streams at once. What one more chunk costs is the difference between streams of two lengths, so
/// nothing of what each request costs is in it.
async fn streams(plan: &Plan, gateways: &Gateways) -> anyhow::Result<Stream> {
    let mut first_token = Vec::new();
    let mut chunk = Vec::new();
    for _ in 0..plan.rounds {
        for kind in [Kind::Bare, Kind::Weir] {
            let mut of_length = Vec::new();
            for length in LENGTHS {
                gateways.provider.stream(length);
                let target = Target::streamed(gateways.port(kind));
                let before = cpu::time(gateways.pid(kind))?;
                let brought = load::streams(target, plan.streams, plan.each).await?;
                let took = cpu::time(gateways.pid(kind))? - before;
                ensure!(brought.streams > 0, "no stream came to its end");
                of_length.push(took.as_secs_f64() * 1e6 / brought.streams as f64);
                first_token.push((kind, brought.first_token));
            }
            if let ([short, long], [less, more]) = (of_length.as_slice(), LENGTHS) {
                chunk.push((kind, (long - short) / (more - less) as f64));
            }
        }
    }
    let of = |kind: Kind, values: &[(Kind, f64)]| {
        Spread::of(values.iter().filter(|(it, _)| *it == kind).map(|(_, value)| *value).collect())
    };
    let (bare, weir) = (of(Kind::Bare, &chunk), of(Kind::Weir, &chunk));
    let (bare_first, weir_first) = (of(Kind::Bare, &first_token), of(Kind::Weir, &first_token));
    Ok(Stream {
        concurrent: plan.streams,
        bare_first_token_ms: bare_first.median,
        weir_first_token_ms: weir_first.median,
        added_first_token_ms: weir_first.median - bare_first.median,
        bare_chunk_us: bare.median,
        added_chunk_us: weir.median - bare.median,
    })
}
