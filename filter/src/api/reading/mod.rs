//! What the gateway reads of a provider's answer, whatever the API: who answered, how it ended, what
//! it cost in tokens, and what was said.
//!
//! One [`Answer`] reads one response, in one piece or event by event. It is tolerant: what is missing
//! or of another type is not known. What it holds is bounded. Each API has a file of its own; what
//! they have in common is in [`Notes`].

pub mod anthropic;
pub mod calls;
pub mod cohere;
pub mod end;
pub mod error;
pub mod gemini;
pub mod notes;
pub mod openai;
pub mod responses;
pub mod says;
pub mod usage;

use weir_event::v1;

use crate::api::reading::end::End;
use crate::api::reading::notes::{Notes, objects, word};
use crate::api::reading::says::says_something;

pub use crate::capture::transcript::Transcript;

use crate::api::{Api, Family};
use crate::json::scan::{Kind, Object, Value};
use crate::response::framing::event::{Data, Event};

/// How many characters make a token where nobody has counted (OpenAI, "What are tokens").
const CHARACTERS_PER_TOKEN: u64 = 4;

/// A response that is being read.
#[derive(Debug)]
pub struct Answer {
    api: Api,
    usage: usage::Told,
    transcript: Transcript,
    end: End,
    openai: openai::State,
    responses: responses::State,
}

impl Answer {
    /// A response to a call of this API; a stream's content goes into `transcript`.
    pub fn new(api: Api, transcript: Transcript) -> Self {
        Self {
            api,
            usage: usage::Told::default(),
            transcript,
            end: End::default(),
            openai: openai::State::default(),
            responses: responses::State::default(),
        }
    }

    /// The API whose response it is.
    pub fn api(&self) -> Api {
        self.api
    }

    /// Reads a response in one piece into the event. `false` where it is none that this API could give: no
    /// object, or one that holds neither an answer nor an error.
    pub fn read(&mut self, body: &[u8], response: &mut v1::Response) -> bool {
        let Ok(object) = Object::parse(body) else { return self.read_list(body, response) };
        if self.api.operation() == "count_tokens" {
            self.usage.read_object("", &object);
        }
        // A whole body is whole, whatever it tells.
        self.end.reach();
        let (api, shape) = (self.api, self.shape(false));
        let (mut notes, openai, _) = self.notes(response);
        match api {
            Api::OpenAiChat | Api::OpenAiCompletions => {
                openai::read(&object, shape, openai, &mut notes);
            }
            _ => match api.family() {
                Family::OpenAi => responses::read(&object, &mut notes),
                Family::Anthropic => anthropic::read(&object, &mut notes),
                Family::Gemini => {
                    gemini::read(&object, &mut notes);
                }
                Family::Cohere => cohere::read(&object, &mut notes),
            },
        }
        !self.writes_messages() || error::of(&object).is_some() || error::holds_answer(&object, |_| true)
    }

    /// The same of the beginning of a response that was cut, which was closed where it ends.
    pub fn read_beginning(&mut self, body: &[u8], response: &mut v1::Response) -> bool {
        self.end.fail();
        self.read(body, response)
    }

    /// Where the readers put what they find, and how far a stream has come.
    fn notes<'n>(
        &'n mut self,
        response: &'n mut v1::Response,
    ) -> (Notes<'n>, &'n mut openai::State, &'n mut responses::State) {
        let Self { usage, transcript, end, openai, responses, .. } = self;
        (Notes { response, usage, transcript, end }, openai, responses)
    }

    fn shape(&self, is_event: bool) -> openai::Shape {
        openai::Shape { is_legacy: self.api == Api::OpenAiCompletions, is_event }
    }

    /// Google answers an error also where it should be an object as a list of one.
    fn read_list(&mut self, body: &[u8], response: &mut v1::Response) -> bool {
        let Ok(text) = std::str::from_utf8(body) else { return false };
        let list = Value { raw: text.trim_ascii(), kind: Kind::Array, start: 0 };
        let Some(object) = objects(Some(list)).next() else { return false };
        let Some(found) = error::of(&object) else { return false };
        self.end.reach();
        self.notes(response).0.error(&found);
        true
    }

    /// Reads the data of one event of a stream into the event. Returns whether it brought a token.
    pub fn read_event(&mut self, data: &[u8], response: &mut v1::Response) -> bool {
        self.read_message(&Event::of(data), response)
    }

    /// The same of a message that was parsed before.
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
        let (api, shape) = (self.api, self.shape(true));
        let (mut notes, openai, responses) = self.notes(response);
        match api {
            Api::OpenAiChat | Api::OpenAiCompletions => openai::read(object, shape, openai, &mut notes),
            _ => match api.family() {
                Family::OpenAi => responses::read_event(object, responses, &mut notes),
                Family::Anthropic => anthropic::read_event(object, &mut notes),
                Family::Gemini => gemini::read(object, &mut notes),
                Family::Cohere => cohere::read_event(object, &mut notes),
            },
        }
    }

    /// How many bytes are held, beside content.
    pub fn held(&self) -> usize {
        self.usage.held()
    }

    /// Whether a stream of which all has come ended before the last event of its API, and without an error in its
    /// place: somebody cut it. Never where an API does not say when it has ended.
    pub fn is_cut(&self) -> bool {
        end::is_said(self.api) && !self.end.is_reached() && !self.end.has_failed()
    }

    /// Whether answers to this call hold what a model says, in members that are known.
    fn writes_messages(&self) -> bool {
        matches!(
            self.api,
            Api::OpenAiChat
                | Api::OpenAiCompletions
                | Api::OpenAiResponses
                | Api::AnthropicMessages
                | Api::GeminiGenerate
                | Api::GeminiStream
                | Api::CohereChat
        )
    }

    /// Whether answers to this call are text that a model writes.
    fn generates_text(&self) -> bool {
        matches!(self.api.operation(), "chat" | "text_completion" | "generate_content")
    }

    /// All has come, or will not: settles usage. `asked` is how many characters the request had;
    /// `whole` whether it came to an end that nobody cut, as far as that is known without the API's own word.
    pub fn finish(self, asked: u64, whole: bool, response: &mut v1::Response) -> Transcript {
        let tokens = |characters: u64| characters.div_ceil(CHARACTERS_PER_TOKEN);
        let seen = self.transcript.characters();
        let is_whole = self.end.is_reached() || (whole && !end::is_said(self.api) && !self.end.has_failed());
        if let Some(mut told) = self.usage.read(self.api.family(), self.generates_text()) {
            if !is_whole {
                told.source = v1::UsageSource::Partial.into();
                // Figures of the beginning say nothing of what was written since.
                if seen > 0 {
                    told.output_tokens = told.output_tokens.max(Some(tokens(seen)));
                }
            }
            // What counting tokens answers is a figure, and nothing that was used.
            if self.api.operation() == "count_tokens" {
                told = v1::Usage { source: told.source, figures: told.figures, ..Default::default() };
            }
            response.usage = Some(told);
        } else if seen > 0 || (!whole && self.generates_text()) {
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
