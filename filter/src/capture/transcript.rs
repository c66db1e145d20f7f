//! What a stream says, put together from its pieces, within a limit and within the VM's budget.
//!
//! Where content is not kept, characters are counted all the same: from them usage is estimated
//! where a provider tells none.

use std::collections::BTreeMap;

use weir_event::v1;

use crate::api::reading::calls::{Calls, Piece, Slot};
use crate::capture::budget::BudgetPermit;
use crate::json::blob;
use crate::json::scan::{Kind, Value};
use crate::json::truncate::pieces::RAW_MAX;
use crate::json::truncate::{ELLIPSIS, Limits, abridge, without_half_a_word};

/// Most choices that are kept.
const CHOICES_MAX: u64 = 128;
/// Most tool calls of one choice that are kept.
const TOOL_CALLS_MAX: usize = 128;
/// Most other parts of one choice that are kept.
const PARTS_MAX: usize = 64;
/// What a choice, a tool call or a part costs beside its texts, in bytes.
const OVERHEAD: usize = 128;

/// Which text of a choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// What the model answers.
    Text,
    /// Why it does not.
    Refusal,
    /// What it thinks.
    Reasoning,
}

/// A call of a tool that is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CallAt {
    choice: u64,
    at: usize,
}

/// Which part of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallPart {
    /// Its id; the last one reported stands.
    Id,
    /// The tool's name, which may come in pieces before the arguments; whoever repeats it says it from its start.
    Name,
    /// The kind of tool; the last one reported stands.
    Type,
    /// Its arguments, piece by piece.
    Arguments,
}

/// The outputs of a stream so far.
#[derive(Debug, Default)]
pub struct Transcript {
    keep: Option<Keep>,
    /// The outputs are kept elsewhere, or not at all.
    without_outputs: bool,
    choices: BTreeMap<u32, Kept>,
    error_message: String,
    characters: u64,
    shortened: bool,
}

/// What is kept of a choice.
#[derive(Debug)]
struct Kept {
    output: v1::Output,
    calls: Calls,
}

#[derive(Debug)]
struct Keep {
    /// How many bytes may still be kept.
    left: usize,
    room: BudgetPermit,
}

impl Keep {
    /// How many bytes of so many may be kept.
    fn part_of(&mut self, bytes: usize) -> usize {
        let part = bytes.min(self.left);
        if !self.room.take(part) {
            // It will not get better for this one, and what follows a gap is worth little.
            self.left = 0;
            return 0;
        }
        self.left -= part;
        part
    }
}

impl Transcript {
    /// One that keeps at most `limit` bytes.
    pub fn keeping(limit: usize, room: BudgetPermit) -> Self {
        Self { keep: Some(Keep { left: limit, room }), ..Self::default() }
    }

    /// One that only counts.
    pub fn counting() -> Self {
        Self::default()
    }

    /// The same, without the outputs: for a response in one piece, whose body is kept.
    #[must_use]
    pub fn without_outputs(self) -> Self {
        Self { without_outputs: true, ..self }
    }

    /// How many characters the outputs have had.
    pub fn characters(&self) -> u64 {
        self.characters
    }

    /// The next piece of a choice's text. Returns whether there was any.
    pub fn text(&mut self, choice: u64, channel: Channel, piece: &Value<'_>) -> bool {
        if !self.count(piece) {
            return false;
        }
        let Some((keep, kept)) = self.kept(choice) else { return true };
        let text = match channel {
            Channel::Text => &mut kept.output.text,
            Channel::Refusal => &mut kept.output.refusal,
            Channel::Reasoning => &mut kept.output.reasoning,
        };
        let is_whole = append(text, piece, keep);
        self.shortened |= !is_whole;
        true
    }

    /// The call of a choice that a piece belongs to, which it may begin; `None` where nothing is kept of it.
    pub fn call(&mut self, choice: u64, piece: &Piece<'_>) -> Option<CallAt> {
        let (keep, kept) = self.kept(choice)?;
        let at = match kept.calls.find(piece) {
            Some(at) => at,
            None => {
                let at = kept.output.tool_calls.len();
                if at >= TOOL_CALLS_MAX || keep.part_of(OVERHEAD) < OVERHEAD {
                    self.shortened = true;
                    return None;
                }
                let index = u32::try_from(at).unwrap_or(u32::MAX);
                kept.output.tool_calls.push(v1::ToolCall { index, ..Default::default() });
                kept.calls.begin(piece);
                at
            }
        };
        kept.calls.note(at, piece);
        Some(CallAt { choice, at })
    }

    /// The last call of a choice that has begun in this place.
    pub fn last_call(&self, choice: u64, slot: Slot) -> Option<CallAt> {
        let kept = self.choices.get(&u32::try_from(choice).ok()?)?;
        kept.calls.last_at(slot).map(|at| CallAt { choice, at })
    }

    /// Whether a call's arguments are complete.
    pub fn is_complete(&self, call: Option<CallAt>) -> bool {
        let Some(CallAt { choice, at }) = call else { return false };
        let kept = u32::try_from(choice).ok().and_then(|choice| self.choices.get(&choice));
        kept.is_some_and(|kept| kept.calls.is_complete(at))
    }

    /// A part of a call. Returns whether there was any.
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
        let Some((keep, kept)) = self.kept(choice) else { return true };
        let Some(call) = kept.output.tool_calls.get_mut(at) else { return true };
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
            kept.calls.argue(at, &arguments);
        }
        let is_whole = append(text, value, keep);
        if part != CallPart::Arguments && !is_whole {
            // Half a word names nothing, and nothing that must not be exported is found in it.
            text.clear();
        }
        self.shortened |= !is_whole;
        true
    }

    /// Arguments that come whole, as JSON or as a text; only where none are known yet.
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

    /// A part of a choice that is neither text nor a call, as the API writes it. Binary data within it becomes a
    /// reference.
    pub fn part(&mut self, choice: u64, kind: &str, json: &Value<'_>) {
        let Some((keep, kept)) = self.kept(choice) else { return };
        let limits = Limits { string: keep.left, total: keep.left };
        let is_room = kept.output.parts.len() < PARTS_MAX && keep.part_of(OVERHEAD) == OVERHEAD;
        let short = is_room.then(|| abridge(json.raw.as_bytes(), limits)).flatten();
        let text = short.as_ref().and_then(|short| String::from_utf8(short.json.clone()).ok());
        let is_whole = match text {
            Some(json) if keep.part_of(json.len()) == json.len() => {
                kept.output.parts.push(v1::Part { r#type: kind.to_owned(), json });
                short.is_some_and(|short| !short.shortened)
            }
            _ => false,
        };
        self.shortened |= !is_whole;
    }

    /// Whether a part of this type is among a choice's.
    pub fn has_part(&self, choice: u64, kind: &str) -> bool {
        let kept = u32::try_from(choice).ok().and_then(|choice| self.choices.get(&choice));
        kept.is_some_and(|kept| kept.output.parts.iter().any(|part| part.r#type == kind))
    }

    /// Counts a text that a model wrote and that comes once more, as a part. Returns whether there was any.
    pub fn counted(&mut self, piece: &Value<'_>) -> bool {
        self.count(piece)
    }

    /// Rewrites the error's message, as far as one is captured.
    pub fn rewrite_error_message(&mut self, rewrite: impl Fn(&str) -> String) {
        self.error_message = rewrite(&self.error_message);
    }

    /// An error's message.
    pub fn error_message(&mut self, message: &str) {
        if let Some(keep) = &mut self.keep {
            self.error_message.clear();
            self.shortened |= !append_text(&mut self.error_message, message, keep);
        }
    }

    /// What was kept: the outputs, the error's message, and whether something is missing of them.
    pub fn finish(self) -> (Vec<v1::Output>, String, bool) {
        let outputs = self.choices.into_values().map(|Kept { mut output, .. }| {
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

    /// What is kept of a choice; `None` where nothing is.
    fn kept(&mut self, choice: u64) -> Option<(&mut Keep, &mut Kept)> {
        let keep = self.keep.as_mut().filter(|_| !self.without_outputs)?;
        let index = u32::try_from(choice).ok().filter(|_| choice < CHOICES_MAX)?;
        if !self.choices.contains_key(&index) && keep.part_of(OVERHEAD) < OVERHEAD {
            self.shortened = true;
            return None;
        }
        let new = || Kept { output: v1::Output { index, ..Default::default() }, calls: Calls::default() };
        Some((keep, self.choices.entry(index).or_insert_with(new)))
    }

    /// Counts a text. Returns whether it is one that says something.
    fn count(&mut self, piece: &Value<'_>) -> bool {
        if piece.kind != Kind::String || piece.raw.len() <= 2 {
            return false;
        }
        let characters = piece.as_str().map_or(0, |text| text.chars().count());
        self.characters = self.characters.saturating_add(characters as u64);
        true
    }
}

/// Appends a text as far as it may be kept. `false` where something is missing.
fn append(to: &mut String, piece: &Value<'_>, keep: &mut Keep) -> bool {
    // A lone surrogate is no text; half a pair in each of two pieces is not known to be sent.
    piece.as_str().is_some_and(|text| append_text(to, &text, keep))
}

fn append_text(to: &mut String, text: &str, keep: &mut Keep) -> bool {
    // A long piece that ends so was cut where it came in: what follows is not what followed it.
    let cut = text.strip_suffix(ELLIPSIS).filter(|_| text.len() > RAW_MAX);
    let text = cut.unwrap_or(text);
    let part = text.floor_char_boundary(keep.part_of(text.len()));
    to.push_str(text.get(..part).unwrap_or_default());
    if cut.is_some() {
        keep.left = 0;
    }
    if part < text.len() && keep.left == 0 {
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
