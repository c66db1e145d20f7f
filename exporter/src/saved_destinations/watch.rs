//! Following the bucket: what it holds is known as a whole, then every change as it comes.
//!
//! An exporter that ships watches all of it. One that only ingests asks for the two keys of the capture policy: a
//! watch is a consumer, and whoever may make one has NATS deliver to any subject, in its own name.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use futures_util::StreamExt as _;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep};
use tokio_util::sync::CancellationToken;
use tracing::{debug, warn};

use super::{
    contents::{EXCLUSION, SWITCH, Seen, name_of},
    handle::SavedDestinations,
};
use crate::bus::{Bucket, Missing, policy::Policy};

/// Pause before the bucket is looked for again.
const AGAIN: Duration = Duration::from_millis(500);

/// The same while there is no connection.
const CONNECTING: Duration = Duration::from_millis(50);

/// How often it is made sure that the bucket is the one that is followed, and nothing was missed.
const LOOK: Duration = Duration::from_secs(10);

/// How often an exporter that only ingests asks for the capture policy.
const ASK: Duration = Duration::from_millis(250);

/// How long a policy is waited for while NATS is there; then content is excluded.
const PATIENCE: Duration = Duration::from_secs(5);

impl SavedDestinations {
    /// Follows the bucket until `stop`.
    pub async fn follow(&self, stop: CancellationToken) {
        let mut since = None;
        while !stop.is_cancelled() {
            if !self.configured().enabled {
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
        while self.configured().enabled {
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
                    if !self.configured().enabled {
                        return Ok(());
                    }
                }
            }
        }
    }

    fn show(&self, seen: &Seen) {
        self.shared.wrong.lock().unwrap_or_else(PoisonError::into_inner).take();
        // The policy first: a change is enforced before anybody hears of it.
        self.enforce(seen.policy());
        self.shared.seen.send_replace(Arc::new(seen.clone()));
    }

    pub(super) fn enforce(&self, policy: Policy) {
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
            Missing::Absent(_) => self.enforce(Policy::NONE),
            Missing::Unknown(_) if since.is_some_and(|since| since.elapsed() > PATIENCE) => {
                warn!("the capture policy cannot be found out: events are stored without content");
                self.enforce(Policy::STRICT);
            }
            Missing::Unknown(_) => {}
        }
    }
}

fn unknown(error: &dyn std::fmt::Display) -> Missing {
    Missing::Unknown(error.to_string())
}
