//! `weir-bench-peers`, which is what `make bench-peers` runs: Weir beside LiteLLM's proxy and Portkey's
//! gateway, with bare Envoy for the scale.

use std::process::ExitCode;

use clap::Parser as _;
use weir_tests::{
    bench::peers::{self, Plan},
    system::terminal::{exit_code, publish, say},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    exit_code("weir-bench-peers", measure(&Plan::parse()).await.map(|()| true))
}

async fn measure(plan: &Plan) -> anyhow::Result<()> {
    let report = peers::run(plan, say).await?;
    publish(&plan.out, &report.table(), &report.json())
}
