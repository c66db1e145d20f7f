//! Where the readers of the APIs put what they find, and what they have in common.

use weir_event::v1;

use crate::api::reading::Transcript;
use crate::api::reading::end::End;
use crate::api::reading::error;
use crate::api::reading::error::Found;
use crate::api::reading::{says_something, usage};
use crate::json::scan::{Kind, Object, Value};

/// Longest text that a provider may put into an event beside content: ids and names; in bytes.
const TEXT_MAX: usize = 256;
/// Longest word, such as an error's type or a finish reason, in bytes.
const WORD_MAX: usize = 64;
/// Reasons that say that a choice, or a response, broke down.
const FAILURES: [&str; 2] = ["error", "failed"];
/// Most choices whose finish reasons are kept.
const CHOICES_MAX: usize = 128;

/// What is known so far.
pub(crate) struct Notes<'n> {
    pub(crate) response: &'n mut v1::Response,
    pub(crate) usage: &'n mut usage::Told,
    pub(crate) transcript: &'n mut Transcript,
    pub(crate) end: &'n mut End,
}

impl Notes<'_> {
    /// What the answers of most APIs have in common. Later figures stand for earlier ones.
    pub(crate) fn common(&mut self, object: &Object<'_>) {
        self.identity(object);
        self.usage.read_members(object);
        self.error_of(object);
    }

    /// Who answered.
    pub(crate) fn identity(&mut self, object: &Object<'_>) {
        self.set(|response| &mut response.id, object, "id");
        self.set(|response| &mut response.model, object, "model");
        self.set(|response| &mut response.system_fingerprint, object, "system_fingerprint");
        self.set(|response| &mut response.service_tier, object, "service_tier");
    }

    pub(crate) fn set(
        &mut self,
        field: impl FnOnce(&mut v1::Response) -> &mut String,
        object: &Object<'_>,
        key: &str,
    ) {
        let value = text(object, key);
        if !value.is_empty() {
            *field(self.response) = value;
        }
    }

    /// The error that an answer tells of, also in a stream that began well.
    pub(crate) fn error_of(&mut self, object: &Object<'_>) {
        if let Some(found) = error::of(object) {
            self.error(&found);
        }
    }

    /// Notes an error.
    pub(crate) fn error(&mut self, found: &Found<'_>) {
        self.end.fail();
        if !found.name.is_empty() {
            self.response.error_type.clone_from(&found.name);
        } else if self.response.status < 400 && self.response.error_type.is_empty() {
            // No status tells of it.
            "error".clone_into(&mut self.response.error_type);
        }
        if let Some(message) = &found.message {
            self.transcript.error_message(message);
        }
    }

    /// Notes why a choice has ended. Returns whether that is said. One that broke down is an error, also where
    /// nothing else says so.
    pub(crate) fn finish_reason(&mut self, choice: u64, object: &Object<'_>, key: &str) -> bool {
        let reason = object.get(key).map(|reason| word(&reason)).unwrap_or_default();
        if reason.is_empty() {
            return false;
        }
        if FAILURES.iter().any(|failure| reason.eq_ignore_ascii_case(failure)) {
            self.error(&Found::default());
        }
        let Some(index) = usize::try_from(choice).ok().filter(|index| *index < CHOICES_MAX) else {
            return true;
        };
        let reasons = &mut self.response.finish_reasons;
        if reasons.len() <= index {
            reasons.resize(index + 1, String::new());
        }
        if let Some(slot) = reasons.get_mut(index) {
            *slot = reason;
        }
        true
    }

    /// The same where the finish reasons of all choices are the end of a stream, whatever they say. That a choice
    /// broke down is none.
    pub(crate) fn last_of_choice(&mut self, choice: u64, object: &Object<'_>, key: &str) {
        self.end.begin_choice(choice);
        self.finish_reason(choice, object, key);
        if object.get(key).is_some_and(|reason| says_something(&reason)) {
            self.end.end_choice(choice);
        }
    }
}

/// The objects of a list.
pub(crate) fn objects<'a>(value: Option<Value<'a>>) -> impl Iterator<Item = Object<'a>> + use<'a> {
    let elements = value.filter(|value| value.kind == Kind::Array).and_then(|value| value.as_array());
    elements.unwrap_or_default().into_iter().filter_map(|element| element.as_object())
}

/// A word; empty where a value is none. Anything else that stands where a word should would be somebody's own
/// words, and has no place beside content.
pub(crate) fn word(value: &Value<'_>) -> String {
    let is_word = |text: &str| text.len() <= WORD_MAX && text.bytes().all(|byte| byte.is_ascii_graphic());
    value.as_str().filter(|text| is_word(text)).map(std::borrow::Cow::into_owned).unwrap_or_default()
}

/// A string member that is one name or id, cut to [`TEXT_MAX`] bytes; empty where it is a sentence.
fn text(object: &Object<'_>, key: &str) -> String {
    let value = object.text(key);
    if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        return String::new();
    }
    value.get(..value.len().min(TEXT_MAX)).unwrap_or_default().to_owned()
}
