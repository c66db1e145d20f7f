//! Collects what the families read of a response, and reads what their APIs have in common.

use std::collections::BTreeSet;

use weir_event::{v1, words};

use crate::api::family::reading::end::End;
use crate::api::family::reading::error::{self, Found};
use crate::api::family::reading::usage::Reported;
use crate::capture::transcript::Transcript;
use crate::json::scan::Object;
use crate::json::values::{says_something, word};

/// Longest text that a provider may put into an event beside content: ids and names; in bytes.
const TEXT_MAX: usize = 256;
/// Finish reasons of a choice, or a response, that failed.
const FAILURES: [&str; 2] = ["error", "failed"];
/// Most choices whose finish reasons are stored.
const CHOICES_MAX: usize = 128;

/// What is known so far.
pub(crate) struct Notes<'n> {
    pub(crate) response: &'n mut v1::Response,
    pub(crate) usage: &'n mut Reported,
    pub(crate) transcript: &'n mut Transcript,
    pub(crate) end: &'n mut End,
    pub(crate) seen: &'n mut Seen,
}

/// What of a stream was read, so that it is not read again where the stream repeats it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Whether anything came in pieces: what follows whole only repeats it.
    pub(crate) has_begun: bool,
    /// The texts of open items: their item, their place in it, and whether they are reasoning.
    pub(crate) texts: BTreeSet<(u64, u64, bool)>,
}

impl Notes<'_> {
    /// Reads what the responses of most APIs have in common. Later figures replace earlier ones.
    pub(crate) fn common(&mut self, object: &Object<'_>) {
        self.identity(object);
        self.usage.read_members(object);
        self.error_of(object);
    }

    /// Reads who responded.
    pub(crate) fn identity(&mut self, object: &Object<'_>) {
        self.set(|response| &mut response.id, object, "id");
        self.set(|response| &mut response.model, object, "model");
        self.set(|response| &mut response.system_fingerprint, object, "system_fingerprint");
        self.set(|response| &mut response.service_tier, object, "service_tier");
    }

    /// Sets a field of the response to a member, unless that is empty.
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

    /// Reads the error that a response reports, also in a stream that began well.
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
            // No status reports it.
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

/// A string member that is one name or id, cut to [`TEXT_MAX`] bytes; empty where it is a sentence.
fn text(object: &Object<'_>, key: &str) -> String {
    let value = object.text(key);
    let value = value.get(..value.floor_char_boundary(TEXT_MAX)).unwrap_or_default();
    if words::is_id(value) || words::is_model(value) { value.to_owned() } else { String::new() }
}
