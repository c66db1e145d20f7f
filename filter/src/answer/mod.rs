//! What the gateway reads of a provider's answer, whatever the API: who answered, how it ended, what
//! it cost in tokens, and what was said.
//!
//! One [`Answer`] reads one response, in one piece or event by event. It is tolerant: what is missing
//! or of another type is not known. What it holds is bounded. Each API has a file of its own; what
//! they have in common is in [`Notes`].

mod anthropic;
mod cohere;
mod gemini;
mod openai;
mod responses;
mod says;
mod transcript;
mod usage;

use weir_event::v1;

use says::says_something;

pub use transcript::Transcript;

use crate::api::{Api, Family};
use crate::json::{Kind, Object, Value};

/// Longest text that a provider may put into an event beside content: ids, names, codes; in bytes.
const TEXT_MAX: usize = 256;
/// Most choices whose finish reasons are kept.
const CHOICES_MAX: usize = 128;
/// The data of the last event of OpenAI's streams.
const DONE: &[u8] = b"[DONE]";
/// How many characters make a token where nobody has counted (OpenAI, "What are tokens").
const CHARACTERS_PER_TOKEN: u64 = 4;

/// A response that is being read.
#[derive(Debug)]
pub struct Answer {
    api: Api,
    usage: usage::Told,
    transcript: Transcript,
    gemini: gemini::State,
}

/// Where the readers of the APIs put what they find.
struct Notes<'n> {
    response: &'n mut v1::Response,
    usage: &'n mut usage::Told,
    transcript: &'n mut Transcript,
}

impl Answer {
    /// A response to a call of this API; a stream's content goes into `transcript`.
    pub fn new(api: Api, transcript: Transcript) -> Self {
        Self { api, usage: usage::Told::default(), transcript, gemini: gemini::State::default() }
    }

    /// Reads a response in one piece into the event. `false` where it is no object.
    pub fn read(&mut self, body: &[u8], response: &mut v1::Response) -> bool {
        let Ok(object) = Object::parse(body) else { return false };
        if self.api.operation() == "count_tokens" {
            self.usage.read_object("", &object);
        }
        let mut notes = Notes { response, usage: &mut self.usage, transcript: &mut self.transcript };
        match self.api {
            Api::OpenAiChat | Api::OpenAiCompletions => {
                openai::read(&object, &mut notes);
            }
            _ => match self.api.family() {
                Family::OpenAi => responses::read(&object, &mut notes),
                Family::Anthropic => anthropic::read(&object, &mut notes),
                Family::Gemini => {
                    gemini::read(&object, &mut self.gemini, &mut notes);
                }
                Family::Cohere => cohere::read(&object, &mut notes),
            },
        }
        true
    }

    /// Reads the data of one event of a stream into the event. Returns whether it brought a token.
    pub fn read_event(&mut self, data: &[u8], response: &mut v1::Response) -> bool {
        if data == DONE {
            return false;
        }
        response.chunks = response.chunks.saturating_add(1);
        let Ok(object) = Object::parse(data) else {
            response.unread = true;
            return false;
        };
        let mut notes = Notes { response, usage: &mut self.usage, transcript: &mut self.transcript };
        match self.api {
            Api::OpenAiChat | Api::OpenAiCompletions => openai::read(&object, &mut notes),
            _ => match self.api.family() {
                Family::OpenAi => responses::read_event(&object, &mut notes),
                Family::Anthropic => anthropic::read_event(&object, &mut notes),
                Family::Gemini => gemini::read(&object, &mut self.gemini, &mut notes),
                Family::Cohere => cohere::read_event(&object, &mut notes),
            },
        }
    }

    /// How many bytes are held, beside content.
    pub fn held(&self) -> usize {
        self.usage.held()
    }

    /// Whether answers to this call are text that a model writes.
    fn generates_text(&self) -> bool {
        matches!(self.api.operation(), "chat" | "text_completion" | "generate_content")
    }

    /// All has come, or will not: settles usage. `asked` is how many characters the request had;
    /// `whole` whether the response came to its end.
    pub fn finish(self, asked: u64, whole: bool, response: &mut v1::Response) -> Transcript {
        if let Some(mut told) = self.usage.read(self.api.family(), self.generates_text()) {
            if !whole {
                told.source = v1::UsageSource::Partial.into();
            }
            // What counting tokens answers is a figure, and nothing that was used.
            if self.api.operation() == "count_tokens" {
                told = v1::Usage { source: told.source, figures: told.figures, ..Default::default() };
            }
            response.usage = Some(told);
        } else if self.transcript.characters() > 0 || (!whole && self.generates_text()) {
            let tokens = |characters: u64| Some(characters.div_ceil(CHARACTERS_PER_TOKEN));
            response.usage = Some(v1::Usage {
                source: v1::UsageSource::Estimated.into(),
                input_tokens: tokens(asked),
                output_tokens: tokens(self.transcript.characters()),
                ..Default::default()
            });
        }
        if let Some(usage) = &mut response.usage {
            self.usage.price_into(usage);
        }
        self.transcript
    }
}

impl Notes<'_> {
    /// What the answers of most APIs have in common. Later figures stand for earlier ones.
    fn common(&mut self, object: &Object<'_>) {
        self.identity(object);
        self.usage.read_members(object);
        self.error_of(object);
    }

    /// Who answered.
    fn identity(&mut self, object: &Object<'_>) {
        self.set(|response| &mut response.id, object, "id");
        self.set(|response| &mut response.model, object, "model");
        self.set(|response| &mut response.system_fingerprint, object, "system_fingerprint");
        self.set(|response| &mut response.service_tier, object, "service_tier");
    }

    fn set(&mut self, field: impl FnOnce(&mut v1::Response) -> &mut String, object: &Object<'_>, key: &str) {
        let value = text(object, key);
        if !value.is_empty() {
            *field(self.response) = value;
        }
    }

    /// The error that stands in an answer, also in a stream that began well.
    fn error_of(&mut self, object: &Object<'_>) {
        if let Some(error) = object.get("error").and_then(|error| error.as_object()) {
            self.error(&error, error.get("message"));
        }
    }

    fn error(&mut self, error: &Object<'_>, message: Option<Value<'_>>) {
        // OpenAI's and Azure's code, the type of theirs and Anthropic's, Gemini's status.
        let found = ["code", "type", "status"].into_iter().map(|key| text(error, key));
        let named = found.into_iter().find(|value| !value.is_empty() && value != "error");
        if let Some(named) = named {
            self.response.error_type = named;
        } else if self.response.status < 400 && self.response.error_type.is_empty() {
            // No status tells of it.
            "error".clone_into(&mut self.response.error_type);
        }
        if let Some(message) = message {
            self.transcript.error_message(&message);
        }
    }

    fn finish_reason(&mut self, choice: u64, object: &Object<'_>, key: &str) {
        let reason = text(object, key);
        let Some(index) = usize::try_from(choice).ok().filter(|index| *index < CHOICES_MAX) else { return };
        if reason.is_empty() {
            return;
        }
        let reasons = &mut self.response.finish_reasons;
        if reasons.len() <= index {
            reasons.resize(index + 1, String::new());
        }
        if let Some(slot) = reasons.get_mut(index) {
            *slot = reason;
        }
    }
}

/// The objects of a list.
fn objects<'a>(value: Option<Value<'a>>) -> impl Iterator<Item = Object<'a>> + use<'a> {
    let elements = value.filter(|value| value.kind == Kind::Array).and_then(|value| value.as_array());
    elements.unwrap_or_default().into_iter().filter_map(|element| element.as_object())
}

/// A string member of at most [`TEXT_MAX`] bytes; a longer one is cut at a character.
fn text(object: &Object<'_>, key: &str) -> String {
    let value = object.text(key);
    let end = value.floor_char_boundary(TEXT_MAX);
    value.get(..end).unwrap_or_default().to_owned()
}
