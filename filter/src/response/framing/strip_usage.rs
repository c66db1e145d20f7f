//! Takes what the caller did not ask for out of a stream again: the usage that the gateway asked for
//! on its behalf (`stream_options.include_usage`; OpenAI API reference, "Chat Completions").
//!
//! With the option, a provider sends one more chunk, with usage and without choices, and may give
//! every other chunk a member `"usage":null`. Both go, byte for byte, so that the stream is as it
//! would have been. An event that is too large to be held goes on as it is.

use std::ops::Range;

use memchr::memmem;

use crate::json::scan::{Kind, Object, Value};
use crate::response::framing::event::Event;

/// Most bytes of an event that are held until it is whole.
pub(crate) const HELD_MAX: usize = 5 << 10;
/// The member, as every provider writes it.
const MEMBER: &[u8] = b"\"usage\"";

/// What becomes of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// It stays.
    Nothing,
    /// These bytes of its data go.
    Without(Range<usize>),
    /// All of it goes.
    Gone,
}

impl Change {
    /// What becomes of an event. One that the stream ends in stays.
    pub fn of(event: &Event<'_>) -> Self {
        let (false, Some(object)) = (event.is_last || event.data_at.is_none(), &event.object) else {
            return Self::Nothing;
        };
        if memmem::find(event.data, MEMBER).is_none() {
            return Self::Nothing;
        }
        match object.get("usage") {
            Some(usage) if usage.kind == Kind::Null => {
                member(event.data, &usage).map_or(Self::Nothing, Self::Without)
            }
            Some(usage) if usage.kind == Kind::Object && has_no_choices(object) => Self::Gone,
            _ => Self::Nothing,
        }
    }

    /// The bytes of the data that go, where not all of it does.
    pub fn range(&self) -> Option<Range<usize>> {
        if let Self::Without(range) = self { Some(range.clone()) } else { None }
    }

    /// What is left of the data; `None` where that is all or nothing of it.
    pub fn left_of(&self, data: &[u8]) -> Option<String> {
        let Range { start, end } = self.range()?;
        let (head, tail) = (data.get(..start)?, data.get(end..)?);
        Some(String::from_utf8_lossy(&[head, tail].concat()).into_owned())
    }

    /// Appends what is left of the event.
    pub fn apply(&self, event: &Event<'_>, out: &mut Vec<u8>) {
        match (self, event.data_at) {
            (Self::Gone, _) => {}
            (Self::Without(gone), Some(at)) => {
                out.extend_from_slice(event.bytes.get(..at + gone.start).unwrap_or_default());
                out.extend_from_slice(event.bytes.get(at + gone.end..).unwrap_or_default());
            }
            _ => out.extend_from_slice(event.bytes),
        }
    }
}

/// Whether a chunk has no choices: an empty list, or null, as Go writes it.
fn has_no_choices(object: &Object<'_>) -> bool {
    let Some(choices) = object.get("choices") else { return false };
    choices.kind == Kind::Null || choices.as_array().is_some_and(|choices| choices.is_empty())
}

/// Where a member stands, with the comma that goes with it.
fn member(data: &[u8], value: &Value<'_>) -> Option<Range<usize>> {
    let before = data.get(..value.start)?;
    let before = trim(before).strip_suffix(b":")?;
    let before = trim(trim(before).strip_suffix(MEMBER)?);
    let end = value.start + value.raw.len();
    if let Some(before) = before.strip_suffix(b",") {
        return Some(before.len()..end);
    }
    let behind = data.get(end..)?;
    let space = behind.len() - behind.trim_ascii_start().len();
    let comma = usize::from(behind.get(space) == Some(&b','));
    Some(before.len()..end + space + comma)
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii_end()
}
