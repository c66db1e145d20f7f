//! Pulling events from the stream.
//!
//! Every pull is a request that ends on its own within about a second, and each is read to its end, so no
//! event is ever left in a subscription that nobody reads: it would come again only after the ack wait.

use std::{sync::Arc, time::Duration};

use async_nats::jetstream::consumer::{
    PullConsumer,
    pull::{Batch, BatchError},
};
use futures_util::StreamExt as _;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tracing::debug;

use super::{Ship, batch::Hand};
use crate::bus::BusError;

/// How long a pull waits at the server for the first event; also the longest that a stop waits for it.
const PULL_WAIT: Duration = Duration::from_secs(1);

/// How much longer than it should a pull may take before it is given up.
const PULL_GRACE: Duration = Duration::from_secs(1);

/// Bytes of events that one pull asks for.
const MAX_PULL_BYTES: usize = 4 << 20;

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pulled {
    /// With everything that was asked, or that was there.
    All,
    /// Before an event that is larger than what was asked.
    TooLarge,
    /// Otherwise.
    Failed,
}

impl Ship {
    /// Events for one batch: what is there, then what comes within the delay. Empty after a quiet second.
    pub(super) async fn pull(
        &self,
        consumer: &PullConsumer,
        stop: &CancellationToken,
    ) -> Result<Hand, Option<BusError>> {
        let mut hand = Hand::new(Arc::clone(&self.view), self.metrics.clone());
        let first =
            consumer.fetch().max_messages(self.batch.events).max_bytes(MAX_PULL_BYTES).expires(PULL_WAIT);
        let end = self
            .read(first.messages().await.map_err(|error| pull_failed(&error))?, PULL_WAIT, &mut hand)
            .await;
        if end == Pulled::TooLarge && hand.is_empty() {
            // An event larger than a whole pull comes alone.
            let alone = consumer.fetch().max_messages(1).expires(PULL_WAIT);
            self.read(alone.messages().await.map_err(|error| pull_failed(&error))?, PULL_WAIT, &mut hand)
                .await;
            return Ok(hand);
        }
        if end == Pulled::Failed && hand.is_empty() {
            return Err(Some(BusError::JetStream {
                what: "pull".to_owned(),
                why: "the pull ended early".to_owned(),
            }));
        }
        let room = self.batch.events.saturating_sub(hand.len());
        let bytes = MAX_PULL_BYTES.saturating_sub(hand.bytes());
        if end == Pulled::All && !hand.is_empty() && room > 0 && bytes > 0 && !stop.is_cancelled() {
            let more = consumer.batch().max_messages(room).max_bytes(bytes).expires(self.batch.delay);
            if let Ok(more) = more.messages().await {
                self.read(more, self.batch.delay, &mut hand).await;
            }
        }
        Ok(hand)
    }

    /// Reads a pull to its end.
    async fn read(&self, mut messages: Batch, expires: Duration, hand: &mut Hand) -> Pulled {
        loop {
            match timeout(expires + PULL_GRACE, messages.next()).await {
                Ok(None) => return Pulled::All,
                Ok(Some(Ok(message))) => hand.take(message).await,
                Ok(Some(Err(error))) => {
                    debug!(destination = self.metrics.destination, %error, "pull");
                    let text = error.to_string();
                    return if text.contains("MaxBytes") { Pulled::TooLarge } else { Pulled::Failed };
                }
                Err(_) => return Pulled::Failed,
            }
        }
    }
}

fn pull_failed(error: &BatchError) -> Option<BusError> {
    Some(BusError::JetStream { what: "pull".to_owned(), why: error.to_string() })
}
