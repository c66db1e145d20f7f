//! What of a request's content is captured for its event.
//!
//! While the request is under way, its body and its response are held as they are, within the VM's
//! budget; they are made short, and freed of binary data, when all is over and nobody waits.

use std::fmt;
use std::rc::Rc;

use weir_event::v1;

use crate::api::reading::Transcript;
use crate::capture::budget::{Budget, BudgetPermit};
use crate::config::Capture;
use crate::json::truncate::pieces::{LONG, Pieces};
use crate::json::truncate::{Abridged, Limits, abridge};
use crate::redact::Counts;
use crate::redaction::Export;
use crate::response::reader::{Destination, Read};

/// Most bytes of a response in one piece that are held as they are; of a longer one what is small is
/// read all the same.
const WHOLE_MAX: usize = 64 << 10;
/// How far beyond the limits a body is searched, in bytes: what begins within them and is longer is left
/// out by where it begins. What is not exported is not searched.
const BEYOND: usize = 2 << 10;
/// How many strings of the longest length fit into the limit of a body.
const LONG_STRINGS: usize = 4;

/// The content of one request.
#[derive(Default)]
pub struct Content {
    capture: v1::Capture,
    export: Option<Export>,
    limit: usize,
    #[allow(dead_code, reason = "gives its permit back when it is dropped")]
    permit: Option<BudgetPermit>,
    request: Vec<u8>,
    /// What was captured of the request was made short before.
    is_cut: bool,
    /// It is captured no more: only what the caller said about its request is made fit for export.
    is_withheld: bool,
    /// How many characters the request's texts have, for an estimate of its tokens.
    pub characters: u64,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("capture", &self.capture).finish_non_exhaustive()
    }
}

impl Content {
    /// Of a request of which nothing is let go yet, or that passes unread: there is no content, and what the
    /// caller says beside it is made fit for export all the same.
    pub fn none(export: Option<Export>) -> Self {
        Self { export, is_withheld: true, ..Self::default() }
    }

    /// Captures the body of a request that is let go, if content is captured and there is permit.
    pub fn begin(
        capture: &Capture,
        export: Option<Export>,
        budget: &Rc<Budget>,
        body: Vec<u8>,
        characters: u64,
    ) -> Self {
        let limit = capture.limit;
        let Some(export) = export.as_ref().filter(|export| export.is_exported()).cloned() else {
            return Self { capture: v1::Capture::Excluded, characters, ..Self::none(export) };
        };
        let mut permit = BudgetPermit::new(budget);
        if !permit.take(body.len()) {
            // What the caller says beside it is exported all the same, so it is still redacted.
            return Self { capture: v1::Capture::NoRoom, limit, characters, ..Self::none(Some(export)) };
        }
        let capture = if export.redacts() { v1::Capture::Redacted } else { v1::Capture::Kept };
        Self {
            capture,
            export: Some(export),
            limit,
            permit: Some(permit),
            request: body,
            is_cut: false,
            is_withheld: false,
            characters,
        }
    }

    /// The same where the body that it began with was made short before.
    #[must_use]
    pub fn of_short(self, is_cut: bool) -> Self {
        Self { is_cut, ..self }
    }

    /// Drops what was captured.
    pub fn withhold(&mut self) {
        if self.captures() {
            self.capture = v1::Capture::Excluded;
            self.request = Vec::new();
            self.permit = None;
            self.is_withheld = true;
        }
    }

    /// Whether what comes back is captured.
    fn captures(&self) -> bool {
        self.export.is_some() && !self.is_withheld
    }

    /// Where what comes back goes.
    pub fn destination(&self, budget: &Rc<Budget>) -> Destination {
        let (limit, whole) = (self.limit, pieces(self.limit, self.captures()));
        match self.captures() {
            true => Destination {
                transcript: Transcript::keeping(limit, BudgetPermit::new(budget)),
                whole,
                long_messages: Limits { string: limit, total: limit },
            },
            false => Destination { transcript: Transcript::counting(), whole, long_messages: LONG },
        }
    }

    /// All is over: what goes into the event, with what was `read` of the response, and what was found in
    /// it and in what the caller said; nothing where nothing was asked that was let go.
    pub fn finish(self, read: Read, caller: &mut v1::Caller) -> (Option<v1::Content>, Vec<v1::Redaction>) {
        let mut content = v1::Content { capture: self.capture.into(), ..Default::default() };
        let is_captured = self.capture != v1::Capture::Unspecified;
        let Some(export) = &self.export else {
            return (is_captured.then_some(content), Vec::new());
        };
        let read = if self.is_withheld { Read::default() } else { read };
        let mut counts = Counts::default();
        let limits = limits(self.limit);
        if let Some(Abridged { json, shortened }) =
            exported(&self.request, self.is_cut, limits, |body, is_cut| {
                export.request(body, is_cut, &mut counts)
            })
        {
            content.request = json.into();
            content.request_shortened = shortened;
        }
        if let Some((body, was_shortened)) = read.body
            && let Some(Abridged { json, shortened }) =
                exported(&body, was_shortened, limits, |body, is_cut| {
                    export.response(body, is_cut, &mut counts)
                })
        {
            content.response = json.into();
            content.response_shortened = was_shortened || shortened;
        }
        let (mut outputs, mut error_message, shortened) = read.transcript.finish();
        for output in &mut outputs {
            redact_output(export, output, shortened, &mut counts);
        }
        export.text(&mut error_message, shortened, &mut counts);
        // What the caller says about its request may hold as much about people as the request itself.
        for text in [&mut caller.conversation_id, &mut caller.user] {
            export.text(text, false, &mut counts);
        }
        export.entries(&mut caller.metadata, &mut counts);
        content.response_shortened |= shortened;
        content.outputs = outputs;
        content.error_message = error_message;
        let found = export.report(&counts);
        (is_captured.then_some(content), found)
    }
}

/// Makes every text of an output fit for export. Names, ids and types are words that stand there whole,
/// also where something is missing of the texts.
fn redact_output(export: &Export, output: &mut v1::Output, shortened: bool, counts: &mut Counts) {
    let v1::Output { index: _, text, refusal, reasoning, tool_calls, parts } = output;
    for text in [text, refusal, reasoning] {
        export.text(text, shortened, counts);
    }
    for v1::ToolCall { index: _, id, name, arguments, r#type } in tool_calls {
        for word in [id, name, r#type] {
            export.text(word, false, counts);
        }
        export.arguments(arguments, shortened, counts);
    }
    for v1::Part { r#type, json } in parts {
        export.text(r#type, false, counts);
        export.arguments(json, shortened, counts);
    }
}

/// Where a body is held that passes, of which so much is kept, or nothing but what is small.
pub fn pieces(limit: usize, captures: bool) -> Pieces {
    Pieces::new(WHOLE_MAX, if captures { limits(limit) } else { LONG })
}

fn limits(total: usize) -> Limits {
    Limits { string: total / LONG_STRINGS, total }
}

/// A body as it may be exported; `None` where it is no JSON. `was_shortened` says whether it is the whole.
///
/// Binary data goes first, so that it is not searched; then what is left is redacted, some way beyond the
/// limits, so that what would be found is not cut in two within them; then it is made short.
fn exported(
    body: &[u8],
    was_shortened: bool,
    limits: Limits,
    redact: impl FnOnce(Vec<u8>, bool) -> Option<Vec<u8>>,
) -> Option<Abridged> {
    let searched = Limits { string: limits.string + BEYOND, total: limits.total + BEYOND };
    let Abridged { json, shortened: before } = abridge(body, searched)?;
    let before = before || was_shortened;
    let json = redact(crate::json::blob::without_data_urls(&json).unwrap_or(json), before)?;
    if json.len() <= limits.string {
        return Some(Abridged { json, shortened: before });
    }
    let Abridged { json, shortened } = abridge(&json, limits)?;
    Some(Abridged { json, shortened: before || shortened })
}
