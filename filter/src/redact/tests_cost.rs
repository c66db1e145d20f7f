//! What a search costs, whatever is searched: no more than [`STEPS_MAX`] steps a byte.

use super::cost::steps;
use super::key::KEYS;
use super::label::WORDS;
use super::tests::DETECTORS;
use super::*;

/// Most steps for each byte of a text, whatever it is and whichever detectors run.
const STEPS_MAX: f64 = 50.0;
/// Steps that a search takes whatever its length.
const STEPS_LEAST: u64 = 2_000;

/// What is near something, or the beginning of it, or nearly it.
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

/// The steps that a text costs, plain and as a string of JSON.
fn costs(set: Set, text: &str) -> [(u64, usize); 2] {
    let body = serde_json::json!({ "messages": [{ "role": "user", "content": text }] }).to_string();
    let _ = steps();
    DETECTORS.redact(set, text, &mut Replacement::Mask, &mut Counts::default());
    let plain = steps();
    redact_json(body.as_bytes(), &DETECTORS, set, Fields::NONE, &mut Replacement::Mask).unwrap();
    [(plain, text.len()), (steps(), body.len())]
}

fn per_byte(set: Set, text: &str) -> f64 {
    let over = |(steps, bytes): (u64, usize)| steps.saturating_sub(STEPS_LEAST) as f64 / bytes as f64;
    costs(set, text).into_iter().map(over).fold(0.0, f64::max)
}

/// A text of what is repeated, of so many bytes.
fn repeated(part: &str, length: usize) -> String {
    part.repeat(length / part.len().max(1) + 1)
}

#[test]
fn whatever_is_repeated_costs_little_and_no_more_a_byte_when_it_is_longer() {
    let mut slow = Vec::new();
    for part in parts() {
        for end in ["", " ", "=", ": ", " 1 ", "1"] {
            let part = format!("{part}{end}");
            let [short, long] =
                [1 << 10, 8 << 10].map(|length| per_byte(DETECTORS.all(), &repeated(&part, length)));
            if long > STEPS_MAX || long > short * 1.1 + 1.5 {
                slow.push((long, short, part));
            }
        }
    }
    slow.sort_by(|one, other| other.0.total_cmp(&one.0));
    let list: String = slow
        .iter()
        .take(40)
        .map(|(long, short, part)| format!("{long:7.1} {short:7.1} {part:?}\n"))
        .collect();
    assert!(slow.is_empty(), "{} of them, steps a byte:\n{list}", slow.len());
}
