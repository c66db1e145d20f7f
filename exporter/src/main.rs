//! The exporter's command: reads flags and environment, starts logging, runs until it is told to stop.
//!
//! Everything else is in the library. The first SIGTERM or SIGINT asks for an orderly stop, the second
//! ends the process at once.

use std::{
    io::{self, Write as _},
    process::ExitCode,
};

use anyhow::Context as _;
use clap::Parser as _;
use weir_exporter::{Exporter, cli::Cli, logging, settings::Settings, shutdown};

fn main() -> ExitCode {
    match start() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // Where not even this can be written, the exit code has to do.
            let _ = writeln!(io::stderr(), "weir-exporter: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn start() -> anyhow::Result<()> {
    let cli = Cli::parse();
    logging::start(cli.log_format);
    let settings = Settings::new(&cli, &|name| std::env::var_os(name))?;
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("cannot start the runtime")?
        .block_on(run(settings))
}

async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = shutdown::on_signals().context("cannot listen for signals")?;
    let exporter = Exporter::bind(settings).await?;
    exporter.run(stop).await?;
    Ok(())
}
