//! The consumer that feeds the metrics: pulls events, counts each and acknowledges it then.
//!
//! Nothing waits for it: it has its own consumer, and without it the exporter is ready all the same.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::{
    Message as Pull,
    consumer::{DeliverPolicy, PullConsumer, pull::Batch},
};
use futures_util::StreamExt as _;
use prost::Message as _;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tracing::debug;
use weir_event::v1::TraceEvent;

use super::{Counted, GenAi};
use crate::{
    bus::{Bus, ConsumerSettings},
    metrics::CountingMetrics,
};

/// The consumer's name.
const NAME: &str = "metrics";

/// Events that one pull asks for.
const PULL_EVENTS: usize = 512;

/// Bytes of events that one pull asks for.
const PULL_BYTES: usize = 4 << 20;

/// Events delivered to all exporters and not yet acknowledged, at most.
const MAX_ACK_PENDING: usize = 16 * PULL_EVENTS;

/// How long a pull stays open for events; also the longest that a stop waits for it.
const PULL_WAIT: Duration = Duration::from_secs(1);

/// How much longer than it should a pull may take before it is given up.
const PULL_GRACE: Duration = Duration::from_secs(1);

/// How long an acknowledgement may take to be handed to the client.
const ACK_DEADLINE: Duration = Duration::from_secs(5);

/// Pause after NATS did not give what was asked.
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

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// With everything that was asked, or that was there.
    Well,
    /// Before the first event, which is larger than what was asked.
    TooLarge,
    /// Otherwise.
    Failed,
}

/// The task that counts.
pub(super) struct Consume {
    bus: Bus,
    counts: Arc<GenAi>,
    metrics: CountingMetrics,
}

impl Consume {
    pub(super) fn new(bus: Bus, counts: Arc<GenAi>, metrics: CountingMetrics) -> Self {
        Self { bus, counts, metrics }
    }

    /// Counts until `stop`; what was pulled by then is counted too.
    pub(super) async fn run(self, stop: CancellationToken) {
        let mut consumer = None;
        while !stop.is_cancelled() {
            let went_on = match &consumer {
                Some(consumer) => self.pull(consumer).await,
                None if self.bus.state().is_err() => false,
                None => {
                    consumer = self.bus.consumer(NAME).await.ok();
                    consumer.is_some()
                }
            };
            if !went_on {
                consumer = None;
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(PAUSE) => {}
                }
            }
        }
    }

    /// Counts what one pull brings; false where it failed.
    async fn pull(&self, consumer: &PullConsumer) -> bool {
        let pull = consumer.batch().max_messages(PULL_EVENTS).max_bytes(PULL_BYTES).expires(PULL_WAIT);
        let Ok(messages) = pull.messages().await else { return false };
        let ended = self.read(messages).await;
        if ended != Ended::TooLarge {
            return ended == Ended::Well;
        }
        // An event larger than a whole pull comes alone.
        let Ok(messages) = consumer.batch().max_messages(1).expires(PULL_WAIT).messages().await else {
            return false;
        };
        self.read(messages).await == Ended::Well
    }

    /// Reads a pull to its end.
    async fn read(&self, mut messages: Batch) -> Ended {
        let mut took_one = false;
        loop {
            match timeout(PULL_WAIT + PULL_GRACE, messages.next()).await {
                Ok(None) => return Ended::Well,
                Ok(Some(Ok(message))) => {
                    self.take(message).await;
                    took_one = true;
                }
                Ok(Some(Err(error))) => {
                    debug!(%error, "pull for metrics");
                    return match error.to_string().contains("MaxBytes") {
                        true if took_one => Ended::Well,
                        true => Ended::TooLarge,
                        false => Ended::Failed,
                    };
                }
                Err(_) => return Ended::Failed,
            }
        }
    }

    /// Counts an event and acknowledges it. What cannot be acknowledged comes again and is then known.
    async fn take(&self, message: Pull) {
        let (message, acker) = message.split();
        let counted = TraceEvent::decode(message.payload).map_or(Counted::NoEvent, |e| self.counts.count(&e));
        self.metrics.took(counted);
        match timeout(ACK_DEADLINE, acker.ack()).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!(%error, "cannot acknowledge an event that was counted"),
            Err(_) => debug!("cannot acknowledge an event that was counted in time"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_backlog_is_not_counted_as_of_now_and_nothing_needs_the_consumer() {
        let settings = consumer();
        assert_eq!(settings.deliver, DeliverPolicy::New);
        assert!(!settings.needed);
    }
}
