//! `weir-bench`, which is what `make bench` runs: bare Envoy, Envoy with a filter that does nothing, and
//! Weir, measured side by side.

use std::process::ExitCode;

use clap::Parser as _;
use weir_tests::{
    bench::gateway::{self, Plan},
    system::terminal::{exit_code, publish, say},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit_code("weir-bench", measure(&Plan::parse()).await.map(|()| true))
}

async fn measure(plan: &Plan) -> anyhow::Result<()> {
    let summary = gateway::run(plan, say).await?;
    publish(&plan.out, &summary.table(), &summary.json())?;
    Ok(std::fs::write(plan.out.with_extension("svg"), gateway::picture::svg(&summary))?)
}
