//! What Weir says of itself while a run goes on: the filter's ledger in Envoy's stats, and the exporter's at
//! `/metrics`. Both are claims, to be held against what callers, providers and endpoints know.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use crate::{
    callers::client,
    telemetry::metrics::{Sample, samples},
};

/// How long one page may take: whoever is asked may have been stopped.
const DEADLINE: Duration = Duration::from_secs(2);

/// The filter's figures in one Envoy, all workers together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Gateway {
    /// Events built.
    pub created: u64,
    /// Events that ingest named as stored.
    pub accepted: u64,
    /// Events dropped: the outbox was full, or ingest refused them.
    pub dropped: u64,
    /// Events left out by sampling.
    pub sampled_out: u64,
    /// Requests under way.
    pub streams: u64,
    /// Memory of the wasm VMs, in bytes.
    pub memory: u64,
}

impl Gateway {
    /// Asks the administration of an Envoy; `None` where it does not answer.
    pub async fn read(admin: SocketAddr) -> Option<Self> {
        Some(Self::parse(&page(&format!("http://{admin}/stats?filter=weir%5C.")).await?))
    }

    fn parse(stats: &str) -> Self {
        let figure = |name: &str| {
            let all = stats.lines().filter_map(|line| line.split_once(": "));
            let of_name = all.filter(|(stat, _)| stat.ends_with(name));
            of_name.filter_map(|(_, value)| value.parse::<u64>().ok()).sum()
        };
        let full: u64 = figure("weir.events_dropped_outbox_full");
        Self {
            created: figure("weir.events_created"),
            accepted: figure("weir.events_accepted"),
            dropped: full + figure("weir.events_dropped_refused"),
            sampled_out: figure("weir.events_sampled_out"),
            streams: figure("weir.streams"),
            memory: figure("weir.memory_bytes"),
        }
    }

    /// Events that nothing has become of yet.
    pub fn pending(&self) -> u64 {
        self.created.saturating_sub(self.accepted + self.dropped + self.sampled_out)
    }
}

/// A destination's ledger.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ledger {
    /// Events stored for it.
    pub stored: u64,
    /// What became of them, by the word for it.
    pub fates: BTreeMap<String, u64>,
    /// Events that wait.
    pub backlog: u64,
}

impl Ledger {
    /// Asks an exporter for the ledgers of its destinations, by their names; `None` where it does not answer.
    pub async fn read(admin_port: u16) -> Option<BTreeMap<String, Self>> {
        Some(Self::parse(&page(&format!("http://127.0.0.1:{admin_port}/metrics")).await?))
    }

    fn parse(metrics: &str) -> BTreeMap<String, Self> {
        let mut ledgers: BTreeMap<String, Self> = BTreeMap::new();
        for Sample { name, labels, value } in samples(metrics) {
            let is_ledgers = name.starts_with("weir_exporter_ledger_");
            let Some(destination) = labels.get("destination").filter(|_| is_ledgers) else { continue };
            let (ledger, value) = (ledgers.entry(destination.clone()).or_default(), value as u64);
            match (name.as_str(), labels.get("state")) {
                ("weir_exporter_ledger_events_stored", _) => ledger.stored = value,
                ("weir_exporter_ledger_backlog_events", _) => ledger.backlog = value,
                ("weir_exporter_ledger_events", Some(state)) => {
                    ledger.fates.insert(state.clone(), value);
                }
                _ => {}
            }
        }
        ledgers
    }

    /// How many came to this end.
    pub fn fate(&self, word: &str) -> u64 {
        self.fates.get(word).copied().unwrap_or_default()
    }

    /// The right side of `stored = delivered + rejected + dead_lettered + filtered + evicted + purged + backlog`.
    pub fn sum(&self) -> u64 {
        self.fates.values().sum::<u64>() + self.backlog
    }
}

async fn page(url: &str) -> Option<String> {
    let fetch = async { client::http().get(url).send().await?.error_for_status()?.text().await };
    tokio::time::timeout(DEADLINE, fetch).await.ok()?.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn envoys_stats_are_read() {
        let stats = "wasmcustom.weir.events_created: 12\nwasmcustom.weir.events_accepted: 7\n\
                     wasmcustom.weir.events_dropped_outbox_full: 1\nwasmcustom.weir.events_dropped_refused: 2\n\
                     wasmcustom.weir.memory_bytes: 65536\n";
        let read = Gateway::parse(stats);
        assert_eq!((read.created, read.accepted, read.dropped, read.pending()), (12, 7, 3, 2));
        assert_eq!(read.memory, 65_536);
    }

    #[test]
    fn a_ledger_is_read_and_adds_up() {
        let text = "weir_exporter_ledger_events_stored{destination=\"one\"} 9\n\
                    weir_exporter_ledger_events{destination=\"one\",state=\"delivered\"} 6\n\
                    weir_exporter_ledger_events{destination=\"one\",state=\"evicted\"} 2\n\
                    weir_exporter_ledger_backlog_events{destination=\"one\"} 1\n\
                    weir_exporter_ledger_duplicate_events{destination=\"one\"} 4\n# EOF\n";
        let ledgers = Ledger::parse(text);
        let ledger = &ledgers["one"];
        assert_eq!((ledger.stored, ledger.fate("delivered"), ledger.backlog, ledger.sum()), (9, 6, 1, 9));
    }
}
