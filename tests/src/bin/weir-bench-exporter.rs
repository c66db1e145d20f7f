//! `weir-bench-exporter`, which is what `make bench-exporter` runs: prints a table of the exporter's speed and
//! writes the figures as JSON.

use std::process::ExitCode;

use clap::Parser as _;
use weir_tests::{
    bench::exporter::{Plan, measure},
    system::terminal::{exit_code, publish, say},
};

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("weir-bench-exporter", main_or_error(&Plan::parse()).await.map(|()| true))
}

async fn main_or_error(plan: &Plan) -> anyhow::Result<()> {
    let report = measure(plan, &say).await?;
    publish(&plan.output, &report.table(), &report.json())
}
