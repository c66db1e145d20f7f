//! Following the bucket: what it holds is known as a whole, then every change as it comes.
//!
//! An exporter that ships watches all of it. One that only ingests asks for the two keys of the capture policy: a
//! watch is a consumer, and whoever may make one has NATS deliver to any subject, in its own name.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use async_nats::jetstream::kv::{Entry, Operation};
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{Managed, Record};
use crate::bus::{
    Bucket, Missing,
    policy::{self, Policy, Switch},
};

/// The keys of destinations begin with this.
pub(super) const DESTINATION: &str = "destination.";

/// The key of the switch of the capture policy.
pub(super) const SWITCH: &str = "policy";

/// The key of what the destinations together say of content.
pub(super) const EXCLUSION: &str = "exclusion";

/// Pause before the bucket is looked for again.
const AGAIN: Duration = Duration::from_millis(500);

/// The same while there is no connection.
const CONNECTING: Duration = Duration::from_millis(50);

/// How often it is made sure that the bucket is the one that is followed, and nothing was missed.
const LOOK: Duration = Duration::from_secs(10);

/// How often an exporter that only ingests asks for the capture policy.
const ASK: Duration = Duration::from_millis(250);

/// How long a policy is waited for while NATS is there; then nothing is told.
const PATIENCE: Duration = Duration::from_secs(5);

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
    fn enter(&mut self, entry: &Entry, live: bool) {
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
    fn is_behind(&self, entry: &Entry) -> bool {
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

impl Managed {
    /// Follows the bucket until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        let mut since = None;
        while !stop.is_cancelled() {
            if !self.basis().enabled {
                tokio::select! {
                    () = stop.cancelled() => return,
                    () = sleep(AGAIN) => continue,
                }
            }
            let ended = tokio::select! {
                () = stop.cancelled() => return,
                ended = self.follow_once() => ended,
            };
            let connected = self.shared.bus.is_connected();
            if let Err(missing) = ended {
                // Where there is no stream either, nothing is stored, and the bucket will come with it.
                let stores = self.shared.bus.state().is_ok();
                since = if stores { since.or(Some(Instant::now())) } else { None };
                self.lost(&missing, since);
            }
            tokio::select! {
                () = stop.cancelled() => return,
                () = sleep(if connected { AGAIN } else { CONNECTING }) => {}
            }
        }
    }

    /// Follows it until something is wrong with that.
    async fn follow_once(&self) -> Result<(), Missing> {
        if !self.shared.bus.is_connected() {
            return Err(Missing::Unknown("not connected to NATS".to_owned()));
        }
        let bucket = self.shared.bus.settings(self.shared.ships).await?;
        if self.shared.ships { self.watch(bucket).await } else { self.ask(bucket).await }
    }

    /// Asks for the capture policy, and for nothing else that is saved.
    async fn ask(&self, bucket: Bucket) -> Result<(), Missing> {
        let mut seen = Seen { made: bucket.made, ..Seen::default() };
        let mut look = Instant::now() + LOOK;
        while self.basis().enabled {
            for key in [SWITCH, EXCLUSION] {
                if let Some(entry) = bucket.store.entry(key).await.map_err(|error| unknown(&error))?
                    && !seen.is_behind(&entry)
                {
                    seen.enter(&entry, seen.known);
                }
            }
            seen.known = true;
            if *self.seen() != seen || self.wrong().is_some() {
                self.show(&seen);
            }
            sleep(ASK).await;
            if Instant::now() >= look {
                look = Instant::now() + LOOK;
                if self.shared.bus.settings(false).await?.made != seen.made {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    /// Watches all that is saved.
    async fn watch(&self, bucket: Bucket) -> Result<(), Missing> {
        let was = self.seen();
        let mut seen = Seen { made: bucket.made, removed: was.removed.clone(), ..Seen::default() };
        let mut entries = bucket.store.watch_with_history(">").await.map_err(|error| unknown(&error))?;
        if bucket.is_empty {
            seen.known = true;
            seen.revision = bucket.last;
            self.show(&seen);
        }
        let mut ticks = interval(LOOK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.reset();
        loop {
            tokio::select! {
                entry = entries.next() => match entry {
                    None => return Err(Missing::Unknown("the watch ended".to_owned())),
                    Some(Err(error)) => return Err(unknown(&error)),
                    Some(Ok(entry)) => {
                        let live = seen.known || was.destinations.contains_key(name_of(&entry.key));
                        seen.enter(&entry, live);
                        if entry.delta == 0 {
                            seen.known = true;
                            self.show(&seen);
                        }
                    }
                },
                _ = ticks.tick() => {
                    let now = self.shared.bus.settings(self.shared.ships).await?;
                    if now.made != seen.made || now.last > seen.revision && !now.is_empty {
                        debug!(seen = seen.revision, last = now.last, "the settings are read anew");
                        return Ok(());
                    }
                    if !self.basis().enabled {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn show(&self, seen: &Seen) {
        self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The policy first: from the moment on that a change is told to anybody, it is enforced.
        self.tell(seen.policy());
        self.shared.seen.send_replace(Arc::new(seen.clone()));
    }

    pub(super) fn tell(&self, policy: Policy) {
        self.shared.policy.send_if_modified(|known| {
            let changed = *known != policy;
            *known = policy;
            changed
        });
    }

    /// The bucket cannot be followed: what was known last goes on to hold.
    fn lost(&self, missing: &Missing, since: Option<Instant>) {
        let why = missing.to_string();
        {
            let mut wrong = self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner);
            if since.is_some() && wrong.as_deref() != Some(&why) {
                warn!(why, "the settings of the page are not followed: what was known last holds");
            }
            *wrong = Some(why);
        }
        if *self.shared.policy.borrow() != Policy::Unknown {
            return;
        }
        match missing {
            Missing::Absent(_) => self.tell(Policy::NONE),
            Missing::Unknown(_) if since.is_some_and(|since| since.elapsed() > PATIENCE) => {
                warn!("the capture policy cannot be found out: events are stored without content");
                self.tell(Policy::STRICT);
            }
            Missing::Unknown(_) => {}
        }
    }
}

fn unknown(error: &dyn std::fmt::Display) -> Missing {
    Missing::Unknown(error.to_string())
}

/// The destination that a key names; empty where it names none.
fn name_of(key: &str) -> &str {
    key.strip_prefix(DESTINATION).unwrap_or_default()
}
