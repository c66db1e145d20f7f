//! The real exporter, both its parts in one process.

use std::ffi::OsString;

use tempfile::TempDir;

use crate::{
    component::StartError,
    ports,
    process::{self, Process, Ready, Spec},
    tools,
};

/// How much the event stream may hold: small, since it is a test's or a try-out's.
const STREAM_MAX_BYTES: u64 = 256 << 20;

/// Short, so that a trace is there when one looks.
const BATCH_DELAY_MS: u64 = 50;

/// A running exporter.
#[derive(Debug)]
pub struct Exporter {
    /// The process.
    pub process: Process,
    /// The port of its ingest.
    pub port: u16,
    /// The port of its health and metrics.
    pub admin_port: u16,
}

impl Exporter {
    /// Starts one on free ports and waits until it is ready. `env` says where the traces go; with
    /// nothing in it they are printed, to our own output where `shows_output`.
    ///
    /// # Errors
    /// [`StartError`] when it does not come up.
    pub async fn start(
        nats_url: &str,
        env: &[(String, OsString)],
        shows_output: bool,
    ) -> Result<Self, StartError> {
        process::on_free_ports(|| start(nats_url, env, shows_output)).await
    }

    /// The URL of its ingest.
    pub fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

async fn start(
    nats_url: &str,
    env: &[(String, OsString)],
    shows_output: bool,
) -> Result<Exporter, StartError> {
    let (port, admin_port) = (ports::free()?, ports::free()?);
    let dir = TempDir::with_prefix("weir-exporter-")?;
    let args = [
        "run".into(),
        "--nats-url".into(),
        nats_url.into(),
        "--listen".into(),
        format!("127.0.0.1:{port}").into(),
        "--admin-listen".into(),
        format!("127.0.0.1:{admin_port}").into(),
        "--stream-max-bytes".into(),
        STREAM_MAX_BYTES.to_string().into(),
        "--batch-delay-ms".into(),
        BATCH_DELAY_MS.to_string().into(),
    ];
    let spec = Spec {
        name: "weir-exporter",
        program: tools::binary("weir-exporter")?,
        args: args.into(),
        env: env.to_vec(),
        shows_output,
        ready: Ready::Http(admin_port, "/readyz"),
    };
    Ok(Exporter { process: Process::start(spec, dir).await?, port, admin_port })
}
