//! The consumer that feeds the metrics: pulls events, counts each and acknowledges it then.
//!
//! Nothing waits for it: it has its own consumer, without it the exporter is ready all the same, and the stream
//! keeps nothing for it.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{Message, consumer::DeliverPolicy};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::counts::{Counted, GenAi};
use crate::{
    bus::{Ask, Bus, ConsumerSettings, Ended, Pull, Reader, payload},
    metrics::own::CountingMetrics,
};

/// The consumer's name.
const NAME: &str = "metrics";

/// Events that one pull asks for.
const PULL_EVENTS: usize = 512;

/// What one pull asks for. It stays open for a second: how soon an event is counted matters less than how many
/// pulls that takes. This is also the longest that a stop waits for it.
const PULL: Ask = Ask { events: PULL_EVENTS, bytes: 1 << 20, wait: Duration::from_secs(1), at_once: false };

/// Events delivered to all exporters and not yet acknowledged, at most.
const MAX_ACK_PENDING: usize = 16 * PULL_EVENTS;

/// How long an acknowledgement may take to be handed to the client.
const ACK_DEADLINE: Duration = Duration::from_secs(5);

/// Pause after a failed pull.
const PAUSE: Duration = Duration::from_secs(1);

/// The consumer that events are counted by. It starts at what is new, so that a backlog of days is not
/// counted as of now.
pub fn consumer() -> ConsumerSettings {
    ConsumerSettings {
        name: NAME.to_owned(),
        max_ack_pending: MAX_ACK_PENDING,
        deliver: DeliverPolicy::New,
        needed: false,
    }
}

/// The task that counts.
pub struct Counting {
    reader: Reader,
    counts: Arc<GenAi>,
    metrics: CountingMetrics,
}

impl Counting {
    /// Counts what `bus` brings into `metrics`.
    pub fn new(bus: Bus, counts: Arc<GenAi>, metrics: CountingMetrics) -> Self {
        Self { reader: Reader::durable(bus, NAME), counts, metrics }
    }

    /// Counts until `stop`; what was pulled by then is counted too.
    pub async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let ended = match self.reader.pull(PULL).await {
                Ok(Pull { messages, ended }) => {
                    for message in messages {
                        self.take(message).await;
                    }
                    ended
                }
                Err(error) => {
                    debug!(%error, "cannot pull for metrics");
                    Ended::Failed
                }
            };
            self.reader.reopen_after(ended);
            if ended == Ended::Failed {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(PAUSE) => {}
                }
            }
        }
    }

    /// Counts an event and acknowledges it. What cannot be acknowledged comes again and is then known.
    async fn take(&self, message: Message) {
        let (message, acker) = message.split();
        self.metrics.took(count(&self.counts, &message).word());
        match timeout(ACK_DEADLINE, acker.ack()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "cannot acknowledge an event that was counted"),
            Err(_) => debug!("cannot acknowledge an event that was counted in time"),
        }
    }
}

/// Counts the event in a message; a replay was counted when it came first.
fn count(counts: &GenAi, message: &async_nats::Message) -> Counted {
    if payload::replay_target(&message.subject).is_some() {
        return Counted::LeftOut;
    }
    payload::event(message).map_or(Counted::NoEvent, |event| counts.count(&event))
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use async_nats::HeaderMap;
    use bytes::Bytes;
    use prost::Message as _;

    use super::*;
    use crate::spans::fixture::streamed;

    fn message(subject: &str, payload: Bytes, encoding: Option<&str>) -> async_nats::Message {
        let mut headers = HeaderMap::new();
        if let Some(encoding) = encoding {
            headers.insert(payload::ENCODING, encoding);
        }
        async_nats::Message {
            subject: subject.into(),
            reply: None,
            length: payload.len(),
            payload,
            headers: Some(headers),
            status: None,
            description: None,
        }
    }

    #[test]
    fn an_event_is_counted_as_it_was_sent_or_compressed_and_a_replay_is_not() {
        let counts = GenAi::new(SystemTime::UNIX_EPOCH);
        let event = Bytes::from(streamed().encode_to_vec());
        let (packed, encoding) = payload::pack(&event).unwrap();
        let replay = message("weir.events.replay.mw", event.clone(), None);
        assert_eq!(count(&counts, &replay), Counted::LeftOut);
        let compressed = message("weir.events.v1", packed.clone(), Some(encoding));
        assert_eq!(count(&counts, &compressed), Counted::Yes);
        assert_eq!(count(&counts, &message("weir.events.v1", event, None)), Counted::Repeated);
        assert_eq!(count(&counts, &message("weir.events.v1", packed, None)), Counted::NoEvent);
    }

    #[test]
    fn a_backlog_is_not_counted_as_of_now_and_nothing_needs_the_consumer() {
        let settings = consumer();
        assert_eq!(settings.deliver, DeliverPolicy::New);
        assert!(!settings.needed);
    }
}
