//! One value of the bucket of ledgers, which many exporters write: each by the revision that it has read, and again on
//! top of another's where that one was quicker.

use std::time::Duration;

use async_nats::jetstream::kv::{Operation, Store, UpdateErrorKind};
use bytes::Bytes;
use serde::de::DeserializeOwned;
use tokio::time::timeout;

use super::error::BusError;

/// How long a value may take to be read.
const READ_DEADLINE: Duration = Duration::from_secs(5);

/// How often a write is made again on top of others', of whom there are only so many.
const ATTEMPTS: usize = 64;

/// A value by its key.
#[derive(Clone, Copy)]
pub struct Cell<'s> {
    store: &'s Store,
    key: &'s str,
}

/// Why a value was not written.
#[derive(Debug, thiserror::Error)]
#[error("{error}")]
pub struct Unwritten {
    /// What went wrong.
    pub error: BusError,
    /// What may have been written all the same: its write was not acknowledged.
    pub attempted: Option<Bytes>,
}

impl From<BusError> for Unwritten {
    fn from(error: BusError) -> Self {
        Self { error, attempted: None }
    }
}

impl<'s> Cell<'s> {
    /// The value under this key.
    pub fn new(store: &'s Store, key: &'s str) -> Self {
        Self { store, key }
    }

    /// The value, where there is one, and the revision to write on top of.
    pub async fn read<T: DeserializeOwned>(&self) -> Result<(Option<T>, u64), BusError> {
        let entry =
            timeout(READ_DEADLINE, self.store.entry(self.key)).await.map_err(|error| self.failed(&error))?;
        match entry.map_err(|error| self.failed(&error))? {
            Some(entry) if entry.operation == Operation::Put => {
                let value = serde_json::from_slice(&entry.value).map_err(|error| self.failed(&error))?;
                Ok((Some(value), entry.revision))
            }
            other => Ok((None, other.map_or(0, |entry| entry.revision))),
        }
    }

    /// Writes what `next` makes of the value, of which `known` is what was read or written last and `absent` what
    /// stands for none. Where `next` gives no bytes, nothing is written. Gives the value as it is then, and its
    /// revision.
    pub async fn swap<T: DeserializeOwned>(
        &self,
        mut known: Option<(T, u64)>,
        absent: impl Fn() -> T,
        mut next: impl FnMut(T) -> Result<(T, Option<Bytes>), serde_json::Error>,
    ) -> Result<(T, u64), Unwritten> {
        for _ in 0..ATTEMPTS {
            let (value, revision) = match known.take() {
                Some(known) => known,
                None => {
                    let (value, revision) = self.read().await?;
                    (value.unwrap_or_else(&absent), revision)
                }
            };
            let (value, bytes) = next(value).map_err(|error| self.failed(&error))?;
            let Some(bytes) = bytes else { return Ok((value, revision)) };
            match self.store.update(self.key, bytes.clone(), revision).await {
                Ok(revision) => return Ok((value, revision)),
                Err(error) if error.kind() == UpdateErrorKind::WrongLastRevision => {}
                Err(error) => return Err(Unwritten { error: self.failed(&error), attempted: Some(bytes) }),
            }
        }
        Err(self.failed(&"too many others write at once").into())
    }

    /// The error of this value.
    pub fn failed(&self, error: &dyn std::fmt::Display) -> BusError {
        BusError::JetStream { what: format!("write the ledger {}", self.key), why: error.to_string() }
    }
}
