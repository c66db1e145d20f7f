//! Edits of a body by a target's parameters: the result is JSON, each parameter has its value or one
//! below its cap, the head alone is rewritten as the whole is, and nothing else changes.
#![no_main]

use std::collections::BTreeMap;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use serde_json::{Map, Value, json};
use weir_filter::json::scan::Object;
use weir_filter::json::edit::{BodyEdits, Edits, ModelEdit, Params, same_key};

static PARAMS: LazyLock<Params> = LazyLock::new(|| {
    let set =
        BTreeMap::from([("temperature".to_owned(), json!(0.25)), ("x".to_owned(), json!({"y": ["z"]}))]);
    let cap = BTreeMap::from([("max_tokens".to_owned(), 100.into()), ("n".to_owned(), 2.into())]);
    Params::new(&set, &cap).unwrap()
});

fuzz_target!(|body: &[u8]| {
    let Ok(object) = Object::parse(body) else { return };
    if object.ambiguous_keys().is_some() {
        return;
    }
    let Ok(before) = serde_json::from_slice::<Map<String, Value>>(body) else { return };
    let model = object.iter().find(|(key, _)| same_key(key, "model"));
    let at: Vec<_> = model.map(|(_, value)| value.range()).into_iter().collect();
    let model = ModelEdit { json: "\"up\"", at: &at, required: true };
    let edits =
        BodyEdits::new(body, &object, &Edits { model: Some(model), params: Some(&PARAMS), usage: None });
    let sent = edits.rewrite(body).expect("the whole body is here");
    assert_eq!(sent.len(), edits.length(body.len()));
    let (head, tail) = body.split_at(edits.end());
    assert_eq!([edits.rewrite(head).expect("the head is enough"), tail.to_vec()].concat(), sent);
    let after: Map<String, Value> = serde_json::from_slice(&sent).expect("it stays an object");
    let model = after.iter().find(|(key, _)| same_key(key, "model"));
    assert_eq!(model.expect("a model").1, "up");
    assert_eq!((&after["temperature"], &after["x"]), (&json!(0.25), &json!({"y": ["z"]})));
    for (cap, names) in [(100.0, &["max_tokens", "max_completion_tokens"][..]), (2.0, &["n"])] {
        // In any spelling by case, and once at least in the right one.
        let mut found = after.iter().filter(|(key, _)| names.contains(&key.to_lowercase().as_str()));
        assert!(found.all(|(_, value)| value.as_f64().expect("a number") <= cap), "{names:?}: {after:?}");
        assert!(names.iter().any(|name| after.contains_key(*name)), "{names:?}: {after:?}");
    }
    let ours = ["model", "temperature", "x", "max_tokens", "max_completion_tokens", "n"];
    let rest = |members: Map<String, Value>| -> Map<String, Value> {
        members.into_iter().filter(|(key, _)| !ours.iter().any(|ours| same_key(ours, key))).collect()
    };
    assert_eq!(rest(before), rest(after));
});
