//! Events as the capture policy lets them be stored.

use bytes::Bytes;
use prost::Message as _;
use weir_event::v1::{Capture, Content, TraceEvent};

/// An event as if its content had never been captured; as it is where there was none. It was decoded before, so it
/// can be.
pub(super) fn without_content(bytes: Bytes) -> Bytes {
    let Ok(mut event) = TraceEvent::decode(bytes.clone()) else { return bytes };
    let Some(content) = &event.content else { return bytes };
    let bare = Content { capture: content.capture, ..Content::default() };
    if *content == bare {
        return bytes;
    }
    event.content = Some(Content { capture: Capture::Excluded.into(), ..Content::default() });
    event.encode_to_vec().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_content_nothing_is_left_and_the_rest_stays_as_it_was() {
        let content = Content {
            capture: Capture::Redacted.into(),
            request: b"canary".as_slice().into(),
            error_message: "canary".to_owned(),
            ..Content::default()
        };
        let event = TraceEvent { sequence: 7, content: Some(content), ..TraceEvent::default() };
        let stripped = without_content(event.encode_to_vec().into());
        assert!(!stripped.windows(6).any(|window| window == b"canary"));
        let content = Some(Content { capture: Capture::Excluded.into(), ..Content::default() });
        assert_eq!(TraceEvent::decode(stripped).unwrap(), TraceEvent { content, ..event });
    }

    #[test]
    fn an_event_without_content_is_not_written_anew() {
        for content in [None, Some(Content { capture: Capture::NoRoom.into(), ..Content::default() })] {
            let event =
                Bytes::from(TraceEvent { sequence: 7, content, ..TraceEvent::default() }.encode_to_vec());
            assert_eq!(without_content(event.clone()).as_ptr(), event.as_ptr());
        }
    }
}
