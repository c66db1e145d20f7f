//! A real Envoy with the filter, configured by what `weir-config` renders and by nothing else.

use std::{ffi::OsString, net::SocketAddr, path::Path, time::Duration};

use anyhow::anyhow;
use serde_json::{Value, json};
use tempfile::TempDir;
use weir_config::{
    Admin, Gateway,
    drain::{self, Drain, DrainError},
    envoy as renderer,
};

use crate::system::{
    ports,
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
    pub fn free(listen: Option<u16>) -> std::io::Result<Self> {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let listen = listen.map_or_else(ports::free, Ok)?;
        Ok(Self { listen: loopback(listen), admin: loopback(ports::free()?) })
    }
}

/// What an Envoy is started with beside its gateway.yaml.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options<'a> {
    /// Where the keys are that gateway.yaml names.
    pub env: &'a [(String, OsString)],
    /// The port for callers; absent: a free one.
    pub listen: Option<u16>,
    /// Workers; 0 counts as 1.
    pub workers: usize,
    /// How it gets its configuration.
    pub kind: Kind,
}

/// How an Envoy gets its configuration.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Kind {
    /// By a bootstrap.
    #[default]
    Whole,
    /// By a bootstrap, with this id of its node, as `--service-node` gives it.
    OfNode(&'static str),
    /// By a bootstrap and files that [`Envoy::change`] writes while it runs.
    Hot,
    /// By a bootstrap of its own with one route to this provider, and what `weir-config` renders pasted into it.
    Observing(SocketAddr),
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
    /// Starts one. `yaml` gives the gateway.yaml for the addresses it is handed.
    pub async fn start(options: &Options<'_>, yaml: impl Fn(Addresses) -> String) -> anyhow::Result<Self> {
        process::on_free_ports(|| async {
            let addresses = Addresses::free(options.listen)?;
            start(options, addresses, &yaml(addresses)).await
        })
        .await
    }

    /// Renders this gateway.yaml into the files that the Envoy watches, and waits until it has taken them.
    pub async fn change(&self, yaml: &str) -> anyhow::Result<renderer::Publish> {
        let hot = hot(&Gateway::parse(yaml)?, self.process.dir())?;
        let admin = Admin::at(self.addresses.admin);
        let publish = move || hot.publish(Some(&admin), std::time::SystemTime::now());
        Ok(tokio::task::spawn_blocking(publish).await??)
    }

    /// The files that the Envoy watches, if it does.
    pub fn watched(&self) -> std::path::PathBuf {
        self.process.dir().join(WATCHED)
    }

    /// Takes no new requests and waits until those that are there have ended and the exporter has every
    /// event, at most for `timeout`.
    pub async fn drain(&self, timeout: Duration) -> Result<(), DrainError> {
        let admin = Admin::at(self.addresses.admin);
        let how = Drain { grace: Duration::ZERO, timeout };
        tokio::task::spawn_blocking(move || drain::drain(&admin, how)).await.unwrap_or(Ok(()))
    }

    /// Drains it, and ends it in any case.
    pub async fn drain_and_stop(&mut self, timeout: Duration) -> anyhow::Result<process::Stopped> {
        // One that no longer answers, or has something left, is stopped all the same.
        let _ = self.drain(timeout).await;
        Ok(self.process.stop(STOP_GRACE).await?)
    }
}

/// The directory that a hot Envoy watches.
const WATCHED: &str = "xds";

fn hot(gateway: &Gateway, dir: &Path) -> anyhow::Result<renderer::Hot> {
    let options = renderer::Options { wasm: tools::wasm()?, secrets_dir: None };
    valid(renderer::hot(gateway, &options, &dir.join(WATCHED)))
}

fn valid<T>(made: Result<T, weir_config::Error>) -> anyhow::Result<T> {
    made.map_err(|error| anyhow!("gateway.yaml: {error}"))
}

/// How long Envoy may take to end after SIGTERM.
const STOP_GRACE: Duration = Duration::from_secs(5);

/// A proxy that was there before, with one route; the fragment is pasted in as its comments say.
fn observing(fragment: &str, addresses: Addresses, provider: SocketAddr) -> anyhow::Result<String> {
    let mut fragment: Value = serde_saphyr::from_str(fragment)?;
    let at = |address: SocketAddr| json!({"socket_address": {"address": address.ip().to_string(), "port_value": address.port()}});
    let extension = "type.googleapis.com/envoy.extensions.filters";
    let mut part = |name: &str| fragment.get_mut(name).map(Value::take).unwrap_or_default();
    let (mut filters, mut clusters) = (part("http_filters"), part("clusters"));
    if let (Some(filters), Some(clusters)) = (filters.as_array_mut(), clusters.as_array_mut()) {
        filters.push(json!({
            "name": "envoy.filters.http.router",
            "typed_config": {"@type": format!("{extension}.http.router.v3.Router")},
        }));
        clusters.push(
            json!({"name": "provider", "connect_timeout": "5s", "type": "STATIC", "load_assignment": {
                "cluster_name": "provider",
                "endpoints": [{"lb_endpoints": [{"endpoint": {"address": at(provider)}}]}],
            }}),
        );
    }
    let route = json!({"match": {"prefix": "/"}, "route": {"cluster": "provider", "timeout": "30s"}});
    let manager = json!({
        "@type": format!("{extension}.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "proxy",
        "http_protocol_options": {"enable_trailers": true},
        "http_filters": filters,
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    });
    let filter = json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": manager});
    let listener = json!({
        "name": "proxy",
        "address": at(addresses.listen),
        "filter_chains": [{"filters": [filter]}],
    });
    // As a mesh says where it runs.
    let metadata = json!({
        "NAMESPACE": "shop",
        "OWNER": "kubernetes://apis/apps/v1/namespaces/shop/deployments/chat",
        "PLATFORM_METADATA": {"aws_instance_id": "i-07"},
    });
    let bootstrap = json!({
        "node": {"id": "proxy", "cluster": "proxy", "locality": {"region": "eu"}, "metadata": metadata},
        "admin": {"address": at(addresses.admin)},
        "static_resources": {"listeners": [listener], "clusters": clusters},
    });
    Ok(bootstrap.to_string())
}

async fn start(options: &Options<'_>, addresses: Addresses, yaml: &str) -> anyhow::Result<Envoy> {
    let Options { env, workers, kind, .. } = *options;
    let dir = TempDir::with_prefix("weir-envoy-")?;
    let gateway = valid(Gateway::parse(yaml))?;
    let bootstrap = match kind {
        Kind::Hot => {
            let hot = hot(&gateway, dir.path())?;
            hot.publish(None, std::time::SystemTime::now())?;
            hot.bootstrap
        }
        Kind::Observing(provider) => {
            let options = renderer::Options { wasm: tools::wasm()?, secrets_dir: None };
            let fragment = valid(renderer::fragment(&gateway, &options))?;
            observing(&fragment.bootstrap, addresses, provider)?
        }
        Kind::Whole | Kind::OfNode(_) => {
            let secrets_dir = Some(dir.path().join("secrets"));
            let options = renderer::Options { wasm: tools::wasm()?, secrets_dir };
            let rendered = valid(renderer::bootstrap(&gateway, &options))?;
            rendered.write_secrets()?;
            rendered.bootstrap
        }
    };
    let file = dir.path().join("envoy.yaml");
    std::fs::write(&file, bootstrap)?;
    let mut args: Vec<OsString> = vec!["-c".into(), file.into()];
    args.extend(["--concurrency", &workers.max(1).to_string(), "--disable-hot-restart"].map(Into::into));
    if let Kind::OfNode(node) = kind {
        args.extend(["--service-node", node].map(Into::into));
    }
    if kind == Kind::Hot {
        // So that a configuration of before is gone within a test, and not after ten minutes.
        args.extend(["--drain-time-s", "2"].map(Into::into));
    }
    args.extend(["--log-level", "info", "--component-log-level", "wasm:debug"].map(Into::into));
    let ready = Ready::Http(addresses.admin.port(), "/ready");
    let spec = Spec { env: env.to_vec(), ..Spec::new("envoy", tools::envoy()?, args, ready) };
    Ok(Envoy { process: Process::start(spec, dir).await?, addresses })
}
