//! Rewriting of an answer in one piece, once it is whole.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use weir_event::v1;

use crate::redact::Counts;
use crate::refusal::Refusal;
use crate::response::framing::form::Form;
use crate::response::redact::{Returning, Stopped};

/// An answer that is held until it is whole.
#[derive(Debug)]
pub struct Whole {
    returning: Returning,
    is_text: bool,
}

/// What goes on to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The body as it is.
    Same,
    /// This body.
    Changed(Vec<u8>),
    /// This, instead of the answer.
    Refused(Refusal),
}

impl Whole {
    /// One that comes in this form.
    pub fn new(returning: Returning, form: Form) -> Self {
        Self { returning, is_text: form == Form::Text }
    }

    /// What goes out instead of an answer that is larger than is held; `None` where it passes as it is.
    pub fn too_large(&self) -> Option<Refusal> {
        self.returning.unreadable()
    }

    /// Rewrites the whole body.
    pub fn rewrite(&mut self, body: &[u8]) -> Outcome {
        if body.is_empty() {
            return Outcome::Same;
        }
        let rewritten = std::str::from_utf8(body)
            .map_err(|_| Stopped::Unreadable)
            .and_then(|text| if self.is_text { self.text(text) } else { self.json(text) });
        match rewritten {
            Ok(Cow::Borrowed(_)) => Outcome::Same,
            Ok(Cow::Owned(text)) => Outcome::Changed(text.into_bytes()),
            Err(Stopped::Blocked(refusal)) => Outcome::Refused(refusal),
            Err(Stopped::Unreadable) => self.returning.unreadable().map_or(Outcome::Same, Outcome::Refused),
        }
    }

    /// What was found and restored.
    pub fn told(&self) -> Vec<v1::Redaction> {
        self.returning.told()
    }

    fn json<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, Stopped> {
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| Stopped::Unreadable)?;
        self.returning.json(text, Vec::new(), None)
    }

    fn text<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, Stopped> {
        let (mut counts, set) = (Counts::default(), self.returning.policy.actions.all());
        let mut replacement = self.returning.replacement();
        let detectors = self.returning.redaction.detectors();
        let redacted = detectors.redact(set, text, &mut replacement, &mut counts);
        self.returning.note(&counts)?;
        let Some(restorer) = &self.returning.restorer else { return Ok(redacted) };
        Ok(match restorer.restore(&redacted, &mut self.returning.restored) {
            Cow::Owned(restored) => Cow::Owned(restored),
            Cow::Borrowed(_) => redacted,
        })
    }
}
