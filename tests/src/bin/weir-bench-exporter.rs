//! `weir-bench-exporter`, which is what `make bench-exporter` runs: prints a table of the exporter's speed and
//! writes the figures as JSON.

use std::{fs, path::PathBuf, process::ExitCode};

use clap::Parser;
use weir_tests::{
    bench::exporter::{Plan, measure},
    run,
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
    match main_or_error(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            run::say(&format!("weir-bench-exporter: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

async fn main_or_error(arguments: Arguments) -> anyhow::Result<()> {
    let mut plan = arguments.events.map_or_else(Plan::whole, Plan::of);
    plan.page = !arguments.without_page;
    let report = measure(&plan, &|text| run::say(text)).await?;
    run::say(&format!("\n{}", report.table()));
    if let Some(dir) = arguments.output.parent() {
        fs::create_dir_all(dir)?;
    }
    fs::write(&arguments.output, format!("{:#}\n", report.json()))?;
    run::say(&format!("Written to {}", arguments.output.display()));
    Ok(())
}
