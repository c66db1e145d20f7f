//! Pulling events from the stream.
//!
//! Every pull is a request that ends on its own within about a second, and each is read to its end, so no
//! event is ever left in a subscription that nobody reads: it would come again only after the ack wait. Its end
//! is told by how many events are still owed, for the status of a replicated consumer can overtake its events.
//! What the ledger knows to be settled is acknowledged at once: its acknowledgement was lost, not its delivery.

use std::time::Duration;

use async_nats::{
    StatusCode, Subscriber,
    jetstream::{
        self, AckKind,
        consumer::{PullConsumer, pull::BatchConfig},
    },
};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};
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

/// Bytes of events that one pull asks for at most.
const MAX_PULL_BYTES: usize = 4 << 20;

/// How many events of a pull were not sent when it ended (NATS ADR-13, "Pull Request status").
const PENDING_MESSAGES: &str = "Nats-Pending-Messages";

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

/// What is asked for.
struct Ask {
    events: usize,
    bytes: usize,
    wait: Duration,
    /// Whether it ends with what is there.
    at_once: bool,
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
        let first = Ask { events: batch.events, bytes: max_bytes, wait: PULL_WAIT, at_once: true };
        let end = self.ask(consumer, &first, &mut hand).await.map_err(Some)?;
        if end == Ended::TooLarge && hand.events.is_empty() {
            // An event larger than a whole pull comes alone.
            let alone = Ask { events: 1, bytes: 0, wait: PULL_WAIT, at_once: true };
            self.ask(consumer, &alone, &mut hand).await.map_err(Some)?;
            return Ok(hand.events);
        }
        if end == Ended::Failed && hand.events.is_empty() {
            return Err(Some(failed(&"the pull ended early")));
        }
        let events = batch.events.saturating_sub(hand.events.len());
        let bytes = max_bytes.saturating_sub(hand.bytes);
        // Full enough is full: waiting would only cost time.
        let wanting = events > batch.events / 2 && bytes > max_bytes / 2;
        if end == Ended::All && !hand.events.is_empty() && wanting && !stop.is_cancelled() {
            let more = Ask { events, bytes, wait: batch.delay, at_once: false };
            // What is in hand goes on without more.
            let _ = self.ask(consumer, &more, &mut hand).await;
        }
        Ok(hand.events)
    }

    /// Makes one pull and reads it to its end.
    async fn ask(&self, consumer: &PullConsumer, ask: &Ask, hand: &mut Hand) -> Result<Ended, BusError> {
        let client = self.bus.client();
        let inbox = client.new_inbox();
        let messages = client.subscribe(inbox.clone()).await.map_err(|error| failed(&error))?;
        let request = BatchConfig {
            batch: ask.events,
            max_bytes: ask.bytes,
            no_wait: ask.at_once,
            expires: Some(ask.wait),
            ..BatchConfig::default()
        };
        consumer.request_batch(request, inbox.into()).await.map_err(|error| failed(&error))?;
        Ok(self.read(messages, ask, hand).await)
    }

    async fn read(&self, mut messages: Subscriber, ask: &Ask, hand: &mut Hand) -> Ended {
        let (mut received, mut owed, mut end) = (0, ask.events, Ended::All);
        let deadline = Instant::now() + ask.wait + PULL_GRACE;
        while received < owed {
            let message = match timeout_at(deadline, messages.next()).await {
                Ok(Some(message)) => message,
                Ok(None) | Err(_) => return Ended::Failed,
            };
            match message.status {
                None | Some(StatusCode::OK) => {
                    received += 1;
                    self.take(message, hand).await;
                }
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(status) => {
                    let said = message.description.as_deref().unwrap_or_default();
                    end = ended(status, said);
                    if end == Ended::Failed {
                        debug!(destination = self.name(), %status, said, "pull");
                        return end;
                    }
                    let unsent = message.headers.as_ref().and_then(|headers| headers.get(PENDING_MESSAGES));
                    let unsent = unsent.and_then(|value| value.as_str().parse().ok());
                    owed = unsent.map_or(received, |unsent| ask.events.saturating_sub(unsent));
                }
            }
        }
        end
    }

    async fn take(&self, message: async_nats::Message, hand: &mut Hand) {
        let length = message.length;
        let message = jetstream::Message { message, context: self.bus.context() };
        let Some(pulled) = Pulled::new(message) else { return };
        if pulled.redelivered && self.ledger.is_settled(pulled.sequence) {
            tell(std::iter::once(&pulled.acker), AckKind::Ack).await;
            return;
        }
        hand.bytes = hand.bytes.saturating_add(length);
        hand.events.push(pulled);
    }
}

/// What one pull brought.
#[derive(Default)]
struct Hand {
    events: Vec<Pulled>,
    bytes: usize,
}

/// What a status says of a pull's end.
fn ended(status: StatusCode, said: &str) -> Ended {
    match status {
        StatusCode::NOT_FOUND | StatusCode::TIMEOUT => Ended::All,
        _ if said.contains("Batch Completed") => Ended::All,
        _ if said.contains("MaxBytes") => Ended::TooLarge,
        _ => Ended::Failed,
    }
}

fn failed(why: &dyn std::fmt::Display) -> BusError {
    BusError::JetStream { what: "pull".to_owned(), why: why.to_string() }
}
