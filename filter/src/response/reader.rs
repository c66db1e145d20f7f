//! Reads a provider's response while it passes.
//!
//! A stream is read message by message, since the time of its first token is asked for; a response in one
//! piece is held up to a cap and read when all is over.

use weir_event::v1;

use crate::api::Api;
use crate::capture::transcript::Transcript;
use crate::headers::Headers;
use crate::json::close::close;
use crate::json::truncate::Limits;
use crate::json::truncate::pieces::Pieces;
use crate::response::framing::form::{Form, is_compressed};
use crate::response::framing::framer::Framer;
use crate::response::framing::opening::Opening;
use crate::response::parser::ResponseParser;

/// The error of a successful status without a body.
const EMPTY_RESPONSE: &str = "empty_response";
/// The error of one whose body is no response of its API, such as a proxy's page.
const UNEXPECTED_CONTENT: &str = "unexpected_content";
/// Statuses that have no body (RFC 9110, "204 No Content" and "205 Reset Content").
const WITHOUT_CONTENT: [u32; 2] = [204, 205];

/// Where a response's content goes.
#[derive(Debug)]
pub struct Destination {
    /// A stream's content.
    pub transcript: Transcript,
    /// A response in one piece.
    pub whole: Pieces,
    /// How much of a message of a stream that is too large to be held.
    pub long_messages: Limits,
}

/// What was read of a response.
#[derive(Debug, Default)]
pub struct Read {
    /// A stream's content, as far as it is captured.
    pub transcript: Transcript,
    /// The body of a response in one piece, and whether it was made short.
    pub body: Option<(Vec<u8>, bool)>,
    /// Whether the transport brought it to an end that is none by its API's own rules.
    pub is_cut: bool,
}

/// How a response is read.
#[derive(Debug, Default)]
pub enum Reading {
    /// Not at all.
    #[default]
    Nothing,
    /// Not at all, because it is compressed.
    Compressed,
    /// Not at all, because its type is none that a response to this call has.
    Unexpected(Api),
    /// As its first bytes will show; its headers may be wrong.
    Open(Box<Open>),
    /// In one piece: what has come so far.
    Whole(Box<(Pieces, ResponseParser)>),
    /// Message by message. Of a large one so much is read.
    Stream(Box<(ResponseParser, Limits)>),
    /// Not at all: this body goes out instead; and the content that was withheld.
    Replaced(String, Transcript),
}

/// A response whose form no byte has shown yet.
#[derive(Debug)]
pub struct Open {
    api: Api,
    /// How it comes by its headers.
    form: Form,
    destination: Destination,
}

impl Open {
    /// Reads the response in this form.
    fn read_as(self, form: Form) -> Reading {
        let Destination { transcript, whole, long_messages } = self.destination;
        match form {
            Form::Events | Form::Elements => {
                Reading::Stream(Box::new((ResponseParser::new(self.api, transcript), long_messages)))
            }
            // What it says is in the body that is captured; its characters are counted for an estimate.
            Form::Json => {
                Reading::Whole(Box::new((whole, ResponseParser::new(self.api, transcript.without_outputs()))))
            }
            Form::Text | Form::Unknown => Reading::Unexpected(self.api),
        }
    }
}

impl Reading {
    /// How to read a provider's response with these headers to a call of this API, and its form where that
    /// is known.
    pub fn of(headers: &Headers, api: Api, destination: Destination) -> (Self, Option<Form>) {
        if is_compressed(headers) {
            return (Self::Compressed, None);
        }
        let form = Form::of(api, headers);
        let open = Open { api, form, destination };
        match form.is_open(api, headers) {
            true => (Self::Open(Box::new(open)), None),
            false => (open.read_as(form), Some(form)),
        }
    }

    /// Whether the response is a stream, as far as that is known.
    pub fn is_stream(&self) -> bool {
        match self {
            Self::Open(open) => open.form.is_stream(),
            _ => matches!(self, Self::Stream(_)),
        }
    }

    /// Looks at the first bytes of a response whose form they tell. Returns what they tell, and the form
    /// once it is known; nothing is to be done with those that are unclear before more has come.
    pub fn open(&self, bytes: &[u8], is_end: bool) -> (Opening, Option<Form>) {
        let Self::Open(open) = self else { return (Opening::Blank, None) };
        let opening = Opening::of(bytes);
        let form = match opening {
            Opening::Is(shape) => Some(open.form.seen(open.api, shape)),
            Opening::Unclear if is_end => Some(open.form),
            Opening::Blank | Opening::Unclear => None,
        };
        (opening, form)
    }

    /// Reads the response in this form.
    pub fn settle(&mut self, form: Form) {
        *self = match std::mem::take(self) {
            Self::Open(open) => open.read_as(form),
            other => other,
        };
    }

    /// Bytes allocated, beside a stream's content.
    pub fn allocated(&self) -> usize {
        match self {
            Self::Nothing | Self::Compressed | Self::Unexpected(_) => 0,
            Self::Open(open) => size_of::<Open>() + open.destination.whole.allocated(),
            Self::Whole(whole) => whole.0.allocated() + whole.1.allocated(),
            Self::Stream(stream) => stream.0.allocated(),
            Self::Replaced(body, _) => body.capacity(),
        }
    }

    /// Gives up reading: what was read of a stream is kept, of a response in one piece nothing.
    pub fn give_up(&mut self) {
        if let Self::Open(_) | Self::Whole(_) = self {
            *self = Self::Nothing;
        }
    }

    /// How many bytes are held, beside the content that is captured.
    pub fn held(&self) -> usize {
        if let Self::Stream(stream) = self { stream.0.held() } else { 0 }
    }

    /// All has passed, or will not come: reads what was held for now. `framer` is that of a stream. `asked` is how many characters
    /// the request had; `whole` says whether the response came to its end.
    pub fn finish(
        self,
        framer: Option<Framer>,
        asked: u64,
        whole: bool,
        response: &mut v1::Response,
    ) -> Read {
        match self {
            Self::Whole(reading) => {
                let (pieces, mut parser) = *reading;
                if pieces.is_empty() {
                    note_unread(parser.api(), whole, true, response);
                    return Read::default();
                }
                let is_cut = whole && is_success(response) && pieces.is_unfinished();
                let mut body = pieces.finish();
                let is_read = if is_cut {
                    body = body.and_then(|(body, _)| Some((close(&body)?, true)));
                    body.as_ref().is_some_and(|(body, _)| parser.read_beginning(body, response))
                } else {
                    body.as_ref().is_some_and(|(body, _)| parser.read(body, response))
                };
                response.unread |= !is_read;
                if !is_read && !is_cut {
                    note_unread(parser.api(), whole, false, response);
                }
                Read { transcript: parser.finish(asked, whole && !is_cut, response), body, is_cut }
            }
            Self::Stream(stream) => {
                let (mut parser, _) = *stream;
                let mut has_skipped = false;
                if let Some(mut framer) = framer {
                    framer.read(&[], true, |event| {
                        parser.read_message(event, response);
                    });
                    // Its end may be among what could not be read.
                    has_skipped = framer.skipped() > 0;
                }
                response.unread |= has_skipped;
                let is_cut = whole && is_success(response) && !has_skipped && parser.is_cut();
                if response.chunks == 0 && !has_skipped {
                    note_unread(parser.api(), whole, true, response);
                }
                let is_cut = is_cut && response.chunks > 0;
                Read { transcript: parser.finish(asked, whole && !is_cut, response), body: None, is_cut }
            }
            Self::Unexpected(api) => {
                note_unread(api, whole, response.body_bytes == 0, response);
                Read::default()
            }
            // Nothing came by which its headers could be wrong.
            Self::Open(open) => {
                let form = open.form;
                open.read_as(form).finish(None, asked, whole, response)
            }
            Self::Replaced(_, transcript) => Read { transcript, ..Read::default() },
            Self::Nothing | Self::Compressed => Read::default(),
        }
    }
}

/// Notes that nothing was read of a response that came whole. One that says that it succeeded must hold a response,
/// so it is an error.
fn note_unread(api: Api, whole: bool, is_empty: bool, response: &mut v1::Response) {
    if !whole || !is_success(response) || !api.operation.responds_in_json {
        return;
    }
    response.unread = true;
    if response.error_type.is_empty() {
        let code = if is_empty { EMPTY_RESPONSE } else { UNEXPECTED_CONTENT };
        code.clone_into(&mut response.error_type);
    }
}

/// Whether a response's status is a success.
fn is_success(response: &v1::Response) -> bool {
    (200..300).contains(&response.status) && !WITHOUT_CONTENT.contains(&response.status)
}
