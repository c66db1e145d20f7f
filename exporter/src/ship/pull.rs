//! Pulling the events of one batch.
//!
//! What the ledger knows to be settled is acknowledged at once: its acknowledgement was lost, not its delivery.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use async_nats::jetstream::{self, AckKind, consumer::PullConsumer};
use tokio_util::sync::CancellationToken;

use super::{
    Lane,
    batch::{Pulled, tell},
};
use crate::bus::{Ask, BusError, Ended};

/// How long a pull waits at the server for the first event; also the longest that a stop waits for it.
const PULL_WAIT: Duration = Duration::from_secs(1);

/// Bytes of events that one pull asks for at most.
const MAX_PULL_BYTES: usize = 4 << 20;

/// How many bytes of spans become of a byte of events, as it was of late, in 1024ths: so that what is pulled for a
/// batch is about what the batch may hold, and not a multiple of it.
#[derive(Debug)]
pub(super) struct Growth(AtomicUsize);

impl Default for Growth {
    fn default() -> Self {
        Self(AtomicUsize::new(2 * Self::ONE))
    }
}

impl Growth {
    const ONE: usize = 1024;

    /// So many bytes became so many.
    pub(super) fn saw(&self, events: usize, spans: usize) {
        let now = spans.saturating_mul(Self::ONE).checked_div(events).unwrap_or(Self::ONE);
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(before.midpoint(now.clamp(Self::ONE / 4, 64 * Self::ONE)), Ordering::Relaxed);
    }

    /// Bytes of events that become so many bytes of spans.
    pub(super) fn before(&self, spans: usize) -> usize {
        let growth = self.0.load(Ordering::Relaxed).max(1);
        spans.saturating_mul(Self::ONE) / growth
    }

    /// Bytes of spans that become of so many bytes of events.
    pub(super) fn after(&self, events: usize) -> usize {
        events.saturating_mul(self.0.load(Ordering::Relaxed)) / Self::ONE
    }
}

impl Lane {
    /// Events for one batch: what is there, then what comes within the delay. Empty after a quiet second.
    pub(super) async fn pull(
        &self,
        consumer: &PullConsumer,
        stop: &CancellationToken,
    ) -> Result<Vec<Pulled>, BusError> {
        let batch = self.settings.batch;
        let max_bytes = self.growth.before(batch.bytes).clamp(1, MAX_PULL_BYTES);
        let mut hand = Hand::default();
        let first = Ask { events: batch.events, bytes: max_bytes, wait: PULL_WAIT, at_once: true };
        let pull = self.bus.pull(consumer, first).await?;
        self.take(pull.messages, &mut hand).await;
        let events = batch.events.saturating_sub(hand.events.len());
        let bytes = max_bytes.saturating_sub(hand.bytes);
        // Full enough is full: waiting would only cost time.
        let wanting = events > batch.events / 2 && bytes > max_bytes / 2;
        if pull.ended == Ended::All && !hand.events.is_empty() && wanting && !stop.is_cancelled() {
            let more = Ask { events, bytes, wait: batch.delay, at_once: false };
            // What is in hand goes on without more.
            if let Ok(pull) = self.bus.ask(consumer, more).await {
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
                tell(std::iter::once(&pulled.acker), AckKind::Ack).await;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_pulled_follows_what_became_of_it() {
        let growth = Growth::default();
        assert_eq!((growth.before(2 << 20), growth.after(1 << 20)), (1 << 20, 2 << 20));
        for _ in 0..20 {
            growth.saw(1 << 20, 4 << 20);
        }
        assert!((500 << 10..530 << 10).contains(&growth.before(2 << 20)), "{growth:?}");
        // Of what a destination does not want nothing becomes, and of nothing nothing is known.
        for _ in 0..20 {
            growth.saw(1 << 20, 0);
            growth.saw(0, 0);
        }
        assert!((2 << 20..=8 << 20).contains(&growth.before(2 << 20)), "{growth:?}");
    }
}
