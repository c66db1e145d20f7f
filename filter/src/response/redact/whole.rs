//! Rewriting of a response in one piece, once it is whole.

use std::borrow::Cow;
use std::ops::Range;

use serde::de::IgnoredAny;
use weir_event::v1;

use crate::capture::budget::BudgetPermit;
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

    /// Reserves memory to take and rewrite a body of so many bytes; the refusal goes out where there is none.
    pub fn reserve(&self, bytes: usize) -> Result<BudgetPermit, Refusal> {
        self.redaction.reserve(bytes)
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

    /// Rewrites a text. Servers call JSON a text too, and its readers decode what is escaped in it: so JSON that it is,
    /// or that a line of it is, is rewritten as that.
    fn text<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, Stopped> {
        let (mut out, mut changed) = (String::new(), false);
        let pieces = pieces(text);
        if let [(piece, false)] = pieces.as_slice() {
            return self.plain(piece);
        }
        for (piece, is_json) in pieces {
            let rewritten =
                if is_json { self.redaction.json(piece, Vec::new(), None)? } else { self.plain(piece)? };
            changed |= matches!(rewritten, Cow::Owned(_));
            out.push_str(&rewritten);
        }
        Ok(if changed { Cow::Owned(out) } else { Cow::Borrowed(text) })
    }

    fn plain<'t>(&mut self, text: &'t str) -> Result<Cow<'t, str>, Stopped> {
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

/// A text in pieces, in order, with whether each is JSON: the whole, or lines of it, also behind `data:`.
fn pieces(text: &str) -> Vec<(&str, bool)> {
    let mut pieces = Vec::new();
    let mut from = 0;
    let mut add = |json: Range<usize>| {
        pieces.push((text.get(from..json.start).unwrap_or_default(), false));
        pieces.push((text.get(json.clone()).unwrap_or_default(), true));
        from = json.end;
    };
    if let Some(whole) = json(text) {
        add(whole);
    } else {
        let mut start = 0;
        for line in text.split_inclusive('\n') {
            if let Some(range) = json(line) {
                add(start + range.start..start + range.end);
            }
            start += line.len();
        }
    }
    pieces.push((text.get(from..).unwrap_or_default(), false));
    pieces.retain(|(piece, _)| !piece.is_empty());
    pieces
}

/// Where the JSON object or array is that a text is, but for what may stand around it.
fn json(text: &str) -> Option<Range<usize>> {
    let start = text.find(['{', '['])?;
    let before = text.get(..start)?.trim_start_matches('\u{feff}').trim();
    let end = text.trim_end().len();
    let inner = text.get(start..end).filter(|_| matches!(before, "" | "data:"))?;
    serde_json::from_str::<IgnoredAny>(inner).ok()?;
    Some(start..end)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_json_or_has_lines_of_it_is_taken_apart_and_no_byte_is_lost() {
        for (text, expected) in [
            ("\u{feff} {\"a\":\n1}\n", &["{\"a\":\n1}"][..]),
            ("x\ndata: {\"a\":1}\r\n\ndata:[2]\n\ndata: [DONE]\n", &["{\"a\":1}", "[2]"]),
            ("{\"a\":1}\n{\"b\":2}", &["{\"a\":1}", "{\"b\":2}"]),
            ("[Music] hello {you}", &[]),
            ("say {\"a\":1}", &[]),
            ("", &[]),
        ] {
            let pieces = pieces(text);
            let found: Vec<_> =
                pieces.iter().filter(|(_, is_json)| *is_json).map(|(piece, _)| *piece).collect();
            assert_eq!(found, expected, "{text}");
            assert_eq!(pieces.iter().map(|(piece, _)| *piece).collect::<String>(), text);
        }
    }
}
