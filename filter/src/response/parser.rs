//! Parses a provider's response: who responded, how it ended, its tokens and its content.
//!
//! One [`ResponseParser`] reads one response, in one piece or event by event, by its API's [`Dialect`]. It is tolerant:
//! what is missing or of another type is not known. What it holds is bounded.
//!
//! [`Dialect`]: crate::api::family::operation::Dialect

use weir_event::v1;

use crate::api::Api;
use crate::api::family::reading::end::End;
use crate::api::family::reading::error;
use crate::api::family::reading::notes::{Notes, Seen};
use crate::api::family::reading::usage::Reported;
use crate::capture::transcript::Transcript;
use crate::json::scan::{Kind, Object, Value};
use crate::json::values::objects;
use crate::response::framing::event::{Data, Event};

/// How many characters make a token where nobody has counted (OpenAI, "What are tokens").
const CHARACTERS_PER_TOKEN: u64 = 4;

/// A response that is being read.
#[derive(Debug)]
pub struct ResponseParser {
    api: Api,
    usage: Reported,
    transcript: Transcript,
    end: End,
    seen: Seen,
}

impl ResponseParser {
    /// A response to a call of this API; a stream's content goes into `transcript`.
    pub fn new(api: Api, transcript: Transcript) -> Self {
        let (usage, end, seen) = (Reported::default(), End::default(), Seen::default());
        Self { api, usage, transcript, end, seen }
    }

    /// The API whose response it is.
    pub fn api(&self) -> Api {
        self.api
    }

    /// Reads a response in one piece into the event. `false` where it is none that this API could give: no
    /// object, or one that holds neither content nor an error.
    pub fn read(&mut self, body: &[u8], response: &mut v1::Response) -> bool {
        let Ok(object) = Object::parse(body) else { return self.read_list(body, response) };
        if self.api.operation.counts_tokens() {
            self.usage.read_object("", &object);
        }
        // A whole body is whole, whatever it reports.
        self.end.reach();
        (self.api.dialect().read)(&object, &mut self.notes(response));
        !self.api.operation.may_stream
            || error::of(&object).is_some()
            || error::holds_content(&object, |_| true)
    }

    /// The same of the beginning of a response that was cut, which was closed where it ends.
    pub fn read_beginning(&mut self, body: &[u8], response: &mut v1::Response) -> bool {
        self.end.fail();
        self.read(body, response)
    }

    /// Where what is read goes, and how far a stream has come.
    fn notes<'n>(&'n mut self, response: &'n mut v1::Response) -> Notes<'n> {
        let Self { usage, transcript, end, seen, .. } = self;
        Notes { response, usage, transcript, end, seen }
    }

    /// Google gives an error also where it should be an object as a list of one.
    fn read_list(&mut self, body: &[u8], response: &mut v1::Response) -> bool {
        let Ok(text) = std::str::from_utf8(body) else { return false };
        let list = Value { raw: text.trim_ascii(), kind: Kind::Array, start: 0 };
        let Some(object) = objects(Some(list)).next() else { return false };
        let Some(found) = error::of(&object) else { return false };
        self.end.reach();
        self.notes(response).error(&found);
        true
    }

    /// Reads the data of one event of a stream into the event. Returns whether it brought a token.
    pub fn read_event(&mut self, data: &[u8], response: &mut v1::Response) -> bool {
        self.read_message(&Event::of(data), response)
    }

    /// Reads a message of a stream that is framed and parsed already.
    pub fn read_message(&mut self, event: &Event<'_>, response: &mut v1::Response) -> bool {
        if let Some(error) = event.as_error() {
            return self.read_event(error.as_bytes(), response);
        }
        match event.kind {
            Data::Nothing => return false,
            Data::Done => {
                self.end.reach();
                return false;
            }
            Data::Message => {}
        }
        response.chunks = response.chunks.saturating_add(1);
        let Some(object) = &event.object else {
            response.unread = true;
            return false;
        };
        (self.api.dialect().read_event)(object, &mut self.notes(response))
    }

    /// How many bytes are held, beside content.
    pub fn held(&self) -> usize {
        self.usage.held()
    }

    /// Bytes allocated, beside content.
    pub fn allocated(&self) -> usize {
        size_of::<Self>() + 2 * self.usage.held()
    }

    /// Whether a stream of which all has come ended before the last event of its API, and without an error in its
    /// place: somebody cut it. Never where an API does not say when it has ended.
    pub fn is_cut(&self) -> bool {
        self.api.operation.says_end && !self.end.is_reached() && !self.end.has_failed()
    }

    /// All has come, or will not: settles usage. `asked` is how many characters the request had;
    /// `whole` whether it came to an end that nobody cut, as far as that is known without the API's own word.
    pub fn finish(self, asked: u64, whole: bool, response: &mut v1::Response) -> Transcript {
        let tokens = |characters: u64| characters.div_ceil(CHARACTERS_PER_TOKEN);
        let (seen, generates_text) = (self.transcript.characters(), self.api.operation.generates_text());
        let is_whole =
            self.end.is_reached() || (whole && !self.api.operation.says_end && !self.end.has_failed());
        if let Some(mut usage) = self.usage.read(self.api.family().usage, generates_text) {
            if !is_whole {
                usage.source = v1::UsageSource::Partial.into();
                // Figures from the beginning do not cover what was written since.
                if seen > 0 {
                    usage.output_tokens = usage.output_tokens.max(Some(tokens(seen)));
                }
            }
            // What counting tokens gives is a figure, and nothing that was used.
            if self.api.operation.counts_tokens() {
                usage = v1::Usage { source: usage.source, figures: usage.figures, ..Default::default() };
            }
            response.usage = Some(usage);
        } else if seen > 0 || (!whole && generates_text) {
            response.usage = Some(v1::Usage {
                source: v1::UsageSource::Estimated.into(),
                input_tokens: Some(tokens(asked)),
                output_tokens: Some(tokens(seen)),
                ..Default::default()
            });
        }
        if let Some(usage) = &mut response.usage {
            self.usage.price_into(usage);
        }
        self.transcript
    }
}
