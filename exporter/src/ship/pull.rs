//! Pulling events from the stream.
//!
//! Every pull is a request that ends on its own within about a second, and each is read to its end, so no
//! event is ever left in a subscription that nobody reads: it would come again only after the ack wait. What the
//! ledger knows to be settled is acknowledged at once: its acknowledgement was lost, not its delivery.

use std::time::Duration;

use async_nats::jetstream::{
    AckKind,
    consumer::{
        PullConsumer,
        pull::{Batch as Messages, BatchError},
    },
};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{
    Lane,
    batch::{Pulled, tell},
};
use crate::bus::BusError;

/// How long a pull waits at the server for the first event; also the longest that a stop waits for it.
const PULL_WAIT: Duration = Duration::from_secs(1);

/// How much longer than it should a pull may take before it is given up.
const PULL_GRACE: Duration = Duration::from_secs(1);

/// Bytes of events that one pull asks for.
const MAX_PULL_BYTES: usize = 4 << 20;

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    /// With everything that was asked, or that was there.
    All,
    /// Before an event that is larger than what was asked.
    TooLarge,
    /// Otherwise.
    Failed,
}

impl Lane {
    /// Events for one batch: what is there, then what comes within the delay. Empty after a quiet second.
    pub(super) async fn pull(
        &self,
        consumer: &PullConsumer,
        stop: &CancellationToken,
    ) -> Result<Vec<Pulled>, Option<BusError>> {
        let batch = self.settings.batch;
        let max_bytes = batch.bytes.min(MAX_PULL_BYTES);
        let mut hand = Hand::default();
        let first = consumer.fetch().max_messages(batch.events).max_bytes(max_bytes).expires(PULL_WAIT);
        let first = first.messages().await.map_err(|error| pull_failed(&error))?;
        let end = self.read(first, PULL_WAIT, &mut hand).await;
        if end == Ended::TooLarge && hand.events.is_empty() {
            // An event larger than a whole pull comes alone.
            let alone = consumer.fetch().max_messages(1).expires(PULL_WAIT);
            let alone = alone.messages().await.map_err(|error| pull_failed(&error))?;
            self.read(alone, PULL_WAIT, &mut hand).await;
            return Ok(hand.events);
        }
        if end == Ended::Failed && hand.events.is_empty() {
            let (what, why) = ("pull".to_owned(), "the pull ended early".to_owned());
            return Err(Some(BusError::JetStream { what, why }));
        }
        let room = batch.events.saturating_sub(hand.events.len());
        let bytes = max_bytes.saturating_sub(hand.bytes);
        // Full enough is full: waiting would only cost time.
        let wanting = room > batch.events / 2 && bytes > max_bytes / 2;
        if end == Ended::All && !hand.events.is_empty() && wanting && !stop.is_cancelled() {
            let more = consumer.batch().max_messages(room).max_bytes(bytes).expires(batch.delay);
            if let Ok(more) = more.messages().await {
                self.read(more, batch.delay, &mut hand).await;
            }
        }
        Ok(hand.events)
    }

    /// Reads a pull to its end.
    async fn read(&self, mut messages: Messages, expires: Duration, hand: &mut Hand) -> Ended {
        loop {
            match timeout(expires + PULL_GRACE, messages.next()).await {
                Ok(None) => return Ended::All,
                Ok(Some(Ok(message))) => {
                    let length = message.length;
                    let Some(pulled) = Pulled::new(message) else { continue };
                    if pulled.redelivered && self.ledger.is_settled(pulled.sequence) {
                        tell(std::iter::once(&pulled.acker), AckKind::Ack).await;
                        continue;
                    }
                    hand.bytes = hand.bytes.saturating_add(length);
                    hand.events.push(pulled);
                }
                Ok(Some(Err(error))) => {
                    debug!(destination = self.name(), %error, "pull");
                    let text = error.to_string();
                    return if text.contains("MaxBytes") { Ended::TooLarge } else { Ended::Failed };
                }
                Err(_) => return Ended::Failed,
            }
        }
    }
}

/// What one pull brought.
#[derive(Default)]
struct Hand {
    events: Vec<Pulled>,
    bytes: usize,
}

fn pull_failed(error: &BatchError) -> Option<BusError> {
    Some(BusError::JetStream { what: "pull".to_owned(), why: error.to_string() })
}
