//! How many elements a batch or an event may have, counted on the wire before anything is built of it.
//!
//! An empty element of a repeated field takes two bytes on the wire and hundreds in memory, and is then copied for
//! every destination. So a few megabytes could take gigabytes. The walk follows the fields that repeat, is linear in
//! the bytes and allocates nothing. How deep it goes is how deep these tables are nested.

/// Attempts of a request, 16 at most in the filter.
const ATTEMPTS: usize = 64;
/// Choices of a response, and their finish reasons: 128 at most in the filter.
const CHOICES: usize = 256;
/// Tool calls of all choices. The filter counts 128 bytes for each within a limit of 1 MiB at most.
const TOOL_CALLS: usize = 8192;
/// Other parts of all choices, for which the filter counts the same.
const PARTS: usize = 8192;
/// Detectors that matched, counted once for each audience (telemetry, provider, caller).
const REDACTIONS: usize = 1024;
/// Files of a form, 64 parts at most in the filter.
const FILES: usize = 64;
/// Stop sequences of a request.
const STOP_SEQUENCES: usize = 64;
/// Entries of a map: figures of a usage, a caller's metadata, a resource. 32 at most in the filter, of metadata that of
/// the caller's key besides.
const ENTRIES: usize = 256;
/// Attributes of a batch's resource. What is beyond those that an event may carry is left out, so that a gateway with many
/// labels loses no events; only what no gateway says is refused.
const BATCH_ENTRIES: usize = 4096;
/// Other models that a response used, 8 at most in the filter.
const MODELS: usize = 32;

/// A message's fields that repeat, with how often they may in a whole event, and those that hold such fields.
struct Shape {
    repeated: &'static [Repeated],
    nested: &'static [(u32, &'static Self)],
}

struct Repeated {
    field: u32,
    name: &'static str,
    most: usize,
    /// Where the number of its elements stands among all.
    slot: usize,
}

/// As many as there are fields that repeat.
const SLOTS: usize = 13;

const fn repeated(field: u32, name: &'static str, most: usize, slot: usize) -> Repeated {
    Repeated { field, name, most, slot }
}

const EVENT: Shape = Shape {
    repeated: &[
        repeated(6, "attempts", ATTEMPTS, 0),
        repeated(13, "redactions", REDACTIONS, 1),
        repeated(14, "resource", ENTRIES, 2),
    ],
    nested: &[(4, &REQUEST), (7, &RESPONSE), (10, &CALLER), (11, &CONTENT)],
};
const REQUEST: Shape =
    Shape { repeated: &[repeated(14, "request.files", FILES, 3)], nested: &[(11, &PARAMETERS)] };
const PARAMETERS: Shape =
    Shape { repeated: &[repeated(8, "request.parameters.stop_sequences", STOP_SEQUENCES, 4)], nested: &[] };
const RESPONSE: Shape =
    Shape { repeated: &[repeated(4, "response.finish_reasons", CHOICES, 5)], nested: &[(5, &USAGE)] };
const USAGE: Shape = Shape {
    repeated: &[
        repeated(7, "response.usage.figures", ENTRIES, 6),
        repeated(9, "response.usage.price_marks", ENTRIES, 7),
        repeated(10, "response.usage.others", MODELS, 8),
    ],
    nested: &[],
};
const CALLER: Shape = Shape { repeated: &[repeated(4, "caller.metadata", ENTRIES, 9)], nested: &[] };
const CONTENT: Shape =
    Shape { repeated: &[repeated(4, "content.outputs", CHOICES, 10)], nested: &[(4, &OUTPUT)] };
const OUTPUT: Shape = Shape {
    repeated: &[
        repeated(5, "content.outputs.tool_calls", TOOL_CALLS, 11),
        repeated(6, "content.outputs.parts", PARTS, 12),
    ],
    nested: &[],
};

/// The number of `EventBatch.events`.
const BATCH_EVENTS: u32 = 2;
/// The number of `EventBatch.resource`.
const BATCH_RESOURCE: u32 = 4;

/// Why something is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unbounded {
    /// It is not protobuf, or holds a group, which no part of the contract is.
    #[error("it is not a message of protobuf")]
    Malformed,
    /// No filter makes so many.
    #[error("it has more than {most} {field}")]
    TooMany {
        /// The field.
        field: &'static str,
        /// How many it may have.
        most: usize,
    },
}

/// Looks whether an event is one that a filter can have made, as far as its size in memory goes.
pub fn event(bytes: &[u8]) -> Result<(), Unbounded> {
    walk(bytes, &EVENT, &mut [0; SLOTS])
}

/// How many events a batch holds, whose other fields are within their limits.
pub fn batch(bytes: &[u8]) -> Result<usize, Unbounded> {
    let (mut events, mut entries) = (0_usize, 0_usize);
    for field in fields(bytes) {
        let (number, _) = field?;
        events = events.saturating_add(usize::from(number == BATCH_EVENTS));
        entries = entries.saturating_add(usize::from(number == BATCH_RESOURCE));
        if entries > BATCH_ENTRIES {
            return Err(Unbounded::TooMany { field: "resource", most: BATCH_ENTRIES });
        }
    }
    Ok(events)
}

fn walk(bytes: &[u8], shape: &Shape, counts: &mut [usize; SLOTS]) -> Result<(), Unbounded> {
    for field in fields(bytes) {
        let (number, value) = field?;
        if let Some(repeated) = shape.repeated.iter().find(|repeated| repeated.field == number)
            && let Some(count) = counts.get_mut(repeated.slot)
        {
            *count = count.saturating_add(1);
            if *count > repeated.most {
                return Err(Unbounded::TooMany { field: repeated.name, most: repeated.most });
            }
        }
        if let Some((_, nested)) = shape.nested.iter().find(|(field, _)| *field == number) {
            walk(value, nested, counts)?;
        }
    }
    Ok(())
}

/// The fields of a message: each one's number, and what is in it where it is of a length of its own.
fn fields(mut rest: &[u8]) -> impl Iterator<Item = Result<(u32, &[u8]), Unbounded>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let field = field(&mut rest).ok_or(Unbounded::Malformed);
        if field.is_err() {
            rest = &[];
        }
        Some(field)
    })
}

fn field<'a>(rest: &mut &'a [u8]) -> Option<(u32, &'a [u8])> {
    let tag = u32::try_from(varint(rest)?).ok()?;
    let mut value: &[u8] = &[];
    match tag & 7 {
        0 => _ = varint(rest)?,
        1 => _ = taken(rest, 8)?,
        2 => {
            let length = usize::try_from(varint(rest)?).ok()?;
            value = taken(rest, length)?;
        }
        5 => _ = taken(rest, 4)?,
        _ => return None,
    }
    Some((tag >> 3, value))
}

fn varint(rest: &mut &[u8]) -> Option<u64> {
    let mut value = 0_u64;
    // Ten groups of seven bits hold 64 bits.
    for shift in (0..70).step_by(7) {
        let (byte, after) = rest.split_first()?;
        *rest = after;
        value |= u64::from(byte & 0x7f).checked_shl(shift).unwrap_or_default();
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

fn taken<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (value, after) = rest.split_at_checked(length)?;
    *rest = after;
    Some(value)
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use prost::Message as _;
    use weir_event::v1::{
        Attempt, Caller, Content, EventBatch, FormFile, ModelUsage, Output, Parameters, Part, Redaction,
        Request, Response, ToolCall, TraceEvent, Usage,
    };

    use super::*;

    /// An event with so many elements of each field that repeats.
    fn with(count: usize, field: &str) -> TraceEvent {
        let many = |name: &str| if name == field { count } else { 1 };
        let texts = |name| (0..many(name)).map(|number| (number.to_string(), String::new())).collect();
        let usage = Usage {
            figures: (0..many("response.usage.figures")).map(|number| (number.to_string(), 1)).collect(),
            price_marks: texts("response.usage.price_marks"),
            others: vec![ModelUsage::default(); many("response.usage.others")],
            ..Usage::default()
        };
        let parameters = Parameters {
            stop_sequences: vec![String::new(); many("request.parameters.stop_sequences")],
            ..Parameters::default()
        };
        let output = Output {
            tool_calls: vec![ToolCall::default(); many("content.outputs.tool_calls")],
            parts: vec![Part::default(); many("content.outputs.parts")],
            ..Output::default()
        };
        TraceEvent {
            attempts: vec![Attempt::default(); many("attempts")],
            redactions: vec![Redaction::default(); many("redactions")],
            resource: texts("resource"),
            request: Some(Request {
                files: vec![FormFile::default(); many("request.files")],
                parameters: Some(parameters),
                ..Request::default()
            }),
            response: Some(Response {
                finish_reasons: vec![String::new(); many("response.finish_reasons")],
                usage: Some(usage),
                ..Response::default()
            }),
            caller: Some(Caller { metadata: texts("caller.metadata"), ..Caller::default() }),
            content: Some(Content { outputs: vec![output; many("content.outputs")], ..Content::default() }),
            ..TraceEvent::default()
        }
    }

    fn all<'a>(shape: &'a Shape, found: &mut Vec<&'a Repeated>) {
        found.extend(shape.repeated);
        shape.nested.iter().for_each(|(_, nested)| all(nested, found));
    }

    #[test]
    fn of_each_field_that_repeats_there_may_be_so_many_and_not_one_more() {
        let mut repeated = Vec::new();
        all(&EVENT, &mut repeated);
        assert_eq!(repeated.iter().map(|one| one.slot).collect::<BTreeSet<_>>(), (0..SLOTS).collect());
        for Repeated { name, most, .. } in repeated {
            assert_eq!(event(&with(*most, name).encode_to_vec()), Ok(()), "{name}");
            let over = event(&with(most + 1, name).encode_to_vec());
            assert_eq!(over, Err(Unbounded::TooMany { field: name, most: *most }), "{name}");
        }
    }

    #[test]
    fn elements_are_counted_over_all_messages_that_hold_them() {
        let output =
            Output { tool_calls: vec![ToolCall::default(); TOOL_CALLS / 2 + 1], ..Output::default() };
        let content = Content { outputs: vec![output.clone(), output], ..Content::default() };
        let split = TraceEvent { content: Some(content), ..TraceEvent::default() };
        assert!(event(&split.encode_to_vec()).is_err());
        // The same message in two pieces, which a decoder makes one of.
        let twice = [with(CHOICES, "content.outputs").encode_to_vec(), with(1, "").encode_to_vec()].concat();
        assert!(event(&twice).is_err());
    }

    #[test]
    fn a_small_event_of_millions_of_elements_is_refused() {
        let bomb = [0x32, 0].repeat(15 << 17);
        assert_eq!(event(&bomb), Err(Unbounded::TooMany { field: "attempts", most: ATTEMPTS }));
    }

    #[test]
    fn events_of_a_batch_are_counted_and_its_resource_is_bounded() {
        let mut batch = EventBatch { events: vec![Vec::new().into(); 70_000], ..EventBatch::default() };
        assert_eq!(super::batch(&batch.encode_to_vec()), Ok(70_000));
        batch.resource = (0..=BATCH_ENTRIES).map(|number| (number.to_string(), String::new())).collect();
        let over = super::batch(&batch.encode_to_vec());
        assert_eq!(over, Err(Unbounded::TooMany { field: "resource", most: BATCH_ENTRIES }));
    }

    #[test]
    fn what_can_be_decoded_passes_and_nothing_else_makes_it_fail_otherwise() {
        let mut rng = fastrand::Rng::with_seed(5);
        let whole = with(3, "attempts").encode_to_vec();
        for _ in 0..20_000 {
            let mut bytes = whole.clone();
            for _ in 0..rng.usize(..4) {
                let place = rng.usize(..bytes.len());
                bytes[place] = rng.u8(..);
            }
            bytes.truncate(rng.usize(..=bytes.len()));
            let decoded = TraceEvent::decode(bytes.as_slice()).is_ok();
            // Groups alone are decoded, to be left out, and refused here.
            assert!(!decoded || event(&bytes).is_ok() || has_group(&bytes), "{bytes:?}");
        }
        assert_eq!(event(&[0x33, 0x34]), Err(Unbounded::Malformed));
    }

    fn has_group(bytes: &[u8]) -> bool {
        bytes.iter().any(|byte| matches!(byte & 7, 3 | 4))
    }

    /// By the contract's own text: what it repeats, by message, with what the fields are.
    #[test]
    fn every_field_of_the_contract_that_repeats_is_bounded() {
        let text = include_str!("../../../event/proto/weir/event/v1/event.proto");
        let mut messages: BTreeMap<&str, Vec<(bool, &str, u32)>> = BTreeMap::new();
        let mut current = "";
        for line in text.lines().map(str::trim) {
            if let Some(name) = line.strip_prefix("message ") {
                current = name.trim_end_matches([' ', '{']);
                messages.entry(current).or_default();
            } else if let Some((field, number)) =
                line.strip_suffix(';').and_then(|line| line.split_once(" = "))
            {
                let Ok(number) = number.parse() else { continue };
                let repeats = field.starts_with("repeated ") || field.starts_with("map<");
                let kind = field.trim_start_matches("repeated ").split(' ').next().unwrap();
                messages.entry(current).or_default().push((repeats, kind, number));
            }
        }
        fn compare(name: &str, shape: &Shape, messages: &BTreeMap<&str, Vec<(bool, &str, u32)>>) -> usize {
            let fields = &messages[name];
            let expected: BTreeSet<u32> =
                fields.iter().filter(|(repeats, ..)| *repeats).map(|(.., number)| *number).collect();
            let bounded = shape.repeated.iter().map(|repeated| repeated.field).collect();
            assert_eq!(expected, bounded, "{name}: give each field that repeats a limit");
            let nothing = Shape { repeated: &[], nested: &[] };
            let below =
                fields.iter().filter(|(_, kind, _)| messages.contains_key(kind)).map(|(_, kind, number)| {
                    let nested = shape.nested.iter().find(|(field, _)| field == number);
                    compare(kind, nested.map_or(&nothing, |(_, shape)| shape), messages)
                });
            expected.len() + below.sum::<usize>()
        }
        assert_eq!(compare("TraceEvent", &EVENT, &messages), SLOTS);
        let batch: Vec<_> = messages["EventBatch"].iter().filter(|(repeats, ..)| *repeats).collect();
        let numbers: Vec<u32> = batch.iter().map(|(.., number)| *number).collect();
        assert_eq!(numbers, [BATCH_EVENTS, BATCH_RESOURCE]);
    }
}
