//! All that is known when a run is over, from everybody who knows something.

use std::{
    collections::{BTreeMap, HashMap},
    time::Instant,
};

use super::{
    apply::Happened,
    schedule::{Act, PAIR, Part},
};
use crate::{
    fakes::otlp::{Endpoint, Reported},
    load::{
        TraceId,
        caller::Record,
        figures::{Gateway, Ledger},
        provider::Seen,
    },
};

/// An event's id: its source, and its place in it.
pub type Id = (u128, u64);

/// What an endpoint knows.
#[derive(Clone, Debug, Default)]
pub struct Arrived {
    /// What was reported to it, by event.
    pub reported: HashMap<Id, Reported>,
    /// How often an event came again.
    pub repeated: usize,
    /// How often one came again and reported something else.
    pub changed: u64,
}

impl Arrived {
    /// What this endpoint knows by now. Ids that are none are left out, and so missed.
    pub fn at(endpoint: &Endpoint) -> Self {
        let events = endpoint.reported().into_iter();
        Self {
            reported: events.filter_map(|(text, event)| Some((id(&text)?, event))).collect(),
            repeated: endpoint.repeated(),
            changed: endpoint.changed(),
        }
    }
}

fn id(text: &str) -> Option<Id> {
    let (source, sequence) = text.split_once('-')?;
    Some((u128::from_str_radix(source, 16).ok()?, sequence.parse().ok()?))
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
    /// What was reported to each endpoint.
    pub endpoints: [Arrived; PAIR],
    /// The ledgers of the destinations, as each exporter reports them when all is over.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_read_as_it_is_written() {
        let written = weir_event::EventId { source: [0xab; 16], sequence: 7 }.to_string();
        assert_eq!(id(&written), Some((u128::from_be_bytes([0xab; 16]), 7)));
        assert_eq!((id("ab"), id("zz-1"), id("ab-x")), (None, None, None));
    }
}
