//! Which paths are calls, and whose.

use proptest::prelude::*;

use crate::api::call::{Call, NotServed, family_of, is_model_name, routes};
use crate::api::{anthropic, cohere, gemini, openai};
use crate::json::scan::Object;

fn post(path: &str) -> Result<Call, NotServed> {
    Call::of(b"POST", path)
}

fn model(path: &str) -> Option<String> {
    post(path).unwrap().model_in_path
}

#[test]
fn every_route_is_found_by_its_own_path_and_by_no_other_method() {
    for (route, api) in routes() {
        let path = route.replace("{model}", "m").replace("{deployment}", "m");
        let call = post(&path).unwrap();
        assert_eq!((call.api, call.route), (api, route));
        assert_eq!(call.model_in_path.is_some(), route.contains('{'), "{route}");
        for method in ["GET", "HEAD", "OPTIONS", "post", ""] {
            let refused = Call::of(method.as_bytes(), &path);
            assert_eq!(refused, Err(NotServed::Method { allow: "POST" }), "{method} {path}");
        }
    }
}

#[test]
fn a_model_in_a_path_is_decoded_within_its_segment() {
    assert_eq!(model("/v1beta/models/gemini-2.5-pro:generateContent").as_deref(), Some("gemini-2.5-pro"));
    assert_eq!(model("/v1/models/org%2Fm:countTokens").as_deref(), Some("org/m"));
    assert_eq!(model("/v1/models/ft:a:b:embedContent").as_deref(), Some("ft:a:b"));
    assert_eq!(model("/v1/models/a%3A%C3%BC%3F%25:generateContent").as_deref(), Some("a:ü?%"));
    let azure = "/openai/deployments/gpt%2d4o/chat/completions?api-version=2024-10-21";
    assert_eq!(model(azure).as_deref(), Some("gpt-4o"));
    assert_eq!(model("/v1/chat/completions"), None);
}

#[test]
fn another_spelling_of_a_path_is_another_path() {
    for path in [
        "",
        "*",
        "/",
        "v1/chat/completions",
        "http://h/v1/chat/completions",
        "/v1/chat/completions/",
        "//v1/chat/completions",
        "/v1//chat/completions",
        "/v1/./chat/completions",
        "/v1/x/../chat/completions",
        "/v1/chat%2Fcompletions",
        "/v1/%63hat/completions",
        "/v1/chat/completions;x=1",
        "/v1/chat/completions#",
        "/V1/chat/completions",
        "/v1/messages/batches",
        "/v1/files",
        "/v1beta/models/:generateContent",
        "/v1beta/models/a/b:generateContent",
        "/v1beta/models/a%3AgenerateContent",
        "/v1beta/models/a:predict",
        "/v1beta/tunedModels/a:generateContent",
        "/openai/deployments//chat/completions",
        "/openai/deployments/a/b/chat/completions",
    ] {
        assert_eq!(post(path), Err(NotServed::UnknownPath), "{path}");
    }
}

#[test]
fn a_path_whose_model_cannot_be_one_is_refused() {
    let long = "x".repeat(257);
    for segment in [
        ".",
        "..",
        "%2e%2E",
        "%2E",
        "..%2Fx",
        "a%2F..%2Fb",
        "a%5C..",
        "%",
        "%2",
        "%zz",
        "%00",
        "a%0Ab",
        "%7F",
        "%C2%85",
        "%FF",
        "a;b",
        "a b",
        "ü",
        "a#b",
        "a\\b",
        "a\"b",
        "a|b",
        &long,
    ] {
        let path = format!("/openai/deployments/{segment}/embeddings");
        assert_eq!(post(&path), Err(NotServed::Model), "{segment}");
    }
    assert!(is_model_name("a..b") && is_model_name(&"x".repeat(256)) && !is_model_name(""));
}

#[test]
fn only_named_parts_of_a_query_are_kept() {
    let query = |path: &str| post(path).unwrap().query;
    assert_eq!(query("/v1beta/models/m:streamGenerateContent?key=s&alt=sse"), "?alt=sse");
    assert_eq!(query("/v1beta/models/m:streamGenerateContent?alt=json"), "");
    assert_eq!(query("/v1beta/models/m:streamGenerateContent?xalt=sse&alt=sse%26x"), "");
    assert_eq!(query("/v1beta/models/m:generateContent?alt=sse"), "");
    assert_eq!(query("/v1/messages?beta=true&x=?beta"), "?beta=true");
    assert_eq!(query("/v1/chat/completions?beta=true&alt=sse"), "");
}

#[test]
fn a_body_cannot_name_another_model_than_the_path() {
    let agrees = |path: &str, body: &str| {
        let call = post(path).unwrap();
        let object = Object::parse(body.as_bytes()).unwrap();
        let named = call.models_in_body(&object);
        for value in &named {
            assert_eq!(body.get(value.range()), Some(value.raw));
        }
        call.path_agrees_with(&named)
    };
    let azure = "/openai/deployments/a/chat/completions";
    assert!(agrees(azure, r#"{}"#) && agrees(azure, r#"{"model":"\u0061","x":{"model":"b"}}"#));
    for body in [r#"{"model":"b"}"#, r#"{"Model":"b"}"#, r#"{"mode\u006c":"b"}"#, r#"{"model":null}"#] {
        assert!(!agrees(azure, body), "{body}");
    }
    assert!(!agrees(azure, r#"{"model":"models/a"}"#));
    let count = "/v1beta/models/a:countTokens";
    assert!(agrees(count, r#"{"model":"models/a","generateContentRequest":{"model":"a"}}"#));
    assert!(!agrees(count, r#"{"generateContentRequest": {"x":1, "model":"models/b"}}"#));
    assert!(!agrees(count, r#"{"generate_content_request":{"model":"models/a","MODEL":"models/b"}}"#));
    let embed = "/v1beta/models/a:batchEmbedContents";
    assert!(agrees(embed, r#"{"requests": [{"model":"models/a"}, {"model":"a"}, 7]}"#));
    assert!(!agrees(embed, r#"{"requests": [{"model":"models/a"}, {"x":[], "Model":"models/b"}]}"#));
    assert!(agrees("/v1/chat/completions", r#"{"model":"b"}"#));
}

#[test]
fn a_path_that_is_not_served_is_answered_in_the_shape_of_its_neighbours() {
    for (path, family) in [
        ("/v1/messages/batches", &anthropic::FAMILY),
        ("/v1beta/models/m:predict", &gemini::FAMILY),
        ("/v1/models/m:predict", &gemini::FAMILY),
        ("/v1beta/openai/files", &openai::FAMILY),
        ("/v2/classify", &cohere::FAMILY),
        ("/", &openai::FAMILY),
    ] {
        assert_eq!(family_of(path), family, "{path}");
    }
    for (route, api) in routes() {
        assert_eq!(family_of(route), api.family, "{route}");
    }
}

proptest! {
    #[test]
    fn nothing_outside_the_table_is_accepted(
        start in prop::sample::select(vec!["", "/v1/", "/v1beta/models/", "/openai/deployments/", "/v2/"]),
        middle in "\\PC{0,12}",
        end in prop::sample::select(vec!["", ":generateContent", "/chat/completions", "/embeddings", "chat", "?a"]),
        bytes in prop::collection::vec(any::<u8>(), 0..80),
    ) {
        let _ = post(&String::from_utf8_lossy(&bytes));
        let path = format!("{start}{middle}{end}");
        if let Ok(call) = post(&path) {
            let path = path.split('?').next().unwrap();
            let expected = match &call.model_in_path {
                None => call.route.to_owned(),
                Some(name) => {
                    prop_assert!(is_model_name(name));
                    let (before, rest) = call.route.split_once('{').unwrap();
                    let (_, after) = rest.split_once('}').unwrap();
                    let raw = path.strip_prefix(before).and_then(|rest| rest.strip_suffix(after)).unwrap();
                    prop_assert!(!raw.contains('/'));
                    format!("{before}{raw}{after}")
                }
            };
            prop_assert_eq!(path, expected);
        }
    }
}
