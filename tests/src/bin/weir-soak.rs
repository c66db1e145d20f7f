//! `weir-soak`, which is what `make soak` runs: Weir under a constant load for an hour, and whether anything grows.

use std::process::ExitCode;

use clap::Parser as _;
use weir_tests::{
    soak::{self, Settings},
    system::terminal::{exit_code, say},
};

#[tokio::main]
async fn main() -> ExitCode {
    let result = soak::run(&Settings::parse(), say).await.map(|report| {
        let good = report.flat && report.whole;
        let word = if good { "GOOD: nothing grows, nothing is lost" } else { "NOT GOOD: see above" };
        say(&format!("{}\n{word}", report.text));
        good
    });
    exit_code("weir-soak", result)
}
