//! What callers receive of responses: masked or refused where something must not be returned, and with
//! their own values again where the model repeats their placeholders.
//!
//! A response in one piece is held until it is whole ([`whole`]); a stream is rewritten as it flows
//! ([`stream`]), text by text ([`channel`]), by what each API streams ([`pieces`]). What cannot be
//! searched is not returned, unless it may pass; where values are only restored, it passes as it is.
//! What was not changed stays byte for byte as it was. The values live as long as the request.

pub mod channel;
pub mod stream;
pub mod whole;

use std::borrow::Cow;
use std::ops::Range;
use std::rc::Rc;

use weir_event::v1;

use crate::api::Api;
use crate::capture::budget::{Budget, BudgetPermit, RESPONSE_COPIES};
use crate::redact::{Counts, Edit, Replacement, Restorer, ReturnedPolicy, Search, Unreadable};
use crate::redaction::Redaction;
use crate::refusal::Refusal;
use crate::response::framing::form::Form;

/// What becomes of the response to one request.
#[derive(Debug)]
pub struct ResponseRedaction {
    engine: Rc<Redaction>,
    policy: ReturnedPolicy,
    restorer: Option<Restorer>,
    api: Api,
    found: Counts,
    restored: Counts,
    /// Where memory is reserved while something is rewritten.
    permit: BudgetPermit,
}

/// Why a response does not go on.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Stopped {
    /// It holds what is refused.
    Blocked(Refusal),
    /// It cannot be searched.
    Unreadable,
}

impl ResponseRedaction {
    /// What is to be done with a response to a call of this API; `None` where nothing is.
    pub fn new(
        redaction: &Rc<Redaction>,
        policy: ReturnedPolicy,
        restorer: Option<Restorer>,
        api: Api,
    ) -> Option<Self> {
        let is_needed = !policy.actions.is_off() || restorer.is_some();
        is_needed.then(|| Self {
            engine: Rc::clone(redaction),
            policy,
            restorer,
            api,
            found: Counts::default(),
            restored: Counts::default(),
            permit: BudgetPermit::default(),
        })
    }

    /// Within this memory, which is reserved while something is rewritten.
    #[must_use]
    pub fn within(self, memory: &Rc<Budget>) -> Self {
        Self { permit: BudgetPermit::new(memory), ..self }
    }

    /// Reserves memory to rewrite so many bytes; the refusal goes out where there is none.
    fn reserve(&self, bytes: usize) -> Result<BudgetPermit, Refusal> {
        let mut permit = self.permit.another();
        let is_there = permit.take(bytes.saturating_mul(RESPONSE_COPIES));
        is_there.then_some(permit).ok_or_else(Refusal::response_out_of_memory)
    }

    /// Bytes allocated for the values that are restored.
    pub fn allocated(&self) -> usize {
        self.restorer.as_ref().map_or(0, Restorer::allocated)
    }

    /// The API of the response.
    pub fn api(&self) -> Api {
        self.api
    }

    /// How a response that comes in this form can be searched.
    pub fn readable(&self, form: Form) -> Form {
        // Which texts of an unknown stream belong together is not known either.
        if self.api.is_passthrough() && form.is_stream() { Form::Unknown } else { form }
    }

    /// What goes out instead of a response that cannot be searched; `None` where it passes as it is.
    pub fn unreadable(&self) -> Option<Refusal> {
        let refuses = !self.policy.actions.is_off() && self.policy.on_unreadable == Unreadable::Refuse;
        refuses.then(Refusal::response_unreadable)
    }

    /// What was found and restored, as events report it.
    fn report(&self) -> Vec<v1::Redaction> {
        let mut report = self.engine.reported(&self.found, v1::RedactedFor::Caller);
        report.extend(self.engine.reported(&self.restored, v1::RedactedFor::Restored));
        report
    }

    fn replacement(&self) -> Replacement {
        self.engine.replacement(self.policy.actions.replacement)
    }

    /// Notes what was found, and whether it stops the response.
    fn note(&mut self, counts: &Counts) -> Result<(), Stopped> {
        self.found.merge(counts);
        match self.engine.blocked(&self.policy.actions, counts) {
            Some(names) => Err(Stopped::Blocked(Refusal::response_blocked(&names))),
            None => Ok(()),
        }
    }

    /// Rewrites a JSON text. `texts` are strings of it that were rewritten already, in order; the bytes of
    /// `without` go.
    fn json<'t>(
        &mut self,
        text: &'t str,
        texts: Vec<Edit>,
        without: Option<Range<usize>>,
    ) -> Result<Cow<'t, str>, Stopped> {
        let except: Vec<usize> = texts.iter().map(|edit| edit.range.start).collect();
        let mut edits = Vec::new();
        if !self.policy.actions.is_off() {
            let search = Search {
                detectors: self.engine.detectors(),
                set: self.policy.actions.all(),
                strict: self.policy.actions.block,
                fields: self.api.family().response_fields,
                except: &except,
                is_cut: false,
            };
            let found = search.edits(text, &mut self.replacement());
            let (changes, counts) = found.map_err(|_| Stopped::Unreadable)?;
            self.note(&counts)?;
            edits = changes;
        }
        edits.extend(without.map(|range| Edit { range, text: String::new() }));
        let (text, except) = apply(text, edits, texts);
        let Some(restorer) = &self.restorer else { return Ok(text) };
        Ok(match restorer.restore_json(&text, &except, &mut self.restored) {
            Cow::Owned(restored) => Cow::Owned(restored),
            Cow::Borrowed(_) => text,
        })
    }
}

/// Makes changes to a text: `edits`, and `texts`, whose places in the result are given too. Each are in
/// order, and none lies within another.
fn apply(text: &str, edits: Vec<Edit>, texts: Vec<Edit>) -> (Cow<'_, str>, Vec<usize>) {
    let is_same =
        edits.is_empty() && texts.iter().all(|edit| text.get(edit.range.clone()) == Some(edit.text.as_str()));
    if is_same {
        return (Cow::Borrowed(text), texts.into_iter().map(|edit| edit.range.start).collect());
    }
    let mut all: Vec<(Edit, bool)> = edits.into_iter().map(|edit| (edit, false)).collect();
    all.extend(texts.into_iter().map(|edit| (edit, true)));
    all.sort_by_key(|(edit, _)| edit.range.start);
    let (mut out, mut places, mut at) = (String::with_capacity(text.len() + 64), Vec::new(), 0);
    for (edit, is_text) in all {
        out.push_str(text.get(at..edit.range.start).unwrap_or_default());
        if is_text {
            places.push(out.len());
        }
        out.push_str(&edit.text);
        at = edit.range.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    (Cow::Owned(out), places)
}
