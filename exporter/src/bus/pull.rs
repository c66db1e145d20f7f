//! Pulling events from the stream.
//!
//! Every pull is a request that ends on its own within about a second, and each is read to its end, so no
//! event is ever left in a subscription that nobody reads: it would come again only after the ack wait. Its end
//! is known by the number of events still owed: the status of a replicated consumer can overtake its events.

use std::time::Duration;

use async_nats::{
    StatusCode, Subscriber,
    jetstream::{
        self,
        consumer::{PullConsumer, pull::BatchConfig},
    },
};
use futures_util::StreamExt as _;
use tokio::time::{Instant, timeout_at};
use tracing::debug;

use super::{client::Bus, error::BusError};

/// How much longer than it should a pull may take before it is given up.
const GRACE: Duration = Duration::from_secs(1);

/// How many events of a pull were not sent when it ended (NATS ADR-13, "Pull Request status").
const PENDING_MESSAGES: &str = "Nats-Pending-Messages";

/// What is asked for.
#[derive(Clone, Copy, Debug)]
pub struct Ask {
    /// At most this many events.
    pub events: usize,
    /// At most this many bytes; 0 for any.
    pub bytes: usize,
    /// How long the server waits for them.
    pub wait: Duration,
    /// Whether it ends with what is there, once there is anything.
    pub at_once: bool,
}

/// How a pull ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// With everything that was asked, or that was there.
    All,
    /// Before an event that is larger than what was asked.
    TooLarge,
    /// Otherwise.
    Failed,
}

/// What a pull brought.
#[derive(Debug)]
pub struct Pull {
    /// The events.
    pub messages: Vec<jetstream::Message>,
    /// How it ended.
    pub ended: Ended,
}

impl Bus {
    /// Pulls once; an event that is larger than a whole pull comes alone.
    pub async fn pull(&self, consumer: &PullConsumer, ask: Ask) -> Result<Pull, BusError> {
        let pull = self.ask(consumer, ask).await?;
        match pull.ended {
            Ended::TooLarge if pull.messages.is_empty() => {
                self.ask(consumer, Ask { events: 1, bytes: 0, ..ask }).await
            }
            Ended::Failed if pull.messages.is_empty() => Err(failed(&"the pull ended early")),
            _ => Ok(pull),
        }
    }

    /// Makes one pull and reads it to its end.
    pub async fn ask(&self, consumer: &PullConsumer, ask: Ask) -> Result<Pull, BusError> {
        let inbox = self.client.new_inbox();
        let messages = self.client.subscribe(inbox.clone()).await.map_err(|error| failed(&error))?;
        let request = BatchConfig {
            batch: ask.events,
            max_bytes: ask.bytes,
            no_wait: ask.at_once,
            expires: Some(ask.wait),
            ..BatchConfig::default()
        };
        consumer.request_batch(request, inbox.into()).await.map_err(|error| failed(&error))?;
        Ok(self.read(&consumer.cached_info().name, messages, ask).await)
    }

    async fn read(&self, consumer: &str, mut incoming: Subscriber, ask: Ask) -> Pull {
        let mut pull = Pull { messages: Vec::new(), ended: Ended::All };
        let mut owed = ask.events;
        let deadline = Instant::now() + ask.wait + GRACE;
        while pull.messages.len() < owed {
            let Ok(Some(message)) = timeout_at(deadline, incoming.next()).await else {
                return Pull { ended: Ended::Failed, ..pull };
            };
            match message.status {
                None | Some(StatusCode::OK) => {
                    pull.messages.push(jetstream::Message { message, context: self.context.clone() });
                }
                Some(StatusCode::IDLE_HEARTBEAT) => {}
                Some(status) => {
                    let said = message.description.as_deref().unwrap_or_default();
                    pull.ended = ended(status, said);
                    if pull.ended == Ended::Failed {
                        debug!(consumer, %status, said, "pull");
                        return pull;
                    }
                    let unsent = message.headers.as_ref().and_then(|headers| headers.get(PENDING_MESSAGES));
                    let unsent = unsent.and_then(|value| value.as_str().parse().ok());
                    owed = unsent.map_or(pull.messages.len(), |unsent| ask.events.saturating_sub(unsent));
                }
            }
        }
        pull
    }
}

/// Why a pull ended, by its status.
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
