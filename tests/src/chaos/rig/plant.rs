//! Everything that a chaos run goes through: Envoy with two workers, two exporters behind one address, one
//! nats-server or three, two providers and two OTLP endpoints, and a link on every way between them.

use std::{io, net::SocketAddr, sync::Arc, time::Duration};

use tokio::sync::Mutex;

use super::{
    link::{Flow, Link},
    schedule::PAIR,
};
use crate::{
    fakes::otlp::Endpoint,
    load::{gateway, provider::Provider},
    stack::{
        envoy::{self, Addresses, Envoy},
        exporter::{Exporter, Options},
        nats::Nats,
    },
    system::{ports, probe, wait},
};

/// Envoy's workers.
const WORKERS: usize = 2;

/// How long the exporters may take until NATS holds what they need.
const READY: Duration = Duration::from_mins(1);

/// The names of the destinations.
pub const DESTINATIONS: [&str; PAIR] = ["one", "two"];

/// A link between two nodes of NATS.
#[derive(Debug)]
pub struct Route {
    /// Who connects, and to whom.
    pub ends: (usize, usize),
    /// The link.
    pub link: Link,
}

/// All of it.
#[derive(Debug)]
pub struct Plant {
    // Dropped in this order: a component before those it speaks to.
    /// Envoy.
    pub envoy: Mutex<Envoy>,
    /// Where Envoy listens.
    pub addresses: Addresses,
    /// The exporters.
    pub exporters: [Mutex<Exporter>; PAIR],
    /// The ports of their administration.
    pub admin_ports: [u16; PAIR],
    /// The nodes of NATS.
    pub nats: Vec<Mutex<Nats>>,
    /// The providers, `a` and `b`.
    pub providers: [Provider; PAIR],
    /// The endpoints, by the place of their destination.
    pub endpoints: [Endpoint; PAIR],
    /// From Envoy to the exporters.
    pub to_ingest: Link,
    /// From each exporter to each node of NATS.
    pub to_nats: [Vec<Link>; PAIR],
    /// Between the nodes of NATS.
    pub routes: Vec<Route>,
    /// From Envoy to each provider.
    pub to_providers: [Link; PAIR],
    /// From the exporters to each endpoint.
    pub to_endpoints: [Link; PAIR],
}

impl Plant {
    /// Starts it with one node of NATS, or with three.
    pub async fn start(nodes: usize) -> anyhow::Result<Arc<Self>> {
        let providers = [Provider::start(true).await, Provider::start(true).await];
        let endpoints = [Endpoint::counting().await, Endpoint::counting().await];
        let to_providers =
            [Link::to([providers[0].address()]).await?, Link::to([providers[1].address()]).await?];
        let to_endpoints =
            [Link::to([endpoints[0].address()]).await?, Link::to([endpoints[1].address()]).await?];
        let (nats, routes) =
            if nodes > 1 { cluster(nodes).await? } else { (vec![Nats::start().await?], Vec::new()) };
        let to_nats = [links(&nats).await?, links(&nats).await?];
        let config = config(nodes, [to_endpoints[0].address(), to_endpoints[1].address()]);
        let exporters = [exporter(&to_nats[0], &config).await?, exporter(&to_nats[1], &config).await?];
        let admin_ports = [exporters[0].admin_port, exporters[1].admin_port];
        let ready = wait::poll(READY, || async {
            for port in admin_ports {
                probe::status(port, "/readyz").await.ok().filter(|status| *status == 200)?;
            }
            Some(())
        });
        ready.await.ok_or_else(|| io::Error::other("the exporters do not find what they need in NATS"))?;
        let ingest = |exporter: &Exporter| SocketAddr::from(([127, 0, 0, 1], exporter.port));
        let to_ingest = Link::to([ingest(&exporters[0]), ingest(&exporters[1])]).await?;
        let url = format!("http://{}", to_ingest.address());
        let at = [to_providers[0].address(), to_providers[1].address()];
        let options = envoy::Options { workers: WORKERS, ..envoy::Options::default() };
        let envoy = Envoy::start(&options, |own| gateway::yaml(own, at, &url)).await?;
        Ok(Arc::new(Self {
            addresses: envoy.addresses,
            envoy: Mutex::new(envoy),
            exporters: exporters.map(Mutex::new),
            admin_ports,
            nats: nats.into_iter().map(Mutex::new).collect(),
            providers,
            endpoints,
            to_ingest,
            to_nats,
            routes,
            to_providers,
            to_endpoints,
        }))
    }

    /// Sets every link between a node of NATS and the others, exporters included.
    pub fn isolate(&self, node: usize, flow: Flow) {
        let routes = self.routes.iter().filter(|route| route.ends.0 == node || route.ends.1 == node);
        let clients = self.to_nats.iter().filter_map(|links| links.get(node));
        routes.map(|route| &route.link).chain(clients).for_each(|link| link.set(flow));
    }

    /// Sets every link between an exporter and NATS.
    pub fn part_from_nats(&self, exporter: usize, flow: Flow) {
        self.to_nats.get(exporter).into_iter().flatten().for_each(|link| link.set(flow));
    }

    /// The ends of the logs of what is under test, for a run that failed.
    pub async fn logs(&self) -> Vec<(String, String)> {
        let mut logs = vec![("envoy".to_owned(), self.envoy.lock().await.process.log())];
        for (number, exporter) in self.exporters.iter().enumerate() {
            logs.push((format!("exporter-{number}"), exporter.lock().await.process.log()));
        }
        for (number, nats) in self.nats.iter().enumerate() {
            logs.push((format!("nats-{number}"), nats.lock().await.process.log()));
        }
        logs
    }
}

/// The exporters' configuration: small batches and short pauses, so that much happens in a short run.
fn config(nodes: usize, endpoints: [SocketAddr; PAIR]) -> String {
    let replicas = if nodes > 1 { 3 } else { 1 };
    let mut config = format!(
        "stream: {{ max_bytes: 512MiB, replicas: {replicas} }}\nbatch: {{ events: 128, delay: 50ms }}\n\
         retry: {{ first: 50ms, longest: 1s, slow: 1s }}\ndestinations:\n"
    );
    for (name, endpoint) in DESTINATIONS.iter().zip(endpoints) {
        config.push_str(&format!(
            "  {name}: {{ type: otlp, endpoint: \"http://{endpoint}/v1/traces\", timeout: 2s }}\n"
        ));
    }
    config
}

async fn links(nats: &[Nats]) -> anyhow::Result<Vec<Link>> {
    let mut links = Vec::new();
    for node in nats {
        links.push(Link::to([SocketAddr::from(([127, 0, 0, 1], node.port()))]).await?);
    }
    Ok(links)
}

async fn exporter(to_nats: &[Link], config: &str) -> anyhow::Result<Exporter> {
    let urls: Vec<String> = to_nats.iter().map(|link| format!("nats://{}", link.address())).collect();
    // Ready as soon as it lives: it will be started again while NATS is away.
    let options = Options { config: Some(config), unready: true, ..Options::default() };
    Exporter::with(&urls.join(","), &options).await
}

/// Nodes that know each other by links alone, one for each direction.
async fn cluster(nodes: usize) -> anyhow::Result<(Vec<Nats>, Vec<Route>)> {
    let mut own = Vec::new();
    for _ in 0..nodes {
        own.push(SocketAddr::from(([127, 0, 0, 1], ports::free()?)));
    }
    let (mut started, mut routes) = (Vec::new(), Vec::new());
    for (from, listen) in own.iter().enumerate() {
        let mut urls = Vec::new();
        for (to, address) in own.iter().enumerate().filter(|(to, _)| *to != from) {
            let link = Link::to([*address]).await?;
            urls.push(format!("nats://{}", link.address()));
            routes.push(Route { ends: (from, to), link });
        }
        let config = format!(
            "server_name: n{from}\ncluster {{ name: weir, listen: \"{listen}\", no_advertise: true, routes: [{}] }}\n",
            urls.join(", ")
        );
        started.push(Nats::configured(&config, &[]).await?);
    }
    Ok((started, routes))
}
