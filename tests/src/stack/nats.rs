//! A real nats-server with JetStream, its store in its own directory.
//!
//! The store outlives a stop or a kill, not the owner.

use std::{ffi::OsString, path::Path};

use tempfile::TempDir;

use crate::system::{
    ports,
    process::{self, Process, Ready, Spec},
    tools,
};

/// The nodes of a cluster.
const CLUSTER: usize = 3;

/// A running nats-server.
#[derive(Debug)]
pub struct Nats {
    /// The process.
    pub process: Process,
    port: u16,
}

impl Nats {
    /// Starts one on a free port.
    pub async fn start() -> anyhow::Result<Self> {
        process::on_free_ports(|| start(None, Vec::new(), "")).await
    }

    /// Starts one with these lines of configuration, and files by their names beside it.
    pub async fn configured(config: &str, files: &[(&str, &str)]) -> anyhow::Result<Self> {
        process::on_free_ports(|| async {
            let dir = TempDir::with_prefix("weir-nats-")?;
            for (name, text) in files {
                std::fs::write(dir.path().join(name), text)?;
            }
            start(Some(dir), Vec::new(), config).await
        })
        .await
    }

    /// Starts one whose store is in this directory.
    pub async fn storing_in(store: &Path) -> anyhow::Result<Self> {
        let args = || vec!["--store_dir".into(), store.into()];
        // It would take no more than what is free there, which is for the stream to find out.
        process::on_free_ports(|| start(None, args(), "jetstream { max_file_store: 8GB }\n")).await
    }

    /// Starts three that are one cluster.
    pub async fn cluster() -> anyhow::Result<Vec<Self>> {
        let mut ports = Vec::new();
        for _ in 0..CLUSTER {
            ports.push(ports::free()?);
        }
        let routes: Vec<String> = ports.iter().map(|port| format!("nats://127.0.0.1:{port}")).collect();
        let mut nodes = Vec::new();
        for (number, port) in ports.iter().enumerate() {
            let args = [
                "--server_name",
                &format!("n{number}"),
                "--cluster_name",
                "weir",
                "--cluster",
                &format!("nats://127.0.0.1:{port}"),
                "--routes",
                &routes.join(","),
            ];
            nodes.push(start(None, args.map(Into::into).into(), "").await?);
        }
        Ok(nodes)
    }

    /// Its URL for clients.
    pub fn url(&self) -> String {
        format!("nats://127.0.0.1:{}", self.port)
    }

    /// Its port.
    pub fn port(&self) -> u16 {
        self.port
    }
}

async fn start(dir: Option<TempDir>, more: Vec<OsString>, config: &str) -> anyhow::Result<Nats> {
    let port = ports::free()?;
    let dir = dir.map_or_else(|| TempDir::with_prefix("weir-nats-"), Ok)?;
    let mut args: Vec<OsString> =
        ["--addr", "127.0.0.1", "--port", &port.to_string(), "--jetstream"].map(Into::into).into();
    if !more.iter().any(|argument| argument == "--store_dir") {
        args.extend(["--store_dir".into(), dir.path().join("store").into()]);
    }
    args.extend(more);
    if !config.is_empty() {
        std::fs::write(dir.path().join("nats.conf"), config)?;
        args.extend(["--config".into(), "nats.conf".into()]);
    }
    let spec = Spec::new("nats-server", tools::nats_server()?, args, Ready::Tcp(port));
    Ok(Nats { process: Process::start(spec, dir).await?, port })
}
