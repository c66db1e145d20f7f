//! A search in slices: its result is that of a search at once, whatever the size of its slices, and no slice takes
//! much more than it was given.

use std::rc::Rc;
use std::sync::Arc;

use proptest::prelude::*;

use crate::json::scan::JsonError;
use crate::redact::tests::{DETECTORS, cases, pieces};
use crate::redact::text::cost::steps;
use crate::redact::*;

/// Steps that a slice may take beyond what it was given: those of one part of a text.
const OVER: u64 = 150_000;

/// The search of a body, with custom detectors and placeholders too.
fn begin(detectors: Arc<Detectors>, body: &Rc<Vec<u8>>) -> Sliced<Result<(Vec<u8>, Counts), JsonError>> {
    let body = Rc::clone(body);
    let search = async move {
        let text = std::str::from_utf8(&body).unwrap();
        let mut restorer = Restorer::for_text_in_slices(text, &detectors).await;
        let (set, fields) = (detectors.all(), Fields::NONE);
        let search = Search { detectors: &detectors, set, strict: set, fields, except: &[], is_cut: false };
        let redacted = search.redact_in_slices(&body, &mut restorer).await?;
        Ok((redacted.body.into_owned(), redacted.counts))
    };
    Sliced::new(search, u64::MAX)
}

/// Runs a search in slices of this size; returns its result, the number of slices and the steps of the longest.
fn run(detectors: &Arc<Detectors>, body: &Rc<Vec<u8>>, size: u64) -> (Vec<u8>, Counts, usize, u64) {
    let (mut search, mut slices, mut longest) = (begin(Arc::clone(detectors), body), 0, 0);
    loop {
        let _ = steps();
        let slice = search.go_on(size);
        (slices, longest) = (slices + 1, longest.max(steps()));
        if let Slice::Done(result) = slice {
            let (body, counts) = result.unwrap();
            return (body, counts, slices, longest);
        }
    }
}

fn body_of(text: &str) -> Rc<Vec<u8>> {
    Rc::new(serde_json::json!({ "messages": [{ "role": "user", "content": text }] }).to_string().into_bytes())
}

#[test]
fn every_hostile_text_is_searched_in_small_slices_with_the_same_result() {
    let base64 = "aGVsbG8gd29ybGQK".repeat(4);
    let long = [
        format!(
            "-----BEGIN PRIVATE KEY-----\n{}-----END PRIVATE KEY-----",
            format!("{base64}\n").repeat(900)
        ),
        format!("-----BEGIN PRIVATE KEY-----\n{}", base64.repeat(900)),
        format!("sk-ant-{}", "a1b2-".repeat(9_000)),
        format!("eyJhbGciOiJIUzI1NiJ9.{}.{}", "ab1_".repeat(6_000), "cd2-".repeat(6_000)),
        format!("password={}", "ä1b2".repeat(9_000)),
        format!("accountkey={}==", "Ab1+".repeat(9_000)),
        format!("{}x", "\u{200b}".repeat(9_000)),
        format!("{{\"a\":{}", "[\"x@y.de\",1],".repeat(3_000)),
        serde_json::to_string(&vec!["jo@example.com née le 1.2.1980"; 900]).unwrap(),
        serde_json::to_string(&serde_json::to_string(&vec!["a\n\"b\" x@y.de"; 900]).unwrap()).unwrap(),
    ];
    let parts = [
        "a@b.co",
        "dob ",
        "dob 1.2.1980 ",
        "token:",
        "password=a1",
        "4111 1111 1111 1111 ",
        "\u{200b}1",
        "’",
        "１",
        "\\",
        "\\\\n",
        "\\u0041",
        "\\q",
        "[EMAIL_1] ",
        "my number: ",
        "01 ",
        "+49 30 1234567 ",
        "\\\\\\\\née leNO11 of Телa@b.co誕生日no né le",
        "x",
    ];
    let repeated = parts.iter().map(|part| part.repeat(32_000 / part.len()));
    for text in long.into_iter().chain(repeated) {
        let start: String = text.chars().take(40).collect();
        let body = body_of(&text);
        let (expected, counts, slices, _) = run(&DETECTORS, &body, u64::MAX);
        assert_eq!(slices, 1);
        for size in [1, 30_000, 400_000] {
            let (redacted, again, slices, longest) = run(&DETECTORS, &body, size);
            assert!(redacted == expected && again == counts, "{start:?} in slices of {size}");
            assert!(longest <= size + OVER, "{start:?} in slices of {size}: one of {longest} steps");
            assert!(slices > 1 || size > 30_000, "{start:?}");
        }
    }
}

#[test]
fn detectors_of_an_operator_are_searched_in_slices_too() {
    let custom = |name: &str, pattern: &str, context: &[&str]| Custom {
        name: name.to_owned(),
        pattern: pattern.to_owned(),
        context: context.iter().map(|word| (*word).to_owned()).collect(),
        ..Custom::default()
    };
    let custom = [custom("ticket", "TCK-[0-9]+", &[]), custom("case", "[a-z]{3}[0-9]{3}", &["case", "Fall"])];
    let detectors = Arc::new(Detectors::new(&custom, &Allow::default(), "redaction").unwrap());
    let filler = "nothing to be found here, ".repeat(3_000);
    let text = format!("{filler}TCK-1 case abc123 {filler}abc124 Fall abc125 {filler}TCK-22{filler}");
    let body = body_of(&text);
    let (expected, counts, ..) = run(&detectors, &body, u64::MAX);
    let found: u64 = counts.iter().map(|(_, count)| count).sum();
    assert_eq!(found, 4, "{counts:?}");
    for size in [1, 50_000] {
        let (redacted, again, _, longest) = run(&detectors, &body, size);
        assert!(redacted == expected && again == counts);
        assert!(longest <= size + OVER, "{longest}");
    }
}

proptest! {
    #![proptest_config(cases(60))]

    #[test]
    fn slices_of_any_size_find_the_same(text in pieces(&[" ", "x", "\\", "\\n", "[EMAIL]"]), times in 1..40usize, size in 1..20_000u64) {
        let body = body_of(&text.repeat(times));
        let (expected, counts, ..) = run(&DETECTORS, &body, u64::MAX);
        let (redacted, again, ..) = run(&DETECTORS, &body, size);
        prop_assert_eq!(redacted, expected);
        prop_assert_eq!(again, counts);
    }
}
