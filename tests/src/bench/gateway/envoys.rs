//! The three gateways that are compared, and what Weir needs beside it.

use std::{collections::BTreeMap, ffi::OsString, fs, net::SocketAddr};

use anyhow::{Context, ensure};
use serde_json::json;
use sha2::{Digest, Sha256};
use tempfile::TempDir;
use weir_config::{Gateway, envoy as renderer};

use super::{
    kind::Kind,
    load, noop,
    report::Events,
    server::{self, Answers, Served},
};
use crate::{
    measure::cpu::Pins,
    stack::{
        envoy::Addresses,
        exporter::{self, Exporter},
        nats::Nats,
    },
    system::{
        process::{Process, Ready, Spec},
        tools,
    },
};

/// All that runs.
pub struct Gateways {
    /// Which all of them lead to.
    pub provider: Served,
    /// The gateways, and the ports that they take requests at.
    pub running: BTreeMap<Kind, (Process, u16)>,
    admin: u16,
    _exporter: Exporter,
    _nats: Nats,
}

impl Gateways {
    /// Starts all.
    pub async fn start(pins: &Pins) -> anyhow::Result<Self> {
        let provider = server::start(pins, Answers::Provider)?;
        let endpoint = server::start(pins, Answers::Nothing)?;
        // What is started from here on is on that core too, unless it is pinned elsewhere.
        pins.move_here()?;
        let nats = Nats::start().await?;
        let url = OsString::from(format!("http://{}/v1/traces", endpoint.address));
        let env = [("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT".to_owned(), url)];
        let options = exporter::Options { env: &env, ..exporter::Options::default() };
        let exporter = Exporter::with(&nats.url(), &options).await?;
        let bare = plain(pins, provider.address, None).await?;
        let noop = plain(pins, provider.address, Some(&noop::wasm()?)).await?;
        let (weir, admin) = weir(pins, provider.address, &exporter.url()).await?;
        let running = BTreeMap::from([(Kind::Bare, bare), (Kind::Noop, noop), (Kind::Weir, weir)]);
        Ok(Self { provider, running, admin, _exporter: exporter, _nats: nats })
    }

    /// Has this one run, and none of the others that it is compared with.
    pub fn only(&mut self, kind: Kind) -> anyhow::Result<()> {
        for (other, (process, _)) in &mut self.running {
            if !Kind::PEERS.contains(other) {
                continue;
            }
            ensure!(process.ended().is_none(), "{} has ended:\n{}", other.name(), process.log_end());
            if *other == kind { process.resume()? } else { process.pause()? }
        }
        Ok(())
    }

    #[allow(clippy::indexing_slicing, reason = "what is measured was started")]
    fn of(&self, kind: Kind) -> &(Process, u16) {
        &self.running[&kind]
    }

    /// Where one takes requests.
    pub fn port(&self, kind: Kind) -> u16 {
        self.of(kind).1
    }

    /// The process of one.
    pub fn pid(&self, kind: Kind) -> u32 {
        self.of(kind).0.id()
    }

    /// The linear memory of Weir's VMs, in bytes.
    pub async fn wasm_bytes(&self) -> anyhow::Result<f64> {
        self.stat("weir.memory_bytes").await
    }

    /// What became of the events.
    pub async fn events(&self) -> anyhow::Result<Events> {
        Ok(Events {
            created: self.stat("weir.events_created").await?,
            accepted: self.stat("weir.events_accepted").await?,
            dropped: self.stat("weir.events_dropped_outbox_full").await?,
        })
    }

    async fn stat(&self, name: &str) -> anyhow::Result<f64> {
        let url = format!("http://127.0.0.1:{}/stats?filter={name}$", self.admin);
        let text = crate::callers::client::http().get(url).send().await?.text().await?;
        let line =
            text.lines().find(|line| line.contains(name)).with_context(|| format!("no stat {name}"))?;
        Ok(line.rsplit(' ').next().unwrap_or_default().trim().parse()?)
    }
}

/// An Envoy with nothing of Weir: one route to one provider, and perhaps a filter that does nothing.
async fn plain(pins: &Pins, provider: SocketAddr, wasm: Option<&[u8]>) -> anyhow::Result<(Process, u16)> {
    let (addresses, dir) = (Addresses::free(None)?, TempDir::with_prefix("weir-bench-")?);
    let mut filters = Vec::new();
    if let Some(wasm) = wasm {
        let file = dir.path().join("noop.wasm");
        fs::write(&file, wasm)?;
        filters.push(json!({
            "name": "noop",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.http.wasm.v3.Wasm",
                "config": { "vm_config": { "runtime": "envoy.wasm.runtime.v8", "code": { "local": { "filename": file } } } },
            },
        }));
    }
    filters.push(json!({
        "name": "router",
        "typed_config": { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" },
    }));
    let address =
        |it: SocketAddr| json!({ "socket_address": { "address": it.ip(), "port_value": it.port() } });
    let many = 100_000;
    let bootstrap = json!({
        "admin": { "address": address(addresses.admin) },
        "static_resources": {
            "listeners": [{
                "address": address(addresses.listen),
                "filter_chains": [{ "filters": [{
                    "name": "http",
                    "typed_config": {
                        "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                        "stat_prefix": "bare",
                        "route_config": { "virtual_hosts": [{
                            "name": "all",
                            "domains": ["*"],
                            "routes": [{ "match": { "prefix": "/" }, "route": { "cluster": "provider" } }],
                        }] },
                        "http_filters": filters,
                    },
                }] }],
            }],
            "clusters": [{
                "name": "provider",
                "type": "STATIC",
                "circuit_breakers": { "thresholds": [{ "max_connections": many, "max_pending_requests": many, "max_requests": many }] },
                "load_assignment": {
                    "cluster_name": "provider",
                    "endpoints": [{ "lb_endpoints": [{ "endpoint": { "address": address(provider) } }] }],
                },
            }],
        },
    });
    start(pins, &bootstrap.to_string(), addresses, dir, Vec::new()).await
}

/// Weir with everything on, and the port of its administration.
async fn weir(pins: &Pins, provider: SocketAddr, exporter: &str) -> anyhow::Result<((Process, u16), u16)> {
    let (addresses, dir) = (Addresses::free(None)?, TempDir::with_prefix("weir-bench-")?);
    let digest: String = Sha256::digest(load::KEY).iter().map(|byte| format!("{byte:02x}")).collect();
    let url = format!("http://{provider}/v1");
    let upstream = |api: &str| json!({ "api": api, "url": url, "key": { "env": "WEIR_BENCH_KEY" } });
    let yaml = json!({
        "listen": addresses.listen,
        "admin": addresses.admin,
        "providers": { "first": upstream("openai"), "second": upstream("openai") },
        "models": { "smart": {
            "targets": [{ "provider": "first", "model": "gpt-4o" }, { "provider": "second", "model": "gpt-4o" }],
            "retry": { "attempts": 2, "on": [429, 503] },
        } },
        "keys": [{ "name": "bench", "sha256": digest, "models": ["smart"] }],
        "redaction": { "exported": { "content": "redact", "detectors": ["email", "phone", "credit_card", "ssn", "iban", "ip", "secrets"] } },
        "exporter": { "url": exporter },
    });
    let gateway = Gateway::parse(&yaml.to_string())?;
    let options = renderer::Options { wasm: tools::wasm()?, secrets_dir: None };
    let rendered = renderer::bootstrap(&gateway, &options)?;
    let env = vec![("WEIR_BENCH_KEY".to_owned(), "sk-bench".into())];
    Ok((start(pins, &rendered.bootstrap, addresses, dir, env).await?, addresses.admin.port()))
}

async fn start(
    pins: &Pins,
    bootstrap: &str,
    addresses: Addresses,
    dir: TempDir,
    env: Vec<(String, OsString)>,
) -> anyhow::Result<(Process, u16)> {
    let file = dir.path().join("envoy.yaml");
    fs::write(&file, bootstrap)?;
    let args = ["--concurrency", "1", "--disable-hot-restart", "--log-level", "warning", "-c"];
    let mut args: Vec<OsString> = args.map(Into::into).into();
    args.push(file.into());
    let (program, args) = pins.pinned(pins.gateway, tools::envoy()?, args);
    let ready = Ready::Http(addresses.admin.port(), "/ready");
    let spec = Spec { env, ..Spec::new("envoy", program, args, ready) };
    Ok((Process::start(spec, dir).await?, addresses.listen.port()))
}
