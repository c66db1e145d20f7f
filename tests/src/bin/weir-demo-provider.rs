//! `weir-demo-provider 127.0.0.1:PORT`: the built-in demo provider, until it is stopped.

use std::net::SocketAddr;

use anyhow::Context;
use clap::Parser;
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
};
use weir_tests::demo;

/// Weir's built-in demo provider: speaks OpenAI's chat completions, without a model behind it.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// Where to listen, such as 127.0.0.1:8081.
    address: SocketAddr,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { address } = Arguments::parse();
    let mut terminate = signal(SignalKind::terminate())?;
    let listener = TcpListener::bind(address).await.with_context(|| format!("listen on {address}"))?;
    let stopped = async move {
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminate.recv() => {}
        }
    };
    // A stream under way goes with the process: a demo need not hold anybody up.
    tokio::select! {
        served = async { axum::serve(listener, demo::router()).await } => Ok(served?),
        () = stopped => Ok(()),
    }
}
