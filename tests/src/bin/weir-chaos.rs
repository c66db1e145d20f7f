//! `weir-chaos`, which is what `make chaos` runs: load while everything fails in turn, and then the ledger.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use weir_tests::{
    chaos::{self, Settings},
    system::terminal::{exit_code, say},
};

/// Runs load through Weir while a seeded schedule kills, pauses, slows and partitions every component, and then
/// proves that every request was answered as promised and that every event is delivered or counted.
#[derive(Debug, Parser)]
struct Arguments {
    /// For how many minutes there is load.
    #[arg(long, default_value_t = 5.0)]
    minutes: f64,
    /// The schedule and the load are drawn from it; by default it is drawn too, and printed.
    #[arg(long)]
    seed: Option<u64>,
    /// Nodes of NATS, 1 or 3; by default by the seed: 3 for odd ones.
    #[arg(long, value_parser = ["1", "3"])]
    nodes: Option<String>,
    /// Requests a second.
    #[arg(long, default_value_t = 60)]
    rate: u32,
    /// The directory for the logs of a run in which something does not hold.
    #[arg(long, default_value = "target/chaos")]
    logs: PathBuf,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let seed = arguments.seed.unwrap_or_else(|| fastrand::u64(0..1_000_000));
    let nodes = match arguments.nodes.as_deref() {
        Some("3") => 3,
        Some(_) => 1,
        None if seed.is_multiple_of(2) => 1,
        None => 3,
    };
    let length = Duration::from_secs_f64(arguments.minutes.max(0.1) * 60.0);
    let settings = Settings { length, seed, nodes, rate: arguments.rate, logs: Some(arguments.logs) };
    let result = chaos::run(&settings, say).await.map(|verdict| {
        let word = if verdict.is_good() { "GOOD: all of it holds" } else { "NOT GOOD: see above" };
        say(&format!("\n{verdict}\n{word}\nseed {seed}, {nodes} of nats"));
        verdict.is_good()
    });
    exit_code("weir-chaos", result.map_err(|error| format!("{error} (seed {seed})")))
}
