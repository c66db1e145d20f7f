//! What the delivery to destinations counts, and what their ledgers hold.

use prometheus_client::{
    metrics::{family::Family, gauge::Gauge, histogram::Histogram},
    registry::{Registry, Unit},
};

use super::labels::{
    Count, DestinationLabel, PostLabel, StateLabel, ages, batches, level, made, seconds, shown, with_unit,
};
use crate::ledger::Account;

/// What one destination counts in this process.
#[derive(Clone, Debug)]
pub struct ShipMetrics {
    destination: String,
    /// Events acknowledged to JetStream after the destination took them.
    pub delivered: Count,
    /// Events that had been settled before.
    pub duplicates: Count,
    /// Events that the destination does not want.
    pub filtered: Count,
    /// Events that were put among the dead letters.
    pub dead_lettered: Count,
    /// Spans the destination took.
    pub spans: Count,
    /// Spans rejected by partial success.
    pub rejected: Count,
    /// Messages that are no events.
    pub undecodable: Count,
    /// Attempts after the first.
    pub retries: Count,
    /// Bytes of bodies sent, compressed, every attempt counted.
    pub bytes: Count,
    /// Events handed back to JetStream at shutdown.
    pub handed_back: Count,
    /// Events pulled and not yet acknowledged.
    pub in_hand: Gauge,
    /// Events of a POST that was taken.
    pub batch_events: Histogram,
    /// How long an attempt took.
    pub latency: Histogram,
    /// How old the oldest event of a POST was when it was taken.
    pub age: Histogram,
    posts: Family<PostLabel, Count>,
}

impl ShipMetrics {
    /// Counts one attempt by how it ended.
    pub fn posted(&self, outcome: &'static str) {
        self.posts.get_or_create(&PostLabel { destination: self.destination.clone(), outcome }).inc();
    }
}

/// A histogram of every destination.
type Histograms = Family<DestinationLabel, Histogram, fn() -> Histogram>;

fn each(one: fn() -> Histogram) -> Histograms {
    Family::new_with_constructor(one)
}

#[derive(Debug)]
pub(crate) struct ShipFamilies {
    delivered: Family<DestinationLabel, Count>,
    duplicates: Family<DestinationLabel, Count>,
    filtered: Family<DestinationLabel, Count>,
    dead_lettered: Family<DestinationLabel, Count>,
    spans: Family<DestinationLabel, Count>,
    rejected: Family<DestinationLabel, Count>,
    undecodable: Family<DestinationLabel, Count>,
    retries: Family<DestinationLabel, Count>,
    bytes: Family<DestinationLabel, Count>,
    handed_back: Family<DestinationLabel, Count>,
    in_hand: Family<DestinationLabel, Gauge>,
    posts: Family<PostLabel, Count>,
    batch_events: Histograms,
    latency: Histograms,
    age: Histograms,
    condition: Family<StateLabel, Gauge>,
    running: Family<DestinationLabel, Gauge>,
    ledger: LedgerFamilies,
}

#[derive(Debug)]
struct LedgerFamilies {
    stored: Family<DestinationLabel, Gauge>,
    events: Family<StateLabel, Gauge>,
    backlog: Family<DestinationLabel, Gauge>,
    repeated: Family<DestinationLabel, Gauge>,
    doubtful: Family<DestinationLabel, Gauge>,
}

impl LedgerFamilies {
    fn new(registry: &mut Registry) -> Self {
        let part = registry.sub_registry_with_prefix("ledger");
        Self {
            stored: made(part, "events_stored", "Events stored for a destination"),
            events: made(part, "events", "What became of them"),
            backlog: made(part, "backlog_events", "Events that wait or are under way, by JetStream's count"),
            repeated: made(part, "duplicate_events", "Deliveries of what had been settled"),
            doubtful: made(
                part,
                "doubtful_events",
                "Deliveries that may have been the second, for an attempt before was not answered",
            ),
        }
    }
}

impl ShipFamilies {
    pub(in crate::metrics) fn new(registry: &mut Registry) -> Self {
        let part = registry.sub_registry_with_prefix("ship");
        Self {
            delivered: made(part, "events_delivered", "Events that a destination took"),
            duplicates: made(part, "events_duplicate", "Events delivered that had been before"),
            filtered: made(part, "events_filtered", "Events that a destination does not want"),
            dead_lettered: made(part, "events_dead_lettered", "Events made dead letters"),
            spans: made(part, "spans_delivered", "Spans that a destination took"),
            rejected: made(part, "spans_rejected", "Spans refused by partial success"),
            undecodable: made(part, "events_undecodable", "Messages that are no events"),
            handed_back: made(part, "events_handed_back", "Events given back at shutdown"),
            posts: made(part, "posts", "Attempts to deliver, by how they ended"),
            retries: made(part, "retries", "Attempts after the first"),
            bytes: with_unit(part, "sent", Unit::Bytes, "Compressed bodies sent", Family::default()),
            in_hand: made(part, "events_in_hand", "Events pulled and not yet acknowledged"),
            batch_events: shown(part, "batch_events", "Events of a POST that was taken", each(batches)),
            latency: with_unit(part, "post", Unit::Seconds, "From POST to answer", each(seconds)),
            age: with_unit(
                part,
                "event_age",
                Unit::Seconds,
                "Age of a POST's oldest event when taken",
                each(ages),
            ),
            condition: made(part, "condition", "1 for the state that a destination is in"),
            running: made(part, "running", "1 where a destination that is set runs, 0 where it does not"),
            ledger: LedgerFamilies::new(registry),
        }
    }

    /// The counters of one destination, at zero from the start.
    pub fn of(&self, destination: &str) -> ShipMetrics {
        let label = DestinationLabel { destination: destination.to_owned() };
        ShipMetrics {
            destination: destination.to_owned(),
            delivered: self.delivered.get_or_create_owned(&label),
            duplicates: self.duplicates.get_or_create_owned(&label),
            filtered: self.filtered.get_or_create_owned(&label),
            dead_lettered: self.dead_lettered.get_or_create_owned(&label),
            spans: self.spans.get_or_create_owned(&label),
            rejected: self.rejected.get_or_create_owned(&label),
            undecodable: self.undecodable.get_or_create_owned(&label),
            retries: self.retries.get_or_create_owned(&label),
            bytes: self.bytes.get_or_create_owned(&label),
            handed_back: self.handed_back.get_or_create_owned(&label),
            in_hand: self.in_hand.get_or_create_owned(&label),
            batch_events: self.batch_events.get_or_create_owned(&label),
            latency: self.latency.get_or_create_owned(&label),
            age: self.age.get_or_create_owned(&label),
            posts: self.posts.clone(),
        }
    }

    /// Shows a destination's ledger, backlog and condition.
    pub fn show_ledger(&self, destination: &str, account: &Account, backlog: u64, condition: &str) {
        let label = DestinationLabel { destination: destination.to_owned() };
        let ledger = &self.ledger;
        ledger.stored.get_or_create(&label).set(level(account.stored()));
        ledger.backlog.get_or_create(&label).set(level(backlog));
        ledger.repeated.get_or_create(&label).set(level(account.duplicates));
        ledger.doubtful.get_or_create(&label).set(level(account.doubtful));
        let state = |state| StateLabel { destination: destination.to_owned(), state };
        for (name, count) in [
            ("delivered", account.delivered),
            ("rejected", account.rejected),
            ("dead_lettered", account.dead_lettered),
            ("filtered", account.filtered),
            ("evicted", account.evicted),
            ("purged", account.purged),
        ] {
            ledger.events.get_or_create(&state(name)).set(level(count));
        }
        for word in ["well", "retrying", "misconfigured", "refusing"] {
            self.condition.get_or_create(&state(word)).set(i64::from(word == condition));
        }
    }

    /// Shows which of the destinations that are set run, and forgets all others.
    pub fn show_running<'n>(&self, set: impl Iterator<Item = (&'n str, bool)>) {
        self.running.clear();
        for (name, runs) in set {
            let label = DestinationLabel { destination: name.to_owned() };
            self.running.get_or_create(&label).set(i64::from(runs));
        }
    }

    /// Forgets what was shown of a destination that is no more.
    pub fn forget(&self, destination: &str) {
        let label = DestinationLabel { destination: destination.to_owned() };
        let ledger = &self.ledger;
        for family in [&ledger.stored, &ledger.backlog, &ledger.repeated, &ledger.doubtful] {
            family.remove(&label);
        }
        for state in ["delivered", "rejected", "dead_lettered", "filtered", "evicted", "purged"] {
            ledger.events.remove(&StateLabel { destination: destination.to_owned(), state });
        }
        for state in ["well", "retrying", "misconfigured", "refusing"] {
            self.condition.remove(&StateLabel { destination: destination.to_owned(), state });
        }
    }
}
