//! Bounds the cost of a search of any text: at most [`STEPS_MAX`] steps per byte in each reading of it.

// The output is the result of a search.
#![allow(clippy::print_stdout)]

use proptest::prelude::*;

use crate::redact::detectors::key::KEYS;
use crate::redact::detectors::label::WORDS;
use crate::redact::tests::{DETECTORS, cases};
use crate::redact::text::cost::steps;
use crate::redact::*;

/// Most steps per byte of any text, with any detectors.
const STEPS_MAX: f64 = 48.0;
/// JSON may take this many times as many, since text that is itself escaped is searched again, unescaped.
const ESCAPED: f64 = 2.0;

/// Matches, beginnings of matches and near-misses.
const PARTS: &[&str] = &[
    "a",
    "b@",
    "@",
    "a@",
    "a@b.",
    "a@b.co",
    "a.",
    ".",
    "1",
    "1 ",
    "12 ",
    "1.",
    "1-",
    "0",
    "00 ",
    "01 ",
    "001 ",
    "0111 ",
    "4",
    "4111 ",
    "4111-",
    "4111.",
    "4111",
    "411111 ",
    "5500 ",
    "3400 ",
    "3782 822463 ",
    "212-",
    "138-",
    "(1",
    "(1)",
    "(01)",
    "(212) ",
    "(",
    "+",
    "+1",
    "+1 ",
    "+49 1 ",
    "+49 30 ",
    "-",
    "--",
    ":",
    "::",
    "a:",
    "ab:",
    "0:",
    "1:",
    "ab-",
    "abcd.",
    "fe80::",
    "1::",
    " a:b",
    "[",
    "[A",
    "[EMAIL",
    "[EMAIL]",
    "[EMAIL:",
    "[EMAIL_1",
    "[IP:0123456789",
    "]",
    "\"",
    "'",
    "'\"",
    "`",
    "eyJ",
    "eyJ.",
    "eyJa.",
    "eyJhbGciOiJI",
    "eyJhbGciOiJI.a.",
    "-----BEGIN ",
    "-----BEGIN PRIVATE KEY-----",
    "-----END ",
    "-----BEGIN PRIVATE KEY-----\n",
    "-----BEGIN PRIVATE KEY-----A: ",
    "A: b\n",
    "AAAAAAAAAAAAAAAAAAAA",
    "AAAAAAAAAAAAAAAA\n",
    "Q~",
    "1Q~",
    "~aa1Q~",
    "DE",
    "DE89",
    "DE89 ",
    "RU12",
    "RU12 ",
    "MT12 ",
    "NO11 ",
    "1.1.1.",
    " 1.1",
    "version 1.2.3.",
    "=",
    "= ",
    ": ",
    "=\"",
    "='",
    "a1",
    " is ",
    " for ",
    " for the ",
    "Bearer ",
    "(a",
    "(a) ",
    "no ",
    "n ",
    "of ",
    "№ ",
    "è ",
    "1 jan ",
    "1 de ",
    "jan ",
    "1/",
    "1/1/",
    "12.03.19",
    "1980",
    "年",
    "1年1月",
    "v",
    "x",
    " ",
    "\n",
    "\\n",
    "\\\\",
    "\\",
    "\\u0041",
    "\\u200b",
    "\\u",
    "\\\\u0041",
    "\\\\\\\\",
    "\\\"",
    "ü",
    "é",
    "é@",
    "電",
    "电话1",
    "１",
    "٤",
    "\u{200b}",
    "\u{200b}1",
    "\u{a0}",
    "’",
    "あ",
    "अ",
    "😀",
    "𝟙",
    "xn--",
    "@xn--.",
    "a-",
    "a-a.",
    "/",
    "a/",
    "_",
    "a_",
    ",",
    "|",
    "*",
    "***",
    "?sig=",
    "&sig=",
    "a://b:",
    "a://b:c@",
    "://",
    "{",
    "}",
    "{\"",
    "\":",
    "[[",
    "tok_1:",
    "a.b.",
    "0x",
    "$",
    "%",
];

fn parts() -> Vec<&'static str> {
    let words = WORDS.iter().flat_map(|(_, words)| words.iter().copied());
    PARTS.iter().copied().chain(words).chain(KEYS.iter().map(|key| key.prefix)).collect()
}

/// The most steps per byte of a text, plain and as a JSON string.
fn per_byte(set: Set, text: &str) -> f64 {
    let body = serde_json::json!({ "messages": [{ "role": "user", "content": text }] }).to_string();
    let _ = steps();
    DETECTORS.redact(set, text, &mut Replacement::Mask, &mut Counts::default());
    let plain = steps() as f64 / text.len() as f64;
    redact_json(body.as_bytes(), &DETECTORS, set, Fields::NONE, &mut Replacement::Mask).unwrap();
    plain.max(steps() as f64 / body.len() as f64 / ESCAPED)
}

/// The same of a text that is escaped several times over, as JSON within JSON is.
fn per_byte_nested(set: Set, text: &str, depth: u32) -> f64 {
    let mut nested = String::new();
    escape(text, depth, &mut nested);
    let body = serde_json::json!({ "content": [nested, format!("{{\"a\":\"{nested}\"}}")] }).to_string();
    let _ = steps();
    redact_json(body.as_bytes(), &DETECTORS, set, Fields::NONE, &mut Replacement::Mask).unwrap();
    steps() as f64 / body.len() as f64 / ESCAPED
}

/// Repeats a part up to this many bytes.
fn repeated(part: &str, length: usize) -> String {
    part.repeat(length / part.len().max(1) + 1)
}

#[test]
fn whatever_is_repeated_costs_little_and_no_more_a_byte_when_it_is_longer() {
    let mut slow = Vec::new();
    for part in parts() {
        for end in ["", " ", "1"] {
            let part = format!("{part}{end}");
            let [short, long] = [512, 4096].map(|length| per_byte(DETECTORS.all(), &repeated(&part, length)));
            if long > STEPS_MAX || long > short * 1.1 + 3.0 {
                slow.push((long, short, part));
            }
        }
    }
    slow.sort_by(|one, other| other.0.total_cmp(&one.0));
    let line = |(long, short, part): &(f64, f64, String)| format!("{long:7.1} {short:7.1} {part:?}\n");
    let list: String = slow.iter().take(40).map(line).collect();
    assert!(slow.is_empty(), "{} of them, steps a byte:\n{list}", slow.len());
}

proptest! {
    #![proptest_config(cases(150))]

    #[test]
    fn no_text_of_what_detectors_look_for_costs_much(
        period in prop::collection::vec(prop_oneof![
            4 => prop::sample::select(parts()).prop_map(String::from),
            1 => "[a-z0-9:=. @-]{1,6}",
            1 => "\\PC{1,3}",
        ], 1..6),
        once in any::<bool>(),
        which in 0..2 * Builtin::ALL.len(),
        depth in 0..=NESTED_MAX,
    ) {
        let one = Builtin::ALL.get(which);
        let set = one.map_or_else(|| DETECTORS.all(), |builtin| [builtin.id()].into_iter().collect());
        let text = if once { period.concat() + &" ".repeat(2048) } else { repeated(&period.concat(), 2048) };
        let cost = per_byte(set, &text).max(per_byte_nested(set, &text, depth));
        prop_assert!(cost <= STEPS_MAX, "{cost:.1} steps a byte: {period:?}");
    }
}

/// Searches for the slowest text by mutating slow ones, and prints the worst for each detector. Runs for as
/// long as it is given (`SECONDS=60 cargo test … slowest -- --ignored --nocapture`).
#[test]
#[ignore = "a search, for those who change a detector"]
fn the_slowest_text_that_a_search_comes_upon() {
    let seconds: u64 = std::env::var("SECONDS").ok().and_then(|given| given.parse().ok()).unwrap_or(60);
    let all = parts();
    let mut state = 0x9e37_79b9_7f4a_7c15_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) as usize % below
    };
    let sets = Builtin::ALL.map(Some).into_iter().chain([None]);
    let share = std::time::Duration::from_secs(seconds) / (Builtin::ALL.len() as u32 + 1);
    for one in sets {
        let set: Set =
            one.map_or_else(|| DETECTORS.all(), |builtin: Builtin| [builtin.id()].into_iter().collect());
        let (mut worst, mut best): (f64, Vec<&str>) = (0.0, vec!["a"]);
        let start = std::time::Instant::now();
        while start.elapsed() < share {
            let mut next = best.clone();
            for _ in 0..=random(2) {
                let at = random(next.len() + 1);
                match random(4) {
                    0 if next.len() > 1 => drop(next.remove(at.min(next.len() - 1))),
                    1 if at < next.len() => next[at] = all[random(all.len())],
                    // Any part, at times.
                    2 if random(8) == 0 => next = vec![all[random(all.len())]],
                    _ => next.insert(at, all[random(all.len())]),
                }
            }
            let cost = per_byte(set, &repeated(&next.concat(), 1024));
            if cost > worst && next.len() < 12 {
                (worst, best) = (cost, next);
            }
        }
        println!("{:<16} {worst:6.1} steps a byte: {:?}", one.map_or("all", Builtin::name), best.concat());
    }
}
