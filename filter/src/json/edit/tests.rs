use proptest::prelude::*;
use serde_json::json;

use crate::json::edit::*;

fn params(set: Json, cap: Json) -> Params {
    try_params(set, cap).unwrap()
}

fn try_params(set: Json, cap: Json) -> Result<Params, ParamError> {
    Params::new(&serde_json::from_value(set).unwrap(), &serde_json::from_value(cap).unwrap())
}

/// Sets and caps parameters; returns the text itself if nothing changes.
fn with_params(body: &str, params: &Params) -> String {
    let object = Object::parse(body.as_bytes()).unwrap();
    let edited = apply(body.as_bytes(), &object, &Edits { model: None, params: Some(params), usage: None });
    edited.map_or(body.to_owned(), |bytes| String::from_utf8(bytes).unwrap())
}

fn with_model(body: &str, json: &str, required: bool) -> Option<String> {
    let object = Object::parse(body.as_bytes()).unwrap();
    let at: Vec<_> = object.get("model").iter().map(Value::range).collect();
    let edits = Edits { model: Some(ModelEdit { json, at: &at, required }), params: None, usage: None };
    apply(body.as_bytes(), &object, &edits).map(|bytes| String::from_utf8(bytes).unwrap())
}

#[test]
fn a_model_is_replaced_where_it_stands() {
    let body = " {\"x\": {\"model\":\"a\"} ,\n\"mode\\u006c\" :\t\"\\u0061\"}\n";
    assert_eq!(
        with_model(body, "\"b\"", true).unwrap(),
        " {\"x\": {\"model\":\"a\"} ,\n\"mode\\u006c\" :\t\"b\"}\n"
    );
    assert_eq!(with_model(r#"{"model":"a"}"#, "\"a\"", true), None);
}

#[test]
fn a_model_is_put_into_a_body_that_names_none_only_where_it_is_required() {
    assert_eq!(with_model(" { \"x\":1}", "\"b\"", true).unwrap(), " {\"model\":\"b\", \"x\":1}");
    assert_eq!(with_model(" { }", "\"b\"", true).unwrap(), " {\"model\":\"b\" }");
    assert_eq!(with_model(" { \"x\":1}", "\"b\"", false), None);
}

#[test]
fn a_parameter_is_set_in_its_place_or_in_front() {
    let set = params(json!({"temperature": 0.2, "user": {"a": [1]}}), json!({}));
    assert_eq!(
        with_params(r#"{ "temper\u0061ture" : 1.0 , "x":1}"#, &set),
        r#"{"user":{"a":[1]}, "temper\u0061ture" : 0.2 , "x":1}"#
    );
    assert_eq!(with_params("{}", &set), r#"{"temperature":0.2,"user":{"a":[1]}}"#);
    assert_eq!(
        with_params(r#"{"user":{"a":[1]},"temperature":0.2}"#, &set),
        r#"{"user":{"a":[1]},"temperature":0.2}"#
    );
}

#[test]
fn a_cap_lowers_what_is_larger_and_nothing_else() {
    let cap = params(json!({}), json!({"n": 100, "top_p": 0.5}));
    for (value, becomes) in [
        ("100", "100"),
        ("99.9", "99.9"),
        ("-5", "-5"),
        ("101", "100"),
        ("100.5", "100"),
        ("1e3", "100"),
        ("1e999", "100"),
        ("99999999999999999999999999999999999999999999", "100"),
        ("null", "100"),
        ("\"5000\"", "100"),
        ("[5000]", "100"),
    ] {
        let body = format!(r#"{{"top_p":0.5,"n":{value}}}"#);
        assert_eq!(with_params(&body, &cap), format!(r#"{{"top_p":0.5,"n":{becomes}}}"#), "{value}");
    }
    assert_eq!(with_params(r#"{"n":1}"#, &cap), r#"{"top_p":0.5,"n":1}"#);
    let exact = params(json!({}), json!({"n": 9_007_199_254_740_992_u64}));
    assert_eq!(with_params(r#"{"n":9007199254740993}"#, &exact), r#"{"n":9007199254740992}"#);
}

#[test]
fn a_cap_holds_for_every_spelling_that_a_server_could_read() {
    let cap = params(json!({}), json!({"max_tokens": 10}));
    assert_eq!(with_params(r#"{"Max_Tokens":99}"#, &cap), r#"{"max_tokens":10,"Max_Tokens":10}"#);
    assert_eq!(with_params(r#"{"max_to\u212aens":99}"#, &cap), r#"{"max_tokens":10,"max_to\u212aens":10}"#);
    assert_eq!(with_params(r#"{"max_completion_tokens":99}"#, &cap), r#"{"max_completion_tokens":10}"#);
    assert_eq!(with_params(r#"{"max_tokens":-1}"#, &cap), r#"{"max_tokens":10}"#);
    let both = params(json!({"max_tokens": 5}), json!({"max_completion_tokens": 7}));
    assert_eq!(
        with_params(r#"{"max_completion_tokens":9,"max_tokens":9}"#, &both),
        r#"{"max_completion_tokens":7,"max_tokens":5}"#
    );
}

#[test]
fn parameters_that_cannot_be_are_refused_at_load() {
    let refused = |set, cap| try_params(set, cap).unwrap_err();
    assert_eq!(refused(json!({"Model": 1}), json!({})), ParamError::Reserved("Model".to_owned()));
    assert_eq!(refused(json!({}), json!({"stream": 1})), ParamError::Reserved("stream".to_owned()));
    assert_eq!(refused(json!({"n": 1}), json!({"N": 1})), ParamError::Twice("N".to_owned()));
}

#[test]
fn where_one_edit_holds_another_the_outer_one_stands() {
    let body = br#"{"inner":{"model":"a"},"model":"a"}"#;
    let object = Object::parse(body).unwrap();
    let inner = object.get("inner").unwrap();
    let nested = inner.as_object().unwrap().get("model").unwrap();
    let at =
        [inner.start + nested.start..inner.start + nested.range().end, object.get("model").unwrap().range()];
    let set = params(json!({"inner": null}), json!({}));
    let model = Some(ModelEdit { json: "\"b\"", at: &at, required: true });
    let edited = apply(body, &object, &Edits { model, params: Some(&set), usage: None }).unwrap();
    assert_eq!(edited, br#"{"inner":null,"model":"b"}"#);
    let edited = apply(body, &object, &Edits { model, params: None, usage: None }).unwrap();
    assert_eq!(edited, br#"{"inner":{"model":"b"},"model":"b"}"#);
}

#[test]
fn a_head_that_is_too_short_is_not_rewritten() {
    let body = br#"{"model":"a","x":1}"#;
    let object = Object::parse(body).unwrap();
    let at = [object.get("model").unwrap().range()];
    let model = Some(ModelEdit { json: "\"longer\"", at: &at, required: true });
    let plan = BodyEdits::new(body, &object, &Edits { model, params: None, usage: None });
    assert_eq!((plan.end(), plan.length(body.len())), (12, body.len() + 5));
    assert_eq!(plan.rewrite(&body[..11]), None);
    assert_eq!(plan.rewrite(&body[..12]).unwrap(), br#"{"model":"longer""#);
}

#[test]
fn keys_fold_as_the_check_for_ambiguous_ones_folds_them() {
    for (one, other) in [
        ("model", "MODEL"),
        ("k", "\u{212a}"),
        ("messages", "me\u{17f}\u{17f}ages"),
        ("ß", "SS"),
        ("a", "b"),
        ("a", "aa"),
    ] {
        let body = json!({one: 1, other: 2}).to_string();
        let ambiguous = Object::parse(body.as_bytes()).unwrap().ambiguous_keys().is_some();
        assert_eq!(same_key(one, other), ambiguous, "{one} {other}");
    }
}

/// A member in parts, to write down the expected result of an edit independently.
#[derive(Clone, Debug)]
struct Member {
    key: String,
    /// From the preceding comma or brace to the value: space, the key as spelt, colon, space.
    before: String,
    value: String,
    after: String,
}

fn render(lead: &str, inserted: &str, members: &[Member], tail: &str) -> String {
    let members: Vec<_> =
        members.iter().map(|member| format!("{}{}{}", member.before, member.value, member.after)).collect();
    format!("{lead}{{{inserted}{}}}{tail}", members.join(","))
}

fn space() -> impl Strategy<Value = String> {
    "[ \n\r\t]{0,3}"
}

/// A JSON string of this text, with some characters escaped unnecessarily.
fn spelt(text: &str, escapes: &[bool]) -> String {
    let mut json = String::from("\"");
    for (index, c) in text.chars().enumerate() {
        let escape = escapes.get(index % escapes.len().max(1)).copied().unwrap_or(false);
        if escape || c < ' ' || matches!(c, '"' | '\\') {
            for unit in c.encode_utf16(&mut [0; 2]) {
                json.push_str(&format!("\\u{unit:04X}"));
            }
        } else {
            json.push(c);
        }
    }
    json + "\""
}

fn string() -> impl Strategy<Value = String> {
    (".{0,8}", prop::collection::vec(any::<bool>(), 1..8)).prop_map(|(text, escapes)| spelt(&text, &escapes))
}

fn key() -> impl Strategy<Value = String> {
    prop_oneof![
        prop::sample::select(vec!["model", "Model", "temperature", "max_tokens"]).prop_map(str::to_owned),
        ".{0,6}"
    ]
}

fn value() -> impl Strategy<Value = String> {
    let leaf = prop_oneof![
        string(),
        "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,4})?",
        prop::sample::select(vec!["null", "true", "false", "[ ]", "{ }", "\"model\""])
            .prop_map(str::to_owned),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        // Nested keys may repeat.
        let member = (space(), key(), any::<bool>(), space(), inner.clone(), space()).prop_map(
            |(a, key, escape, b, value, c)| format!("{a}{}:{b}{value}{c}", spelt(&key, &[escape, false])),
        );
        prop_oneof![
            prop::collection::vec((space(), inner, space()).prop_map(|(a, v, b)| a + &v + &b), 1..4)
                .prop_map(|elements| format!("[{}]", elements.join(","))),
            prop::collection::vec(member, 1..4).prop_map(|members| format!("{{{}}}", members.join(","))),
        ]
    })
}

fn member(key: impl Strategy<Value = String>) -> impl Strategy<Value = Member> {
    (space(), key, prop::collection::vec(any::<bool>(), 1..8), space(), space(), value(), space()).prop_map(
        |(a, key, escapes, b, c, value, after)| Member {
            before: format!("{a}{}{b}:{c}", spelt(&key, &escapes)),
            key,
            value,
            after,
        },
    )
}

/// Members of which no two keys fold to the same.
fn members() -> impl Strategy<Value = Vec<Member>> {
    prop::collection::vec(member(key()), 0..6).prop_map(|mut members| {
        let mut kept: Vec<Member> = Vec::new();
        members.retain(|member| {
            let is_new = !kept.iter().any(|other| same_key(&other.key, &member.key));
            kept.extend(is_new.then(|| member.clone()));
            is_new
        });
        members
    })
}

proptest! {
    #[test]
    fn only_the_models_bytes_change(
        mut members in members(),
        mut model in member(Just("model".to_owned())),
        index in any::<prop::sample::Index>(),
        (old, new) in (string(), ".{1,20}"),
        (lead, tail) in (space(), space()),
    ) {
        members.retain(|member| !same_key(&member.key, "model"));
        model.value = old;
        let at = index.index(members.len() + 1);
        members.insert(at, model);
        let json = Json::from(new.as_str()).to_string();
        let body = render(&lead, "", &members, &tail);
        let edited = with_model(&body, &json, true).unwrap_or_else(|| body.clone());
        members[at].value = json;
        prop_assert_eq!(&edited, &render(&lead, "", &members, &tail));
        let object = Object::parse(edited.as_bytes()).unwrap();
        prop_assert_eq!(object.get("model").unwrap().as_str().unwrap(), new);
        prop_assert_eq!(object.ambiguous_keys(), None);
    }

    #[test]
    fn only_edited_members_change_and_missing_ones_stand_in_front(
        mut members in members(),
        (temperature, cap) in (value(), 0_u64..10_000),
        (lead, tail) in (space(), space()),
        required: bool,
    ) {
        members.retain(|member| !same_key(&member.key, "model") || member.key == "model");
        let temperature: Json = serde_json::from_str(&temperature).unwrap_or(Json::Null);
        let params = params(json!({"temperature": temperature}), json!({"max_tokens": cap}));
        let body = render(&lead, "", &members, &tail);
        let object = Object::parse(body.as_bytes()).unwrap();
        let at: Vec<_> = object.get("model").iter().map(Value::range).collect();
        let model = ModelEdit { json: "\"new\"", at: &at, required };
        let edits = Edits { model: Some(model), params: Some(&params), usage: None };
        let plan = BodyEdits::new(body.as_bytes(), &object, &edits);
        let edited = plan.rewrite(body.as_bytes()).unwrap();

        let mut missing = vec![("temperature", temperature.to_string()), ("max_tokens", cap.to_string())];
        missing.splice(0..0, required.then(|| ("model", "\"new\"".to_owned())));
        for member in &mut members {
            missing.retain(|(key, _)| *key != member.key);
            let exceeds = || member.value.parse::<f64>().map_or(true, |number| !(0.0..=cap as f64).contains(&number) || member.value.starts_with('-'));
            match member.key.as_str() {
                "model" => member.value = "\"new\"".to_owned(),
                "temperature" => member.value = temperature.to_string(),
                "max_tokens" if exceeds() => member.value = cap.to_string(),
                _ => {}
            }
        }
        let mut inserted = missing.iter().map(|(key, json)| format!("\"{key}\":{json}")).collect::<Vec<_>>().join(",");
        if !inserted.is_empty() && !members.is_empty() {
            inserted.push(',');
        }
        let expected = render(&lead, &inserted, &members, &tail);
        prop_assert_eq!(std::str::from_utf8(&edited).unwrap(), &expected);
        prop_assert!(Object::parse(&edited).is_ok());
        prop_assert_eq!(plan.length(body.len()), edited.len());
        // The head alone gives the same result.
        let (head, rest) = body.as_bytes().split_at(plan.end());
        prop_assert_eq!([plan.rewrite(head).unwrap().as_slice(), rest].concat(), edited);
        prop_assert_eq!(apply(body.as_bytes(), &object, &edits).is_none(), body == expected);
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..60), at in (0_usize..80, 0_usize..80)) {
        let object = Object::parse(&bytes).unwrap_or_default();
        let params = params(json!({"temperature": 1}), json!({"n": 1}));
        let places = [at.0.min(at.1)..at.0.max(at.1), at.1..at.1];
        let model = Some(ModelEdit { json: "\"m\"", at: &places, required: true });
        let _ = apply(&bytes, &object, &Edits { model, params: Some(&params), usage: None });
    }
}
