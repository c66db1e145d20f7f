//! What a stream says, put together from its pieces, within a limit and within the VM's budget.
//!
//! Where content is not kept, characters are counted all the same: from them usage is estimated
//! where a provider tells none.

use std::collections::BTreeMap;

use weir_event::v1;

use crate::content::abridge::{ELLIPSIS, Limits, abridge, without_half_a_word};
use crate::content::blob;
use crate::content::budget::Room;
use crate::json::{Kind, Value};
use crate::stream::pieces::RAW_MAX;

/// Most choices that are kept.
const CHOICES_MAX: u64 = 128;
/// Most tool calls of one choice that are kept.
const TOOL_CALLS_MAX: usize = 128;
/// What a choice or a tool call costs beside its texts, in bytes.
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

/// Which part of a tool call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ToolPart {
    /// Its id; the last one told stands.
    Id,
    /// The tool's name; the same.
    Name,
    /// The kind of tool; the same.
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
    outputs: BTreeMap<u32, v1::Output>,
    error_message: String,
    characters: u64,
    shortened: bool,
}

#[derive(Debug)]
struct Keep {
    /// How many bytes may still be kept.
    left: usize,
    room: Room,
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
    pub fn keeping(limit: usize, room: Room) -> Self {
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
        let Some((keep, output)) = self.output(choice) else { return true };
        let text = match channel {
            Channel::Text => &mut output.text,
            Channel::Refusal => &mut output.refusal,
            Channel::Reasoning => &mut output.reasoning,
        };
        let is_whole = append(text, piece, keep);
        self.shortened |= !is_whole;
        true
    }

    /// A part of a choice's tool call. Returns whether there was any.
    pub fn tool_call(&mut self, choice: u64, index: u64, part: ToolPart, piece: &Value<'_>) -> bool {
        let is_text = match part {
            ToolPart::Arguments => self.count(piece),
            ToolPart::Id | ToolPart::Name | ToolPart::Type => {
                piece.kind == Kind::String && piece.raw.len() > 2
            }
        };
        if !is_text {
            return false;
        }
        let Some((keep, output)) = self.output(choice) else { return true };
        let index = u32::try_from(index).unwrap_or(u32::MAX);
        let calls = &mut output.tool_calls;
        let found = calls.iter().position(|call| call.index == index);
        let at = found.unwrap_or(calls.len());
        if found.is_none() {
            if calls.len() >= TOOL_CALLS_MAX || keep.part_of(OVERHEAD) < OVERHEAD {
                self.shortened = true;
                return true;
            }
            calls.push(v1::ToolCall { index, ..Default::default() });
        }
        let Some(call) = calls.get_mut(at) else { return true };
        let text = match part {
            ToolPart::Arguments => &mut call.arguments,
            ToolPart::Id => &mut call.id,
            ToolPart::Name => &mut call.name,
            ToolPart::Type => &mut call.r#type,
        };
        if part != ToolPart::Arguments {
            text.clear();
        }
        let is_whole = append(text, piece, keep);
        self.shortened |= !is_whole;
        true
    }

    /// Arguments that are JSON themselves, not text; only where none are known yet.
    pub fn tool_arguments(&mut self, choice: u64, index: u64, json: &Value<'_>) {
        let known = u32::try_from(choice).ok().and_then(|choice| self.outputs.get(&choice));
        let known =
            known.and_then(|output| output.tool_calls.iter().find(|call| u64::from(call.index) == index));
        if known.is_some_and(|call| !call.arguments.is_empty()) {
            return;
        }
        match json.kind {
            Kind::String => {
                self.tool_call(choice, index, ToolPart::Arguments, json);
            }
            Kind::Null => {}
            _ => {
                let text = serde_json::Value::from(json.raw).to_string();
                let text = Value { raw: &text, kind: Kind::String, start: 0 };
                self.tool_call(choice, index, ToolPart::Arguments, &text);
            }
        }
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
        let outputs = self.outputs.into_values().map(|mut output| {
            for text in [&mut output.text, &mut output.refusal, &mut output.reasoning] {
                blob::replace_data_urls(text);
            }
            for call in &mut output.tool_calls {
                without_data(&mut call.arguments);
            }
            output
        });
        (outputs.collect(), self.error_message, self.shortened)
    }

    /// What is kept of a choice; `None` where nothing is.
    fn output(&mut self, choice: u64) -> Option<(&mut Keep, &mut v1::Output)> {
        let keep = self.keep.as_mut().filter(|_| !self.without_outputs)?;
        let index = u32::try_from(choice).ok().filter(|_| choice < CHOICES_MAX)?;
        if !self.outputs.contains_key(&index) && keep.part_of(OVERHEAD) < OVERHEAD {
            self.shortened = true;
            return None;
        }
        let new = || v1::Output { index, ..Default::default() };
        Some((keep, self.outputs.entry(index).or_insert_with(new)))
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
