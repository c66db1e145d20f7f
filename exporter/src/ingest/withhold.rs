//! Events as they may be stored.

use bytes::Bytes;
use prost::Message as _;
use weir_event::{disclosure, v1::TraceEvent};

/// An event's bytes as they may be stored: without content where the capture policy `excludes` it or the event itself
/// says that there is none. Those that were sent, where nothing has to go.
pub(super) fn storable(bytes: Bytes, event: &TraceEvent, excludes: bool) -> Bytes {
    if disclosure::has_content(event) && !excludes {
        return bytes;
    }
    let mut bare = event.clone();
    disclosure::without_content(&mut bare);
    if bare == *event { bytes } else { bare.encode_to_vec().into() }
}

#[cfg(test)]
mod tests {
    use weir_event::v1::{Capture, Content, Response};

    use super::*;

    fn stored(event: &TraceEvent, excludes: bool) -> TraceEvent {
        TraceEvent::decode(storable(event.encode_to_vec().into(), event, excludes)).unwrap()
    }

    fn captured(capture: Capture) -> TraceEvent {
        let content = Content {
            capture: capture.into(),
            request: b"canary".as_slice().into(),
            error_message: "canary".to_owned(),
            ..Content::default()
        };
        let response = Response { error_type: "a canary sang".to_owned(), ..Response::default() };
        TraceEvent { sequence: 7, content: Some(content), response: Some(response), ..TraceEvent::default() }
    }

    #[test]
    fn of_content_nothing_is_left_and_the_rest_stays_as_it_was() {
        let event = captured(Capture::Redacted);
        let stripped = stored(&event, true);
        assert!(!stripped.encode_to_vec().windows(6).any(|window| window == b"canary"));
        let content = Some(Content { capture: Capture::Excluded.into(), ..Content::default() });
        assert_eq!(stripped, TraceEvent { content, response: Some(Response::default()), ..event.clone() });
        assert_eq!(stored(&event, false), event);
    }

    #[test]
    fn what_says_that_it_has_no_content_has_none_without_any_policy() {
        for capture in [Capture::Excluded, Capture::NoRoom, Capture::Unspecified] {
            let event = stored(&captured(capture), false);
            assert_eq!(event.content, Some(Content { capture: capture.into(), ..Content::default() }));
            assert_eq!(event.response, Some(Response::default()));
        }
    }

    #[test]
    fn an_event_without_content_is_not_written_anew() {
        for content in [None, Some(Content { capture: Capture::NoRoom.into(), ..Content::default() })] {
            let event = TraceEvent { sequence: 7, content, ..TraceEvent::default() };
            let bytes = Bytes::from(event.encode_to_vec());
            assert_eq!(storable(bytes.clone(), &event, true).as_ptr(), bytes.as_ptr());
        }
    }
}
