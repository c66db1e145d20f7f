//! Measures the detectors on a corpus written for this project: `make redaction-report`.
//!
//! `detectors/<detector>.txt` contains one case per line: `+` and a text with «what must be found», or `-` and
//! a text without matches. Each detector runs alone on its cases; then all run together, and nothing marked may
//! remain. `⏎` is a line end, and `{alnum:36}` stands for that many characters, generated here so that no file
//! contains anything like a key.

#![cfg(not(target_arch = "wasm32"))]
// clippy does not know what test functions call.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::fmt::Write as _;
use std::path::Path;

use weir_filter::redact::{Allow, Builtin, Counts, DetectorId, Detectors, Replace, Set};

/// Fewest cases of each kind for a detector.
const CASES_MIN: usize = 40;
/// Lowest precision and recall.
const RATE_MIN: f64 = 0.95;

/// A case: its line, its text, and the marked parts.
struct Case {
    line: usize,
    text: String,
    marked: Vec<String>,
}

/// Collects matches.
#[derive(Default)]
struct Matched(Vec<String>);

impl Replace for Matched {
    fn replace(&mut self, _: DetectorId, label: &str, value: &str, out: &mut String) {
        self.0.push(value.to_owned());
        out.extend(["[", label, "]"]);
    }
}

/// Generated characters, the same each time. One of each kind comes first, as in real keys.
fn made_up(class: &str, length: usize, seed: usize) -> Option<String> {
    const UPPER: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    const LOWER: &str = "abcdefghijklmnopqrstuvwxyz";
    const DIGIT: &str = "0123456789";
    let (first, all) = match class {
        "alnum" => ("aB3", [UPPER, LOWER, DIGIT].concat()),
        "b64" => ("aB3", [UPPER, LOWER, DIGIT, "+/"].concat()),
        "b64url" => ("aB3", [UPPER, LOWER, DIGIT, "-_"].concat()),
        "b64pct" => ("aB3%2B", [UPPER, LOWER, DIGIT].concat()),
        "cap" => ("Q7", [UPPER, "234567"].concat()),
        "lower" => ("q", LOWER.to_owned()),
        "digit" => ("4", DIGIT.to_owned()),
        "hex" => ("a3", "0123456789abcdef".to_owned()),
        "HEX" => ("A3", "0123456789ABCDEF".to_owned()),
        _ => return None,
    };
    let all: Vec<char> = all.chars().collect();
    let mut state = (seed as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let rest = std::iter::repeat_with(|| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        all[(state >> 33) as usize % all.len()]
    });
    // The last one is never a hyphen, since no key ends in one.
    let last = if matches!(class, "digit" | "hex" | "HEX" | "cap") { '7' } else { 'x' };
    Some(first.chars().chain(rest).take(length.saturating_sub(1)).chain([last]).collect())
}

/// Replaces everything in braces by generated characters.
fn expand(text: &str, line: usize) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(open) = rest.find('{') {
        let (before, from) = rest.split_at(open);
        out.push_str(before);
        let word = from.split_once('}').map_or("", |(word, _)| word.trim_start_matches('{'));
        let made = match word.split_once(':') {
            Some(("BEGIN", name)) => Some(format!("-----BEGIN {name}-----")),
            Some(("END", name)) => Some(format!("-----END {name}-----")),
            Some((class, length)) => {
                length.parse().ok().and_then(|length| made_up(class, length, line + out.len()))
            }
            None if word == "zw" => Some("\u{200b}".to_owned()),
            None if word == "nbsp" => Some("\u{a0}".to_owned()),
            None => None,
        };
        let used = if made.is_some() { word.len() + 2 } else { 1 };
        out.push_str(made.as_deref().unwrap_or("{"));
        rest = from.split_at(used).1;
    }
    out.push_str(rest);
    out.replace('⏎', "\n")
}

fn read(detector: Builtin) -> (Vec<Case>, Vec<Case>) {
    let name = format!("tests/detectors/{}.txt", detector.name());
    let file = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(&name)).expect(&name);
    let (mut positives, mut near_misses) = (Vec::new(), Vec::new());
    for (index, line) in file.lines().enumerate() {
        let (kind, text) = line.split_once(' ').unwrap_or((line, ""));
        let text = expand(text, index + 1);
        let marked =
            text.split('«').skip(1).map(|part| part.split_once('»').expect("a closing mark").0.to_owned());
        let case = Case { line: index + 1, marked: marked.collect(), text: text.replace(['«', '»'], "") };
        match kind {
            "+" => positives.push(case),
            "-" => near_misses.push(case),
            _ => assert!(kind.is_empty() || kind == "#", "{name}:{}: {line}", index + 1),
        }
    }
    assert!(positives.iter().all(|case| !case.marked.is_empty()), "{name}: a + without a mark");
    assert!(near_misses.iter().all(|case| case.marked.is_empty()), "{name}: a - with a mark");
    assert!(positives.len() >= CASES_MIN && near_misses.len() >= CASES_MIN, "{name}: too few cases");
    (positives, near_misses)
}

fn matched(detectors: &Detectors, set: Set, text: &str) -> (Vec<String>, String) {
    let mut matched = Matched::default();
    let redacted = detectors.redact(set, text, &mut matched, &mut Counts::default()).into_owned();
    (matched.0, redacted)
}

#[test]
fn every_detector_finds_what_it_should_and_little_else() {
    let detectors = Detectors::new(&[], &Allow::default(), "redaction").unwrap();
    let mut table =
        String::from("\ndetector          cases  near misses  found  missed  wrong  precision  recall\n");
    let (mut notes, mut failed) = (String::new(), Vec::new());
    for detector in Builtin::ALL {
        let set: Set = [detector.id()].into_iter().collect();
        let (positives, near_misses) = read(detector);
        let (mut found, mut missed, mut wrong) = (0, 0, 0);
        let mut note = |what: &str, case: &Case, value: &str| {
            let _ = writeln!(
                notes,
                "{}.txt:{}: {what}: {value:?} in {:?}",
                detector.name(),
                case.line,
                case.text
            );
        };
        for case in &positives {
            let (mut values, _) = matched(&detectors, set, &case.text);
            for marked in &case.marked {
                match values.iter().position(|value| value.contains(marked.as_str())) {
                    Some(place) => {
                        found += 1;
                        if values[place] != *marked {
                            note("more than marked", case, &values[place]);
                        }
                        values.remove(place);
                    }
                    None => {
                        missed += 1;
                        note("missed", case, marked);
                    }
                }
            }
            wrong += values.len();
            values.iter().for_each(|value| note("wrong", case, value));
            // Together, they leave nothing that one of them finds.
            let (alone, _) = matched(&detectors, set, &case.text);
            let (_, left) = matched(&detectors, detectors.all(), &case.text);
            for value in alone {
                assert!(!left.contains(&value), "{value:?} is left of {:?}: {left:?}", case.text);
            }
        }
        for case in &near_misses {
            let (values, _) = matched(&detectors, set, &case.text);
            wrong += values.len();
            values.iter().for_each(|value| note("wrong", case, value));
        }
        let rate = |good: usize, bad: usize| good as f64 / (good + bad).max(1) as f64;
        let (precision, recall) = (rate(found, wrong), rate(found, missed));
        let _ = writeln!(
            table,
            "{:<16} {:>6} {:>12} {found:>6} {missed:>7} {wrong:>6} {precision:>10.3} {recall:>7.3}",
            detector.name(),
            positives.len(),
            near_misses.len()
        );
        if precision < RATE_MIN || recall < RATE_MIN {
            failed.push(detector.name());
        }
    }
    println!("{table}\n{notes}");
    assert!(failed.is_empty(), "below {RATE_MIN}: {failed:?}");
}

#[test]
fn what_is_made_up_is_the_same_each_time_and_as_long_as_asked() {
    assert_eq!(expand("a {alnum:36} b {x} {hex:5}", 7), expand("a {alnum:36} b {x} {hex:5}", 7));
    let text = expand("{b64url:43}.{digit:12}⏎{\"a\":1}", 3);
    let (key, rest) = text.split_once('.').unwrap();
    assert_eq!((key.len(), rest.len()), (43, "123456789012\n{\"a\":1}".len()));
}
