//! A real Envoy with the filter, configured by what `weir-config` renders and by nothing else.

use std::{ffi::OsString, net::SocketAddr, time::Duration};

use tempfile::TempDir;
use weir_config::{Gateway, envoy as renderer};

use crate::{
    component::StartError,
    ports, probe,
    process::{self, Process, Ready, Spec},
    tools,
};

/// Where a gateway listens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Addresses {
    /// For callers.
    pub listen: SocketAddr,
    /// For Envoy's administration.
    pub admin: SocketAddr,
}

impl Addresses {
    /// Two free ports of loopback, or one beside the port that callers were promised.
    ///
    /// # Errors
    /// When no port is free.
    pub fn free(listen: Option<u16>) -> std::io::Result<Self> {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let listen = match listen {
            Some(port) => port,
            None => ports::free()?,
        };
        Ok(Self { listen: loopback(listen), admin: loopback(ports::free()?) })
    }
}

/// A running Envoy.
#[derive(Debug)]
pub struct Envoy {
    /// The process.
    pub process: Process,
    /// Where it listens.
    pub addresses: Addresses,
}

impl Envoy {
    /// Starts one. `yaml` gives the gateway.yaml for the addresses it is handed; `listen` is the
    /// port for callers, absent: a free one. `env` is where the keys are that gateway.yaml names.
    ///
    /// # Errors
    /// [`StartError`] when the configuration is wrong or Envoy does not come up.
    pub async fn start(
        listen: Option<u16>,
        env: &[(String, OsString)],
        yaml: impl Fn(Addresses) -> String,
    ) -> Result<Self, StartError> {
        Self::with_workers(1, listen, env, yaml).await
    }

    /// The same with so many workers.
    ///
    /// # Errors
    /// [`StartError`] when the configuration is wrong or Envoy does not come up.
    pub async fn with_workers(
        workers: usize,
        listen: Option<u16>,
        env: &[(String, OsString)],
        yaml: impl Fn(Addresses) -> String,
    ) -> Result<Self, StartError> {
        process::on_free_ports(|| async {
            let addresses = Addresses::free(listen)?;
            start(workers, addresses, env, &yaml(addresses)).await
        })
        .await
    }

    /// Takes no new connections, lets those that are there go on for `grace`, in which what the
    /// filter has to tell is sent, and ends Envoy.
    ///
    /// # Errors
    /// [`StartError`] when Envoy cannot be stopped.
    pub async fn drain(&mut self, grace: Duration) -> Result<process::Stopped, StartError> {
        // One that no longer answers is stopped all the same.
        let _ = probe::status("POST", self.addresses.admin.port(), "/drain_listeners").await;
        tokio::time::sleep(grace).await;
        Ok(self.process.stop(STOP_GRACE).await?)
    }
}

/// How long Envoy may take to end after SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(5);

async fn start(
    workers: usize,
    addresses: Addresses,
    env: &[(String, OsString)],
    yaml: &str,
) -> Result<Envoy, StartError> {
    let dir = TempDir::with_prefix("weir-envoy-")?;
    let gateway = Gateway::parse(yaml)?;
    let options = renderer::Options { wasm: tools::wasm()?, secrets_dir: Some(dir.path().join("secrets")) };
    let rendered = renderer::bootstrap(&gateway, &options)?;
    rendered.write_secrets()?;
    let file = dir.path().join("envoy.yaml");
    std::fs::write(&file, rendered.bootstrap)?;
    let mut args: Vec<OsString> = vec!["-c".into(), file.into()];
    args.extend(["--concurrency", &workers.to_string(), "--disable-hot-restart"].map(Into::into));
    args.extend(["--log-level", "info", "--component-log-level", "wasm:debug"].map(Into::into));
    let spec = Spec {
        name: "envoy",
        program: tools::envoy()?,
        args,
        env: env.to_vec(),
        shows_output: false,
        ready: Ready::Http(addresses.admin.port(), "/ready"),
    };
    Ok(Envoy { process: Process::start(spec, dir).await?, addresses })
}
