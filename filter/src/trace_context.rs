//! W3C Trace Context and Baggage.
//!
//! A valid traceparent is continued, anything else starts a new trace, and a tracestate counts only with a
//! valid traceparent (Trace Context Level 2, sections 3 and 4).

use weir_event::v1;

use crate::headers::{Headers, name};
use crate::random::Random;

/// trace-flags: the trace is sampled.
const SAMPLED: u8 = 0x01;
/// trace-flags: the trace id is random.
const RANDOM: u8 = 0x02;
/// Most members of a tracestate (section 3.3.1.1).
const TRACESTATE_MEMBERS: usize = 32;
/// Longest tracestate that is propagated, in bytes; the specification asks for at least 512.
const TRACESTATE_MAX: usize = 4096;
/// Longest baggage that is propagated, in bytes (W3C Baggage, "Limits").
const BAGGAGE_MAX: usize = 8192;

/// Returns the trace context of a new SERVER span: a child of the caller's span if its traceparent is valid,
/// else the root of a new trace.
pub fn of_request(headers: &Headers, random: &mut Random) -> v1::TraceContext {
    let span_id = random.span_id().to_vec().into();
    let mut traceparents = headers.all(name::TRACEPARENT);
    let caller = match (traceparents.next(), traceparents.next()) {
        (Some(only), None) => parse_traceparent(only),
        _ => None,
    };
    match caller {
        Some((trace_id, parent_id, flags)) => v1::TraceContext {
            trace_id: trace_id.to_vec().into(),
            span_id,
            parent_span_id: parent_id.to_vec().into(),
            flags: u32::from(flags),
            trace_state: tracestate(headers).unwrap_or_default(),
        },
        None => v1::TraceContext {
            trace_id: random.trace_id().to_vec().into(),
            span_id,
            flags: u32::from(SAMPLED | RANDOM),
            ..Default::default()
        },
    }
}

/// Writes the traceparent that makes `span_id` the parent of the receiver's span.
pub fn traceparent(trace: &v1::TraceContext, span_id: &[u8]) -> String {
    let mut text = String::with_capacity(55);
    text.push_str("00-");
    push_hex(&mut text, &trace.trace_id);
    text.push('-');
    push_hex(&mut text, span_id);
    text.push('-');
    push_hex(&mut text, &[u8::try_from(trace.flags & 0xff).unwrap_or(0)]);
    text
}

/// Returns the caller's baggage, joined; `None` if there is none, or too much to propagate.
pub fn baggage(headers: &Headers) -> Option<Vec<u8>> {
    let joined = join(headers, name::BAGGAGE);
    (!joined.is_empty() && joined.len() <= BAGGAGE_MAX).then_some(joined)
}

/// Parses `version "-" trace-id "-" parent-id "-" trace-flags`. Versions above 00 have the same fields, and may
/// add more after another dash (section 3.2.4).
fn parse_traceparent(value: &[u8]) -> Option<([u8; 16], [u8; 8], u8)> {
    let field = |from: usize, to: usize| value.get(from..to);
    let dash = |at: usize| value.get(at) == Some(&b'-');
    let [version] = hex(field(0, 2)?)?;
    let rest_is_known = match version {
        0x00 => value.len() == 55,
        0xff => false,
        _ => value.len() == 55 || dash(55),
    };
    if !(rest_is_known && dash(2) && dash(35) && dash(52)) {
        return None;
    }
    let trace_id: [u8; 16] = hex(field(3, 35)?)?;
    let parent_id: [u8; 8] = hex(field(36, 52)?)?;
    let [flags] = hex(field(53, 55)?)?;
    // Flags unknown to this version are not propagated.
    (trace_id != [0; 16] && parent_id != [0; 8]).then_some((trace_id, parent_id, flags & (SAMPLED | RANDOM)))
}

/// Parses lowercase hexadecimal digits into exactly this many bytes.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let nibble = |digit: &u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    if digits.len() != 2 * N {
        return None;
    }
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let [high, low] = pair else { return None };
        *byte = nibble(high)? << 4 | nibble(low)?;
    }
    Some(bytes)
}

/// Writes the trace id in 32 lowercase hexadecimal digits.
pub fn trace_id(trace: &v1::TraceContext) -> String {
    let mut text = String::with_capacity(32);
    push_hex(&mut text, &trace.trace_id);
    text
}

fn push_hex(text: &mut String, bytes: &[u8]) {
    let digit = |value: u8| char::from(if value < 10 { b'0' + value } else { b'a' + value - 10 });
    for byte in bytes {
        text.push(digit(byte >> 4));
        text.push(digit(byte & 0xf));
    }
}

fn join(headers: &Headers, name: &str) -> Vec<u8> {
    headers.all(name).filter(|value| !value.is_empty()).collect::<Vec<_>>().join(&b","[..])
}

/// Returns the caller's tracestate, joined; `None` if it violates section 3.3.1 and is dropped whole.
fn tracestate(headers: &Headers) -> Option<String> {
    let joined = String::from_utf8(join(headers, name::TRACESTATE)).ok()?;
    if joined.len() > TRACESTATE_MAX {
        return None;
    }
    let mut keys = Vec::new();
    for member in joined.split(',').map(|member| member.trim_matches([' ', '\t'])) {
        if member.is_empty() {
            continue;
        }
        let (key, value) = member.split_once('=')?;
        let key_is_known = |c: char| {
            c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, '_' | '-' | '*' | '/' | '@')
        };
        let starts_well = key.starts_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit());
        if !starts_well || key.len() > 256 || !key.chars().all(key_is_known) || keys.contains(&key) {
            return None;
        }
        let value_is_known = |c: char| matches!(c, ' '..='~') && c != ',' && c != '=';
        if value.is_empty() || value.len() > 256 || !value.chars().all(value_is_known) {
            return None;
        }
        keys.push(key);
    }
    (keys.len() <= TRACESTATE_MEMBERS).then_some(joined)
}

#[cfg(test)]
mod tests {
    use super::*;

    const VALID: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn of(headers: &[(&str, &str)]) -> v1::TraceContext {
        of_request(&headers.iter().copied().collect(), &mut Random::from_seed([7; 32]))
    }

    #[test]
    fn a_valid_parent_is_continued() {
        let trace = of(&[("traceparent", VALID), ("tracestate", "a=1"), ("tracestate", "b@v=2, c=3")]);
        assert_eq!(traceparent(&trace, &trace.parent_span_id), VALID);
        assert_eq!(trace.trace_state, "a=1,b@v=2, c=3");
        assert_ne!(trace.span_id, trace.parent_span_id);
    }

    #[test]
    fn a_later_version_is_read_by_the_places_of_the_first() {
        for value in [VALID.replacen("00", "01", 1), format!("{}-more", VALID.replacen("00", "cc", 1))] {
            assert_eq!(of(&[("traceparent", &value)]).parent_span_id.len(), 8, "{value}");
        }
        assert_eq!(
            of(&[("traceparent", &VALID.replacen("-01", "-ff", 1))]).flags,
            3,
            "unknown flags are dropped"
        );
    }

    #[test]
    fn anything_else_restarts_the_trace_and_drops_the_state() {
        let invalid = [
            String::new(),
            VALID.to_uppercase(),
            VALID.replacen("00", "ff", 1),
            format!("{VALID}-more"),
            format!("{}x", VALID.replacen("00", "01", 1)),
            VALID.replace("0af7651916cd43dd8448eb211c80319c", &"0".repeat(32)),
            VALID.replace("b7ad6b7169203331", &"0".repeat(16)),
            VALID.trim_end_matches('1').to_owned(),
            VALID.replace('-', "_"),
        ];
        for value in invalid {
            let trace = of(&[("traceparent", &value), ("tracestate", "a=1")]);
            assert!(trace.parent_span_id.is_empty() && trace.trace_state.is_empty(), "{value}");
            assert_eq!((trace.trace_id.len(), trace.flags), (16, 3));
        }
        assert!(of(&[("traceparent", VALID), ("traceparent", VALID)]).parent_span_id.is_empty());
    }

    #[test]
    fn an_invalid_state_is_dropped_whole_and_the_parent_kept() {
        let many = (0..33).map(|n| format!("k{n}=v")).collect::<Vec<_>>().join(",");
        for state in ["a", "a=1,A=2", "a=1,a=2", "a=b=c", "a=\u{e4}", "=1", many.as_str()] {
            let trace = of(&[("traceparent", VALID), ("tracestate", state)]);
            assert!(trace.trace_state.is_empty(), "{state}");
            assert_eq!(trace.parent_span_id.len(), 8);
        }
    }
}
