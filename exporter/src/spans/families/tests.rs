use proptest::prelude::*;
use serde_json::{Value, json};
use weir_event::v1::{Api, Content, Output, Response, ToolCall};

use super::{super::messages::read, *};
use crate::spans::fixture::apis;

fn both(api: Api, request: &Value, response: &Value) -> Conversation {
    let content = Content {
        request: request.to_string().into_bytes().into(),
        response: response.to_string().into_bytes().into(),
        ..Content::default()
    };
    read(of(api), &content, &Response::default(), false)
}

fn asked(api: Api, request: &Value) -> Value {
    serde_json::to_value(both(api, request, &Value::Null).input).unwrap()
}

fn answered(api: Api, response: &Value) -> Value {
    serde_json::to_value(both(api, &Value::Null, response).output).unwrap()
}

#[test]
fn arguments_that_are_no_json_stay_text() {
    let call = |arguments: &str| {
        let message = json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": arguments}}]});
        let read = asked(Api::OpenaiChat, &json!({ "messages": [message] }));
        read[0]["parts"][0]["arguments"].clone()
    };
    assert_eq!(call(r#"{"city":"Bonn"}"#), json!({"city": "Bonn"}));
    assert_eq!(call(r#"{"city":"Bo"#), json!(r#"{"city":"Bo"#));
    assert_eq!(call(""), Value::Null);
}

#[test]
fn a_content_of_text_null_or_parts_is_the_same_to_every_reader() {
    let messages = json!([
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": null},
        {"role": "user", "content": [{"type": "text", "text": "b"}, null]},
    ]);
    let expected = json!([
        {"role": "user", "parts": [{"type": "text", "content": "a"}]},
        {"role": "assistant", "parts": []},
        {"role": "user", "parts": [{"type": "text", "content": "b"}]},
    ]);
    for api in [Api::OpenaiChat, Api::CohereChat] {
        assert_eq!(asked(api, &json!({ "messages": messages })), expected, "{api:?}");
    }
    assert_eq!(asked(Api::OpenaiResponses, &json!({ "input": messages })), expected);
}

#[test]
fn a_part_of_a_known_type_and_an_unknown_shape_is_kept_whole() {
    for part in [
        json!({"type": "text", "text": {"deep": 1}}),
        json!({"type": "image_url", "image_url": 7}),
        json!({"type": "image_url", "image_url": {"link": "x"}}),
        json!({"type": "input_audio", "input_audio": "x"}),
        json!({"type": "brand_new", "payload": [1, 2]}),
    ] {
        let request = json!({"messages": [{"role": "user", "content": [part]}]});
        assert_eq!(asked(Api::OpenaiChat, &request)[0]["parts"], json!([part]));
    }
    for block in
        [json!({"type": "image", "source": {"type": "new", "ref": "x"}}), json!({"type": "odd", "x": 1})]
    {
        let request = json!({"messages": [{"role": "user", "content": [block]}]});
        let kept = &asked(Api::AnthropicMessages, &request)[0]["parts"][0];
        assert_eq!(kept["type"], block["type"]);
        assert_eq!(kept["x"], block["x"]);
        assert_eq!(kept["source"]["ref"], block["source"]["ref"]);
    }
}

#[test]
fn tokens_in_place_of_text_are_counted() {
    for input in [json!([1, 2, 3]), json!([[1, 2, 3]])] {
        let read = asked(Api::OpenaiEmbeddings, &json!({ "input": input }));
        assert_eq!(read, json!([{"role": "user", "parts": [{"type": "tokens", "content": 3}]}]));
    }
}

#[test]
fn a_stream_in_an_array_is_read_like_its_responses() {
    let candidate = |text: &str, reason: Value| json!({"candidates": [{"content": {"role": "model", "parts": [{"text": text}]}, "finishReason": reason}]});
    let read =
        answered(Api::GeminiStream, &json!([candidate("a", Value::Null), candidate("b", json!("STOP"))]));
    assert_eq!(
        read[1],
        json!({"role": "assistant", "parts": [{"type": "text", "content": "b"}], "finish_reason": "stop"})
    );
}

#[test]
fn a_blocked_prompt_says_why() {
    let read = answered(Api::GeminiGenerate, &json!({"promptFeedback": {"blockReason": "SAFETY"}}));
    assert_eq!(read, json!([{"role": "assistant", "parts": [], "finish_reason": "content_filter"}]));
}

#[test]
fn the_choices_of_a_stream_have_the_reasons_of_their_index() {
    let call = |kind: &str| ToolCall {
        index: 0,
        id: "c".to_owned(),
        name: "f".to_owned(),
        arguments: "{\"a\":1}".to_owned(),
        r#type: kind.to_owned(),
    };
    let content = Content {
        outputs: vec![
            Output { index: 1, text: "hi".to_owned(), reasoning: "hm".to_owned(), ..Output::default() },
            Output { index: 0, refusal: "no".to_owned(), tool_calls: vec![call("")], ..Output::default() },
            Output { index: 2, tool_calls: vec![call("server_tool_use")], ..Output::default() },
        ],
        ..Content::default()
    };
    let finish_reasons = vec!["tool_use".to_owned(), "end_turn".to_owned()];
    let response = Response { finish_reasons, ..Response::default() };
    let said = read(of(Api::AnthropicMessages), &content, &response, true);
    let expected = json!([
        {"role": "assistant", "finish_reason": "stop", "parts": [
            {"type": "reasoning", "content": "hm"}, {"type": "text", "content": "hi"}]},
        {"role": "assistant", "finish_reason": "tool_call", "parts": [
            {"type": "refusal", "content": "no"},
            {"type": "tool_call", "id": "c", "name": "f", "arguments": {"a": 1}}]},
        {"role": "assistant", "finish_reason": "error", "parts": [
            {"type": "server_tool_call", "id": "c", "name": "f",
             "server_tool_call": {"type": "server_tool_use", "arguments": {"a": 1}}}]},
    ]);
    assert_eq!(serde_json::to_value(said.output).unwrap(), expected);
}

#[test]
fn a_reason_of_a_providers_own_stays_and_none_is_unknown() {
    let choice = |reason: Value| json!({"choices": [{"message": {"role": "assistant", "content": "x"}, "finish_reason": reason}]});
    assert_eq!(
        answered(Api::OpenaiChat, &choice(json!("insufficient_system_resource")))[0]["finish_reason"],
        "insufficient_system_resource"
    );
    assert_eq!(answered(Api::OpenaiChat, &choice(Value::Null))[0]["finish_reason"], "unknown");
}

#[test]
fn what_is_no_json_object_says_nothing() {
    for body in ["", "{", "null", "[]", "5", "\u{feff}{}"] {
        let content = Content {
            request: body.as_bytes().to_vec().into(),
            response: body.as_bytes().to_vec().into(),
            ..Content::default()
        };
        for api in [Api::Unspecified].into_iter().chain(apis()) {
            assert_eq!(
                read(of(api), &content, &Response::default(), false),
                Conversation::default(),
                "{body:?}"
            );
        }
    }
}

/// JSON with the words that readers look for, in places where they may not expect them.
pub(in crate::spans) fn hostile() -> impl Strategy<Value = Value> {
    let words = prop::sample::select(vec![
        "messages",
        "content",
        "role",
        "type",
        "text",
        "tool_calls",
        "function",
        "arguments",
        "image_url",
        "url",
        "input",
        "output",
        "instructions",
        "system",
        "source",
        "data",
        "media_type",
        "contents",
        "parts",
        "candidates",
        "functionCall",
        "functionResponse",
        "inlineData",
        "tools",
        "functionDeclarations",
        "choices",
        "message",
        "documents",
        "query",
        "results",
        "prompt",
        "generateContentRequest",
        "requests",
        "systemInstruction",
        "audio",
        "tool_use",
        "tool_result",
        "thinking",
        "reasoning",
        "refusal",
        "file",
        "input_audio",
        "summary",
        "status",
        "incomplete_details",
        "web_search_call",
        "function_call_output",
        "weir-blob:image/png;bytes=3;sha256=ab",
    ]);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        words.clone().prop_map(Value::from),
        ".{0,8}".prop_map(Value::from),
    ];
    leaf.prop_recursive(6, 96, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::vec((words.clone(), inner), 0..6).prop_map(|members| {
                Value::Object(members.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
            }),
        ]
    })
}

proptest! {
    #[test]
    fn no_json_whatever_its_shape_stops_a_reader(request in hostile(), response in hostile()) {
        for api in [Api::Unspecified].into_iter().chain(apis()) {
            let said = both(api, &request, &response);
            prop_assert!(serde_json::to_string(&said.input).is_ok());
            prop_assert!(serde_json::to_string(&said.output).is_ok());
            prop_assert!(serde_json::to_string(&said.system).is_ok());
        }
    }

    #[test]
    fn every_part_has_a_type(request in hostile(), response in hostile()) {
        for api in [Api::Unspecified].into_iter().chain(apis()) {
            let said = both(api, &request, &response);
            for message in said.input.iter().chain(&said.output) {
                for part in &message.parts {
                    let part = serde_json::to_value(part).unwrap();
                    prop_assert!(part["type"].is_string(), "{part}");
                }
            }
        }
    }
}
