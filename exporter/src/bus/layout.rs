//! What the exporter keeps in JetStream: one stream, one durable pull consumer a destination, and one for
//! the metrics.
//!
//! The stream keeps events on file and by limits: no destination can hold back another or the gateway,
//! and nothing depends on a consumer being there first. What is there already is kept and brought up to
//! date; a stream of another kind is left alone and refused.

use std::time::Duration;

use async_nats::jetstream::{
    Context,
    consumer::{AckPolicy, DeliverPolicy, pull},
    context::GetStreamErrorKind,
    stream::{Config, DiscardPolicy, RetentionPolicy, StorageType},
};
use tracing::info;

use super::BusError;
use crate::settings::BusSettings;

/// The stream's name.
pub const STREAM: &str = "WEIR_EVENTS";

/// What the stream takes.
const SUBJECTS: &str = "weir.events.>";

/// Where events of version 1 of the contract are published.
pub const SUBJECT: &str = "weir.events.v1";

/// How long the stream keeps an event at most.
const MAX_AGE: Duration = Duration::from_secs(72 * 60 * 60);

/// Within this time a repeated event is recognised by its id.
const DUPLICATE_WINDOW: Duration = Duration::from_secs(10 * 60);

/// After this time without a word from its holder an event is delivered again.
pub const ACK_WAIT: Duration = Duration::from_secs(30);

/// A durable consumer.
#[derive(Clone, Debug)]
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
pub(super) async fn stream(context: &Context, settings: &BusSettings) -> Result<(), BusError> {
    let found = match context.get_stream(STREAM).await {
        Ok(stream) => stream.cached_info().config.clone(),
        Err(error) if is_missing(&error.kind()) => {
            context.create_stream(&wanted(Config::default(), settings)).await.map_err(|error| {
                let hint = storage_hint(&error, settings);
                BusError::JetStream { what: format!("create stream {STREAM}"), why: format!("{error}{hint}") }
            })?;
            info!(stream = STREAM, max_bytes = settings.max_bytes, "created");
            return Ok(());
        }
        Err(error) => {
            let what = format!("look at stream {STREAM} (is JetStream enabled?)");
            return Err(BusError::JetStream { what, why: error.to_string() });
        }
    };
    fits(&found)?;
    let wanted = wanted(found.clone(), settings);
    if wanted != found {
        context.update_stream(&wanted).await.map_err(|error| {
            let hint = storage_hint(&error, settings);
            BusError::JetStream { what: format!("update stream {STREAM}"), why: format!("{error}{hint}") }
        })?;
        info!(stream = STREAM, "updated");
    }
    Ok(())
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
    context.create_consumer_on_stream(config, STREAM).await.map(drop).map_err(|error| BusError::JetStream {
        what: format!("create consumer {}", settings.name),
        why: error.to_string(),
    })
}

fn is_missing(kind: &GetStreamErrorKind) -> bool {
    matches!(kind, GetStreamErrorKind::JetStream(error) if error.code() == 404)
}

fn storage_hint(error: &async_nats::jetstream::context::CreateStreamError, settings: &BusSettings) -> String {
    if error.to_string().contains("storage resources") {
        format!(" (it is to hold {} bytes: lower --stream-max-bytes)", settings.max_bytes)
    } else {
        String::new()
    }
}

/// What Weir needs, on top of what an operator may have set besides.
fn wanted(base: Config, settings: &BusSettings) -> Config {
    Config {
        name: STREAM.to_owned(),
        subjects: vec![SUBJECTS.to_owned()],
        storage: StorageType::File,
        retention: RetentionPolicy::Limits,
        discard: DiscardPolicy::Old,
        max_bytes: settings.max_bytes,
        max_age: MAX_AGE,
        duplicate_window: DUPLICATE_WINDOW,
        num_replicas: settings.replicas,
        ..base
    }
}

fn fits(found: &Config) -> Result<(), BusError> {
    if found.storage != StorageType::File {
        let found = format!("{:?}", found.storage);
        return Err(BusError::Incompatible { field: "storage", found, needed: "File" });
    }
    if found.retention != RetentionPolicy::Limits {
        let found = format!("{:?}", found.retention);
        return Err(BusError::Incompatible { field: "retention", found, needed: "Limits" });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::NatsServers;

    fn settings() -> BusSettings {
        BusSettings { servers: NatsServers(Vec::new()), max_bytes: 1 << 20, replicas: 3 }
    }

    #[test]
    fn the_stream_keeps_events_on_file_and_by_limits() {
        let config = wanted(Config::default(), &settings());
        assert!(fits(&config).is_ok());
        assert_eq!(config.discard, DiscardPolicy::Old);
        assert_eq!((config.max_bytes, config.num_replicas), (1 << 20, 3));
        assert_eq!(config.duplicate_window, Duration::from_secs(600));
        assert_eq!(config.max_age, Duration::from_secs(259_200));
    }

    #[test]
    fn what_an_operator_set_besides_is_kept() {
        let theirs = Config { description: Some("ours".to_owned()), max_messages: 9, ..Config::default() };
        let config = wanted(theirs, &settings());
        assert_eq!(config.max_messages, 9);
        assert_eq!(config.description.as_deref(), Some("ours"));
    }

    #[test]
    fn a_stream_in_memory_or_by_interest_is_refused() {
        let memory = Config { storage: StorageType::Memory, ..Config::default() };
        assert!(fits(&memory).unwrap_err().to_string().contains("storage Memory"));
        let interest = Config { retention: RetentionPolicy::Interest, ..Config::default() };
        assert!(fits(&interest).unwrap_err().to_string().contains("retention Interest"));
    }
}
