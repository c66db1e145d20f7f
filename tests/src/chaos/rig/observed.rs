//! All that is known when a run is over, from everybody who knows something.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use super::{
    apply::Happened,
    schedule::{Act, PAIR, Part},
};
use crate::load::{
    TraceId,
    caller::Record,
    endpoint::{Id, Told},
    figures::{Gateway, Ledger},
    provider::Seen,
};

/// What an endpoint knows.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// What it was told, by event.
    pub told: HashMap<Id, Told>,
    /// How often an event came again.
    pub repeated: u64,
    /// How often one came again and told something else.
    pub changed: u64,
}

/// All of it.
#[derive(Clone, Debug, Default)]
pub struct Observed {
    /// What every caller knows.
    pub records: Vec<Record>,
    /// The faults as they happened.
    pub happened: Vec<Happened>,
    /// What Envoy's stats said of the filter's ledger, when.
    pub looks: Vec<(Instant, Gateway)>,
    /// What they said when all was over, of the Envoy that lived then.
    pub last_look: Gateway,
    /// What each provider saw.
    pub providers: [HashMap<TraceId, Seen>; PAIR],
    /// What each endpoint was told.
    pub endpoints: [Arrived; PAIR],
    /// The ledgers of the destinations, as each exporter tells them when all is over.
    pub ledgers: [BTreeMap<String, Ledger>; PAIR],
}

impl Observed {
    /// When Envoy was dead each time that it was killed, in order.
    pub fn kills(&self) -> Vec<Instant> {
        let of_envoy = |one: &&Happened| (one.fault.part, one.fault.act) == (Part::Envoy, Act::Kill);
        let mut kills: Vec<Instant> = self.happened.iter().filter(of_envoy).map(|one| one.struck).collect();
        kills.sort_unstable();
        kills
    }

    /// How often the providers saw a trace.
    pub fn seen(&self, trace: TraceId) -> u32 {
        self.providers.iter().filter_map(|provider| provider.get(&trace)).map(|seen| seen.times).sum()
    }
}
