//! Where settings that are made on the page lie: a key-value bucket, and the stream of its audit trail.
//!
//! The bucket is no condition for delivery: where it cannot be had, events are taken and shipped all the same.

use async_nats::jetstream::{
    context::{PublishError, PublishErrorKind},
    kv,
    message::PublishMessage,
    stream::{Config, DiscardPolicy, RawMessageErrorKind, RetentionPolicy, StorageType},
};
use bytes::Bytes;

use super::{client::Bus, error::BusError, layout};

/// The bucket of settings.
pub const SETTINGS: &str = "WEIR_SETTINGS";

/// The stream that the server keeps it in.
const SETTINGS_STREAM: &str = "KV_WEIR_SETTINGS";

/// The stream of the audit trail.
pub const AUDIT: &str = "WEIR_AUDIT";

/// What it takes.
const AUDIT_SUBJECT: &str = "weir.audit";

/// How many entries it keeps.
const AUDIT_ENTRIES: i64 = 10_000;

/// How many bytes of them.
const AUDIT_BYTES: i64 = 16 << 20;

/// How many bytes the bucket holds: a destination's settings are small, and there are few.
const SETTINGS_BYTES: i64 = 16 << 20;

/// The largest value in it.
const MAX_VALUE: i32 = 1 << 20;

/// Why the bucket was not opened.
#[derive(Debug, thiserror::Error)]
pub enum Missing {
    /// It is not there, and cannot be made: nothing was ever saved.
    #[error("there is no bucket {SETTINGS} and none can be made: {0}")]
    Absent(String),
    /// Whether it is there is not known.
    #[error("cannot look at bucket {SETTINGS}: {0}")]
    Unknown(String),
}

/// Why a value was not written, as far as is known.
#[derive(Debug, thiserror::Error)]
pub enum NotNext {
    /// The bucket was changed meanwhile, this key or another.
    #[error("something else was written meanwhile")]
    Meanwhile,
    /// NATS did not acknowledge it.
    #[error("{0}")]
    Failed(String),
}

/// The bucket, and what distinguishes it from one that was recreated.
#[derive(Clone, Debug)]
pub struct Bucket {
    /// The bucket.
    pub store: kv::Store,
    /// When it was made, in Unix seconds.
    pub made: u64,
    /// Its last revision.
    pub last: u64,
    /// Whether nothing is in it.
    pub is_empty: bool,
}

impl Bus {
    /// Opens the bucket of settings, and makes it where there is none, if it may: whoever only reads it has no
    /// right to.
    pub async fn settings(&self, may_make: bool) -> Result<Bucket, Missing> {
        match self.context.get_stream(SETTINGS_STREAM).await {
            Ok(_) => {}
            Err(error) if layout::is_missing(&error.kind()) => {
                if !may_make {
                    return Err(Missing::Absent("an exporter that ships makes it".to_owned()));
                }
                let config = kv::Config {
                    bucket: SETTINGS.to_owned(),
                    description: "What was set on weir-exporter's page".to_owned(),
                    history: 1,
                    storage: StorageType::File,
                    max_bytes: SETTINGS_BYTES,
                    max_value_size: MAX_VALUE,
                    num_replicas: self.stream_wanted().replicas,
                    ..kv::Config::default()
                };
                let made = self.context.create_key_value(config).await;
                made.map_err(|error| Missing::Absent(error.to_string()))?;
            }
            Err(error) => return Err(Missing::Unknown(error.to_string())),
        }
        let store = self.context.get_key_value(SETTINGS).await;
        let store = store.map_err(|error| Missing::Unknown(error.to_string()))?;
        let info = store.stream.cached_info();
        let (made, state) = (info.created.unix_timestamp(), &info.state);
        let (last, is_empty) = (state.last_sequence, state.messages == 0);
        Ok(Bucket { made: u64::try_from(made).unwrap_or_default(), last, is_empty, store })
    }

    /// Writes a value over the one of revision `on` (0 where there is none) as the very next revision of the bucket,
    /// `bucket.last` + 1, so that the value can hold its own revision.
    ///
    /// # Errors
    ///
    /// [`NotNext`].
    pub async fn put_next(&self, bucket: &Bucket, key: &str, value: Bytes, on: u64) -> Result<u64, NotNext> {
        let prefix = bucket.store.put_prefix.as_ref().unwrap_or(&bucket.store.prefix);
        let message = PublishMessage::build()
            .expected_stream(SETTINGS_STREAM)
            .expected_last_sequence(bucket.last)
            .expected_last_subject_sequence(on)
            .payload(value);
        let failed = |error: PublishError| match error.kind() {
            PublishErrorKind::WrongLastSequence => NotNext::Meanwhile,
            _ => NotNext::Failed(error.to_string()),
        };
        let sent = self.context.send_publish(format!("{prefix}{key}"), message).await.map_err(failed)?;
        Ok(sent.await.map_err(failed)?.sequence)
    }

    /// Adds an entry to the audit trail.
    pub async fn audit(&self, entry: Bytes) -> Result<(), BusError> {
        let what = "write the audit trail";
        let config = Config {
            name: AUDIT.to_owned(),
            subjects: vec![AUDIT_SUBJECT.to_owned()],
            storage: StorageType::File,
            retention: RetentionPolicy::Limits,
            discard: DiscardPolicy::Old,
            max_messages: AUDIT_ENTRIES,
            max_bytes: AUDIT_BYTES,
            num_replicas: self.stream_wanted().replicas,
            ..Config::default()
        };
        self.context.get_or_create_stream(config).await.map_err(BusError::cannot(what))?;
        let message = PublishMessage::build().expected_stream(AUDIT).payload(entry);
        let sent = self.context.send_publish(AUDIT_SUBJECT, message).await.map_err(BusError::cannot(what))?;
        sent.await.map(drop).map_err(BusError::cannot(what))
    }

    /// The last entries of the audit trail, the newest first.
    pub async fn audited(&self, limit: usize) -> Result<Vec<Bytes>, BusError> {
        let what = "read the audit trail";
        let stream = match self.context.get_stream(AUDIT).await {
            Ok(stream) => stream,
            Err(error) if layout::is_missing(&error.kind()) => return Ok(Vec::new()),
            Err(error) => return Err(BusError::cannot(what)(error)),
        };
        let state = &stream.cached_info().state;
        let mut entries = Vec::new();
        for sequence in (state.first_sequence.max(1)..=state.last_sequence).rev().take(limit) {
            match stream.get_raw_message(sequence).await {
                Ok(message) => entries.push(message.payload),
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => {}
                Err(error) => return Err(BusError::cannot(what)(error)),
            }
        }
        Ok(entries)
    }
}
