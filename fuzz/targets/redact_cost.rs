//! The cost of redaction: no text exceeds a number of steps per byte, plain or as a JSON string at any depth of
//! escaping, in one piece or repeated, with all detectors or with one.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_filter::redact::{
    Builtin, Counts, Fields, NESTED_MAX, Replacement, Set, escape, redact_json, steps,
};
use weir_fuzz::{DETECTORS, controls};

/// Most steps per byte, beyond those of any search; as in the filter's own test.
const STEPS_MAX: u64 = 48;
/// JSON may take this many times as many, since text that is itself escaped is searched again, unescaped.
const ESCAPED: u64 = 2;
const STEPS_LEAST: u64 = 4_000;
/// Length of a repeated text, in bytes.
const LENGTH: usize = 4_096;

fuzz_target!(|data: &[u8]| {
    let ([which, repeats], text) = controls(data);
    let text = String::from_utf8_lossy(text).into_owned();
    let text = if repeats % 4 == 0 { text } else { text.repeat(LENGTH / text.len().max(1) + 1) };
    let one = Builtin::ALL.get(usize::from(which));
    let set: Set = one.map_or_else(|| DETECTORS.all(), |builtin| [builtin.id()].into_iter().collect());
    let body = serde_json::json!({ "content": text }).to_string();
    let _ = steps();
    DETECTORS.redact(set, &text, &mut Replacement::Mask, &mut Counts::default());
    let plain = steps();
    redact_json(body.as_bytes(), &DETECTORS, set, Fields::NONE, &mut Replacement::Mask).expect("JSON");
    let in_json = steps();
    let mut nested = String::new();
    escape(&text, u32::from(repeats) % (NESTED_MAX + 1), &mut nested);
    let deep = serde_json::json!({ "content": nested }).to_string();
    redact_json(deep.as_bytes(), &DETECTORS, set, Fields::NONE, &mut Replacement::Mask).expect("JSON");
    let json_max = ESCAPED * STEPS_MAX;
    for (steps, bytes, max) in
        [(plain, text.len(), STEPS_MAX), (in_json, body.len(), json_max), (steps(), deep.len(), json_max)]
    {
        assert!(steps <= max * bytes as u64 + STEPS_LEAST, "{steps} steps for {bytes} bytes");
    }
});
