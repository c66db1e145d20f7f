//! Publishing: every event of a batch is sent first, then every acknowledgement awaited, within one deadline.
//!
//! The event's id is the message's id, so an event that is sent again within the duplicate window is stored
//! once. An event that is larger than NATS takes is compressed; where that is not enough it loses its content,
//! marked; where even that is not enough it is refused, and so counted.

use std::time::Duration;

use async_nats::jetstream::{
    ErrorCode,
    context::{PublishAckFuture, PublishError, PublishErrorKind},
    message::PublishMessage,
};
use bytes::Bytes;
use prost::Message as _;
use tokio::time::{Instant, timeout_at};
use tracing::warn;
use weir_event::{
    EventId, disclosure,
    v1::{Capture, Content, TraceEvent},
};

use super::{
    client::Bus,
    names::{STREAM, SUBJECT},
    payload,
};
use crate::bus::{Form, Store, Stored};

/// How long all of a batch's acknowledgements may take.
const DEADLINE: Duration = Duration::from_secs(5);

/// What a message's headers and protocol line may take beside its event.
const HEADER_ROOM: usize = 1024;

/// A publish on its way; `None` where the deadline passed before it was.
type Sent = Option<Result<PublishAckFuture, PublishError>>;

impl Store for Bus {
    fn ready(&self) -> Result<(), String> {
        self.state()
    }

    async fn store(&self, events: Vec<(EventId, Bytes)>) -> Vec<Stored> {
        let deadline = Instant::now() + DEADLINE;
        let limit = self.max_payload().saturating_sub(HEADER_ROOM);
        let mut sent: Vec<(Sent, Form)> = Vec::with_capacity(events.len());
        for (id, event) in events {
            let mut message = PublishMessage::build().message_id(id.to_string());
            let form = if event.len() > limit {
                let (event, form) = reduced(event, limit).await;
                if form != Form::Whole {
                    message = message.header(payload::ENCODING, "gzip");
                }
                if form == Form::Stripped {
                    message = message.header(payload::STRIPPED, "content");
                }
                message = message.payload(event);
                form
            } else {
                message = message.payload(event);
                Form::Whole
            };
            sent.push((timeout_at(deadline, self.context.send_publish(SUBJECT, message)).await.ok(), form));
        }
        let (mut stored, mut failure) = (Vec::with_capacity(sent.len()), None);
        for (publish, form) in sent {
            stored.push(self.acknowledged(publish, form, deadline, &mut failure).await);
        }
        if let Some(error) = failure {
            warn!(error, "events were not stored");
        }
        stored
    }
}

impl Bus {
    async fn acknowledged(
        &self,
        sent: Sent,
        form: Form,
        deadline: Instant,
        failure: &mut Option<String>,
    ) -> Stored {
        let acknowledgement = match sent {
            Some(Ok(future)) => timeout_at(deadline, future).await.ok(),
            Some(Err(error)) => Some(Err(error)),
            None => None,
        };
        let error = match acknowledgement {
            Some(Ok(ack)) if ack.stream == STREAM => return Stored::Yes { duplicate: ack.duplicate, form },
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
            return Stored::Never(
                "it is larger than NATS takes (max_payload), even without content".to_owned(),
            );
        }
        if error.kind() == PublishErrorKind::StreamNotFound {
            self.look_again();
        }
        failure.get_or_insert_with(|| error.to_string());
        Stored::NotNow
    }
}

/// The event made smaller, as far as it takes; whole where nothing helps, so that NATS refuses it.
async fn reduced(event: Bytes, limit: usize) -> (Bytes, Form) {
    let whole = event.clone();
    let smaller = tokio::task::spawn_blocking(move || smaller(&event, limit)).await;
    smaller.ok().flatten().unwrap_or((whole, Form::Whole))
}

fn smaller(event: &Bytes, limit: usize) -> Option<(Bytes, Form)> {
    let (packed, _) = payload::pack(event).ok()?;
    if packed.len() <= limit {
        return Some((packed, Form::Compressed));
    }
    let mut bare = TraceEvent::decode(event.clone()).ok()?;
    bare.content = Some(Content {
        capture: Capture::NoRoom.into(),
        request_shortened: true,
        response_shortened: true,
        ..Content::default()
    });
    disclosure::without_content(&mut bare);
    let (packed, _) = payload::pack(&bare.encode_to_vec().into()).ok()?;
    (packed.len() <= limit).then_some((packed, Form::Stripped))
}

fn is_for_good(error: &PublishError) -> bool {
    if error.kind() == PublishErrorKind::MaxPayloadExceeded {
        return true;
    }
    std::error::Error::source(error)
        .and_then(|source| source.downcast_ref::<async_nats::jetstream::Error>())
        .is_some_and(|error| error.error_code() == ErrorCode::STREAM_MESSAGE_EXCEEDS_MAXIMUM)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(request: Vec<u8>) -> Bytes {
        let content = Content { request: request.into(), ..Content::default() };
        TraceEvent { sequence: 7, content: Some(content), ..TraceEvent::default() }.encode_to_vec().into()
    }

    #[test]
    fn a_large_event_is_compressed_and_one_that_stays_large_loses_its_content() {
        let (packed, form) = smaller(&event(vec![b'a'; 100_000]), 2000).unwrap();
        assert!(packed.len() <= 2000);
        assert_eq!(form, Form::Compressed);
        let mut rng = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(100_000).collect();
        let (packed, form) = smaller(&event(noise), 2000).unwrap();
        assert_eq!(form, Form::Stripped);
        let mut headers = async_nats::HeaderMap::new();
        headers.insert(payload::ENCODING, "gzip");
        let read = TraceEvent::decode(payload::open(Some(&headers), &packed).unwrap()).unwrap();
        assert_eq!(read.sequence, 7);
        let content = read.content.unwrap();
        assert!(content.request.is_empty() && content.request_shortened);
        assert_eq!(content.capture(), Capture::NoRoom);
    }

    #[test]
    fn what_is_no_event_and_stays_large_is_left_as_it_is() {
        let mut rng = fastrand::Rng::with_seed(1);
        let noise: Vec<u8> = std::iter::repeat_with(|| rng.u8(..)).take(10_000).collect();
        assert!(smaller(&noise.into(), 2000).is_none());
    }
}
