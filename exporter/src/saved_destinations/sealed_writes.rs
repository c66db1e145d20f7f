//! Writing destinations with their secrets, each sealed for the revision that it is written as.
//!
//! The revision is known before: a write is taken only as the very next one of the bucket, and made again where
//! something else was quicker.

use async_nats::jetstream::kv::Operation;
use tokio::time::timeout;

use super::{
    SavedDestinations,
    change::{LOOK_UP, Refused},
    changed::Changed,
    contents::DESTINATION,
    record::{self, Record, Secrets},
    seal::{Place, SealError, Sealed},
};
use crate::config::ConfigError;

/// How often a destination is sealed and written again because something else was written to the bucket meanwhile.
const WRITES: usize = 8;

impl SavedDestinations {
    /// Seals anew, by the key that comes first, what another one sealed; gives how many secrets, and how many
    /// could not be.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub async fn reseal(&self, by: &Changed) -> Result<(usize, Vec<(String, ConfigError)>), Refused> {
        let (configured, seen) = self.open_for_changes()?;
        if configured.keys.is_empty() {
            return Err(Refused::Field(record::unsealed("settings.key", SealError::NoKey)));
        }
        let (mut count, mut failed) = (0, Vec::new());
        for (name, saved) in &seen.destinations {
            let Ok(record) = &saved.record else { continue };
            let old = record.secrets.iter().filter(|(_, sealed)| !configured.keys.is_current(sealed));
            let old: Vec<_> = old.map(|(field, _)| field.clone()).collect();
            if old.is_empty() {
                continue;
            }
            // All of them: those that are current already are sealed for a revision that is no more.
            let opened = record.origin(name, &configured.general).and_then(|origin| {
                let open = |(field, sealed): (&String, &Sealed)| {
                    let place = Place { destination: name, field, origin: &origin, revision: saved.revision };
                    let secret = record.secret(sealed, &place, &configured.keys);
                    Ok((field.clone(), secret.map_err(|error| record::unsealed(field, error))?))
                };
                let secrets = record.secrets.iter().map(open).collect::<Result<Secrets, ConfigError>>()?;
                Ok((origin, secrets))
            });
            let (origin, secrets) = match opened {
                Ok(opened) => opened,
                Err(error) => {
                    failed.push((name.clone(), error));
                    continue;
                }
            };
            let sealed = |revision: u64| {
                let mut fresh = Record { revision, changed: by.clone(), ..record.clone() };
                for (field, secret) in &secrets {
                    let place = Place { destination: name, field, origin: &origin, revision };
                    let again = configured.keys.seal(secret, &place);
                    fresh
                        .secrets
                        .insert(field.clone(), again.map_err(|error| record::unsealed(field, error))?);
                }
                Ok(fresh)
            };
            let (_, revision) = self.write_sealed(name, Some(saved.revision), sealed).await?;
            self.note(by, "resealed", name, revision, &old).await;
            count += old.len();
        }
        Ok((count, failed))
    }

    /// Writes a destination over the one of revision `on`, or where there is none, as `make` seals it for the revision
    /// that it will have; gives it and that revision.
    pub(super) async fn write_sealed(
        &self,
        name: &str,
        on: Option<u64>,
        make: impl Fn(u64) -> Result<Record, ConfigError>,
    ) -> Result<(Record, u64), Refused> {
        let key = format!("{DESTINATION}{name}");
        let mut why = String::new();
        for _ in 0..WRITES {
            let bucket = self.bucket().await?;
            let entry = timeout(LOOK_UP, bucket.store.entry(&key)).await;
            let Ok(Ok(entry)) = entry else {
                return Err(Refused::Away("NATS does not say what is saved".to_owned()));
            };
            let put = entry.as_ref().filter(|entry| entry.operation == Operation::Put);
            if put.map(|entry| entry.revision) != on {
                // So that the response shows what it is now.
                self.has_seen(entry.map_or(0, |entry| entry.revision)).await;
                return Err(Refused::Stale(name.to_owned()));
            }
            let record = make(bucket.last.saturating_add(1))?;
            let value = serde_json::to_vec(&record).map_err(|error| Refused::Away(error.to_string()))?;
            let over = entry.map_or(0, |entry| entry.revision);
            match self.shared.bus.put_next(&bucket, &key, value.clone().into(), over).await {
                Ok(revision) => return Ok((record, revision)),
                Err(error) => why = error.to_string(),
            }
            // A response that was lost, or a write repeated by the client, is no conflict: look what is there.
            if let Ok(Ok(Some(entry))) = timeout(LOOK_UP, bucket.store.entry(&key)).await
                && entry.operation == Operation::Put
                && entry.value == value
            {
                return Ok((record, entry.revision));
            }
        }
        Err(Refused::Away(format!("NATS did not take it: {why}")))
    }
}
