//! What the bucket of saved destinations holds.

use std::collections::BTreeMap;

use async_nats::jetstream::kv::{Entry, Operation};
use serde::Deserialize;

use super::record::Record;
use crate::bus::policy::{self, Policy, Switch};

/// The keys of destinations begin with this.
pub(super) const DESTINATION: &str = "destination.";

/// The key of the switch of the capture policy.
pub(super) const SWITCH: &str = "policy";

/// The key of what the destinations together say of content.
pub(super) const EXCLUSION: &str = "exclusion";

/// A destination in the bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// What it says; else why it cannot be read.
    pub record: Result<Record, String>,
    /// Its revision.
    pub revision: u64,
}

/// What the bucket holds.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Whether it is known at all.
    pub known: bool,
    /// When the bucket was made, in Unix seconds.
    pub made: u64,
    /// The last revision that was seen.
    pub revision: u64,
    /// The destinations.
    pub destinations: BTreeMap<String, Saved>,
    /// Destinations that were removed since this process runs, with the revision.
    pub removed: BTreeMap<String, u64>,
    /// The switch of the capture policy, with its revision, where it was ever set.
    pub switch: Option<(Switch, u64)>,
    /// Whether all destinations exclude content, with its revision, where an exporter that ships has said so.
    pub exclusion: Option<(bool, u64)>,
}

#[derive(Deserialize)]
struct SwitchEntry {
    switch: Switch,
}

#[derive(Deserialize)]
struct ExclusionEntry {
    all_exclude: bool,
}

impl Seen {
    /// Takes an entry in; `live` where it is a change that happens now.
    pub(super) fn enter(&mut self, entry: &Entry, live: bool) {
        self.revision = self.revision.max(entry.revision);
        let is_put = entry.operation == Operation::Put;
        if let Some(name) = entry.key.strip_prefix(DESTINATION) {
            if is_put {
                let record = serde_json::from_slice(&entry.value);
                let record = record.map_err(|_| "what is saved cannot be read: save it anew".to_owned());
                self.removed.remove(name);
                self.destinations.insert(name.to_owned(), Saved { record, revision: entry.revision });
            } else {
                self.destinations.remove(name);
                if live {
                    self.removed.insert(name.to_owned(), entry.revision);
                }
            }
        } else if entry.key == SWITCH {
            // What cannot be read may have been the stricter.
            let read = |entry: &Entry| serde_json::from_slice::<SwitchEntry>(&entry.value);
            let switch =
                if is_put { read(entry).map_or(Switch::Exclude, |it| it.switch) } else { Switch::Off };
            self.switch = Some((switch, entry.revision));
        } else if entry.key == EXCLUSION {
            let read = serde_json::from_slice::<ExclusionEntry>(&entry.value);
            self.exclusion = Some((is_put && read.is_ok_and(|it| it.all_exclude), entry.revision));
        }
    }

    /// Whether it is older than what is known of its key: the nodes of a cluster differ for a moment.
    pub(super) fn is_behind(&self, entry: &Entry) -> bool {
        let known = match entry.key.as_str() {
            SWITCH => self.switch.map(|(_, at)| at),
            EXCLUSION => self.exclusion.map(|(_, at)| at),
            _ => None,
        };
        known.is_some_and(|at| entry.revision <= at)
    }

    /// The capture policy that it comes to.
    pub fn policy(&self) -> Policy {
        if !self.known {
            return Policy::Unknown;
        }
        let (switch, at) = self.switch.unwrap_or_default();
        let (all_exclude, said_at) = self.exclusion.unwrap_or_default();
        let revision = policy::revision(self.made, at.max(said_at));
        Policy::Known { revision, excludes: switch == Switch::Exclude || all_exclude }
    }
}

/// The destination that a key names; empty where it names none.
pub(super) fn name_of(key: &str) -> &str {
    key.strip_prefix(DESTINATION).unwrap_or_default()
}
