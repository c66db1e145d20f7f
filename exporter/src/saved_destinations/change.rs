//! Changing what is saved: checked whole, then written once with the revision that it was made on, then run by.
//!
//! Nothing is half-saved: a destination with its secrets is one value of the bucket.

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::kv::{CreateErrorKind, Operation, Store, UpdateErrorKind};
use bytes::Bytes;
use serde_json::{Map, Value, json};
use tokio::time::timeout;

use super::{
    SavedDestinations, StaticConfig,
    changed::Changed,
    contents::{DESTINATION, EXCLUSION, SWITCH, Seen},
    record::{self, Record, Secrets},
    running::usable,
    seal::{Place, SealError},
};
use crate::{
    bus::{Bucket, policy::Switch},
    config::ConfigError,
    destination::{DestinationSettings, Guard, Guarded, Kind, MAX_DESTINATIONS},
    secret::Secret,
    ship::consumer_name,
};

/// How long a name is looked up.
pub(super) const LOOK_UP: Duration = Duration::from_secs(2);

/// Why something was not changed.
#[derive(Debug)]
pub enum Refused {
    /// It comes from the configuration.
    Locked(String),
    /// It was changed meanwhile: what it is now.
    Stale(String),
    /// A field does not fit.
    Field(ConfigError),
    /// There is no such destination.
    Unknown(String),
    /// Its backlog was not confirmed.
    Backlog(u64),
    /// It cannot be saved now.
    Away(String),
}

impl std::fmt::Display for Refused {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Locked(name) => {
                write!(f, "{name} comes from the exporter's configuration and is changed there")
            }
            Self::Stale(name) if name.is_empty() => {
                f.write_str("it was changed by somebody else meanwhile: nothing was overwritten")
            }
            Self::Stale(name) => {
                write!(f, "{name} was changed by somebody else meanwhile: nothing was overwritten")
            }
            Self::Field(error) => error.fmt(f),
            Self::Unknown(name) => write!(f, "there is no destination named {name}"),
            Self::Backlog(1) => {
                f.write_str("1 event waits for it and would never be delivered: confirm that")
            }
            Self::Backlog(backlog) => {
                write!(f, "{backlog} events wait for it and would never be delivered: confirm that")
            }
            Self::Away(why) => f.write_str(why),
        }
    }
}

impl From<ConfigError> for Refused {
    fn from(error: ConfigError) -> Self {
        Self::Field(error)
    }
}

/// What becomes of a secret.
#[derive(Clone, Debug)]
pub enum SecretChange {
    /// It stays as it is.
    Keep,
    /// It is this one now.
    Set(Secret),
}

/// What is to be saved.
#[derive(Clone, Debug)]
pub struct Draft {
    /// The revision that it was made on; `None` for a new one.
    pub revision: Option<u64>,
    /// As exporter.yaml has one, without secrets.
    pub settings: Value,
    /// Its secrets by field; one that is not named is no more.
    pub secrets: BTreeMap<String, SecretChange>,
}

/// What was saved.
#[derive(Debug)]
pub struct Done {
    /// The revision that came of it.
    pub revision: u64,
    /// What is worth a word, by field.
    pub warnings: Vec<ConfigError>,
}

impl SavedDestinations {
    /// Saves a destination.
    ///
    /// # Errors
    ///
    /// [`Refused`]; nothing was changed then.
    pub async fn save(&self, name: &str, draft: Draft, by: &Changed) -> Result<Done, Refused> {
        let (configured, seen) = self.open_for_changes()?;
        if configured.locked.iter().any(|one| one.name == name) {
            return Err(Refused::Locked(name.to_owned()));
        }
        let found = seen.destinations.get(name);
        if found.map(|saved| saved.revision) != draft.revision {
            return Err(Refused::Stale(name.to_owned()));
        }
        if found.is_none() && configured.locked.len() + seen.destinations.len() >= MAX_DESTINATIONS {
            let message = format!("there may be {MAX_DESTINATIONS} destinations at most");
            return Err(ConfigError::at("name", message).into());
        }
        let before = found.and_then(|saved| saved.record.as_ref().ok());
        let secrets = self.secrets(name, &draft, before)?;
        let settings = record::checked(name, &draft.settings, &secrets, &configured.general)?;
        usable(&settings)?;
        let mut warnings = record::warnings(&settings, !secrets.is_empty());
        warnings.extend(reachable(&settings).await?);
        let place = record::place(&draft.settings);
        warnings.iter_mut().filter(|warning| warning.path == "endpoint").for_each(|warning| {
            place.clone_into(&mut warning.path);
        });
        let record = Record {
            version: record::VERSION,
            revision: 0,
            settings: draft.settings,
            secrets: BTreeMap::new(),
            changed: by.clone(),
        };
        let origin = match secrets.is_empty() {
            true => None,
            false => Some(record::origin(name, &record.settings, secrets.keys(), &configured.general)?),
        };
        let sealed = |revision: u64| {
            let mut record = Record { revision, ..record.clone() };
            let Some(origin) = &origin else { return Ok(record) };
            for (field, secret) in &secrets {
                let place = Place { destination: name, field, origin, revision };
                let sealed = configured.keys.seal(secret, &place);
                record.secrets.insert(field.clone(), sealed.map_err(|error| record::unsealed(field, error))?);
            }
            Ok(record)
        };
        let (record, revision) = self.write_sealed(name, draft.revision, sealed).await?;
        let changes = changes(before, &record, &draft.secrets);
        let what = if before.is_some() { "changed" } else { "created" };
        let noted = self.note(by, what, name, revision, &changes).await;
        warnings.extend(self.settled(revision, noted).await);
        Ok(Done { revision, warnings })
    }

    /// Removes a destination and its consumer; gives how many events waited for it and are counted as purged.
    ///
    /// # Errors
    ///
    /// [`Refused`]: [`Refused::Backlog`] where more waits for it than `confirmed`.
    pub async fn remove(
        &self,
        name: &str,
        revision: u64,
        confirmed: Option<u64>,
        by: &Changed,
    ) -> Result<(u64, Done), Refused> {
        let (configured, seen) = self.open_for_changes()?;
        let Some(found) = seen.destinations.get(name) else {
            let locked = configured.locked.iter().any(|one| one.name == name);
            let name = name.to_owned();
            return Err(if locked { Refused::Locked(name) } else { Refused::Unknown(name) });
        };
        if found.revision != revision {
            return Err(Refused::Stale(name.to_owned()));
        }
        let backlog = self.shared.bus.seen(&consumer_name(name)).await.map_or(0, |seen| seen.backlog);
        if backlog > confirmed.unwrap_or(0) {
            return Err(Refused::Backlog(backlog));
        }
        let store = self.store().await?;
        let key = format!("{DESTINATION}{name}");
        if let Err(error) = store.delete_expect_revision(&key, Some(revision)).await {
            let now = store.entry(&key).await;
            match now {
                // It is gone: our own delete arrived, though its response did not.
                Ok(None) => {}
                Ok(Some(entry)) if entry.operation != Operation::Put => {}
                Ok(Some(entry)) if entry.revision != revision => return Err(Refused::Stale(name.to_owned())),
                _ => return Err(Refused::Away(format!("NATS did not take the removal: {error}"))),
            }
        }
        let at = store.entry(&key).await.ok().flatten().map_or(revision, |entry| entry.revision);
        let noted = self.note(by, "removed", name, at, &[]).await;
        let warnings = self.settled(at, noted).await;
        let purged = self.retire(name).await.unwrap_or(backlog);
        Ok((purged, Done { revision: at, warnings }))
    }

    /// Sets the switch of the capture policy.
    ///
    /// # Errors
    ///
    /// [`Refused`].
    pub async fn set_switch(
        &self,
        switch: Switch,
        revision: Option<u64>,
        by: &Changed,
    ) -> Result<Done, Refused> {
        let (_, seen) = self.open_for_changes()?;
        // Never set is revision 0.
        let found = seen.switch.map(|(_, revision)| revision);
        if found.unwrap_or(0) != revision.unwrap_or(0) {
            return Err(Refused::Stale(String::new()));
        }
        let value = json!({ "switch": switch, "changed": by.clone() }).to_string();
        let revision = self.write(SWITCH, value.into(), found).await?;
        let change = match switch {
            Switch::Off => "content as the gateway's configuration says",
            Switch::Exclude => "content excluded",
        };
        let noted = self.note(by, "policy", "", revision, &[change.to_owned()]).await;
        let warnings = self.settled(revision, noted).await;
        Ok(Done { revision, warnings })
    }

    /// Says whether all destinations exclude content, where that is not what was said last.
    pub(super) async fn report_exclusion(&self, all_exclude: bool, seen: &Seen) {
        if seen.exclusion.map(|(said, _)| said).unwrap_or_default() == all_exclude {
            return;
        }
        let Ok(store) = self.store().await else { return };
        let value = json!({ "all_exclude": all_exclude }).to_string();
        match store.put(EXCLUSION, value.into()).await {
            // The request that saved it is answered once it is enforced here.
            Ok(revision) => self.has_seen(revision).await,
            Err(error) => tracing::warn!(%error, "whether all destinations exclude content cannot be told"),
        }
    }

    /// The configuration and what is saved, where something may be changed now.
    pub(super) fn open_for_changes(
        &self,
    ) -> Result<(std::sync::Arc<StaticConfig>, std::sync::Arc<Seen>), Refused> {
        let (configured, seen) = (self.configured(), self.seen());
        if !configured.enabled {
            let message = "settings are made in exporter.yaml only: it says settings.enabled: false";
            return Err(Refused::Away(message.to_owned()));
        }
        if let Some(why) = self.wrong().filter(|_| !seen.known || !self.shared.bus.is_connected()) {
            return Err(Refused::Away(format!("nothing can be saved now: {why}")));
        }
        if !seen.known {
            return Err(Refused::Away("nothing can be saved yet: NATS is not there".to_owned()));
        }
        Ok((configured, seen))
    }

    /// The secrets of a draft, unchanged ones opened: for the place that they were sealed for and no other.
    pub(super) fn secrets(
        &self,
        name: &str,
        draft: &Draft,
        before: Option<&Record>,
    ) -> Result<Secrets, Refused> {
        let configured = self.configured();
        let mut secrets = Secrets::new();
        let mut origin = None;
        for (field, change) in &draft.secrets {
            let secret = match change {
                SecretChange::Set(secret) => {
                    if configured.keys.is_empty() {
                        return Err(record::unsealed(field, SealError::NoKey).into());
                    }
                    secret.clone()
                }
                SecretChange::Keep => {
                    let sealed = before.and_then(|record| record.secrets.get(field));
                    let sealed = sealed
                        .ok_or_else(|| ConfigError::at(field.as_str(), "must be entered: none is saved"))?;
                    let to = match &origin {
                        Some(origin) => origin,
                        None => {
                            let fields = draft.secrets.keys();
                            origin.insert(record::origin(name, &draft.settings, fields, &configured.general)?)
                        }
                    };
                    let was = before.and_then(|record| record.origin(name, &configured.general).ok());
                    if let Some(was) = was.filter(|was| was != to) {
                        let message = format!(
                            "must be entered anew: what is saved is for {was} and is not sent to {to}"
                        );
                        return Err(ConfigError::at(field.as_str(), message).into());
                    }
                    let Some((record, revision)) = before.zip(draft.revision) else { continue };
                    let place = Place { destination: name, field, origin: to, revision };
                    let opened = record.secret(sealed, &place, &configured.keys);
                    opened.map_err(|error| record::unsealed(field, error))?
                }
            };
            secrets.insert(field.clone(), secret);
        }
        Ok(secrets)
    }

    /// What is said once something is saved.
    async fn settled(&self, revision: u64, noted: bool) -> Vec<ConfigError> {
        let mut warnings = Vec::new();
        if !self.runs_by(revision).await {
            warnings.push(ConfigError::at(".", "is saved, and does not run yet: it will in a moment"));
        }
        if !noted {
            warnings.push(ConfigError::at(".", "is saved, but the audit trail could not be written"));
        }
        warnings
    }

    /// Waits until this revision was seen here, which is soon.
    pub(super) async fn has_seen(&self, revision: u64) {
        let mut seen = self.shared.seen.subscribe();
        let waited = timeout(LOOK_UP, seen.wait_for(|seen| seen.revision >= revision)).await;
        if !waited.is_ok_and(|it| it.is_ok()) {
            tracing::debug!(revision, "a change of settings was not seen in time");
        }
    }

    pub(super) async fn bucket(&self) -> Result<Bucket, Refused> {
        let bucket = self.shared.bus.settings(self.shared.ships).await;
        bucket.map_err(|error| Refused::Away(error.to_string()))
    }

    async fn store(&self) -> Result<Store, Refused> {
        Ok(self.bucket().await?.store)
    }

    /// Writes a value over the one of this revision, or where there is none; gives the new revision.
    async fn write(&self, key: &str, value: Bytes, revision: Option<u64>) -> Result<u64, Refused> {
        let store = self.store().await?;
        let stale = || Refused::Stale(key.strip_prefix(DESTINATION).unwrap_or_default().to_owned());
        let (conflict, error) = match revision {
            None => match store.create(key, value.clone()).await {
                Ok(revision) => return Ok(revision),
                Err(error) => (error.kind() == CreateErrorKind::AlreadyExists, error.to_string()),
            },
            Some(revision) => match store.update(key, value.clone(), revision).await {
                Ok(revision) => return Ok(revision),
                Err(error) => (error.kind() == UpdateErrorKind::WrongLastRevision, error.to_string()),
            },
        };
        // A response that was lost, or a write repeated by the client, is no conflict: look what is there.
        match timeout(LOOK_UP, store.entry(key)).await {
            Ok(Ok(Some(entry))) if entry.operation == Operation::Put && entry.value == value => {
                Ok(entry.revision)
            }
            Ok(Ok(entry)) if conflict => {
                // So that the response shows what it is now.
                self.has_seen(entry.map_or(0, |entry| entry.revision)).await;
                Err(stale())
            }
            _ => Err(Refused::Away(format!("NATS did not take it: {error}"))),
        }
    }
}

/// Whether the name of an endpoint leads somewhere, and not where nothing is sent.
pub(super) async fn reachable(settings: &DestinationSettings) -> Result<Option<ConfigError>, ConfigError> {
    let Kind::Otlp(otlp) = &settings.kind else { return Ok(None) };
    let Some(name) = record::looked_up(&otlp.url) else { return Ok(None) };
    let guarded = Guarded::to(otlp.guard.unwrap_or(Guard { loopback: true }), &otlp.url);
    match timeout(LOOK_UP, guarded.resolve(&name)).await {
        Ok(Ok(found)) if !found.is_empty() => Ok(None),
        Ok(Err(error)) if error.kind() == std::io::ErrorKind::PermissionDenied => {
            Err(ConfigError::at("endpoint", format!("{name} {error}")))
        }
        _ => {
            let message = format!("{name} has no address at the moment: events wait until it has one");
            Ok(Some(ConfigError::at("endpoint", message)))
        }
    }
}

/// Which fields differ, never how.
fn changes(before: Option<&Record>, after: &Record, secrets: &BTreeMap<String, SecretChange>) -> Vec<String> {
    let none = Map::new();
    let fields = |record: &'_ Value| record.as_object().cloned();
    let old = before.and_then(|record| fields(&record.settings)).unwrap_or_else(|| none.clone());
    let new = fields(&after.settings).unwrap_or(none);
    let mut changes: Vec<String> = new
        .iter()
        .filter(|(name, value)| old.get(*name) != Some(value))
        .map(|(name, _)| name.clone())
        .collect();
    changes
        .extend(old.keys().filter(|name| !new.contains_key(*name)).map(|name| format!("{name} (removed)")));
    for (field, change) in secrets {
        if matches!(change, SecretChange::Set(_)) {
            changes.push(format!("{field} (new value)"));
        }
    }
    let kept = before.into_iter().flat_map(|record| record.secrets.keys());
    changes
        .extend(kept.filter(|field| !secrets.contains_key(*field)).map(|field| format!("{field} (removed)")));
    changes
}
