//! The audit trail: who changed what, when and from where. Fields are named, values never recorded.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};
use utoipa::ToSchema;

use super::{
    changed::{Changed, now},
    handle::SavedDestinations,
};
use crate::bus::BusError;

/// The most entries that are read at once.
pub(super) const MAX_ENTRIES: usize = 500;

/// How many are read by default.
pub(crate) const ENTRIES: usize = 50;

/// The longest text of an entry in characters.
const MAX_TEXT: usize = 200;

/// The most fields that an entry names.
const MAX_CHANGES: usize = 100;

/// What was done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = AuditEntry)]
pub struct Entry {
    /// When (RFC 3339).
    pub at: String,
    /// Who.
    pub actor: String,
    /// From where.
    pub address: String,
    /// What, by one word: `created`, `changed`, `removed`, `policy`, `resealed`, and of dead letters `replayed` and
    /// `deleted`.
    pub what: String,
    /// Of which destination; empty for the policy.
    pub name: String,
    /// The revision of the settings that came of it; 0 for dead letters.
    pub revision: u64,
    /// Which fields.
    pub changes: Vec<String>,
}

fn short(text: &str) -> String {
    text.chars().take(MAX_TEXT).collect()
}

impl SavedDestinations {
    /// Adds to the trail; gives whether it was written.
    pub(super) async fn note(
        &self,
        by: &Changed,
        what: &str,
        name: &str,
        revision: u64,
        changes: &[String],
    ) -> bool {
        let entry = Entry {
            at: now(),
            actor: short(&by.actor),
            address: short(&by.address),
            what: what.to_owned(),
            name: name.to_owned(),
            revision,
            changes: changes.iter().take(MAX_CHANGES).map(|change| short(change)).collect(),
        };
        info!(actor = entry.actor, address = entry.address, name, revision, ?changes, "settings {what}");
        self.trail(&entry).await
    }

    /// Records an action on a destination's dead letters, which is done whether this is written or not.
    pub(crate) async fn note_letters(&self, by: &Changed, what: &str, destination: &str, count: usize) {
        let letters = if count == 1 { "dead letter" } else { "dead letters" };
        let entry = Entry {
            at: now(),
            actor: short(&by.actor),
            address: short(&by.address),
            what: what.to_owned(),
            name: destination.to_owned(),
            revision: 0,
            changes: vec![format!("{count} {letters}")],
        };
        info!(actor = entry.actor, address = entry.address, destination, count, "dead letters {what}");
        self.trail(&entry).await;
    }

    async fn trail(&self, entry: &Entry) -> bool {
        let Ok(bytes) = serde_json::to_vec(entry) else { return false };
        match self.shared.bus.audit(bytes.into()).await {
            Ok(()) => true,
            Err(error) => {
                warn!(%error, "what was done is not in the audit trail");
                false
            }
        }
    }

    /// The last entries, the newest first.
    pub(crate) async fn audited(&self, limit: usize) -> Result<Vec<Entry>, BusError> {
        let entries = self.shared.bus.audited(limit.min(MAX_ENTRIES)).await?;
        Ok(entries.iter().filter_map(|entry: &Bytes| serde_json::from_slice(entry).ok()).collect())
    }
}
