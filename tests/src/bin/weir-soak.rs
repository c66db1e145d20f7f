//! `weir-soak`, which is what `make soak` runs: Weir under a constant load for an hour, and whether anything grows.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use clap::Parser;
use weir_tests::{
    soak::{self, Settings},
    system::terminal::{exit_code, say},
};

/// Runs Weir under a constant load and says whether memory, file descriptors or backlogs grow.
#[derive(Debug, Parser)]
struct Arguments {
    /// For how many minutes.
    #[arg(long, default_value_t = 60.0)]
    minutes: f64,
    /// Requests a second.
    #[arg(long, default_value_t = 300)]
    rate: u32,
    /// The kinds of requests are drawn from it.
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Seconds between two looks.
    #[arg(long, default_value_t = 5.0)]
    every: f64,
    /// The directory for soak.csv and soak.svg.
    #[arg(long, default_value = "target/soak")]
    out: PathBuf,
    /// The exporter to run; by default the one beside this program.
    #[arg(long)]
    exporter: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let settings = Settings {
        length: Duration::from_secs_f64(arguments.minutes.max(0.1) * 60.0),
        rate: arguments.rate,
        seed: arguments.seed,
        every: Duration::from_secs_f64(arguments.every.max(0.5)),
        out: arguments.out,
        exporter: arguments.exporter,
    };
    let result = soak::run(&settings, say).await.map(|report| {
        let good = report.flat && report.whole;
        let word = if good { "GOOD: nothing grows, nothing is lost" } else { "NOT GOOD: see above" };
        say(&format!("{}\n{word}", report.text));
        good
    });
    exit_code("weir-soak", result)
}
