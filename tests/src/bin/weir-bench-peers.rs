//! `weir-bench-peers`, which is what `make bench-peers` runs: Weir beside LiteLLM's proxy and Portkey's
//! gateway, with bare Envoy for the scale.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use weir_tests::{
    bench::peers::{self, Plan},
    system::terminal::{exit_code, publish, say},
};

/// Measures Weir beside other gateways, in one run.
#[derive(Parser)]
struct Cli {
    /// Interleaved rounds of each measurement.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of each measurement; three times as many where the provider takes 73 ms.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Connections of the saturating load.
    #[arg(long, default_value_t = 20)]
    connections: usize,
    /// Streams at once.
    #[arg(long, default_value_t = 200)]
    streams: usize,
    /// Requests a second where the provider takes 73 ms.
    #[arg(long, value_delimiter = ',', default_values_t = [10, 50, 200, 300])]
    rates: Vec<u32>,
    /// Where the report is written.
    #[arg(long, default_value = "target/bench/peers.json")]
    out: PathBuf,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Cli { rounds, seconds, connections, streams, rates, out } = Cli::parse();
    let plan = Plan { rounds, each: Duration::from_secs(seconds), connections, streams, rates };
    exit_code("weir-bench-peers", measure(&plan, &out).await.map(|()| true))
}

async fn measure(plan: &Plan, out: &std::path::Path) -> anyhow::Result<()> {
    let report = peers::run(plan, say).await?;
    publish(out, &report.table(), &report.json())
}
