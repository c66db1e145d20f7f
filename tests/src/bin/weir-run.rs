//! `weir-run`, which is what `make run` runs: nats-server, the exporter and Envoy with the filter,
//! all on loopback, until Ctrl-C.
//!
//! Keys go by the environment of the one process that needs them, never by arguments, files or
//! the terminal. Whatever happens, everything that was started is stopped.

use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};
use weir_tests::{
    run::{self, Settings},
    system::terminal::exit_code,
};

#[tokio::main]
async fn main() -> ExitCode {
    exit_code("\nweir", main_or_error().await.map(|()| true))
}

async fn main_or_error() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    run::run(Settings::from_env()?, stop).await
}
