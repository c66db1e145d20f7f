//! Pulling the events of one batch.
//!
//! What the ledger knows to be settled is acknowledged at once: its acknowledgement was lost, not its delivery.

use std::time::Duration;

use async_nats::jetstream::{self, AckKind};
use tokio_util::sync::CancellationToken;

use super::{
    batch::{Pulled, acknowledge_all},
    lane::Lane,
};
use crate::bus::{Ask, Ended, ReadError, Reader};

/// How long a pull waits at the server for the first event; also the longest that a stop waits for it.
const PULL_WAIT: Duration = Duration::from_secs(1);

/// Bytes of events that one pull asks for at most.
const MAX_PULL_BYTES: usize = 4 << 20;

impl Lane {
    /// Events for one batch: what is there, then what comes within the delay. Empty after a quiet second.
    pub(super) async fn pull(
        &self,
        reader: &mut Reader,
        stop: &CancellationToken,
    ) -> Result<Vec<Pulled>, ReadError> {
        let batch = self.settings.batch;
        let max_bytes = self.growth.before(batch.bytes).clamp(1, MAX_PULL_BYTES);
        let mut hand = Hand::default();
        let first = Ask { events: batch.events, bytes: max_bytes, wait: PULL_WAIT, at_once: true };
        let pull = reader.pull(first).await?;
        self.take(pull.messages, &mut hand).await;
        let events = batch.events.saturating_sub(hand.events.len());
        let bytes = max_bytes.saturating_sub(hand.bytes);
        // Full enough is full: waiting would only cost time.
        let wanting = events > batch.events / 2 && bytes > max_bytes / 2;
        if pull.ended == Ended::All && !hand.events.is_empty() && wanting && !stop.is_cancelled() {
            let more = Ask { events, bytes, wait: batch.delay, at_once: false };
            // What is in hand goes on without more.
            if let Ok(pull) = reader.more(more).await {
                self.take(pull.messages, &mut hand).await;
            }
        }
        Ok(hand.events)
    }

    async fn take(&self, messages: Vec<jetstream::Message>, hand: &mut Hand) {
        for message in messages {
            let length = message.length;
            let Some(mut pulled) = Pulled::new(message) else { continue };
            if pulled.redelivered && self.ledger.is_settled(pulled.sequence) {
                acknowledge_all(std::iter::once(&pulled.acker), AckKind::Ack).await;
                continue;
            }
            pulled.is_worn &= !self.ledger.is_returned(pulled.sequence);
            hand.bytes = hand.bytes.saturating_add(length);
            hand.events.push(pulled);
        }
    }
}

/// What was pulled for one batch.
#[derive(Default)]
struct Hand {
    events: Vec<Pulled>,
    bytes: usize,
}
