//! The captured content of a request.
//!
//! While the request is in progress, its body and its response are held unchanged, within the VM's budget. They
//! are truncated, and freed of binary data, when it is over and nobody waits.

use std::fmt;
use std::rc::Rc;

use weir_event::{disclosure, v1};

use crate::capture::budget::{Budget, BudgetPermit};
use crate::capture::transcript::Transcript;
use crate::config::Capture;
use crate::json::truncate::pieces::{LONG, Pieces};
use crate::json::truncate::{Abridged, Limits, abridge};
use crate::redact::{Counts, now};
use crate::redaction::Export;
use crate::response::reader::{Destination, Read};

/// Longest response in one piece that is held unchanged; of a longer one, small values are still read.
const WHOLE_MAX: usize = 64 << 10;
/// How far beyond the limits a body is searched, in bytes, so that a match that begins within them is found
/// whole. What is not exported is not searched.
const BEYOND: usize = 2 << 10;
/// How many strings of maximal length fit into a body's limit.
const LONG_STRINGS: usize = 4;

/// The content of one request.
#[derive(Default)]
pub struct Content {
    capture: v1::Capture,
    export: Option<Export>,
    limit: usize,
    #[allow(dead_code, reason = "returns its bytes when it is dropped")]
    permit: Option<BudgetPermit>,
    request: Vec<u8>,
    /// The captured request body was truncated before.
    is_cut: bool,
    /// No longer captured: only the caller's metadata is redacted for export.
    is_withheld: bool,
    /// Characters in the request's texts, to estimate its tokens.
    pub characters: u64,
}

impl fmt::Debug for Content {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Content").field("capture", &self.capture).finish_non_exhaustive()
    }
}

impl Content {
    /// For a request of which nothing was forwarded yet, or which passes unread: without content, but its
    /// metadata is still redacted.
    pub fn none(export: Option<Export>) -> Self {
        Self { export, is_withheld: true, ..Self::default() }
    }

    /// Captures the body of a request that is forwarded, if the policy and the budget allow it.
    pub fn begin(
        capture: &Capture,
        export: Option<Export>,
        budget: &Rc<Budget>,
        body: Vec<u8>,
        characters: u64,
    ) -> Self {
        let limit = capture.limit;
        let Some(export) = export.as_ref().filter(|export| export.exports_content()).cloned() else {
            return Self { capture: v1::Capture::Excluded, characters, ..Self::none(export) };
        };
        let mut permit = BudgetPermit::new(budget);
        if !permit.take(body.len()) {
            // The metadata is exported anyway, so it is still redacted.
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

    /// Marks the body as truncated before.
    #[must_use]
    pub fn of_short(self, is_cut: bool) -> Self {
        Self { is_cut, ..self }
    }

    /// Drops everything captured.
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

    /// Where what is read of the response goes.
    pub fn destination(&self, budget: &Rc<Budget>) -> Destination {
        let (limit, whole) = (self.limit, pieces(self.limit, self.captures()));
        match self.captures() {
            true => Destination {
                transcript: Transcript::capturing(limit, BudgetPermit::new(budget)),
                whole,
                long_messages: Limits { string: limit, total: limit },
            },
            false => Destination { transcript: Transcript::counting(), whole, long_messages: LONG },
        }
    }

    /// Drops everything captured, since too much else waits to be redacted.
    pub fn make_way(&mut self) {
        if self.captures() {
            self.withhold();
            self.capture = v1::Capture::NoRoom;
        }
    }

    /// Puts the content that was captured, and `read` of the response, into the event, redacts what callers and
    /// providers wrote beside it, slice by slice, and reports the matches. No content if no request was forwarded;
    /// what is reported without content is reduced to what may be.
    pub async fn finish(self, read: Read, event: &mut v1::TraceEvent) {
        let is_reported = self.capture != v1::Capture::Unspecified;
        let (content, found) = self.redacted(read, event).await;
        event.content = is_reported.then_some(content);
        event.redactions.extend(found);
        if !disclosure::has_content(event) {
            disclosure::without_content(event);
        }
    }

    async fn redacted(self, read: Read, event: &mut v1::TraceEvent) -> (v1::Content, Vec<v1::Redaction>) {
        let mut content = v1::Content { capture: self.capture.into(), ..Default::default() };
        let Some(export) = &self.export else {
            return (content, Vec::new());
        };
        let read = if self.is_withheld { Read::default() } else { read };
        let mut counts = Counts::default();
        let limits = limits(self.limit);
        if let Some(Abridged { json, shortened }) =
            exportable(&self.request, self.is_cut, limits, async |body, is_cut| {
                export.request(body, is_cut, &mut counts).await
            })
            .await
        {
            content.request = json.into();
            content.request_shortened = shortened;
        }
        if let Some((body, was_shortened)) = read.body
            && let Some(Abridged { json, shortened }) =
                exportable(&body, was_shortened, limits, async |body, is_cut| {
                    export.response(body, is_cut, &mut counts).await
                })
                .await
        {
            content.response = json.into();
            content.response_shortened = was_shortened || shortened;
        }
        let (mut outputs, mut error_message, shortened) = read.transcript.finish();
        for output in &mut outputs {
            redact_output(export, output, shortened, &mut counts).await;
        }
        export.text(&mut error_message, shortened, &mut counts).await;
        // A request's metadata may say as much about people as its content, and so may a provider's words.
        if let Some(caller) = &mut event.caller {
            for text in [&mut caller.conversation_id, &mut caller.user] {
                export.text(text, false, &mut counts).await;
            }
            export.entries(&mut caller.metadata, &mut counts).await;
        }
        // These are short.
        disclosure::redact_written(event, |text| now(export.text(text, false, &mut counts)));
        content.response_shortened |= shortened;
        content.outputs = outputs;
        content.error_message = error_message;
        let found = export.reported(&counts);
        (content, found)
    }
}

/// Redacts every text of an output. Names, ids and types are complete even if texts were truncated.
async fn redact_output(export: &Export, output: &mut v1::Output, shortened: bool, counts: &mut Counts) {
    let v1::Output { index: _, text, refusal, reasoning, tool_calls, parts } = output;
    for text in [text, refusal, reasoning] {
        export.text(text, shortened, counts).await;
    }
    for v1::ToolCall { index: _, id, name, arguments, r#type } in tool_calls {
        for word in [id, name, r#type] {
            export.text(word, false, counts).await;
        }
        export.arguments(arguments, shortened, counts).await;
    }
    for v1::Part { r#type, json } in parts {
        export.text(r#type, false, counts).await;
        export.arguments(json, shortened, counts).await;
    }
}

/// A buffer for a body that passes, limited to so much, or to small values alone.
pub fn pieces(limit: usize, captures: bool) -> Pieces {
    Pieces::new(WHOLE_MAX, if captures { limits(limit) } else { LONG })
}

fn limits(total: usize) -> Limits {
    Limits { string: total / LONG_STRINGS, total }
}

/// Returns a body as it may be exported; `None` if it is not JSON. `was_shortened`: whether it was truncated
/// before.
///
/// Binary data is removed first, so that it is not searched; then the rest is redacted, some way beyond the
/// limits, so that no match is cut in two; then it is truncated.
async fn exportable(
    body: &[u8],
    was_shortened: bool,
    limits: Limits,
    redact: impl AsyncFnOnce(Vec<u8>, bool) -> Option<Vec<u8>>,
) -> Option<Abridged> {
    let searched = Limits { string: limits.string + BEYOND, total: limits.total + BEYOND };
    let Abridged { json, shortened: before } = abridge(body, searched)?;
    let before = before || was_shortened;
    let json = redact(crate::json::blob::without_data_urls(&json).unwrap_or(json), before).await?;
    if json.len() <= limits.string {
        return Some(Abridged { json, shortened: before });
    }
    let Abridged { json, shortened } = abridge(&json, limits)?;
    Some(Abridged { json, shortened: before || shortened })
}
