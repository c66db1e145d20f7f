//! What the exporter keeps in JetStream: the stream of events with one durable pull consumer a destination and
//! one for the metrics, the stream of dead letters, and the bucket of ledgers.
//!
//! The stream keeps events on file and by limits: no destination can hold back another or the gateway,
//! and nothing depends on a consumer being there first. What is there already stays and is brought up to
//! date; a stream of another kind, or one that would lose events by it, is left alone and refused.

use std::time::SystemTime;

use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::{CreateStreamError, GetStreamErrorKind},
    kv,
    stream::{Config, DiscardPolicy, Info, RetentionPolicy, StorageType},
};
use tracing::info;

use super::{
    connection::{BusSettings, StreamSettings},
    error::BusError,
    names::{
        ACK_WAIT, DEAD_LETTERS, DEAD_MAX_AGE, DEAD_SHARE, DEAD_SUBJECT, LEDGER, LEDGER_STREAM, STREAM,
        SUBJECTS,
    },
};
use crate::config::wire::WhenFull;

/// A durable consumer.
#[derive(Clone, Debug, PartialEq)]
pub struct ConsumerSettings {
    /// Its name: `ship-<destination>`, or `metrics`.
    pub name: String,
    /// Events delivered and not yet acknowledged, at most.
    pub max_ack_pending: usize,
    /// Where it starts when it is made.
    pub deliver: DeliverPolicy,
    /// Whether the exporter is not ready without it.
    pub needed: bool,
}

/// Puts the stream in place, or brings it up to date.
pub(super) async fn stream(context: &Context, settings: &StreamSettings) -> Result<(), BusError> {
    let found = match context.get_stream(STREAM).await {
        Ok(stream) => stream.cached_info().clone(),
        Err(error) if is_missing(&error.kind()) => {
            return create(context, wanted(Config::default(), settings)).await;
        }
        Err(error) => return Err(look_failed(STREAM, &error)),
    };
    fits(&found, settings)?;
    update(context, &found.config, wanted(found.config.clone(), settings)).await
}

/// Fails where there is no stream of events yet.
pub(super) async fn stream_is_there(context: &Context) -> Result<(), BusError> {
    match context.get_stream(STREAM).await {
        Ok(_) => Ok(()),
        Err(error) if is_missing(&error.kind()) => Err(BusError::NoStream),
        Err(error) => Err(look_failed(STREAM, &error)),
    }
}

/// Puts the stream of dead letters in place, or brings it up to date.
pub(super) async fn dead_letters(context: &Context, settings: &StreamSettings) -> Result<(), BusError> {
    match context.get_stream(DEAD_LETTERS).await {
        Ok(stream) => {
            let found = stream.cached_info().config.clone();
            let wanted = dead(found.clone(), settings);
            update(context, &found, wanted).await
        }
        Err(error) if is_missing(&error.kind()) => create(context, dead(Config::default(), settings)).await,
        Err(error) => Err(look_failed(DEAD_LETTERS, &error)),
    }
}

/// Puts the bucket of ledgers in place.
pub(super) async fn ledger(context: &Context, settings: &StreamSettings) -> Result<(), BusError> {
    if let Ok(stream) = context.get_stream(LEDGER_STREAM).await {
        return without_rollup(context, &stream.cached_info().config).await;
    }
    let config = kv::Config {
        bucket: LEDGER.to_owned(),
        description: "What became of every event, for each source and destination of weir-exporter"
            .to_owned(),
        history: 1,
        storage: StorageType::File,
        num_replicas: settings.replicas,
        ..kv::Config::default()
    };
    let made = context.create_key_value(config).await;
    let made = made.map_err(BusError::cannot(format_args!("create bucket {LEDGER}")))?;
    without_rollup(context, &made.stream.cached_info().config).await
}

/// With rollups allowed, anyone who may write one key of a bucket could empty it with one message.
async fn without_rollup(context: &Context, found: &Config) -> Result<(), BusError> {
    update(context, found, Config { allow_rollup: false, ..found.clone() }).await
}

/// Puts a consumer in place, or brings it up to date.
pub(super) async fn consumer(context: &Context, settings: &ConsumerSettings) -> Result<(), BusError> {
    let config = pull::Config {
        durable_name: Some(settings.name.clone()),
        ack_policy: AckPolicy::Explicit,
        ack_wait: ACK_WAIT,
        deliver_policy: settings.deliver,
        max_deliver: -1,
        max_ack_pending: i64::try_from(settings.max_ack_pending).unwrap_or(i64::MAX),
        ..pull::Config::default()
    };
    let made = context.create_consumer_on_stream(config, STREAM).await;
    made.map(drop).map_err(BusError::cannot(format_args!("create consumer {}", settings.name)))
}

async fn create(context: &Context, wanted: Config) -> Result<(), BusError> {
    context.create_stream(&wanted).await.map_err(|error| BusError::JetStream {
        what: format!("create stream {}", wanted.name),
        why: format!("{error}{}", storage_hint(&error, &wanted)),
    })?;
    info!(stream = wanted.name, max_bytes = wanted.max_bytes, replicas = wanted.num_replicas, "created");
    Ok(())
}

async fn update(context: &Context, found: &Config, wanted: Config) -> Result<(), BusError> {
    if wanted == *found {
        return Ok(());
    }
    context.update_stream(&wanted).await.map_err(|error| BusError::JetStream {
        what: format!("update stream {}", wanted.name),
        why: format!("{error}{}", storage_hint(&error, &wanted)),
    })?;
    info!(stream = wanted.name, "updated");
    Ok(())
}

fn look_failed(stream: &str, error: &impl std::fmt::Display) -> BusError {
    BusError::cannot(format_args!("look at stream {stream} (is JetStream enabled?)"))(error)
}

pub(super) fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.code() == 404)
}

fn storage_hint(error: &CreateStreamError, wanted: &Config) -> String {
    if error.to_string().contains("storage resources") {
        format!(" (it is to hold {} bytes: lower stream.max_bytes or --stream-max-bytes)", wanted.max_bytes)
    } else {
        String::new()
    }
}

/// What Weir needs, on top of what an operator may have set besides.
fn wanted(base: Config, settings: &StreamSettings) -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECTS.to_owned()],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: match settings.when_full {
            WhenFull::DropOldest => DiscardPolicy::Old,
            WhenFull::Refuse => DiscardPolicy::New,
        },
        max_bytes: settings.max_bytes,
        max_age: settings.max_age,
        duplicate_window: settings.duplicate_window,
        num_replicas: settings.replicas,
        allow_direct: true,
        ..base
    }
}

fn dead(base: Config, settings: &StreamSettings) -> Config {
    Config {
        name: DEAD_LETTERS.to_owned(),
        subjects: vec![format!("{DEAD_SUBJECT}.>")],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_bytes: (settings.max_bytes / DEAD_SHARE).max(1 << 20),
        max_age: DEAD_MAX_AGE,
        num_replicas: settings.replicas,
        ..base
    }
}

/// Refuses a stream that Weir did not make, and one that would lose events by being brought up to date.
fn fits(found: &Info, settings: &StreamSettings) -> Result<(), BusError> {
    let config = &found.config;
    let refused = |field: &'static str, found: String, needed: String| {
        Err(BusError::Incompatible { field, found, needed })
    };
    if config.storage != StorageType::File {
        return refused("storage", format!("{:?}", config.storage), "File".to_owned());
    }
    if config.retention != RetentionPolicy::Limits {
        return refused("retention", format!("{:?}", config.retention), "Limits".to_owned());
    }
    if let Some(foreign) = config.subjects.iter().find(|subject| !subject.starts_with("weir.events.")) {
        return refused("subject", foreign.clone(), SUBJECTS.to_owned());
    }
    if config.sealed || config.mirror.is_some() || config.sources.as_ref().is_some_and(|all| !all.is_empty())
    {
        return refused("a mirror, sources or a seal", String::new(), "none".to_owned());
    }
    let held = found.state.bytes;
    if settings.when_full == WhenFull::DropOldest
        && u64::try_from(settings.max_bytes).is_ok_and(|max| max < held)
    {
        return Err(BusError::Damage {
            setting: "stream.max_bytes",
            why: format!("{held} bytes are stored, so the oldest events would be dropped"),
        });
    }
    let oldest: SystemTime = found.state.first_timestamp.into();
    let age = oldest.elapsed().unwrap_or_default();
    if found.state.messages > 0 && settings.max_age < config.max_age && age > settings.max_age {
        return Err(BusError::Damage {
            setting: "stream.max_age",
            why: format!("the oldest event is {} s old and would be dropped", age.as_secs()),
        });
    }
    Ok(())
}

/// What of a change of settings only a restart can bring.
pub(super) fn same_connection(old: &BusSettings, new: &BusSettings) -> bool {
    old.servers == new.servers && old.auth == new.auth && old.tls == new.tls
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn settings() -> StreamSettings {
        StreamSettings {
            max_bytes: 1 << 20,
            max_age: Duration::from_secs(259_200),
            keep: Duration::from_secs(900),
            duplicate_window: Duration::from_secs(600),
            replicas: 3,
            when_full: WhenFull::DropOldest,
        }
    }

    fn info(config: &Config, bytes: u64) -> Info {
        let info = serde_json::json!({
            "config": config,
            "created": "2026-01-01T00:00:00Z",
            "state": {
                "messages": 1, "bytes": bytes, "first_seq": 1, "last_seq": 1, "consumer_count": 0,
                "first_ts": "2026-01-01T00:00:00Z", "last_ts": "2026-01-01T00:00:00Z"
            }
        });
        serde_json::from_value(info).unwrap()
    }

    #[test]
    fn the_stream_keeps_events_on_file_and_by_limits() {
        let config = wanted(Config::default(), &settings());
        assert!(fits(&info(&config, 0), &settings()).is_ok());
        assert_eq!(config.discard, DiscardPolicy::Old);
        assert_eq!((config.max_bytes, config.num_replicas), (1 << 20, 3));
        assert_eq!(config.duplicate_window, Duration::from_secs(600));
        assert_eq!(config.max_age, Duration::from_secs(259_200));
        let refusing = StreamSettings { when_full: WhenFull::Refuse, ..settings() };
        assert_eq!(wanted(config, &refusing).discard, DiscardPolicy::New);
    }

    #[test]
    fn what_an_operator_set_besides_is_kept() {
        let theirs = Config { description: Some("ours".to_owned()), max_messages: 9, ..Config::default() };
        let config = wanted(theirs, &settings());
        assert_eq!(config.max_messages, 9);
        assert_eq!(config.description.as_deref(), Some("ours"));
    }

    #[test]
    fn a_stream_that_somebody_else_made_is_refused() {
        let ours = wanted(Config::default(), &settings());
        for (theirs, says) in [
            (Config { storage: StorageType::Memory, ..ours.clone() }, "storage Memory"),
            (Config { retention: RetentionPolicy::Interest, ..ours.clone() }, "retention Interest"),
            (Config { subjects: vec!["orders.>".to_owned()], ..ours.clone() }, "subject orders.>"),
        ] {
            let refused = fits(&info(&theirs, 0), &settings()).unwrap_err().to_string();
            assert!(refused.contains(says), "{refused}");
        }
    }

    #[test]
    fn a_setting_by_which_events_would_be_lost_is_refused() {
        let ours = wanted(Config::default(), &settings());
        let refused = fits(&info(&ours, 2 << 20), &settings()).unwrap_err().to_string();
        assert!(refused.contains("stream.max_bytes"), "{refused}");
        let refusing = StreamSettings { when_full: WhenFull::Refuse, ..settings() };
        assert!(fits(&info(&ours, 2 << 20), &refusing).is_ok());
        let shorter = StreamSettings { max_age: Duration::from_secs(3600), ..settings() };
        let refused = fits(&info(&ours, 0), &shorter).unwrap_err().to_string();
        assert!(refused.contains("stream.max_age"), "{refused}");
    }
}
