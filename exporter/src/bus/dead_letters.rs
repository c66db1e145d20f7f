//! Dead letters: events that a destination refused one by one, stored in a stream of their own.
//!
//! A letter is the event's message as it was, with headers that say which destination refused it and why. It is
//! stored before the original is settled. Replaying publishes the event for that destination alone, under a
//! new id, and takes the letter away after the stream has it.

use std::time::{SystemTime, UNIX_EPOCH};

use async_nats::{
    HeaderMap,
    jetstream::{
        message::{PublishMessage, StreamMessage},
        stream::{RawMessageErrorKind, Stream},
    },
};
use bytes::Bytes;

use super::{
    client::Bus,
    error::BusError,
    names::{DEAD_LETTERS, DEAD_SUBJECT, STREAM},
    payload::{ENCODING, REPLAY_SUBJECT},
};

/// Why the destination refused it.
const REASON: &str = "Weir-Reason";

/// Its sequence in the stream of events.
const SEQUENCE: &str = "Weir-Sequence";

/// When it was refused, in Unix milliseconds.
const AT: &str = "Weir-Refused-At";

/// The most letters that one command goes through.
const MAX_LETTERS: u64 = 100_000;

/// A dead letter.
#[derive(Clone, Debug)]
pub struct DeadLetter {
    /// Its number among dead letters.
    pub number: u64,
    /// The destination that refused it.
    pub destination: String,
    /// Why.
    pub reason: String,
    /// Its sequence in the stream of events.
    pub sequence: u64,
    /// When, in Unix milliseconds.
    pub at_ms: u64,
    /// How many bytes it has.
    pub bytes: usize,
    message: StreamMessage,
}

impl DeadLetter {
    fn new(message: StreamMessage) -> Option<Self> {
        let destination = message.subject.strip_prefix(DEAD_SUBJECT)?.strip_prefix('.')?.to_owned();
        let header = |name: &str| message.headers.get(name).map(|value| value.as_str().to_owned());
        Some(Self {
            number: message.sequence,
            destination,
            reason: header(REASON).unwrap_or_default(),
            sequence: header(SEQUENCE).and_then(|text| text.parse().ok()).unwrap_or_default(),
            at_ms: header(AT).and_then(|text| text.parse().ok()).unwrap_or_default(),
            bytes: message.payload.len(),
            message,
        })
    }

    /// The event, unpacked; `None` where it is none.
    pub fn event(&self) -> Option<Bytes> {
        super::payload::open(Some(&self.message.headers), &self.message.payload)
    }
}

impl Bus {
    /// Puts an event among the dead letters. `Ok(false)` where the stream has dropped it.
    pub async fn bury(&self, destination: &str, sequence: u64, reason: &str) -> Result<bool, BusError> {
        let Some(message) = self.stored(STREAM, sequence).await? else { return Ok(false) };
        let mut headers = retained_headers(&message);
        headers.insert(REASON, reason);
        headers.insert(SEQUENCE, sequence.to_string());
        headers.insert(AT, now_ms().to_string());
        // Buried twice within the duplicate window, it is there once.
        let id = format!("{destination}.{sequence}");
        let subject = format!("{DEAD_SUBJECT}.{destination}");
        self.publish(&subject, DEAD_LETTERS, id, headers, message.payload).await?;
        Ok(true)
    }

    /// Dead letters, the oldest first: of one destination or of all, at most so many.
    pub async fn dead_letters(
        &self,
        destination: Option<&str>,
        limit: usize,
    ) -> Result<Vec<DeadLetter>, BusError> {
        let stream = self.look(DEAD_LETTERS).await?;
        let subject = format!("{DEAD_SUBJECT}.{}", destination.unwrap_or(">"));
        let (mut next, mut letters) = (1, Vec::new());
        for _ in 0..MAX_LETTERS {
            if letters.len() >= limit {
                break;
            }
            let next_one = stream.raw_message_builder().sequence(next).next_by_subject(&subject);
            let found = next_one.send().await;
            let message = match found {
                Ok(message) => message,
                Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => break,
                Err(error) => return Err(BusError::cannot("read dead letters")(error)),
            };
            next = message.sequence + 1;
            letters.extend(DeadLetter::new(message));
        }
        Ok(letters)
    }

    /// How many dead letters there are.
    pub async fn dead_letter_count(&self) -> Result<u64, BusError> {
        Ok(self.look(DEAD_LETTERS).await?.cached_info().state.messages)
    }

    /// The highest number of a dead letter so far.
    pub async fn last_dead_letter(&self) -> Result<u64, BusError> {
        Ok(self.look(DEAD_LETTERS).await?.cached_info().state.last_sequence)
    }

    /// One dead letter by its number.
    pub async fn dead_letter(&self, number: u64) -> Result<Option<DeadLetter>, BusError> {
        Ok(self.stored(DEAD_LETTERS, number).await?.and_then(DeadLetter::new))
    }

    /// Sends a letter's event to its destination again, and takes the letter away. After an error the letter
    /// stays.
    pub async fn replay(&self, letter: &DeadLetter) -> Result<(), BusError> {
        let id = format!("replay.{}.{}.{}", letter.destination, letter.number, now_ms());
        let subject = format!("{REPLAY_SUBJECT}.{}", letter.destination);
        let payload = letter.message.payload.clone();
        self.publish(&subject, STREAM, id, retained_headers(&letter.message), payload).await?;
        self.forget(letter.number).await
    }

    /// Takes a letter away for good.
    pub async fn forget(&self, number: u64) -> Result<(), BusError> {
        let stream = self.look(DEAD_LETTERS).await?;
        let gone = stream.delete_message(number).await;
        gone.map(drop).map_err(BusError::cannot("delete a dead letter"))
    }

    pub(super) async fn look(&self, stream: &str) -> Result<Stream, BusError> {
        let found = self.context.get_stream(stream).await;
        found.map_err(BusError::cannot(format_args!("find stream {stream}")))
    }

    async fn stored(&self, stream: &str, sequence: u64) -> Result<Option<StreamMessage>, BusError> {
        match self.look(stream).await?.get_raw_message(sequence).await {
            Ok(message) => Ok(Some(message)),
            Err(error) if error.kind() == RawMessageErrorKind::NoMessageFound => Ok(None),
            Err(error) => Err(BusError::cannot("read a message")(error)),
        }
    }

    async fn publish(
        &self,
        subject: &str,
        stream: &str,
        id: String,
        headers: HeaderMap,
        payload: Bytes,
    ) -> Result<(), BusError> {
        let message =
            PublishMessage::build().headers(headers).message_id(id).expected_stream(stream).payload(payload);
        let what = format!("publish to {subject}");
        let sent = self.context.send_publish(subject.to_owned(), message).await;
        let ack = sent.map_err(BusError::cannot(&what))?.await;
        ack.map(drop).map_err(BusError::cannot(&what))
    }
}

/// The headers that an event retains wherever it goes.
fn retained_headers(message: &StreamMessage) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in [ENCODING, super::payload::STRIPPED] {
        if let Some(value) = message.headers.get(name) {
            headers.insert(name, value.as_str());
        }
    }
    headers
}

fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
