//! `weir-demo-provider ADDRESS`: the demo provider, until it is stopped. With `--check` it asks one that runs
//! there whether it is well, which is how a container without a shell is looked after.

use std::{net::SocketAddr, time::Duration};

use anyhow::{Context, bail};
use clap::Parser;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    signal::unix::{SignalKind, signal},
    time::timeout,
};

/// How long a check may take.
const CHECK_DEADLINE: Duration = Duration::from_secs(3);

/// Weir's demo provider: speaks OpenAI's chat completions, without a model behind it.
#[derive(Parser)]
#[command(name = "weir-demo-provider", version = weir_event::VERSION)]
struct Arguments {
    /// Where to listen, such as 127.0.0.1:8081.
    #[arg(env = "WEIR_DEMO_LISTEN")]
    address: SocketAddr,
    /// Ask the one that listens there whether it is well, and end: with an error where it is not.
    #[arg(long)]
    check: bool,
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let Arguments { address, check } = Arguments::parse();
    if check {
        return timeout(CHECK_DEADLINE, ask(address)).await.context("no answer in time")?;
    }
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
        served = async { axum::serve(listener, weir_demo::router()).await } => Ok(served?),
        () = stopped => Ok(()),
    }
}

async fn ask(address: SocketAddr) -> anyhow::Result<()> {
    let mut stream = TcpStream::connect(address).await.with_context(|| format!("connect to {address}"))?;
    stream.write_all(b"GET /healthz HTTP/1.0\r\n\r\n").await?;
    let mut answer = String::new();
    stream.take(1024).read_to_string(&mut answer).await?;
    match answer.split_whitespace().nth(1) {
        Some("200") => Ok(()),
        _ => bail!("it is not well"),
    }
}
