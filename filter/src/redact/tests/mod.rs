//! Properties of all detectors together.

#[cfg(test)]
mod cost;
#[cfg(test)]
mod json;
#[cfg(test)]
mod slices;

use std::sync::{Arc, LazyLock};

use proptest::prelude::*;
use proptest::test_runner::RngSeed;

use crate::redact::*;

/// Compiled once, because that takes a second without optimization.
pub(crate) static DETECTORS: LazyLock<Arc<Detectors>> =
    LazyLock::new(|| Arc::new(Detectors::new(&[], &Allow::default(), "redaction").unwrap()));

fn redacted(text: &str) -> String {
    let mut counts = Counts::default();
    DETECTORS.redact(DETECTORS.all(), text, &mut Replacement::Label, &mut counts).into_owned()
}

#[test]
fn each_kind_is_found() {
    for (text, expected) in [
        ("mail john.doe@example.com now", "mail [EMAIL] now"),
        ("ring +49 30 1234567, or (212) 555-0123", "ring [PHONE], or [PHONE]"),
        ("card 4111 1111 1111 1111.", "card [CREDIT_CARD]."),
        ("ssn 123-45-6789", "ssn [SSN]"),
        ("to DE89 3704 0044 0532 0130 00", "to [IBAN]"),
        ("from 203.0.113.7 and 2001:db8::1", "from [IP] and [IP]"),
        ("00:1a:2b:3c:4d:5e", "[MAC]"),
        ("date of birth: 12 March 1980", "date of birth: [DATE_OF_BIRTH]"),
        ("passport no. C01X00T47", "passport no. [PASSPORT]"),
        ("driver's license D1234567", "driver's license [DRIVING_LICENCE]"),
        ("postgres://app:s3cret@db/x", "postgres://[URL_CREDENTIALS]@db/x"),
        ("api_key=\"a1b2c3d4e5f6\"", "api_key=\"[GENERIC_SECRET]\""),
        ("password: hunter2.", "password: [GENERIC_SECRET]."),
        ("ｊｏｈｎ＠ｅｘａｍｐｌｅ．ｃｏｍ ٤١١١١١١١١١١١١١١١", "[EMAIL] [CREDIT_CARD]"),
    ] {
        assert_eq!(redacted(text), expected);
        assert_eq!(redacted(expected), expected);
    }
}

/// Runs this many cases, the same each time. Rare failures are for longer runs (`PROPTEST_CASES=100000
/// PROPTEST_RNG_SEED=…`).
pub(crate) fn cases(count: u32) -> ProptestConfig {
    let default = ProptestConfig::default();
    let asked = std::env::var("PROPTEST_CASES").is_ok();
    ProptestConfig {
        cases: if asked { default.cases } else { count },
        rng_seed: if asked { default.rng_seed } else { RngSeed::Fixed(0x7765_6972) },
        failure_persistence: None,
        ..default
    }
}

/// Separators between two parts of a text.
pub(crate) const APART: [&str; 8] = [" ", " ", ", ", ". ", "\n", " and ", "; ", " x "];
pub(crate) const JOINED: [&str; 11] = [" ", " ", " ", "", "", ", ", ". ", "\n", " and ", "x", "7"];

/// Texts full of matches and near-misses.
pub(crate) fn pieces(fillers: &[&'static str]) -> impl Strategy<Value = String> {
    let known = prop::sample::select(vec![
        "john.doe@example.com",
        "@",
        "a@b",
        ".com",
        "+49 30 1234567",
        "(212) 555-0123",
        "4111 1111 1111 1111",
        "4111111111111111",
        "123-45-6789",
        "DE89 3704 0044 0532 0130 00",
        "203.0.113.7",
        "2001:db8::1",
        "::",
        "00:1a:2b:3c:4d:5e",
        "date of birth: ",
        "12 March 1980",
        "12.03.1980",
        "passport no. ",
        "C01X00T47",
        "driver's license ",
        "D1234567",
        "postgres://",
        "app:s3cret@",
        "https://",
        "api_key=",
        "password: ",
        "\"a1b2c3d4e5f6\"",
        "hunter2",
        "Bearer ",
        "eyJhbGciOiJIUzI1NiJ9.",
        "eyJzdWIiOiIxMjM0In0.",
        "c2lnbmF0dXJl",
        "-----BEGIN RSA PRIVATE KEY-----\n",
        "-----END RSA PRIVATE KEY-----",
        "MIIEpAIBAAKCAQEA04up8hoqzS1\n",
        "AKIA",
        "ABCDEFGHIJ234567",
        "sk-",
        "sk-ant-",
        "api03-aB3dE5gH7jK9mN1pQ3sT5",
        "ghp_",
        "glpat-",
        "xoxb-",
        "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",
        "0123456789abcdef0123456789abcdef",
        "-us12",
        "110201543",
        ":AAHdqTcvCH1vGWJxfSe1ofSAs0K5PALDsaw",
        "_mmk",
        "JQQJ99",
        "AzFu",
        "pcsk_",
        "SG.",
        "/",
        "hooks.slack.com/triggers/T01ABCDEF/6367991174194/",
        "oracle:thin:scott/tiger@",
        " -u ",
        "elastic:P@ssw0rd1",
        "token ?= ",
        "some_api_token_1 := ",
        "m{{h}o)p${e]nob(ody[f",
        ";Password=",
        "用户",
        "@例子.广告",
        "ผู้ใช้",
        "@ตัวอย่าง.คอม",
        ".com",
        "例子",
        ".公司",
        "card ",
        "503867297114",
        "4111  1111\t1111",
        "8 (495) 123-45-67",
        "71-33-52-22",
        "781 1704",
        " office",
        "-Fax",
        "x565",
        " ext. 12",
        "passports: ",
        " and ",
        "3f9a8b7c6d5e4f3a2b1c0d9e",
        "[EMAIL]",
        "[PHONE:0123456789]",
        "[IP_1]",
        "[",
        "]",
        "***",
        "\u{200b}",
        "ü",
        "電話",
        "：",
        "４１１１",
        "٤",
        "phone ",
        "tel. 030 1234567",
        "\\u0040",
        "\\n",
        "\\",
        "\"",
        "'",
        "-",
        "+",
        ":",
        "/",
        "=",
        "1",
        "00",
        "a",
    ]);
    let filler = prop::sample::select(fillers.to_vec());
    prop::collection::vec((known, filler), 0..14)
        .prop_map(|parts| parts.into_iter().flat_map(|(known, filler)| [known, filler]).collect())
}

pub(crate) fn hash() -> Replacement {
    Replacement::Hash(HashKey::new(b"key", 8))
}

fn redact_with(mut replacement: Replacement, text: &str) -> String {
    DETECTORS.redact(DETECTORS.all(), text, &mut replacement, &mut Counts::default()).into_owned()
}

fn stream(replacement: Replacement, channel: Channel, pieces: &[&str]) -> String {
    stream_with(&DETECTORS, replacement, channel, pieces)
}

fn stream_with(
    detectors: &Arc<Detectors>,
    replacement: Replacement,
    channel: Channel,
    pieces: &[&str],
) -> String {
    let mut redactor = StreamRedactor::new(Arc::clone(detectors), detectors.all(), replacement, channel);
    let mut out: String = pieces.iter().map(|piece| redactor.feed(piece)).collect();
    out += &redactor.finish();
    out
}

fn split<'t>(text: &'t str, at: &[usize]) -> Vec<&'t str> {
    let mut places: Vec<usize> =
        at.iter().map(|at| text.floor_char_boundary(at % (text.len() + 1))).collect();
    places.extend([0, text.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| text.get(pair[0]..pair[1]).unwrap()).collect()
}

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn redaction_is_idempotent(text in pieces(&APART)) {
        for replacement in [Replacement::Label, Replacement::Mask, hash()] {
            let once = redact_with(replacement.clone(), &text);
            prop_assert_eq!(redact_with(replacement, &once), once);
        }
    }

    #[test]
    fn a_stream_gives_what_the_whole_would(text in pieces(&JOINED), at in prop::collection::vec(any::<usize>(), 0..8)) {
        for replacement in [Replacement::Label, hash()] {
            let whole = redact_with(replacement.clone(), &text);
            prop_assert_eq!(&stream(replacement, Channel::Text, &split(&text, &at)), &whole);
        }
        let whole = stream(Replacement::Label, Channel::Json, &[&text]);
        prop_assert_eq!(&stream(Replacement::Label, Channel::Json, &split(&text, &at)), &whole);
    }
}

/// Base64 of this many characters that nobody would take for words.
fn base64(length: usize) -> String {
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
    (0..length).map(|n| char::from(alphabet[(n * n + 7 * n) % alphabet.len()])).collect()
}

fn key_of(lines: usize) -> String {
    let body: String = (0..lines).map(|n| base64(64 + n % 2) + "\n").collect();
    format!("-----BEGIN {0}-----\n{body}-----END {0}-----", "RSA PRIVATE KEY")
}

#[test]
fn what_is_longer_than_may_be_held_is_replaced_as_a_whole_in_a_stream_too() {
    let token = format!("eyJ{}.eyJ{}.{}", base64(40), base64(9000), base64(300));
    for (secret, end) in [
        (token.clone(), ". And so on"),
        (format!("eyJ{}", base64(20_000)), " and so on"),
        (key_of(3), "\nand so on"),
        (key_of(200), "\nand so on"),
        (key_of(200).replace('\n', "\\n"), " and so on"),
        (key_of(200).split("-----END").next().unwrap().trim_end().to_owned(), "\n(and so on)"),
        (format!("sk-{}{}", "proj-", base64(7000)), ", and so on"),
    ] {
        for replacement in [Replacement::Label, hash()] {
            let text = format!("mail a@example.com, use {secret}{end} for b@example.com");
            let whole = redact_with(replacement.clone(), &text);
            assert!(whole.len() < 160 && whole.contains("so on"), "{whole}");
            for step in [text.len() / 300 + 1, 1000, 5000, text.len()] {
                let pieces: Vec<&str> =
                    text.as_bytes().chunks(step).map(|piece| std::str::from_utf8(piece).unwrap()).collect();
                assert_eq!(stream(replacement.clone(), Channel::Text, &pieces), whole, "by {step} bytes");
            }
        }
    }
}

#[test]
fn only_what_may_become_a_match_is_held_back_and_never_much() {
    let new =
        || StreamRedactor::new(Arc::clone(&DETECTORS), DETECTORS.all(), Replacement::Label, Channel::Text);
    let mut redactor = new();
    assert_eq!(redactor.feed("Hello, wor"), "Hello, ");
    assert_eq!(redactor.feed("ld. I am "), "world. I am ");
    assert_eq!(redactor.feed("東京です、"), "東京です、");
    assert_eq!(redactor.feed("jo@example"), "");
    assert_eq!(redactor.feed(".com, "), "[EMAIL], ");
    assert_eq!(redactor.finish(), "");
    for hostile in
        ["a", "@", "1", "1 ", "a@b.co", "-", ":", "(", "eyJ", "eyJ.", "-----BEGIN ", "[", "\\", "\"", "::"]
    {
        let mut redactor = new();
        let mut left = 0;
        for _ in 0..6000 / hostile.len() {
            left += redactor.feed(hostile).len();
            assert!(redactor.held() <= HELD_MAX, "{hostile}");
        }
        assert!(left + redactor.finish().len() > 0, "{hostile}");
    }
    let mut redactor = new();
    redactor.feed(&key_of(1000));
    assert!(redactor.held() <= HELD_MAX);
}

fn custom(name: &str, pattern: &str) -> Custom {
    Custom { name: name.to_owned(), version: 1, pattern: pattern.to_owned(), ..Custom::default() }
}

fn with(custom: &[Custom], allow: &Allow) -> Arc<Detectors> {
    Arc::new(Detectors::new(custom, allow, "redaction").unwrap())
}

#[test]
fn detectors_of_the_operators_own_are_found_by_pattern_checksum_and_context() {
    let detectors = with(
        &[
            custom("ticket", r"\bTCK-\d{4,}\b"),
            Custom { checksum: Some(Checksum::Luhn), ..custom("member", r"\b\d{8}\b") },
            Custom {
                context: vec!["Personalnummer".to_owned(), "staff id".to_owned()],
                ..custom("staff", r"\b[A-Z]\d{5}\b")
            },
            custom("code", r"secret-\w+"),
        ],
        &Allow { values: vec!["tck-0000".to_owned()], patterns: vec![r".*@example\.org".to_owned()] },
    );
    let redact = |text: &str| {
        let mut replacement = Replacement::Label;
        detectors.redact(detectors.all(), text, &mut replacement, &mut Counts::default()).into_owned()
    };
    for (text, expected) in [
        ("see TCK-1234 and TCK-0000, TCK-12", "see [TICKET] and TCK-0000, TCK-12"),
        ("no. 12345674 and 12345678", "no. [MEMBER] and 12345678"),
        ("Personalnummer: A12345. BudgetPermit B12345", "Personalnummer: [STAFF]. BudgetPermit [STAFF]"),
        ("BudgetPermit B12345", "BudgetPermit B12345"),
        ("ＴＣＫ－１２３４", "[TICKET]"),
        ("a@example.org, a@example.com", "a@example.org, [EMAIL]"),
    ] {
        assert_eq!(redact(text), expected);
        assert_eq!(redact(expected), expected);
    }
    assert_eq!(redact(&format!("secret-{} rest", "x".repeat(5000))), "[CODE] rest");
}

#[test]
fn a_detector_that_cannot_be_used_is_refused_with_its_name() {
    let error = |custom: Custom| Detectors::new(&[custom], &Allow::default(), "redaction").unwrap_err();
    for (pattern, says) in [
        ("(", "is not a regular expression"),
        (r"(a)\1", "backreferences"),
        (r"(?=a)", "look-around"),
        ("a*", "matches the empty text"),
        ("", "must be 1 to"),
        (r"\w{1000}\w{1000}", "is too large"),
    ] {
        let error = error(custom("mine", pattern));
        assert_eq!(error.path, "redaction.custom[0].pattern", "{pattern}");
        assert!(error.message.contains("\"mine\"") && error.message.contains(says), "{error}");
    }
    for name in ["", "Mine", "email", "secrets", "1x", "a-b"] {
        assert_eq!(error(custom(name, "x")).path, "redaction.custom[0].name", "{name}");
    }
    let twice = [custom("a", "x"), custom("a", "y")];
    assert!(Detectors::new(&twice, &Allow::default(), "redaction").is_err());
    let allow = Allow { patterns: vec!["[".to_owned()], ..Allow::default() };
    let error = Detectors::new(&[], &allow, "redaction").unwrap_err();
    assert_eq!(error.path, "redaction.allow.patterns[0]");
}

#[test]
fn a_pattern_that_would_look_at_the_same_again_and_again_is_refused_with_the_figure() {
    for pattern in [
        "ID(?:.*secret)?",
        r"\bKEY\b(?:[^\n]*\bEND\b)?",
        "a(?:[^b]*b)?",
        r"(?i)no\.?(?:\s|\S)*?end|no",
        r"[0-9](?:[0-9 ]{0,100}x)?",
        "(?:ab|cd)(?:[^;]*;)?",
        r"A(?:[A-Z ]{1,100}!)?",
    ] {
        let error = Detectors::new(&[custom("mine", pattern)], &Allow::default(), "redaction").unwrap_err();
        assert_eq!(error.path, "redaction.custom[0].pattern", "{pattern}");
        assert!(
            error.message.contains("bytes for each byte") && error.message.contains("\"mine\""),
            "{error}"
        );
    }
    for pattern in [
        r"TCK-\d{4,}",
        r"\b[A-Z]{2}-\d{3,8}\b",
        "a.*",
        "[a-z]{4,}",
        "x",
        r"(?i)project \w+ (alpha|beta)",
        "<[^<>]*>",
        r"\b\d{3}-?\d{2}(?:-\d{4})?\b",
        r"(?:https?://)?intranet\.example\.com(?:/\S*)?",
        r"[A-Z0-9._%+-]+@corp\.example",
        r"EMP\d{6}(?:[A-Z]{2})?",
        r"ID(?:[^\n]{0,8}secret)?",
    ] {
        let made = Detectors::new(&[custom("mine", pattern)], &Allow::default(), "redaction");
        assert!(made.is_ok(), "{pattern}: {}", made.unwrap_err());
    }
}

#[test]
fn a_word_for_a_match_of_ones_own_is_looked_for_once_however_many_matches_there_are() {
    let words: Vec<String> = (0..32).map(|n| format!("word {n}")).collect();
    let number = Custom { context: words, ..custom("number", r"\d{5}") };
    let detectors = with(&[number], &Allow::default());
    let redact =
        |text: &str| detectors.count(detectors.all(), text).by_name(&detectors).first().map(|it| it.1);
    let near = "12345 ".repeat(5);
    assert_eq!(redact(&format!("Word 31: {near}")), Some(5));
    assert_eq!(redact(&format!("word 3 {}{near}", "x ".repeat(50))), None);
    assert_eq!(redact(&format!("sword 3 {near}")), None);
}

#[test]
fn what_is_selected_by_name_is_all_that_is_found() {
    let detectors = with(&[custom("ticket", r"TCK-\d+")], &Allow::default());
    let select = |names: &[&str]| {
        let names: Vec<_> = names.iter().map(|name| (*name).to_owned()).collect();
        detectors.select(Some(&names), "redaction.exported.detectors")
    };
    let set = select(&["ticket", "secrets"]).unwrap();
    let counts = detectors.count(set, "TCK-1 a@example.com password=hunter22 203.0.113.7");
    assert_eq!(counts.by_name(&detectors), [("generic_secret", 1), ("ticket", 1)]);
    assert_eq!(select(&["tickets"]).unwrap_err().path, "redaction.exported.detectors[0]");
    assert_eq!(detectors.name(Builtin::Email.id()), ("email", 2));
}

/// Operators' detectors whose end depends on what follows.
static CUSTOM: LazyLock<Arc<Detectors>> = LazyLock::new(|| {
    with(
        &[
            custom("ticket", r"TCK-\d{4,}"),
            custom("project", r"(?i)\bproject [a-z]+ (alpha|beta)\b"),
            custom("run", r"x{3,}|xy"),
            custom("quoted", r"<[^<>]*>"),
            Custom { context: vec!["staff".to_owned()], ..custom("staff", r"\b[A-Z]\d{5}\b") },
        ],
        &Allow::default(),
    )
});

proptest! {
    #![proptest_config(cases(2000))]

    #[test]
    fn detectors_of_the_operators_own_give_the_same_in_a_stream(
        parts in prop::collection::vec(prop::sample::select(vec![
            "TCK-", "12", "345", "project ", "Project x", "alpha", "beta", "alphabet", " ", "xx", "xy", "x", "<", ">",
            "a@b.co", "staff ", "A12345", "A1234", "6", ", ", "\n", "é", "１", "4111 1111 1111 1111",
        ]), 0..16),
        at in prop::collection::vec(any::<usize>(), 0..6),
    ) {
        let text = parts.concat();
        let mut replacement = Replacement::Label;
        let whole = CUSTOM.redact(CUSTOM.all(), &text, &mut replacement, &mut Counts::default()).into_owned();
        prop_assert_eq!(stream_with(&CUSTOM, Replacement::Label, Channel::Text, &split(&text, &at)), whole);
    }
}

#[test]
fn nothing_that_is_printed_for_debugging_holds_what_was_found() {
    let text = r#"{"a":"jo@example.com"}"#;
    let mut restorer = Restorer::default();
    let redacted =
        redact_json(text.as_bytes(), &DETECTORS, DETECTORS.all(), Fields::NONE, &mut restorer).unwrap();
    let mut stream =
        StreamRedactor::new(Arc::clone(&DETECTORS), DETECTORS.all(), Replacement::Label, Channel::Text);
    stream.feed("jo@example");
    let mut restored = StreamRestorer::default();
    restored.feed(&restorer, "jo@example.com [EMAIL", &mut Counts::default());
    let key = HashKey::new(b"jo@example.com", 8);
    let printed = format!("{redacted:?} {restorer:?} {stream:?} {restored:?} {key:?} {:?}", &**DETECTORS);
    assert!(!printed.contains("example"), "{printed}");
    let error =
        redact_json(br#"{"a":"jo@example.com"#, &DETECTORS, DETECTORS.all(), Fields::NONE, &mut restorer);
    let error = error.unwrap_err();
    assert!(!format!("{error} {error:?}").contains("example"));
}

#[test]
fn only_what_is_replaced_in_this_way_counts_as_replaced() {
    let of_hash = |digits| Replacement::Hash(HashKey::new(b"key", digits));
    let ways = [Replacement::Label, Replacement::Mask, of_hash(12), of_hash(16)];
    // In no form that is ever written.
    for text in [
        "[CREDIT_CARD:4111111111111111]",
        "[SSN:536228726]",
        "[PHONE:4915123456789]",
        "[PHONE:491512345678]",
        "[EMAIL:jo@example.com]",
        "[PHONE_4915123456789]",
        "[password:a1b2c3d4e5f6]",
    ] {
        for way in &ways {
            let out = redact_with(way.clone(), text);
            assert_ne!(out, text, "{way:?}");
            let at = text.len() - 4;
            assert_eq!(stream(way.clone(), Channel::Text, &split(text, &[at])), out, "{way:?}");
            let body = format!(r#"{{"a":"{text}"}}"#);
            let mut way = way.clone();
            let json =
                redact_json(body.as_bytes(), &DETECTORS, DETECTORS.all(), Fields::NONE, &mut way).unwrap();
            assert_ne!(&*json.body, body.as_bytes(), "{way:?}");
        }
    }
    // In one form only.
    for (text, its) in
        [("password: [GENERIC_SECRET:a1b2c3d4e5f6]", 2), ("password: [GENERIC_SECRET:a1b2c3d4e5f6a1b2]", 3)]
    {
        for (index, way) in ways.iter().enumerate() {
            assert_eq!(redact_with(way.clone(), text) == text, index == its, "{way:?} {text}");
        }
    }
}
