//! The exporter's speed: the real process between a real nats-server (file storage) and an OTLP endpoint that
//! reads and discards.
//!
//! A figure per core is events by the exporter's own processor time, so what else the machine does matters
//! little; load, endpoint and nats-server are other processes. The backlog that is drained is what was stored.

use std::{
    fmt::Write as _,
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context as _, ensure};
use axum::{Router, body::Body, extract::State, http::StatusCode, routing::post};
use clap::Parser;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use weir_event::INGEST_PATH;

use crate::{
    callers::source::Source,
    fakes::server::Server,
    measure::cpu,
    stack::{
        exporter::{Exporter, Options},
        nats::Nats,
    },
};

/// As the filter puts them together.
const BATCH_EVENTS: usize = 512;
const BATCH_BYTES: usize = 512 << 10;
const CALLS: usize = 4;

/// Gateway workers that send at once.
const SOURCES: usize = 2;

/// Events that are stored before the measure begins.
const WARM_UP: usize = 2048;

/// How often the process is looked at while it drains.
const LOOK: Duration = Duration::from_millis(50);

/// How long an exporter may take to end.
const GRACE: Duration = Duration::from_secs(10);

/// A drain that makes no progress for so long has failed.
const STUCK: Duration = Duration::from_secs(60);

/// Sizes of events by their names in the report, and how many of each: a million, and a gigabyte.
const SIZES: [(&str, usize, usize); 2] = [("1KB", 1 << 10, 1_000_000), ("16KB", 16 << 10, 60_000)];

/// The size whose drain is the backlog's.
const BACKLOG: &str = "1KB";

/// Measures the exporter.
#[derive(Clone, Debug, Parser)]
pub struct Plan {
    /// Where the figures are written.
    #[arg(long, default_value = "target/bench/exporter.json")]
    pub output: PathBuf,
    /// So many events of each size instead of a million and sixty thousand.
    #[arg(long)]
    pub events: Option<usize>,
    /// Without the page and the traces that it holds.
    #[arg(long)]
    pub without_page: bool,
}

/// What a part of the way took.
#[derive(Clone, Copy, Debug, Default)]
pub struct Measure {
    /// Events that went it.
    pub events: u64,
    /// Wall-clock time in seconds.
    pub seconds: f64,
    /// The exporter's processor time in seconds.
    pub processor: f64,
    /// Its largest resident memory in KiB.
    pub peak_kib: u64,
}

impl Measure {
    /// Events a second of one core's time.
    pub fn per_core(&self) -> f64 {
        rate(self.events, self.processor)
    }

    /// Events a second by the clock.
    pub fn per_second(&self) -> f64 {
        rate(self.events, self.seconds)
    }
}

/// One size's measures.
#[derive(Clone, Debug)]
pub struct Row {
    /// Its name.
    pub size: &'static str,
    /// From `POST /v1/events` to JetStream's acknowledgement.
    pub ingest: Measure,
    /// From JetStream to the endpoint, gzip on.
    pub ship: Measure,
    /// Bytes that an event took on the wire to the endpoint.
    pub sent_bytes: u64,
}

/// All measures.
#[derive(Clone, Debug)]
pub struct Report {
    /// By size.
    pub rows: Vec<Row>,
}

impl Report {
    /// `ingest_events_per_s_per_core` and `ship_events_per_s_per_core`, each by size, and `backlog_rss_mib`.
    pub fn json(&self) -> Value {
        let by_size = |figure: &dyn Fn(&Row) -> f64| -> Value {
            self.rows.iter().map(|row| (row.size.to_owned(), json!(figure(row).round()))).collect()
        };
        json!({
            "ingest_events_per_s_per_core": by_size(&|row| row.ingest.per_core()),
            "ship_events_per_s_per_core": by_size(&|row| row.ship.per_core()),
            "ingest_events_per_s": by_size(&|row| row.ingest.per_second()),
            "ship_events_per_s": by_size(&|row| row.ship.per_second()),
            "backlog_events": self.drained().map(|row| row.ship.events),
            "backlog_rss_mib": self.drained().map(|row| mib(row.ship.peak_kib)),
        })
    }

    /// The same for people.
    pub fn table(&self) -> String {
        let mut table = String::new();
        let line = format!("{:-<13}+{:->11} {:->12} {:->12} {:->10} {:->12}", "", "", "", "", "", "");
        let head = ["", "events", "events/s/core", "events/s", "peak MiB", "bytes/event"];
        let [first, second, third, fourth, fifth, sixth] = head;
        let _ = writeln!(table, "{first:<13}|{second:>11} {third:>13} {fourth:>11} {fifth:>10} {sixth:>12}");
        let _ = writeln!(table, "{line}");
        for row in &self.rows {
            for (part, of, bytes) in
                [("ingest", row.ingest, String::new()), ("ship", row.ship, row.sent_bytes.to_string())]
            {
                let (core, clock, peak) = (of.per_core(), of.per_second(), mib(of.peak_kib));
                let name = format!("{part} {}", row.size);
                let events = of.events;
                let _ = writeln!(
                    table,
                    "{name:<13}|{events:>11} {core:>13.0} {clock:>11.0} {peak:>10.1} {bytes:>12}"
                );
            }
        }
        table
    }

    fn drained(&self) -> Option<&Row> {
        self.rows.iter().find(|row| row.size == BACKLOG)
    }
}

/// Stores and drains what the plan says; `tell` hears how far it is.
pub async fn measure(plan: &Plan, tell: &dyn Fn(&str)) -> anyhow::Result<Report> {
    let mut rows = Vec::new();
    for (size, bytes, events) in SIZES {
        let events = plan.events.unwrap_or(events);
        let nats = Nats::start().await?;
        let endpoint = Discard::start().await;
        let page = if plan.without_page { "page: {}\n" } else { "" };
        let config = format!(
            "{page}stream: {{ max_bytes: 8GiB }}\ndestinations:\n  d: {{ type: otlp, endpoint: \"http://{}/v1/traces\" }}\n",
            endpoint.server.address()
        );
        // Ingest alone makes nothing in NATS; who ships has been there before it.
        started(&nats, &config, "ship").await?.process.stop(GRACE).await?;
        tell(&format!("{size}: storing {events} events"));
        let ingest = ingested(&nats, &config, bytes, events).await?;
        tell(&format!("{size}: draining them"));
        let ship = shipped(&nats, &config, events + WARM_UP).await?;
        let sent_bytes = endpoint.bytes.load(Ordering::Relaxed) / ship.events.max(1);
        rows.push(Row { size, ingest, ship, sent_bytes });
    }
    Ok(Report { rows })
}

async fn ingested(nats: &Nats, config: &str, bytes: usize, events: usize) -> anyhow::Result<Measure> {
    let exporter = started(nats, config, "ingest").await?;
    post_all(&exporter, bytes, WARM_UP).await?;
    let (start, before) = (Instant::now(), processor(&exporter)?);
    post_all(&exporter, bytes, events).await?;
    let (seconds, processor) = (start.elapsed().as_secs_f64(), processor(&exporter)? - before);
    Ok(Measure { events: wide(events), seconds, processor, peak_kib: peak_kib(&exporter)? })
}

/// The whole of what is stored, the start of the exporter's process included.
async fn shipped(nats: &Nats, config: &str, events: usize) -> anyhow::Result<Measure> {
    let start = Instant::now();
    let exporter = started(nats, config, "ship").await?;
    let client = client()?;
    let (mut delivered, mut moved) = (0, Instant::now());
    while delivered < wide(events) {
        tokio::time::sleep(LOOK).await;
        let status = client.get(exporter.admin("/status")).send().await?.bytes().await?;
        let status: Value = serde_json::from_slice(&status)?;
        let now = status.pointer("/destinations/0/delivered").and_then(Value::as_u64).unwrap_or_default();
        if now > delivered {
            (delivered, moved) = (now, Instant::now());
        }
        ensure!(
            moved.elapsed() < STUCK,
            "nothing was delivered for {STUCK:?}:\n{}",
            exporter.process.log_end()
        );
    }
    ensure!(delivered == wide(events), "{delivered} events were delivered of {events} that were stored");
    let (seconds, processor) = (start.elapsed().as_secs_f64(), processor(&exporter)?);
    Ok(Measure { events: delivered, seconds, processor, peak_kib: peak_kib(&exporter)? })
}

async fn started(nats: &Nats, config: &str, role: &str) -> anyhow::Result<Exporter> {
    let options = Options { config: Some(config), role: Some(role), ..Options::default() };
    Exporter::with(&nats.url(), &options).await.context("the exporter")
}

/// Posts so many events as gateways would, until each is stored.
async fn post_all(exporter: &Exporter, bytes: usize, events: usize) -> anyhow::Result<()> {
    let mut senders = JoinSet::new();
    let url = format!("{}{INGEST_PATH}", exporter.url());
    let left = Arc::new(AtomicU64::new(wide(events)));
    let most = BATCH_EVENTS.min(BATCH_BYTES / bytes.max(1));
    for _ in 0..SOURCES * CALLS {
        let (client, url, left) = (client()?, url.clone(), Arc::clone(&left));
        senders.spawn(async move {
            let mut source = Source::new().of_bytes(bytes);
            loop {
                let count = take(&left, most);
                if count == 0 {
                    return anyhow::Ok(());
                }
                let body = source.batch(count).body;
                loop {
                    let request = client.post(&url).header("content-type", weir_event::CONTENT_TYPE);
                    let status = request.body(body.clone()).send().await?.status().as_u16();
                    match status {
                        200 => break,
                        503 => tokio::time::sleep(LOOK).await,
                        _ => anyhow::bail!("ingest answered {status}"),
                    }
                }
            }
        });
    }
    while let Some(ended) = senders.join_next().await {
        ended??;
    }
    Ok(())
}

fn take(left: &AtomicU64, most: usize) -> usize {
    let mut taken = 0;
    let _ = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
        taken = left.min(wide(most));
        Some(left - taken)
    });
    usize::try_from(taken).unwrap_or_default()
}

fn client() -> anyhow::Result<reqwest::Client> {
    // An error means that it is installed already.
    let _ = rustls::crypto::ring::default_provider().install_default();
    Ok(reqwest::Client::builder().no_proxy().build()?)
}

/// An endpoint that reads every body and answers 200.
struct Discard {
    server: Server,
    bytes: Arc<AtomicU64>,
}

impl Discard {
    async fn start() -> Self {
        let bytes = Arc::new(AtomicU64::new(0));
        let router = Router::new().route("/v1/traces", post(discard)).with_state(Arc::clone(&bytes));
        Self { server: Server::start(router).await, bytes }
    }
}

async fn discard(State(bytes): State<Arc<AtomicU64>>, mut body: Body) -> StatusCode {
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return StatusCode::BAD_REQUEST };
        bytes.fetch_add(frame.data_ref().map_or(0, |data| wide(data.len())), Ordering::Relaxed);
    }
    StatusCode::OK
}

/// The processor time that an exporter has used, in seconds.
fn processor(exporter: &Exporter) -> anyhow::Result<f64> {
    Ok(cpu::time(exporter.process.id())?.as_secs_f64())
}

/// The largest resident memory that an exporter has had (`VmHWM`).
fn peak_kib(exporter: &Exporter) -> anyhow::Result<u64> {
    let status = std::fs::read_to_string(format!("/proc/{}/status", exporter.process.id()))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("VmHWM")?;
    Ok(line.split_whitespace().next().context("a number")?.parse()?)
}

fn wide(count: usize) -> u64 {
    u64::try_from(count).unwrap_or(u64::MAX)
}

#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "a rate need not be exact")]
fn rate(events: u64, seconds: f64) -> f64 {
    events as f64 / seconds.max(0.001)
}

#[allow(clippy::as_conversions, clippy::cast_precision_loss, reason = "a tenth is shown")]
fn mib(kib: u64) -> f64 {
    (kib as f64 / 102.4).round() / 10.0
}
