//! `weir-bench`, which is what `make bench` runs: bare Envoy, Envoy with a filter that does nothing, and
//! Weir, measured side by side.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use weir_tests::{
    bench::gateway::{self, Plan},
    system::terminal::{exit_code, publish, say},
};

/// Measures what Weir costs beside bare Envoy, in one run.
#[derive(Parser)]
struct Cli {
    /// Interleaved rounds of each measurement.
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seconds of each measurement.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections of the saturating load.
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// How many requests are under way at once where that is varied.
    #[arg(long, value_delimiter = ',', default_values_t = [1, 10, 50, 200])]
    concurrency: Vec<usize>,
    /// Streams at once.
    #[arg(long, default_value_t = 200)]
    streams: usize,
    /// Where the summary is written; its picture stands beside it.
    #[arg(long, default_value = "target/bench/summary.json")]
    out: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { rounds, seconds, connections, concurrency, streams, out } = Cli::parse();
    let plan = Plan { rounds, each: Duration::from_secs(seconds), connections, concurrency, streams };
    exit_code("weir-bench", measure(&plan, &out).await.map(|()| true))
}

async fn measure(plan: &Plan, out: &std::path::Path) -> anyhow::Result<()> {
    let summary = gateway::run(plan, say).await?;
    publish(out, &summary.table(), &summary.json())?;
    Ok(std::fs::write(out.with_extension("svg"), gateway::picture::svg(&summary))?)
}
