//! The outputs of a stream, assembled from its pieces, within a limit and the VM's budget.
//!
//! Even where content is not captured, characters are counted, to estimate usage where a provider reports none.

use std::collections::BTreeMap;

use weir_event::v1;

use crate::capture::budget::BudgetPermit;
use crate::capture::calls::{Calls, Piece, Slot};
use crate::json::blob;
use crate::json::scan::{Kind, Value};
use crate::json::truncate::pieces::RAW_MAX;
use crate::json::truncate::{ELLIPSIS, Limits, abridge, without_half_a_word};

/// Most choices captured.
const CHOICES_MAX: u64 = 128;
/// Most tool calls captured of one choice.
const TOOL_CALLS_MAX: usize = 128;
/// Most other parts captured of one choice.
const PARTS_MAX: usize = 64;
/// Cost of a choice, a tool call or a part beside its texts, in bytes.
const OVERHEAD: usize = 128;

/// The texts of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// The response.
    Text,
    /// A refusal to respond.
    Refusal,
    /// The reasoning.
    Reasoning,
}

/// A captured tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallAt {
    choice: u64,
    at: usize,
}

/// The parts of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPart {
    /// Its id; the last one reported counts.
    Id,
    /// The tool's name. It may come in pieces before the arguments; a repeated name starts over.
    Name,
    /// The kind of tool; the last one reported counts.
    Type,
    /// Its arguments, in pieces.
    Arguments,
}

/// The outputs of a stream so far.
#[derive(Debug, Default)]
pub struct Transcript {
    allowance: Option<Allowance>,
    /// Outputs are captured elsewhere, or not at all.
    without_outputs: bool,
    choices: BTreeMap<u32, Captured>,
    error_message: String,
    characters: u64,
    shortened: bool,
}

/// A captured choice.
#[derive(Debug)]
struct Captured {
    output: v1::Output,
    calls: Calls,
}

#[derive(Debug)]
struct Allowance {
    /// Bytes that may still be captured.
    left: usize,
    permit: BudgetPermit,
}

impl Allowance {
    /// Reserves as many of these bytes as may be captured, and returns their number.
    fn part_of(&mut self, bytes: usize) -> usize {
        let part = bytes.min(self.left);
        if !self.permit.take_growing(part) {
            // The budget will not recover during this request, and what follows a gap is of little use.
            self.left = 0;
            return 0;
        }
        self.left -= part;
        part
    }
}

impl Transcript {
    /// Captures at most `limit` bytes.
    pub fn capturing(limit: usize, permit: BudgetPermit) -> Self {
        Self { allowance: Some(Allowance { left: limit, permit }), ..Self::default() }
    }

    /// Only counts.
    pub fn counting() -> Self {
        Self::default()
    }

    /// Leaves outputs out: for a response in one piece, whose body is captured.
    #[must_use]
    pub fn without_outputs(self) -> Self {
        Self { without_outputs: true, ..self }
    }

    /// Characters in the outputs.
    pub fn characters(&self) -> u64 {
        self.characters
    }

    /// Adds a piece of a choice's text. Returns whether it has any text.
    pub fn text(&mut self, choice: u64, channel: Channel, piece: &Value<'_>) -> bool {
        if !self.count(piece) {
            return false;
        }
        let Some((allowance, captured)) = self.captured(choice) else { return true };
        let text = match channel {
            Channel::Text => &mut captured.output.text,
            Channel::Refusal => &mut captured.output.refusal,
            Channel::Reasoning => &mut captured.output.reasoning,
        };
        let is_whole = append(text, piece, allowance);
        self.shortened |= !is_whole;
        true
    }

    /// Returns the tool call that a piece belongs to, creating it if needed; `None` if it is not captured.
    pub fn call(&mut self, choice: u64, piece: &Piece<'_>) -> Option<CallAt> {
        let (allowance, captured) = self.captured(choice)?;
        let at = match captured.calls.find(piece) {
            Some(at) => at,
            None => {
                let at = captured.output.tool_calls.len();
                if at >= TOOL_CALLS_MAX || allowance.part_of(OVERHEAD) < OVERHEAD {
                    self.shortened = true;
                    return None;
                }
                let index = u32::try_from(at).unwrap_or(u32::MAX);
                captured.output.tool_calls.push(v1::ToolCall { index, ..Default::default() });
                captured.calls.begin(piece);
                at
            }
        };
        captured.calls.note(at, piece);
        Some(CallAt { choice, at })
    }

    /// The last call of a choice that began at this position.
    pub fn last_call(&self, choice: u64, slot: Slot) -> Option<CallAt> {
        let captured = self.choices.get(&u32::try_from(choice).ok()?)?;
        captured.calls.last_at(slot).map(|at| CallAt { choice, at })
    }

    /// Whether a call's arguments are complete.
    pub fn is_complete(&self, call: Option<CallAt>) -> bool {
        let Some(CallAt { choice, at }) = call else { return false };
        let captured = u32::try_from(choice).ok().and_then(|choice| self.choices.get(&choice));
        captured.is_some_and(|captured| captured.calls.is_complete(at))
    }

    /// Adds a piece of a call. Returns whether it has any text.
    pub fn call_part(&mut self, call: Option<CallAt>, part: CallPart, value: &Value<'_>) -> bool {
        let is_text = match part {
            CallPart::Arguments => self.count(value),
            CallPart::Id | CallPart::Name | CallPart::Type => {
                value.kind == Kind::String && value.raw.len() > 2
            }
        };
        if !is_text {
            return false;
        }
        let Some(CallAt { choice, at }) = call else { return true };
        let Some((allowance, captured)) = self.captured(choice) else { return true };
        let Some(call) = captured.output.tool_calls.get_mut(at) else { return true };
        let has_arguments = !call.arguments.is_empty();
        let text = match part {
            CallPart::Arguments => &mut call.arguments,
            CallPart::Id => &mut call.id,
            CallPart::Name => &mut call.name,
            CallPart::Type => &mut call.r#type,
        };
        if part != CallPart::Arguments {
            let is_rest_of_name = part == CallPart::Name
                && !has_arguments
                && value.as_str().is_some_and(|name| !name.starts_with(text.as_str()));
            if !is_rest_of_name {
                text.clear();
            }
        } else if let Some(arguments) = value.as_str() {
            captured.calls.argue(at, &arguments);
        }
        let is_whole = append(text, value, allowance);
        if part != CallPart::Arguments && !is_whole {
            // Half a name identifies nothing, and what must not be exported would not be found in it.
            text.clear();
        }
        self.shortened |= !is_whole;
        true
    }

    /// Sets arguments that arrive in one piece, as JSON or as text, unless some are known already.
    pub fn call_arguments(&mut self, call: Option<CallAt>, json: &Value<'_>) -> bool {
        let known = call.and_then(|call| {
            self.choices.get(&u32::try_from(call.choice).ok()?)?.output.tool_calls.get(call.at)
        });
        if known.is_some_and(|call| !call.arguments.is_empty()) {
            return false;
        }
        match json.kind {
            Kind::String => self.call_part(call, CallPart::Arguments, json),
            Kind::Null => false,
            _ => {
                let text = serde_json::Value::from(json.raw).to_string();
                let text = Value { raw: &text, kind: Kind::String, start: 0 };
                self.call_part(call, CallPart::Arguments, &text)
            }
        }
    }

    /// Adds a part that is neither text nor a call, as the API writes it. Binary data in it becomes a
    /// reference.
    pub fn part(&mut self, choice: u64, kind: &str, json: &Value<'_>) {
        let Some((allowance, captured)) = self.captured(choice) else { return };
        let limits = Limits { string: allowance.left, total: allowance.left };
        let is_within = captured.output.parts.len() < PARTS_MAX && allowance.part_of(OVERHEAD) == OVERHEAD;
        let short = is_within.then(|| abridge(json.raw.as_bytes(), limits)).flatten();
        let text = short.as_ref().and_then(|short| String::from_utf8(short.json.clone()).ok());
        let is_whole = match text {
            Some(json) if allowance.part_of(json.len()) == json.len() => {
                captured.output.parts.push(v1::Part { r#type: kind.to_owned(), json });
                short.is_some_and(|short| !short.shortened)
            }
            _ => false,
        };
        self.shortened |= !is_whole;
    }

    /// Whether a choice has a part of this type.
    pub fn has_part(&self, choice: u64, kind: &str) -> bool {
        let captured = u32::try_from(choice).ok().and_then(|choice| self.choices.get(&choice));
        captured.is_some_and(|captured| captured.output.parts.iter().any(|part| part.r#type == kind))
    }

    /// Counts a text written by the model that is captured as a part. Returns whether it has any text.
    pub fn counted(&mut self, piece: &Value<'_>) -> bool {
        self.count(piece)
    }

    /// Rewrites the captured error message.
    pub fn rewrite_error_message(&mut self, rewrite: impl Fn(&str) -> String) {
        self.error_message = rewrite(&self.error_message);
    }

    /// Captures an error message.
    pub fn error_message(&mut self, message: &str) {
        if let Some(allowance) = &mut self.allowance {
            self.error_message.clear();
            self.shortened |= !append_text(&mut self.error_message, message, allowance);
        }
    }

    /// Returns the outputs, the error message, and whether anything is missing from them.
    pub fn finish(self) -> (Vec<v1::Output>, String, bool) {
        let outputs = self.choices.into_values().map(|Captured { mut output, .. }| {
            for text in [&mut output.text, &mut output.refusal, &mut output.reasoning] {
                blob::replace_data_urls(text);
            }
            for call in &mut output.tool_calls {
                without_data(&mut call.arguments);
            }
            for part in &mut output.parts {
                blob::replace_data_urls(&mut part.json);
            }
            output
        });
        (outputs.collect(), self.error_message, self.shortened)
    }

    /// Returns a captured choice, creating it if needed; `None` if it is not captured.
    fn captured(&mut self, choice: u64) -> Option<(&mut Allowance, &mut Captured)> {
        let allowance = self.allowance.as_mut().filter(|_| !self.without_outputs)?;
        let index = u32::try_from(choice).ok().filter(|_| choice < CHOICES_MAX)?;
        if !self.choices.contains_key(&index) && allowance.part_of(OVERHEAD) < OVERHEAD {
            self.shortened = true;
            return None;
        }
        let new = || Captured { output: v1::Output { index, ..Default::default() }, calls: Calls::default() };
        Some((allowance, self.choices.entry(index).or_insert_with(new)))
    }

    /// Counts the characters of a text. Returns whether it has any.
    fn count(&mut self, piece: &Value<'_>) -> bool {
        if piece.kind != Kind::String || piece.raw.len() <= 2 {
            return false;
        }
        let characters = piece.as_str().map_or(0, |text| text.chars().count());
        self.characters = self.characters.saturating_add(characters as u64);
        true
    }
}

/// Appends as much of a text as may be captured. Returns `false` if something is missing.
fn append(to: &mut String, piece: &Value<'_>, allowance: &mut Allowance) -> bool {
    // A lone surrogate is not text; no provider is known to split a pair between two pieces.
    piece.as_str().is_some_and(|text| append_text(to, &text, allowance))
}

fn append_text(to: &mut String, text: &str, allowance: &mut Allowance) -> bool {
    // A long piece with this end was cut on arrival: what follows does not continue it.
    let cut = text.strip_suffix(ELLIPSIS).filter(|_| text.len() > RAW_MAX);
    let text = cut.unwrap_or(text);
    let part = text.floor_char_boundary(allowance.part_of(text.len()));
    to.push_str(text.get(..part).unwrap_or_default());
    if cut.is_some() {
        allowance.left = 0;
    }
    if part < text.len() && allowance.left == 0 {
        to.truncate(to.floor_char_boundary(without_half_a_word(to.as_bytes())));
    }
    part == text.len() && cut.is_none()
}

/// Replaces binary data in arguments, which mostly are JSON.
fn without_data(arguments: &mut String) {
    const EVERYTHING: Limits = Limits { string: usize::MAX, total: usize::MAX / 2 };
    if arguments.len() < blob::SHORTEST {
        return;
    }
    if let Some(short) = abridge(arguments.as_bytes(), EVERYTHING)
        && let Ok(json) = String::from_utf8(short.json)
        && json.contains(blob::REFERENCE)
    {
        *arguments = json;
    }
    blob::replace_data_urls(arguments);
}
