//! A real nats-server with JetStream, its store in its own directory.
//!
//! The store outlives a stop or a kill, not the owner.

use std::ffi::OsString;

use tempfile::TempDir;

use crate::{
    component::StartError,
    ports,
    process::{self, Process, Ready, Spec},
    tools,
};

/// A running nats-server.
#[derive(Debug)]
pub struct Nats {
    /// The process.
    pub process: Process,
    port: u16,
}

impl Nats {
    /// Starts one on a free port.
    ///
    /// # Errors
    /// [`StartError`] when it does not come up.
    pub async fn start() -> Result<Self, StartError> {
        process::on_free_ports(start).await
    }

    /// Its URL for clients.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }
}

async fn start() -> Result<Nats, StartError> {
    let (port, dir) = (ports::free()?, TempDir::with_prefix("weir-nats-")?);
    let mut args: Vec<OsString> =
        ["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream", "--store_dir"]
            .map(Into::into)
            .into();
    args.push(dir.path().join("store").into());
    let spec = Spec {
        name: "nats-server",
        program: tools::nats_server()?,
        args,
        env: Vec::new(),
        shows_output: false,
        ready: Ready::Tcp(port),
    };
    Ok(Nats { process: Process::start(spec, dir).await?, port })
}
