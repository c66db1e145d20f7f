//! Properties of redacted JSON.

use std::borrow::Cow;

use proptest::prelude::*;
use serde_json::{Value, json};

use crate::api::{anthropic, cohere, gemini, openai};
use crate::json::scan::JsonError;
use crate::redact::tests::{APART, DETECTORS, cases, hash, pieces};
use crate::redact::*;

fn redacted(body: &str, fields: Fields) -> String {
    let mut replacement = Replacement::Label;
    let redacted =
        redact_json(body.as_bytes(), &DETECTORS, DETECTORS.all(), fields, &mut replacement).unwrap();
    String::from_utf8(redacted.body.into_owned()).unwrap()
}

#[test]
fn strings_keys_and_long_numbers_are_searched_and_all_else_is_kept_byte_for_byte() {
    for (body, expected) in [
        (r#" {"a" : "jo@example.com" ,"b":[1.50,true,null]}"#, r#" {"a" : "[EMAIL]" ,"b":[1.50,true,null]}"#),
        (r#"{"jo@example.com":1,"x":{"jo@example.com":2}}"#, r#"{"[EMAIL]":1,"x":{"[EMAIL]":2}}"#),
        (r#"{"a@x.org":1,"b@x.org":2}"#, r#"{"[EMAIL]":1,"[EMAIL]#2":2}"#),
        (
            r"[4111111111111111, -4111111111111111, 12345678901]",
            r#"["[CREDIT_CARD]", "[CREDIT_CARD]", 12345678901]"#,
        ),
        (
            r"[4.111111111111111e15, 4111111111111111.0, 0.4111111111111111]",
            r#"["[CREDIT_CARD]", "[CREDIT_CARD]", 0.4111111111111111]"#,
        ),
        (
            r#"["jo\u0040example.com", "\uff4a\uff4f＠example.com", "http:\/\/u:p4ss@h\/"]"#,
            r#"["[EMAIL]", "[EMAIL]", "http:\/\/[URL_CREDENTIALS]@h\/"]"#,
        ),
        (r#"["\ud83d\ude00jo@example.com\n", "\ud83d"]"#, r#"["\ud83d\ude00[EMAIL]\n", "\ud83d"]"#),
        (r#""jo@example.com""#, r#""[EMAIL]""#),
        ("[]", "[]"),
        ("{}", "{}"),
        ("[[[{}],[]]]", "[[[{}],[]]]"),
    ] {
        assert_eq!(redacted(body, Fields::NONE), expected);
        assert_eq!(redacted(expected, Fields::NONE), expected);
    }
}

#[test]
fn a_key_is_context_for_its_value() {
    for (body, expected) in [
        (
            r#"{"date_of_birth":"1980-03-12","d":"1980-03-12"}"#,
            r#"{"date_of_birth":"[DATE_OF_BIRTH]","d":"1980-03-12"}"#,
        ),
        (r#"{"ssn":123456789,"n":123456789}"#, r#"{"ssn":"[SSN]","n":123456789}"#),
        (
            r#"{"phoneNumbers":"none","phone":["01701234567"]}"#,
            r#"{"phoneNumbers":"none","phone":["[PHONE]"]}"#,
        ),
        (
            r#"{"password":"correct horse battery","password_hint":"the usual"}"#,
            r#"{"password":"[GENERIC_SECRET]","password_hint":"the usual"}"#,
        ),
        (r#"{"pass\u0070ortNumber":"C01X00T47"}"#, r#"{"pass\u0070ortNumber":"[PASSPORT]"}"#),
    ] {
        assert_eq!(redacted(body, Fields::NONE), expected);
    }
}

#[test]
fn json_within_a_string_is_read_however_often_it_is_escaped() {
    let inner = json!({"to": "jo@example.com", "card": 4_111_111_111_111_111_u64, "n": "a\"b\\c"});
    let mut text = inner.to_string().replace('@', "\\u0040");
    for depth in 1..=4 {
        text = json!({ "arguments": text }).to_string();
        let out = redacted(&text, Fields::NONE);
        let mut value: Value = serde_json::from_str(&out).unwrap();
        for _ in 0..depth {
            value = serde_json::from_str(value["arguments"].as_str().unwrap()).unwrap();
        }
        assert_eq!(value, json!({"to": "[EMAIL]", "card": "[CREDIT_CARD]", "n": "a\"b\\c"}), "{depth}");
    }
}

#[test]
fn json_that_is_quoted_in_a_text_stays_what_it_was() {
    let text = r#"He said {"to":"jo\u0040example.com","note":"a\njo@example.com\tb"} and left."#;
    let body = json!([text, {"deep": text.replace('\\', "\\\\")}]).to_string();
    let expected = r#"He said {"to":"[EMAIL]","note":"a\n[EMAIL]\tb"} and left."#;
    let out: Value = serde_json::from_str(&redacted(&body, Fields::NONE)).unwrap();
    assert_eq!(out, json!([expected, {"deep": expected.replace('\\', "\\\\")}]));
}

#[test]
fn fields_without_content_are_kept_and_those_of_free_objects_are_not() {
    let body = json!({
        "model": "ft:4111111111111111", "user": "jo@example.com", "seed": 4_111_111_111_111_111_u64,
        "metadata": {"model": "jo@example.com", "type": "jo@example.com"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "jo@example.com"}], "name": "jo@example.com"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_4111111111111111", "type": "function",
                "function": {"name": "f", "arguments": "{\"id\":\"jo@example.com\",\"model\":4111111111111111}"}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"default": "jo@example.com"}}}],
    });
    let out: Value =
        serde_json::from_str(&redacted(&body.to_string(), openai::FAMILY.request_fields)).unwrap();
    let expected = json!({
        "model": "ft:4111111111111111", "user": "[EMAIL]", "seed": 4_111_111_111_111_111_u64,
        "metadata": {"model": "[EMAIL]", "type": "[EMAIL]"},
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "[EMAIL]"}], "name": "[EMAIL]"},
            {"role": "assistant", "content": null, "tool_calls": [{"id": "call_4111111111111111", "type": "function",
                "function": {"name": "f", "arguments": "{\"id\":\"[EMAIL]\",\"model\":\"[CREDIT_CARD]\"}"}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"default": "[EMAIL]"}}}],
    });
    assert_eq!(out, expected);
}

#[test]
fn what_is_no_json_is_an_error_and_never_passes_as_redacted() {
    let error = |body: &[u8]| {
        redact_json(body, &DETECTORS, DETECTORS.all(), Fields::NONE, &mut Replacement::Label).unwrap_err()
    };
    for body in
        ["", " ", "{", "[1,]", "[1 2]", "{\"a\"}", "{\"a\":1,}", "{1:2}", "nul", "[1]]", "\"a", "[,1]", "01"]
    {
        assert!(matches!(error(body.as_bytes()), JsonError::Syntax { .. }), "{body}");
    }
    assert!(matches!(error(b"\"\xff\""), JsonError::Utf8(1)));
    assert!(matches!(error("[".repeat(100_000).as_bytes()), JsonError::TooDeep(128)));
    let deep = format!("{}{}", "[".repeat(128), "]".repeat(128));
    assert_eq!(redacted(&deep, Fields::NONE), deep);
}

#[test]
fn placeholders_are_the_same_for_the_beginning_of_a_conversation_and_for_all_of_it() {
    let body = |turns: usize| {
        let turns: Vec<_> = (0..turns)
            .map(|n| json!({"role": "user", "content": format!("ask a{}@example.com, not b@example.com", n % 3)}))
            .collect();
        json!({ "messages": turns }).to_string()
    };
    let masked = |turns| {
        let (body, mut restorer) = (body(turns), Restorer::default());
        let out =
            redact_json(body.as_bytes(), &DETECTORS, DETECTORS.all(), Fields::NONE, &mut restorer).unwrap();
        (String::from_utf8(out.body.into_owned()).unwrap(), restorer)
    };
    let (longer, restorer) = masked(5);
    let (shorter, _) = masked(3);
    assert!(longer.starts_with(shorter.strip_suffix("]}").unwrap()));
    assert_eq!(restorer.restore_json(&longer, &[], &mut Counts::default()), body(5));
}

/// Whether two values have the same shape: everything but strings is equal, and long numbers may have become
/// strings.
fn same_but_for_strings(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::String(_), Value::String(_)) => true,
        (Value::Number(number), Value::String(_)) => number.to_string().len() >= 9,
        (Value::Array(one), Value::Array(other)) => {
            one.len() == other.len()
                && one.iter().zip(other).all(|(one, other)| same_but_for_strings(one, other))
        }
        (Value::Object(one), Value::Object(other)) => {
            // Keys may have changed, and their order with them.
            one.len() == other.len()
                && one
                    .iter()
                    .all(|(key, value)| other.get(key).is_none_or(|other| same_but_for_strings(value, other)))
        }
        (one, other) => one == other,
    }
}

fn documents() -> impl Strategy<Value = Value> {
    let text = || pieces(&APART);
    let leaf = prop_oneof![
        4 => text().prop_map(Value::from),
        1 => any::<u64>().prop_map(Value::from),
        1 => Just(json!(4_111_111_111_111_111_u64)),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(Value::Null),
        1 => text().prop_map(|text| Value::from(json!({ "a": text, "n": 4_111_111_111_111_111_u64 }).to_string())),
    ];
    leaf.prop_recursive(4, 24, 4, move |inner| {
        let key = prop_oneof!["[a-z]{1,8}", Just("password".to_owned()), pieces(&APART)];
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key, inner, 0..4)
                .prop_map(|members| Value::from(members.into_iter().collect::<serde_json::Map<_, _>>())),
        ]
    })
}

#[test]
fn a_pattern_of_ones_own_finds_nothing_in_the_keys_that_an_api_defines() {
    let custom =
        Custom { name: "mine".to_owned(), version: 1, pattern: "[a-z]{4,}".to_owned(), ..Custom::default() };
    let detectors = Detectors::new(&[custom], &Allow::default(), "redaction").unwrap();
    let redact = |family: &crate::api::Family, body: Value| {
        let text = body.to_string();
        let fields = family.request_fields;
        let once = redact_json(text.as_bytes(), &detectors, detectors.all(), fields, &mut Replacement::Mask)
            .unwrap();
        serde_json::from_slice::<Value>(&once.body).unwrap()
    };
    for (family, body, expected) in [
        (
            &openai::FAMILY,
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "hello", "spare": 1}]}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "text", "text": "***", "***": 1}]}]}),
        ),
        (
            &openai::FAMILY,
            json!({"metadata": {"model": "me", "name": {"role": 1}}, "input": [{"role": "user", "content": "hello"}]}),
            json!({"metadata": {"***": "me", "***#2": {"***": 1}}, "input": [{"role": "user", "content": "***"}]}),
        ),
        (
            &openai::FAMILY,
            json!({"tools": [{"type": "function", "function": {"name": "ab", "parameters": {"type": 1}}}]}),
            json!({"tools": [{"type": "function", "function": {"name": "ab", "parameters": {"***": 1}}}]}),
        ),
        (
            &anthropic::FAMILY,
            json!({"messages": [{"role": "user", "content": [{"type": "tool_use", "input": {"text": "no"}}]}]}),
            json!({"messages": [{"role": "user", "content": [{"type": "tool_use", "input": {"***": "no"}}]}]}),
        ),
        (
            &gemini::FAMILY,
            json!({"contents": [{"parts": [{"functionResponse": {"name": "ab", "response": {"parts": 1}}}]}]}),
            json!({"contents": [{"parts": [{"functionResponse": {"name": "ab", "response": {"***": 1}}}]}]}),
        ),
        (
            &cohere::FAMILY,
            json!({"documents": [{"data": {"title": "no"}}], "messages": [{"content": "hello"}]}),
            json!({"documents": [{"***": {"***": "no"}}], "messages": [{"content": "***"}]}),
        ),
    ] {
        assert_eq!(redact(family, body), expected, "{family:?}");
    }
    // Tool call arguments are in a string of their own, or stand alone.
    let arguments = json!({"messages": [{"tool_calls": [{"function": {"arguments": "{\"text\":\"no\"}"}}]}]});
    let expected = json!({"messages": [{"tool_calls": [{"function": {"arguments": "{\"***\":\"no\"}"}}]}]});
    assert_eq!(redact(&openai::FAMILY, arguments), expected);
}

/// A document with some of its ASCII escaped, as some clients write JSON.
fn escape_some(document: &Value, every: usize) -> String {
    let mut in_string = false;
    let mut escaped = false;
    let text = document.to_string();
    let mut out = String::new();
    for (at, c) in text.char_indices() {
        let plain = in_string && !escaped && c != '"' && c != '\\';
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => in_string = !in_string,
            _ => {}
        }
        if plain && c.is_ascii() && at % every == 0 {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

proptest! {
    #![proptest_config(cases(1000))]

    #[test]
    fn a_redacted_document_parses_and_differs_only_in_strings(document in documents(), every in 1..12usize) {
        let body = escape_some(&document, every);
        prop_assert_eq!(&serde_json::from_str::<Value>(&body).unwrap(), &document);
        for mut replacement in [Replacement::Label, Replacement::Mask, hash()] {
            let once = redact_json(body.as_bytes(), &DETECTORS, DETECTORS.all(), Fields::NONE, &mut replacement).unwrap();
            let parsed: Value = serde_json::from_slice(&once.body).unwrap();
            prop_assert!(same_but_for_strings(&document, &parsed), "{} {}", document, parsed);
            prop_assert_eq!(matches!(once.body, Cow::Owned(_)), !once.counts.is_empty());
            let again = redact_json(&once.body, &DETECTORS, DETECTORS.all(), Fields::NONE, &mut replacement).unwrap();
            prop_assert!(matches!(again.body, Cow::Borrowed(_)), "{}", String::from_utf8_lossy(&again.body));
        }
    }

    #[test]
    fn escapes_change_nothing_of_what_is_found(document in documents(), every in 1..6usize) {
        let plain: Value = serde_json::from_str(&redacted(&document.to_string(), Fields::NONE)).unwrap();
        let escaped: Value = serde_json::from_str(&redacted(&escape_some(&document, every), Fields::NONE)).unwrap();
        prop_assert_eq!(plain, escaped);
    }

    #[test]
    fn without_detectors_the_bytes_are_identical(body in prop::collection::vec(any::<u8>(), 0..200)) {
        let mut replacement = Replacement::Label;
        let out = redact_json(&body, &DETECTORS, Set::EMPTY, Fields::NONE, &mut replacement).unwrap();
        prop_assert!(matches!(out.body, Cow::Borrowed(same) if same == body));
        let text = String::from_utf8_lossy(&body);
        let same = DETECTORS.redact(Set::EMPTY, &text, &mut replacement, &mut Counts::default());
        prop_assert_eq!(same, text.as_ref());
    }

    #[test]
    fn no_bytes_make_it_fail_in_another_way_than_with_an_error(body in "[\\[\\]{}\",:\\\\u0-9a-f@. -]{0,60}") {
        let result = redact_json(body.as_bytes(), &DETECTORS, DETECTORS.all(), Fields::NONE, &mut Replacement::Label);
        prop_assert_eq!(result.is_ok(), serde_json::from_str::<Value>(&body).is_ok(), "{}", body);
    }
}

#[test]
fn what_is_escaped_less_deeply_than_something_beside_it_is_found_too() {
    for depth in 0..=NESTED_MAX {
        for deepest in depth..=NESTED_MAX {
            let (mut text, mut deep) = (String::new(), String::new());
            escape("to:\njo@example.com\t\"dob\": \"1.2.1980\"\n+49 30 1234567\n", depth, &mut text);
            escape("a\n\"b\": \"jo@example.com\"\n", deepest, &mut deep);
            for text in [format!("{text} {deep}"), format!("{deep}{text}")] {
                let redacted = redacted(&json!([text]).to_string(), Fields::NONE);
                let left = ["jo@", "example", "1980", "1234567"].map(|value| redacted.contains(value));
                assert_eq!(left, [false; 4], "{depth} beside {deepest}: {redacted}");
            }
        }
    }
}
