//! Rewriting of a response in one piece, once it is whole.

use std::borrow::Cow;

use serde::de::IgnoredAny;
use weir_event::v1;

use crate::redact::Counts;
use crate::refusal::Refusal;
use crate::response::framing::form::Form;
use crate::response::redact::{ResponseRedaction, Stopped};

/// A response that is held until it is whole.
#[derive(Debug)]
pub struct Whole {
    redaction: ResponseRedaction,
    is_text: bool,
}

/// What goes on to the caller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The body as it is.
    Same,
    /// This body.
    Changed(Vec<u8>),
    /// This, instead of the response.
    Refused(Refusal),
}

impl Whole {
    /// One that comes in this form.
    pub fn new(redaction: ResponseRedaction, form: Form) -> Self {
        Self { redaction, is_text: form == Form::Text }
    }

    /// What goes out instead of a response that is larger than is held; `None` where it passes as it is.
    pub fn too_large(&self) -> Option<Refusal> {
        self.redaction.unreadable()
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
            Err(Stopped::Unreadable) => self.redaction.unreadable().map_or(Outcome::Same, Outcome::Refused),
        }
    }

    /// What was found and restored.
    pub fn report(&self) -> Vec<v1::Redaction> {
        self.redaction.report()
    }

    fn json<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, Stopped> {
        serde_json::from_str::<IgnoredAny>(text).map_err(|_| Stopped::Unreadable)?;
        self.redaction.json(text, Vec::new(), None)
    }

    fn text<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, Stopped> {
        let (mut counts, set) = (Counts::default(), self.redaction.policy.actions.all());
        let mut replacement = self.redaction.replacement();
        let detectors = self.redaction.engine.detectors();
        let redacted = detectors.redact(set, text, &mut replacement, &mut counts);
        self.redaction.note(&counts)?;
        let Some(restorer) = &self.redaction.restorer else { return Ok(redacted) };
        Ok(match restorer.restore(&redacted, &mut self.redaction.restored) {
            Cow::Owned(restored) => Cow::Owned(restored),
            Cow::Borrowed(_) => redacted,
        })
    }
}
