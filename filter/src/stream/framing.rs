//! How a response is cut into messages: events, elements of an array, or one piece.

use super::{elements, sse};
use crate::api::Api;
use crate::content::abridge::Limits;
use crate::headers::{Headers, name};

/// The messages of a stream, as they come.
#[derive(Debug)]
pub enum Framing {
    /// Server-sent events.
    Events(sse::Parser),
    /// The elements of a JSON array.
    Elements(elements::Splitter),
}

impl Framing {
    /// The framing of a response to a call of this API; `None` for one in one piece. Of a long message
    /// that comes in pieces so much is kept.
    pub fn of(api: Api, headers: &Headers, limits: Limits) -> Option<Self> {
        if has_type(headers, "text/event-stream") {
            return Some(Self::Events(sse::Parser::new(limits)));
        }
        let is_array = api == Api::GeminiStream && has_type(headers, "application/json");
        is_array.then(|| Self::Elements(elements::Splitter::new(limits)))
    }

    /// Takes the next bytes and calls `on_message` with each message that they complete.
    pub fn feed(&mut self, bytes: &[u8], on_message: impl FnMut(&[u8])) {
        match self {
            Self::Events(parser) => parser.feed(bytes, on_message),
            Self::Elements(splitter) => splitter.feed(bytes, on_message),
        }
    }

    /// The response has come to its end, or will not: hands out what only the end completes.
    pub fn finish(&mut self, on_message: impl FnMut(&[u8])) {
        match self {
            Self::Events(parser) => parser.finish(on_message),
            Self::Elements(_) => {}
        }
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        match self {
            Self::Events(parser) => parser.held(),
            Self::Elements(splitter) => splitter.held(),
        }
    }

    /// Messages of which nothing could be read because they were too large and no JSON.
    pub fn skipped(&self) -> u32 {
        match self {
            Self::Events(parser) => parser.skipped(),
            Self::Elements(splitter) => splitter.skipped(),
        }
    }
}

/// Whether a response in one piece may be JSON: it says so, or says nothing.
pub fn may_be_json(headers: &Headers) -> bool {
    let media_type = headers.get(name::CONTENT_TYPE).unwrap_or(b"json");
    memchr::memmem::find(&media_type.to_ascii_lowercase(), b"json").is_some()
}

/// Whether a response has a media type that begins so.
pub fn has_type(headers: &Headers, expected: &str) -> bool {
    let media_type = headers.get(name::CONTENT_TYPE).unwrap_or_default();
    media_type.get(..expected.len()).is_some_and(|start| start.eq_ignore_ascii_case(expected.as_bytes()))
}
