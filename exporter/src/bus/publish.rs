//! Publishing: every event of a batch is sent first, then every acknowledgement awaited, within one deadline.
//!
//! The event's id is the message's id, so an event that is sent again within the duplicate window is stored
//! once.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    context::{PublishAckFuture, PublishError, PublishErrorKind},
    message::PublishMessage,
};
use bytes::Bytes;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use weir_event::EventId;

use super::{Bus, STREAM, SUBJECT};
use crate::ingest::{Store, Stored};

/// How long all of a batch's acknowledgements may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// A publish on its way; `None` where the deadline passed before it was.
type Sent = Option<Result<PublishAckFuture, PublishError>>;

impl Store for Bus {
    fn ready(&self) -> Result<(), String> {
        self.state()
    }

    async fn store(&self, events: Vec<(EventId, Bytes)>) -> Vec<Stored> {
        let deadline = Instant::now() + DEADLINE;
        let mut sent: Vec<Sent> = Vec::with_capacity(events.len());
        for (id, event) in events {
            let message = PublishMessage::build().message_id(id.to_string()).payload(event);
            sent.push(timeout_at(deadline, self.context.send_publish(SUBJECT, message)).await.ok());
        }
        let (mut stored, mut failure) = (Vec::with_capacity(sent.len()), None);
        for publish in sent {
            stored.push(self.acknowledged(publish, deadline, &mut failure).await);
        }
        if let Some(error) = failure {
            warn!(error, "events were not stored");
        }
        stored
    }
}

impl Bus {
    async fn acknowledged(&self, sent: Sent, deadline: Instant, failure: &mut Option<String>) -> Stored {
        let acknowledgement = match sent {
            Some(Ok(future)) => timeout_at(deadline, future).await.ok(),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        let error = match acknowledgement {
            Some(Ok(ack)) if ack.stream == STREAM => return Stored::Yes { duplicate: ack.duplicate },
            Some(Ok(_)) => {
                failure.get_or_insert_with(|| "another stream takes weir.events.v1".to_owned());
                return Stored::NotNow;
            }
            None => {
                failure.get_or_insert_with(|| format!("no acknowledgement within {} s", DEADLINE.as_secs()));
                return Stored::NotNow;
            }
            Some(Err(error)) => error,
        };
        if is_for_good(&error) {
            return Stored::Never("it is larger than NATS takes (max_payload)".to_owned());
        }
        if error.kind() == PublishErrorKind::StreamNotFound {
            self.look_again();
        }
        failure.get_or_insert_with(|| error.to_string());
        Stored::NotNow
    }
}

fn is_for_good(error: &PublishError) -> bool {
    if error.kind() == PublishErrorKind::MaxPayloadExceeded {
        return true;
    }
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>())
        .is_some_and(|error| error.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}
