//! `weir-bench-exporter`, which is what `make bench-exporter` runs: prints a table of the exporter's speed and
//! writes the figures as JSON.

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use weir_tests::{
    bench::exporter::{Plan, measure},
    system::terminal::{exit_code, publish, say},
};

/// Measures the exporter.
#[derive(Parser)]
struct Arguments {
    /// Where the figures are written.
    #[arg(long, default_value = "target/bench/exporter.json")]
    output: PathBuf,
    /// So many events of each size instead of a million and sixty thousand.
    #[arg(long)]
    events: Option<usize>,
    /// Without the page and the traces that it holds.
    #[arg(long)]
    without_page: bool,
}

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("weir-bench-exporter", main_or_error(Arguments::parse()).await.map(|()| true))
}

async fn main_or_error(arguments: Arguments) -> anyhow::Result<()> {
    let mut plan = arguments.events.map_or_else(Plan::whole, Plan::of);
    plan.page = !arguments.without_page;
    let report = measure(&plan, &say).await?;
    publish(&arguments.output, &report.table(), &report.json())
}
