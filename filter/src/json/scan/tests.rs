use proptest::prelude::*;

use super::*;

fn nested(depth: usize) -> String {
    format!(r#"{{"a":{}1{}}}"#, "[".repeat(depth - 1), "]".repeat(depth - 1))
}

#[test]
fn members_are_found_where_they_stand() {
    let text = " { \"a\" : [1, {\"model\": \"no\"}] ,\n\"model\":\"gpt-\\u0034o\", \"n\":-1.5e3}\n";
    let object = Object::parse(text.as_bytes()).unwrap();
    let model = object.get("model").unwrap();
    assert_eq!(model.as_str().unwrap(), "gpt-4o");
    assert_eq!(text.get(model.range()), Some("\"gpt-\\u0034o\""));
    assert_eq!(object.get("n").unwrap().as_f64(), Some(-1500.0));
    let elements = object.get("a").unwrap().as_array().unwrap();
    assert_eq!(elements[1].as_object().unwrap().text("model"), "no");
}

#[test]
fn depth_is_bounded_without_recursion() {
    assert!(Object::parse(nested(128).as_bytes()).is_ok());
    assert!(matches!(Object::parse(nested(129).as_bytes()), Err(JsonError::TooDeep(_))));
    assert!(matches!(Object::parse(nested(100_000).as_bytes()), Err(JsonError::TooDeep(_))));
}

#[test]
fn keys_that_differ_by_case_alone_are_ambiguous() {
    for text in [
        r#"{"model":1,"Model":2}"#,
        r#"{"model":1,"model":2}"#,
        r#"{"model":1,"mode\u006c":2}"#,
        r#"{"messages":1,"meſſages":2}"#,
        r#"{"k":1,"x":0,"\u212a":2}"#,
    ] {
        assert!(Object::parse(text.as_bytes()).unwrap().ambiguous_keys().is_some(), "{text}");
    }
    let fine = Object::parse(br#"{"model":1,"models":{"Model":2},"mode":3}"#).unwrap();
    assert_eq!(fine.ambiguous_keys(), None);
}

#[test]
fn an_error_says_where_and_what_was_expected() {
    let message = |text: &[u8]| Object::parse(text).unwrap_err().to_string();
    assert_eq!(message(b""), "not valid JSON at byte 0: expected an object");
    assert_eq!(message(b"{\"a\" 1}"), "not valid JSON at byte 5: expected ':'");
    assert_eq!(message(b"{\"a\":1,}"), "not valid JSON at byte 7: expected a key in double quotes");
    assert_eq!(message(b"{\"\xff\":1}"), "not valid UTF-8 at byte 2");
    assert_eq!(message(b"{\"a\":1} x"), "not valid JSON at byte 8: expected the end of the text");
}

fn any_json() -> impl Strategy<Value = serde_json::Value> {
    let leaf = prop_oneof![
        Just(serde_json::Value::Null),
        any::<bool>().prop_map(Into::into),
        any::<i64>().prop_map(Into::into),
        any::<f64>().prop_map(Into::into),
        ".*".prop_map(Into::into),
    ];
    leaf.prop_recursive(5, 64, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Into::into),
            prop::collection::btree_map(".*", inner, 0..6)
                .prop_map(|map| serde_json::Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn what_serde_writes_is_read_the_same(value in any_json(), pretty: bool) {
        let whole = serde_json::json!({"before": 1, "value": value, "model": "m"});
        let text = if pretty { serde_json::to_string_pretty(&whole) } else { serde_json::to_string(&whole) }.unwrap();
        let object = Object::parse(text.as_bytes()).unwrap();
        let read: serde_json::Value = serde_json::from_str(object.get("value").unwrap().raw).unwrap();
        let again: serde_json::Value = serde_json::from_str(&value.to_string()).unwrap();
        prop_assert_eq!(read, again);
    }

    #[test]
    fn what_is_taken_is_what_serde_takes(text in r#"[\[\]{}",:\\ \n0-9a-u.eE+-]{0,24}"#) {
        let text = format!("{{\"a\":{text}}}");
        let ours = Object::parse(text.as_bytes()).is_ok();
        let theirs = serde_json::from_str::<serde::de::IgnoredAny>(&text).is_ok();
        prop_assert_eq!(ours, theirs, "{}", text);
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        if let Ok(object) = Object::parse(&bytes) {
            let _ = object.ambiguous_keys();
        }
    }
}
