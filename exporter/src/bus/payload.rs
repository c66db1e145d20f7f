//! How an event lies in a message: as it was sent, or compressed where NATS would not take it whole.
//!
//! Whoever reads events from the stream reads them by [`event`].

use std::io::{Read as _, Write as _};

use async_nats::HeaderMap;
use bytes::{Buf, Bytes};
use flate2::{Compression, read::GzDecoder, write::GzEncoder};
use prost::Message as _;
use weir_event::{disclosure, v1::TraceEvent};

use crate::bus::bounds;

/// Says how the payload is compressed.
pub const ENCODING: &str = "Weir-Encoding";

/// Says that an event lost its content because it was too large.
pub const STRIPPED: &str = "Weir-Stripped";

/// The one way of compressing.
const GZIP: &str = "gzip";

/// Events that are to go to one destination again are published below this, under its name.
pub const REPLAY_SUBJECT: &str = "weir.events.replay";

/// The largest event that is unpacked.
const MAX_EVENT: u64 = 64 << 20;

/// The event in a message, or `None` where there is none.
pub fn event(message: &async_nats::Message) -> Option<TraceEvent> {
    decode(open(message.headers.as_ref(), &message.payload)?)
}

/// The event that these bytes are, with no more than may be reported of it: a filter of another version may have sent
/// more. `None` where they are none, or one that no filter makes: it could take gigabytes.
pub fn decode(bytes: impl Buf + AsRef<[u8]>) -> Option<TraceEvent> {
    bounds::event(bytes.as_ref()).ok()?;
    let mut event = TraceEvent::decode(bytes).ok()?;
    if !disclosure::has_content(&event) {
        disclosure::without_content(&mut event);
    }
    Some(event)
}

/// An event's bytes, or `None` where they cannot be unpacked.
pub fn open(headers: Option<&HeaderMap>, payload: &Bytes) -> Option<Bytes> {
    match headers.and_then(|headers| headers.get(ENCODING)).map(async_nats::HeaderValue::as_str) {
        None => Some(payload.clone()),
        Some(GZIP) => {
            let mut event = Vec::new();
            let read = GzDecoder::new(payload.as_ref()).take(MAX_EVENT + 1).read_to_end(&mut event).ok()?;
            (u64::try_from(read).ok()? <= MAX_EVENT).then(|| event.into())
        }
        Some(_) => None,
    }
}

/// A compressed event and its encoding header.
pub(crate) fn pack(event: &Bytes) -> std::io::Result<(Bytes, &'static str)> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(event.len() / 4), Compression::default());
    encoder.write_all(event)?;
    Ok((encoder.finish()?.into(), GZIP))
}

/// The destination that a replayed event is for; `None` for an event that is for all.
pub fn replay_target(subject: &str) -> Option<&str> {
    subject.strip_prefix(REPLAY_SUBJECT)?.strip_prefix('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_packed_is_opened_and_what_is_marked_otherwise_is_not() {
        let event = Bytes::from(vec![7; 1 << 20]);
        let (packed, encoding) = pack(&event).unwrap();
        assert!(packed.len() < 10_000);
        let mut headers = HeaderMap::new();
        assert_eq!(open(Some(&headers), &event), Some(event.clone()));
        headers.insert(ENCODING, encoding);
        assert_eq!(open(Some(&headers), &packed), Some(event.clone()));
        assert_eq!(open(Some(&headers), &event), None);
        headers.insert(ENCODING, "br");
        assert_eq!(open(Some(&headers), &packed), None);
        assert_eq!(open(None, &event), Some(event));
    }

    #[test]
    fn a_packed_event_that_unpacks_without_end_is_none() {
        let (packed, encoding) = pack(&Bytes::from(vec![0; (MAX_EVENT + 1) as usize])).unwrap();
        let mut headers = HeaderMap::new();
        headers.insert(ENCODING, encoding);
        assert_eq!(open(Some(&headers), &packed), None);
    }

    #[test]
    fn an_event_that_no_filter_makes_is_none() {
        let event = TraceEvent { sequence: 7, ..TraceEvent::default() };
        assert_eq!(decode(event.encode_to_vec().as_slice()), Some(event));
        assert_eq!(decode([0x32, 0].repeat(1 << 20).as_slice()), None);
        assert_eq!(decode(b"\xff".as_slice()), None);
    }

    #[test]
    fn a_replay_names_its_destination() {
        assert_eq!(replay_target("weir.events.replay.mw-eu"), Some("mw-eu"));
        assert_eq!(replay_target("weir.events.v1"), None);
    }
}
