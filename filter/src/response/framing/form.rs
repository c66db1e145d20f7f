//! How a response comes: as events, as the elements of an array, or in one piece.

use crate::api::Api;
use crate::headers::{Headers, name};
use crate::response::framing::opening::Shape;

/// How a response comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// In one piece of JSON.
    Json,
    /// In one piece of text.
    Text,
    /// As server-sent events.
    Events,
    /// As the elements of a JSON array.
    Elements,
    /// In a way that cannot be read.
    Unknown,
}

impl Form {
    /// The form of a response to a call of this API, by its headers.
    pub fn of(api: Api, headers: &Headers) -> Self {
        if is_compressed(headers) {
            Self::Unknown
        } else if has_type(headers, "text/event-stream") {
            Self::Events
        } else if api.operation.streams == Some(true)
            && api.family().streams_arrays
            && has_type(headers, "application/json")
        {
            Self::Elements
        } else if may_be_json(headers) {
            Self::Json
        } else if has_type(headers, "text/") {
            Self::Text
        } else {
            Self::Unknown
        }
    }

    /// Whether the body of a response with these headers may show that it comes in another form.
    pub fn is_open(self, api: Api, headers: &Headers) -> bool {
        !is_compressed(headers) && (self == Self::Events || api.operation.may_stream)
    }

    /// How it comes, by what its body begins like.
    #[must_use]
    pub fn seen(self, api: Api, shape: Shape) -> Self {
        let in_elements = api.operation.may_stream && api.family().streams_arrays;
        match (shape, self) {
            (Shape::Array, _) if in_elements => Self::Elements,
            (Shape::Object | Shape::Array, Self::Events) => Self::Json,
            (Shape::Object, Self::Text | Self::Unknown) if api.operation.may_stream => Self::Json,
            (Shape::Events, _) if api.operation.may_stream => Self::Events,
            _ => self,
        }
    }

    /// Whether it is a stream.
    pub fn is_stream(self) -> bool {
        matches!(self, Self::Events | Self::Elements)
    }
}

/// Whether a response is compressed, which nobody has asked for.
pub fn is_compressed(headers: &Headers) -> bool {
    let encoding = headers.get(name::CONTENT_ENCODING).unwrap_or(b"identity");
    !encoding.eq_ignore_ascii_case(b"identity")
}

/// Whether a response in one piece may be JSON: its content type says so, or is missing.
fn may_be_json(headers: &Headers) -> bool {
    let media_type = headers.get(name::CONTENT_TYPE).unwrap_or(b"json");
    memchr::memmem::find(&media_type.to_ascii_lowercase(), b"json").is_some()
}

/// Whether a response has a media type that begins so.
fn has_type(headers: &Headers, expected: &str) -> bool {
    let media_type = headers.get(name::CONTENT_TYPE).unwrap_or_default();
    media_type.get(..expected.len()).is_some_and(|start| start.eq_ignore_ascii_case(expected.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::{anthropic, cohere, gemini, openai};

    fn typed(content_type: &str) -> Headers {
        Headers(vec![(name::CONTENT_TYPE.to_owned(), content_type.as_bytes().to_vec())])
    }

    #[test]
    fn a_response_comes_as_its_body_shows_and_else_as_its_type_says() {
        use Form::{Elements, Events, Json, Text, Unknown};
        for (api, content_type, by_type, shape, seen) in [
            (openai::CHAT, "text/plain", Text, Shape::Events, Events),
            (openai::CHAT, "application/json", Json, Shape::Events, Events),
            (openai::RESPONSES, "application/octet-stream", Unknown, Shape::Events, Events),
            (anthropic::MESSAGES, "application/x-ndjson", Json, Shape::Events, Events),
            (cohere::CHAT, "text/event-stream", Events, Shape::Object, Json),
            (openai::COMPLETIONS, "text/plain", Text, Shape::Object, Json),
            (openai::CHAT, "text/html", Text, Shape::Other, Text),
            (openai::CHAT, "text/event-stream", Events, Shape::Other, Events),
            (gemini::STREAM, "application/json", Elements, Shape::Events, Events),
            (gemini::STREAM, "application/json", Elements, Shape::Object, Elements),
            (gemini::STREAM, "text/event-stream", Events, Shape::Array, Elements),
            (gemini::GENERATE, "text/plain", Text, Shape::Array, Elements),
            // What a model has heard may begin like a field.
            (openai::TRANSCRIPTION, "text/plain", Text, Shape::Events, Text),
            (openai::TRANSCRIPTION, "text/event-stream", Events, Shape::Object, Json),
        ] {
            let headers = typed(content_type);
            let form = Form::of(api, &headers);
            assert_eq!(form, by_type, "{api:?} {content_type}");
            assert_eq!(form.seen(api, shape), seen, "{api:?} {content_type} {shape:?}");
            assert!(form.seen(api, shape) == form || form.is_open(api, &headers), "{api:?} {content_type}");
        }
        let mut compressed = typed("text/event-stream");
        compressed.0.push((name::CONTENT_ENCODING.to_owned(), b"gzip".to_vec()));
        let form = Form::of(openai::CHAT, &compressed);
        assert_eq!((form, form.is_open(openai::CHAT, &compressed)), (Unknown, false));
    }
}
