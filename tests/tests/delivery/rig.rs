//! An exporter between a nats-server and backends, and its ledger as it tells it.

use std::{
    collections::HashSet,
    time::{Duration, Instant},
};

use serde_json::Value;
use weir_tests::{
    callers::{client, source::Source},
    fakes::otlp::Endpoint,
    stack::{
        exporter::{Exporter, Options},
        nats::Nats,
    },
    system::wait,
};

/// Short batches and short pauses.
pub const QUICK: &str = "batch: { events: 64, delay: 20ms }
retry: { first: 20ms, longest: 200ms, slow: 300ms }
stream: { max_bytes: 256MiB }
";

/// An event that was in hand when something ended comes again after the ack wait, a minute at most.
const DEADLINE: Duration = Duration::from_secs(180);

/// How many events: few in a short run, more in a long one.
pub fn load(short: usize, long: usize) -> usize {
    if is_long() { long } else { short }
}

/// Whether the run is a long one.
pub fn is_long() -> bool {
    std::env::var_os("WEIR_FAULTS").is_some_and(|value| value == "long")
}

/// One backend, `d`, behind everything.
pub struct Rig {
    // Dropped in this order.
    pub exporter: Exporter,
    pub nats: Nats,
    pub backend: Endpoint,
}

impl Rig {
    /// One whose destination has these settings besides.
    pub async fn with(more: &str) -> Self {
        Self::configured(QUICK, more).await
    }

    /// One with this configuration besides its destination.
    pub async fn configured(general: &str, more: &str) -> Self {
        let (nats, backend) = (nats().await, Endpoint::counting().await);
        let exporter = exporter(&nats.url(), &format!("{general}{}", destination(&backend, more))).await;
        Self { exporter, nats, backend }
    }

    pub async fn start() -> Self {
        Self::with("").await
    }

    /// Stores so many events of a new source; gives their ids.
    pub async fn store(&self, count: usize) -> Vec<String> {
        Source::new().store(&self.exporter.url(), count).await
    }

    /// The ledger once all has settled.
    pub async fn settled(&self, stored: usize) -> Ledger {
        settled(&self.exporter, "d", stored).await
    }

    /// Waits until the destination is in this condition.
    pub async fn condition(&self, word: &str) {
        condition(&self.exporter, "d", word).await;
    }
}

/// The destination `d`, at this backend, with further settings.
pub fn destination(backend: &Endpoint, more: &str) -> String {
    let url = backend.url();
    format!("destinations:\n  d: {{ type: otlp, endpoint: \"{url}\", timeout: 1s{more} }}\n")
}

pub async fn nats() -> Nats {
    Nats::start().await.unwrap_or_else(|error| panic!("{error}"))
}

pub async fn exporter(nats_url: &str, config: &str) -> Exporter {
    let options = Options { config: Some(config), ..Options::default() };
    Exporter::with(nats_url, &options).await.unwrap_or_else(|error| panic!("{error}"))
}

/// What `/status` says.
pub async fn status(exporter: &Exporter) -> Value {
    let response = client::http().get(exporter.admin("/status")).send().await.expect("an answer");
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}

/// What `/metrics` says.
pub async fn metrics(exporter: &Exporter) -> String {
    let response = client::http().get(exporter.admin("/metrics")).send().await.expect("an answer");
    response.text().await.expect("text")
}

/// A destination's ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    pub stored: u64,
    pub delivered: u64,
    pub rejected: u64,
    pub rejected_spans: u64,
    pub dead_lettered: u64,
    pub filtered: u64,
    pub evicted: u64,
    pub purged: u64,
    pub backlog: u64,
    pub duplicates: u64,
    pub doubtful: u64,
}

impl Ledger {
    /// That of this destination, as the exporter tells it now.
    pub async fn of(exporter: &Exporter, name: &str) -> Self {
        let status = status(exporter).await;
        let all = status["destinations"].as_array().cloned().unwrap_or_default();
        let Some(one) = all.iter().find(|one| one["name"] == name) else { return Self::default() };
        let figure = |name: &str| one[name].as_u64().unwrap_or_else(|| panic!("{name} in {one}"));
        Self {
            stored: figure("stored"),
            delivered: figure("delivered"),
            rejected: figure("rejected"),
            rejected_spans: figure("rejected_spans"),
            dead_lettered: figure("dead_lettered"),
            filtered: figure("filtered"),
            evicted: figure("evicted"),
            purged: figure("purged"),
            backlog: figure("backlog"),
            duplicates: figure("duplicates"),
            doubtful: figure("doubtful"),
        }
    }

    /// What came twice to this backend is counted here: POSTs that took longer than their time among it.
    pub fn tells_what_came_twice_to(&self, backend: &Endpoint) {
        let twice = u64::try_from(backend.repeated()).expect("a count");
        assert!(twice <= self.duplicates + self.doubtful, "{twice} events came twice: {self:?}");
    }

    /// The right side of the equation.
    pub fn sum(&self) -> u64 {
        self.delivered
            + self.rejected
            + self.dead_lettered
            + self.filtered
            + self.evicted
            + self.purged
            + self.backlog
    }
}

/// The ledger once so many events are stored and none of them waits any more. The equation holds in it.
pub async fn settled(exporter: &Exporter, name: &str, stored: usize) -> Ledger {
    let stored = u64::try_from(stored).expect("a count");
    let ledger = balanced(exporter, name, |ledger| ledger.stored >= stored && ledger.backlog == 0).await;
    assert_eq!(ledger.stored, stored, "{ledger:?}");
    ledger
}

/// The ledger once it passes and the equation holds.
pub async fn balanced(exporter: &Exporter, name: &str, passes: impl Fn(&Ledger) -> bool) -> Ledger {
    let end = Instant::now() + DEADLINE;
    loop {
        let ledger = Ledger::of(exporter, name).await;
        if passes(&ledger) && ledger.sum() == ledger.stored {
            return ledger;
        }
        let log = || exporter.process.log_end();
        assert!(Instant::now() < end, "the ledger of {name} does not come to rest: {ledger:?}\n{}", log());
        tokio::time::sleep(wait::INTERVAL).await;
    }
}

/// Waits until a destination is in this condition.
pub async fn condition(exporter: &Exporter, name: &str, word: &str) {
    let seen = wait::poll(DEADLINE, || async {
        let status = status(exporter).await;
        let all = status["destinations"].as_array().cloned().unwrap_or_default();
        all.iter().any(|one| one["name"] == name && one["condition"] == word).then_some(())
    });
    assert!(seen.await.is_some(), "{name} is not {word}:\n{}", exporter.process.log_end());
}

/// As a set.
pub fn set(ids: &[String]) -> HashSet<&str> {
    ids.iter().map(String::as_str).collect()
}

/// A process's resident memory in MiB.
pub fn rss_mib(exporter: &Exporter) -> u64 {
    let status =
        std::fs::read_to_string(format!("/proc/{}/status", exporter.process.id())).expect("a status");
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).expect("VmRSS");
    let kib = line.split_whitespace().nth(1).and_then(|text| text.parse::<u64>().ok());
    kib.expect("a number") / 1024
}
