//! Takes what the caller did not ask for out of a stream again: the usage that the gateway asked for
//! on its behalf (`stream_options.include_usage`; OpenAI API reference, "Chat Completions").
//!
//! With the option, a provider sends one more chunk, with usage and without choices, and may give
//! every other chunk a member `"usage":null`. Both go, byte for byte, so that the stream is as it
//! would have been. Events go on as soon as they are whole; one that grows too large goes on as it is.

use memchr::memmem;

use crate::json::scan::{Kind, Object, Value};
use crate::response::framing::cut;
use crate::response::framing::cut::Scan;

/// Most bytes of an event that are held until it is whole.
const HELD_MAX: usize = 5 << 10;
/// The member, as every provider writes it.
const MEMBER: &[u8] = b"\"usage\"";

/// A stream that is on its way to the caller.
#[derive(Debug, Default)]
pub struct Unasked {
    /// The event that is not whole yet.
    held: Vec<u8>,
    /// How much of it was looked at, and whether that ended with an empty line's first end.
    scan: Scan,
    /// The event that is open was too large to be held: it passes as it is.
    passing: bool,
}

impl Unasked {
    /// Takes the next piece of the stream and gives what goes on instead of it; `None` where that is
    /// the piece as it is. At the end nothing is held back.
    pub fn pass(&mut self, piece: &[u8], is_end: bool) -> Option<Vec<u8>> {
        let was_empty = self.held.is_empty();
        self.held.extend_from_slice(piece);
        let mut out = Vec::with_capacity(self.held.len());
        let mut done = 0;
        while let Some(end) = self.scan.event_end(&self.held, is_end) {
            let event = self.held.get(done..end).unwrap_or_default();
            if std::mem::take(&mut self.passing) {
                out.extend_from_slice(event);
            } else {
                take_out(event, &mut out);
            }
            done = end;
        }
        let open = self.held.len() - done;
        if is_end || open > HELD_MAX || self.passing {
            self.passing |= open > 0;
            out.extend_from_slice(self.held.get(done..).unwrap_or_default());
            done = self.held.len();
        }
        self.held.drain(..done);
        self.scan.forget(done);
        if self.held.capacity() > 2 * HELD_MAX && self.held.is_empty() {
            self.held = Vec::new();
        }
        let is_same = was_empty && self.held.is_empty() && out == piece;
        (!is_same).then_some(out)
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.held.len()
    }
}

/// Appends an event without what was not asked for.
fn take_out(event: &[u8], out: &mut Vec<u8>) {
    match change(event) {
        Change::Nothing => out.extend_from_slice(event),
        Change::Without(from, to) => {
            out.extend_from_slice(event.get(..from).unwrap_or_default());
            out.extend_from_slice(event.get(to..).unwrap_or_default());
        }
        Change::Gone => {}
    }
}

enum Change {
    Nothing,
    /// The bytes from here to there go.
    Without(usize, usize),
    /// All of it goes.
    Gone,
}

fn change(event: &[u8]) -> Change {
    if memmem::find(event, MEMBER).is_none() {
        return Change::Nothing;
    }
    let Some((start, data)) = data(event) else { return Change::Nothing };
    let Ok(object) = Object::parse(data) else { return Change::Nothing };
    match object.get("usage") {
        Some(usage) if usage.kind == Kind::Null => match member(data, &usage) {
            Some((from, to)) => Change::Without(start + from, start + to),
            None => Change::Nothing,
        },
        Some(usage) if usage.kind == Kind::Object && has_no_choices(&object) => Change::Gone,
        _ => Change::Nothing,
    }
}

/// Whether a chunk says that it has none: as an empty list, or as null, which is Go's.
fn has_no_choices(object: &Object<'_>) -> bool {
    let Some(choices) = object.get("choices") else { return false };
    choices.kind == Kind::Null || choices.as_array().is_some_and(|choices| choices.is_empty())
}

/// The data of an event that has one data line, and where it begins.
fn data(event: &[u8]) -> Option<(usize, &[u8])> {
    let mut found = None;
    for (start, line) in cut::lines(event) {
        let Some(value) = cut::data(line) else { continue };
        if found.is_some() {
            return None;
        }
        found = Some((start + line.len() - value.len(), value));
    }
    found
}

/// Where a member stands, with the comma that goes with it.
fn member(data: &[u8], value: &Value<'_>) -> Option<(usize, usize)> {
    let before = data.get(..value.start)?;
    let before = trim(before).strip_suffix(b":")?;
    let before = trim(trim(before).strip_suffix(MEMBER)?);
    let end = value.start + value.raw.len();
    if let Some(before) = before.strip_suffix(b",") {
        return Some((before.len(), end));
    }
    let behind = data.get(end..)?;
    let space = behind.len() - behind.trim_ascii_start().len();
    let comma = usize::from(behind.get(space) == Some(&b','));
    Some((before.len(), end + space + comma))
}

fn trim(bytes: &[u8]) -> &[u8] {
    bytes.trim_ascii_end()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn pass(stream: &str, size: usize) -> String {
        let mut unasked = Unasked::default();
        let mut out = Vec::new();
        let pieces: Vec<&[u8]> = stream.as_bytes().chunks(size).collect();
        for (place, piece) in pieces.iter().enumerate() {
            let is_end = place + 1 == pieces.len();
            match unasked.pass(piece, is_end) {
                Some(instead) => out.extend(instead),
                None => out.extend_from_slice(piece),
            }
        }
        assert_eq!(unasked.held(), 0);
        String::from_utf8(out).unwrap()
    }

    const WITH: &str = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a \\\"usage\\\":null é\"}}],\"usage\":null}\n\n\
         : a comment\n\n\
         data: {\"usage\" : null , \"choices\":[{\"index\":0}]}\r\n\r\n\
         data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n\
         data: {\"choices\":null,\"usage\":{\"prompt_tokens\":1}}\n\n\
         data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
    const WITHOUT: &str = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a \\\"usage\\\":null é\"}}]}\n\n\
         : a comment\n\n\
         data: { \"choices\":[{\"index\":0}]}\r\n\r\n\
         data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";

    #[test]
    fn what_was_not_asked_for_is_gone_and_nothing_else_however_the_stream_is_cut() {
        for size in 1..=WITH.len() {
            assert_eq!(pass(WITH, size), WITHOUT, "pieces of {size}");
        }
    }

    #[test]
    fn a_stream_without_it_is_passed_on_piece_by_piece_and_unchanged() {
        let mut unasked = Unasked::default();
        for event in WITHOUT.split_inclusive("\n\n") {
            assert_eq!(unasked.pass(event.as_bytes(), false), None, "{event}");
        }
    }

    #[test]
    fn an_event_too_large_to_be_held_goes_on_as_it_is_and_the_next_one_is_read_again() {
        let large = format!("data: {{\"t\":\"{}\",\"usage\":null}}\n\n", "x".repeat(2 * HELD_MAX));
        let stream = format!("{large}data: {{\"a\":1,\"usage\":null}}\n\n");
        let passed = pass(&stream, 1000);
        assert_eq!(passed.strip_prefix(&large), Some("data: {\"a\":1}\n\n"));
    }

    #[test]
    fn what_the_provider_never_ended_comes_out_at_the_end() {
        assert_eq!(pass("data: {\"usage\":null,\"a", 3), "data: {\"usage\":null,\"a");
    }

    proptest! {
        #[test]
        fn any_bytes_without_usage_are_the_same_behind_it(
            bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'd'), any::<u8>()], 0..100),
            size in 1usize..12,
        ) {
            let mut unasked = Unasked::default();
            let mut out = Vec::new();
            let count = bytes.chunks(size).count();
            for (place, piece) in bytes.chunks(size).enumerate() {
                match unasked.pass(piece, place + 1 == count) {
                    Some(instead) => out.extend(instead),
                    None => out.extend_from_slice(piece),
                }
            }
            prop_assert_eq!(out, bytes);
        }
    }
}
