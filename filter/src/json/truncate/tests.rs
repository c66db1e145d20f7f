use proptest::prelude::*;
use serde_json::{Value, json};

use crate::json::truncate::*;

const WIDE: Limits = Limits { string: usize::MAX, total: usize::MAX - 2 * SLACK };

fn short(text: &str, string: usize, total: usize) -> (Value, bool) {
    let Abridged { json, shortened } = abridge(text.as_bytes(), Limits { string, total }).unwrap();
    (serde_json::from_slice(&json).unwrap(), shortened)
}

#[test]
fn within_the_limits_only_white_space_goes() {
    let text = " { \"a\\n\" : [ 1 , -2.5e3 , true , null , \"x\\\"y\" , { } , [ ] ] , \"b\" : \"é\" } \n";
    let Abridged { json, shortened } = abridge(text.as_bytes(), WIDE).unwrap();
    assert_eq!(String::from_utf8(json).unwrap(), r#"{"a\n":[1,-2.5e3,true,null,"x\"y",{},[]],"b":"é"}"#);
    assert!(!shortened);
}

#[test]
fn a_long_string_is_cut_at_a_whole_character() {
    for (text, kept) in [
        (r#""0123456789abcdef""#, "0123456…"),
        (r#""012345\n789abcdef""#, "012345…"),
        (r#""01234\u00e9789abcdef""#, "01234…"),
        (r#""0\ud83c\udf0a89abcdef""#, "0…"),
        (r#""012345é789abcdef""#, "012345…"),
        (r#""01234é789abcdef""#, "01234é…"),
    ] {
        assert_eq!(short(text, 10, 1000), (json!(kept), true), "{text}");
    }
    assert_eq!(short(r#""0123456789""#, 10, 1000), (json!("0123456789"), false));
    // A lone high surrogate takes nothing of what follows it, and splits no escape.
    let alone = br#"{"a":"\ud83d00edu\u0041\u0042 and more"}"#;
    for string in 8..alone.len() {
        let Abridged { json, .. } = abridge(alone, Limits { string, total: 1000 }).unwrap();
        let json = String::from_utf8(json).unwrap();
        assert!(serde_json::from_str::<serde::de::IgnoredAny>(&json).is_ok(), "{json}");
    }
    let words = json!("word ".repeat(20) + "ann@example.com and more").to_string();
    assert_eq!(short(&words, 112, 1000).0, json!("word ".repeat(20).trim_end().to_owned() + "…"));
}

#[test]
fn behind_the_total_small_members_stay_and_elements_go() {
    let text = json!({
        "data": [{"text": "x".repeat(300)}, {"text": "y".repeat(300)}, [1, 2], 3],
        "note": "z".repeat(300),
        "usage": {"input": 7, "details": {"cached": [1], "n": 2}},
    })
    .to_string();
    let (value, shortened) = short(&text, 250, 200);
    assert!(shortened);
    assert_eq!(value["data"].as_array().unwrap().len(), 1);
    assert!(value["note"].as_str().unwrap().len() <= SMALL);
    assert_eq!(value["usage"], json!({"input": 7, "details": {"cached": [1], "n": 2}}));
}

#[test]
fn binary_data_becomes_a_reference() {
    let data = "QUJD".repeat(2000);
    let text = json!({"content": [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": data}},
        {"type": "image_url", "image_url": {"url": format!("data:image/jpeg;base64,{data}")}},
        data.clone(),
    ], "tail": "t"})
    .to_string();
    for size in [1, 7, 1000, text.len()] {
        let mut abridger = Abridger::new(Limits { string: 1000, total: 2000 });
        for piece in text.as_bytes().chunks(size) {
            abridger.feed(piece);
            assert!(abridger.held() <= 2000 + SLACK, "{}", abridger.held());
        }
        let Abridged { json, shortened } = abridger.finish().unwrap();
        assert!(!shortened, "only binary data is gone");
        let value: Value = serde_json::from_slice(&json).unwrap();
        let [first, second, third] = value["content"].as_array().unwrap().as_slice() else { panic!() };
        let plain = first["source"]["data"].as_str().unwrap();
        assert!(plain.starts_with("weir-blob:;bytes=6000;sha256="), "{plain}");
        assert_eq!(second["image_url"]["url"], plain.replacen(':', ":image/jpeg", 1));
        assert_eq!(third, plain);
        assert_eq!(value["tail"], "t");
    }
}

#[test]
fn what_is_no_json_is_reported() {
    for text in ["", "{", "[1", "{\"a\"}", "{\"a\":}", "[1 2]", "]", "{]", "\"a", "1 2", "x", "{\"a\":1,}"] {
        assert_eq!(abridge(text.as_bytes(), WIDE), None, "{text}");
    }
    let deep = "[".repeat(100_000);
    assert_eq!(abridge(deep.as_bytes(), WIDE), None);
}

#[test]
fn a_long_key_is_cut_in_pieces_as_it_is_whole() {
    let text = format!("{{\"{}\":1,\"b\":2}}", "a long word ".repeat(40));
    let limits = Limits { string: 1000, total: 2000 };
    let whole = abridge(text.as_bytes(), limits).unwrap();
    assert!(whole.shortened && whole.json.len() < 150, "{}", String::from_utf8_lossy(&whole.json));
    for size in 1..text.len() {
        let mut abridger = Abridger::new(limits);
        text.as_bytes().chunks(size).for_each(|piece| abridger.feed(piece));
        assert_eq!(abridger.finish().as_ref(), Some(&whole), "pieces of {size}");
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        "\\PC{0,40}".prop_map(Value::from),
        "[a-z\"\\\\\u{0}-\u{1f}é🌊]{0,300}".prop_map(Value::from),
        "[A-Za-z0-9+/]{0,700}".prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 60, 8, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..8).prop_map(Value::from),
            prop::collection::btree_map("[a-z\"é]{0,8}|data", inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn the_result_is_json_within_its_limits_however_the_text_is_cut(
        value in value(), pretty in any::<bool>(), size in 1usize..50, string in 8usize..200, total in 16usize..600,
    ) {
        let text = if pretty { serde_json::to_string_pretty(&value).unwrap() } else { value.to_string() };
        let limits = Limits { string, total };
        let whole = abridge(text.as_bytes(), limits).unwrap();
        let parsed: Result<Value, _> = serde_json::from_slice(&whole.json);
        prop_assert!(parsed.is_ok(), "{}", String::from_utf8_lossy(&whole.json));
        prop_assert!(whole.json.len() <= total + 2 * SLACK);
        let mut abridger = Abridger::new(limits);
        for piece in text.as_bytes().chunks(size) {
            abridger.feed(piece);
        }
        prop_assert_eq!(abridger.finish().unwrap(), whole);
    }

    #[test]
    fn wide_limits_change_nothing_but_binary_data(value in value()) {
        let text = value.to_string();
        let Abridged { json, shortened } = abridge(text.as_bytes(), WIDE).unwrap();
        prop_assert!(!shortened);
        let text_of = String::from_utf8(json).unwrap();
        if !text_of.contains("weir-blob:") {
            prop_assert_eq!(text_of, text);
        }
    }

    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300), size in 1usize..20) {
        let mut abridger = Abridger::new(Limits { string: 10, total: 40 });
        for piece in bytes.chunks(size) {
            abridger.feed(piece);
        }
        let _ = abridger.finish();
    }
}
