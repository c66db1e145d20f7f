//! What a profile keeps out, and what the limits cost.

use opentelemetry_proto::tonic::{
    common::v1::any_value::Value,
    trace::v1::{Span, status::StatusCode},
};
use proptest::prelude::*;
use prost::Message as _;
use weir_event::v1::{
    Api, Caller, Capture, Content, FormFile, Output, Sampling, ToolCall, TraceEvent, Usage,
};

use super::{facts::attributes::MAX_ATTRIBUTES, fixture::*, names::*, *};

const CANARY: &str = "c4n4ry";

/// Something of every API's in one body: each reader finds its own.
const REQUEST: &str = r#"{
    "system": "c4n4ry", "instructions": "c4n4ry", "systemInstruction": {"parts": [{"text": "c4n4ry"}]},
    "messages": [{"role": "user", "content": "c4n4ry"}, {"role": "assistant", "tool_calls": [{"id": "1",
        "function": {"name": "f", "arguments": "{\"a\":\"c4n4ry\"}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": "c4n4ry"}],
    "input": "c4n4ry", "prompt": "c4n4ry", "contents": [{"parts": [{"text": "c4n4ry"}]}],
    "content": {"parts": [{"text": "c4n4ry"}]}, "query": "c4n4ry", "documents": ["c4n4ry"],
    "tools": [{"type": "function", "function": {"name": "f", "description": "c4n4ry"}}]
}"#;

const RESPONSE: &str = r#"{
    "choices": [{"message": {"role": "assistant", "content": "c4n4ry"}, "text": "c4n4ry"}],
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "c4n4ry"}]}],
    "content": [{"type": "text", "text": "c4n4ry"}],
    "candidates": [{"content": {"role": "model", "parts": [{"text": "c4n4ry"}]}}],
    "message": {"role": "assistant", "content": [{"type": "text", "text": "c4n4ry"}]},
    "results": [{"flagged": "c4n4ry"}], "data": [{"revised_prompt": "c4n4ry"}], "text": "c4n4ry"
}"#;

fn planted(api: Api, streamed_outputs: bool) -> TraceEvent {
    let mut event = failed_over();
    let canary = || CANARY.to_owned();
    event.request.as_mut().unwrap().api = api.into();
    let response = event.response.as_mut().unwrap();
    (response.status, response.error_type) = (500, "server_error".to_owned());
    let call = ToolCall { id: canary(), name: canary(), arguments: canary(), ..ToolCall::default() };
    let output = Output {
        text: canary(),
        refusal: canary(),
        reasoning: canary(),
        tool_calls: vec![call],
        ..Output::default()
    };
    event.content = Some(Content {
        capture: Capture::Kept.into(),
        request: REQUEST.as_bytes().to_vec().into(),
        response: if streamed_outputs { Vec::new().into() } else { RESPONSE.as_bytes().to_vec().into() },
        outputs: if streamed_outputs { vec![output] } else { Vec::new() },
        error_message: canary(),
        request_shortened: true,
        response_shortened: true,
    });
    event
}

fn everything(exclude_content: bool) -> ExportProfile {
    ExportProfile {
        exclude_content,
        overlays: Overlays { openinference: true, tfy: true },
        middleware_service: Some("svc".to_owned()),
        ..ExportProfile::default()
    }
}

fn encoded(event: &TraceEvent, profile: &ExportProfile) -> Vec<u8> {
    request(&[(SERVICE_NAME, "svc".to_owned())], of(ID, event, profile)).encode_to_vec()
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn keys(span: &Span) -> Vec<&str> {
    span.attributes.iter().map(|attribute| attribute.key.as_str()).collect()
}

#[test]
fn a_view_without_content_lets_none_of_it_through_whatever_the_api() {
    for api in apis() {
        for streamed in [false, true] {
            let event = planted(api, streamed);
            assert!(!holds(&encoded(&event, &everything(true)), CANARY), "{api:?}");
            if api != Api::Passthrough {
                assert!(holds(&encoded(&event, &everything(false)), CANARY), "{api:?} shows nothing at all");
            }
        }
    }
}

#[test]
fn a_view_without_content_keeps_everything_else() {
    let event = planted(Api::OpenaiChat, false);
    let spans = of(ID, &event, &everything(true));
    let chat = spans.iter().find(|span| span.name == "chat smart").unwrap();
    for key in
        [INPUT_TOKENS, OUTPUT_TOKENS, WEIR_COST_TOTAL, WEIR_CAPTURE, openinference::TOTAL_TOKENS, tfy::COST]
    {
        assert!(keys(chat).contains(&key), "{key} in {:?}", keys(chat));
    }
    assert_eq!(chat.dropped_attributes_count, 0);
}

#[test]
fn a_providers_error_text_is_the_status_message() {
    let status = |profile| {
        let spans = of(ID, &planted(Api::OpenaiChat, false), &profile);
        spans.into_iter().find(|span| span.name == "chat smart").unwrap().status.unwrap()
    };
    assert_eq!(
        (status(everything(false)).code(), status(everything(false)).message.as_str()),
        (StatusCode::Error, CANARY)
    );
    assert_eq!(status(everything(true)).message, "");
}

#[test]
fn a_long_conversation_costs_no_standard_attribute_and_its_end_survives() {
    let mut event = planted(Api::OpenaiChat, false);
    let messages: Vec<_> = (0..500)
        .map(|number| serde_json::json!({"role": "user", "content": format!("message {number}")}))
        .collect();
    let body = serde_json::json!({ "messages": messages }).to_string();
    event.content.as_mut().unwrap().request = body.into_bytes().into();
    event.caller = Some(Caller {
        metadata: (0..300).map(|number| (format!("k{number}"), "v".to_owned())).collect(),
        ..Caller::default()
    });
    let spans = of(ID, &event, &everything(false));
    assert!(spans.iter().all(|span| span.attributes.len() <= MAX_ATTRIBUTES));
    let chat = spans.iter().find(|span| span.name == "chat smart").unwrap();
    let found = keys(chat);
    for key in [
        INPUT_MESSAGES,
        OUTPUT_MESSAGES,
        INPUT_TOKENS,
        ERROR_TYPE,
        openinference::SPAN_KIND,
        SERVER_ADDRESS,
        WEIR_CAPTURE,
    ] {
        assert!(found.contains(&key), "{key}");
    }
    assert!(found.contains(&"llm.input_messages.499.message.content"), "{found:?}");
    assert!(found.contains(&"llm.output_messages.0.message.content"), "{found:?}");
    assert!(!found.contains(&"llm.input_messages.0.message.content"));
    let told = found.iter().filter(|key| key.starts_with("llm.input_messages.")).count();
    let tools = found.iter().filter(|key| key.starts_with("llm.tools.")).count();
    assert_eq!(told + usize::try_from(chat.dropped_attributes_count).unwrap() + tools, 1000);
    let server = &spans[0];
    assert!(server.dropped_attributes_count > 172, "{}", server.dropped_attributes_count);
    assert!(keys(server).contains(&WEIR_TOTAL_COST));
}

#[test]
fn a_limit_on_values_leaves_json_valid() {
    let profile = ExportProfile { value_limit: Some(120), ..everything(false) };
    let mut event = planted(Api::OpenaiChat, false);
    let body = serde_json::json!({"messages": [{"role": "user", "content": "ä".repeat(5000)}]}).to_string();
    event.content.as_mut().unwrap().request = body.into_bytes().into();
    for span in of(ID, &event, &profile) {
        for attribute in &span.attributes {
            let Some(Value::StringValue(text)) = attribute.value.as_ref().and_then(|any| any.value.as_ref())
            else {
                continue;
            };
            assert!(text.chars().count() <= 120, "{}", attribute.key);
            if [INPUT_MESSAGES, OUTPUT_MESSAGES, TOOL_DEFINITIONS].contains(&attribute.key.as_str()) {
                assert!(serde_json::from_str::<serde_json::Value>(text).is_ok(), "{text}");
            }
        }
    }
}

#[test]
fn the_attempt_that_answered_has_its_cost_and_the_one_that_failed_has_none() {
    let spans = of(ID, &failed_over(), &ExportProfile::default());
    let cost = |span: &Span, key: &str| {
        let found = span.attributes.iter().find(|attribute| attribute.key == key)?;
        match found.value.as_ref()?.value.as_ref()? {
            Value::DoubleValue(number) => Some(*number),
            _ => None,
        }
    };
    // 8 tokens at 2.5, 4 cached at 1.25 and 34 at 10 dollars per million.
    let expected = (8.0 * 2.5 + 4.0 * 1.25 + 34.0 * 10.0) / 1e6;
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "POST").collect();
    assert_eq!(cost(attempts[0], WEIR_ATTEMPT_COST), None);
    assert_eq!(cost(attempts[1], WEIR_ATTEMPT_COST), Some(expected));
    let chat = spans.iter().find(|span| span.name == "chat smart").unwrap();
    assert_eq!(cost(chat, WEIR_COST_TOTAL), Some(expected));
    assert_eq!(cost(&spans[0], WEIR_TOTAL_COST), Some(expected));
}

#[test]
fn what_failed_has_no_cost() {
    let mut event = failed_over();
    event.attempts.truncate(1);
    for span in of(ID, &event, &ExportProfile::default()) {
        assert!(keys(&span).iter().all(|key| !key.contains("cost")), "{:?}", keys(&span));
    }
}

#[test]
fn a_path_that_is_passed_through_is_plain_http() {
    let mut event = failed_over();
    let request = event.request.as_mut().unwrap();
    (request.api, request.method, request.model) = (Api::Passthrough.into(), "GET".to_owned(), String::new());
    let spans = of(ID, &event, &everything(false));
    assert!(spans.iter().all(|span| keys(span).iter().all(|key| *key != OPERATION_NAME)));
    let attempts: Vec<_> = spans.iter().filter(|span| span.name == "GET").collect();
    assert_eq!(attempts.len(), 2);
    assert!(attempts.iter().all(|span| span.parent_span_id == spans[0].span_id));
    assert!(spans.iter().all(|span| span.name != "stream"));
}

#[test]
fn the_providers_words_about_an_error_are_content_whatever_the_caller_was_told() {
    let shown = |capture: Capture, profile: &ExportProfile| {
        let mut event = failed_over();
        event.attempts.truncate(1);
        event.attempts[0].status = 403;
        let response = event.response.as_mut().unwrap();
        // What the caller saw, and the gateway's word for it.
        (response.status, response.error_type) = (502, "provider_auth".to_owned());
        let error_message = "c4n4ry".to_owned();
        event.content = Some(Content { capture: capture.into(), error_message, ..Content::default() });
        let spans = of(ID, &event, profile);
        let chat = spans.iter().find(|span| span.name == "chat smart").unwrap();
        let status = chat.status.as_ref().unwrap();
        assert_eq!(status.code(), StatusCode::Error);
        let message = status.message.clone();
        assert_eq!(holds(&encoded(&event, profile), CANARY), !message.is_empty());
        message
    };
    for capture in [Capture::Kept, Capture::Redacted] {
        assert_eq!(shown(capture, &everything(false)), CANARY);
        assert_eq!(shown(capture, &everything(true)), "");
    }
    for capture in [Capture::Excluded, Capture::NoRoom] {
        assert_eq!(shown(capture, &everything(false)), "");
    }
}

#[test]
fn a_cost_says_who_told_it() {
    let source = |event: &TraceEvent| {
        let spans = of(ID, event, &everything(false));
        let chat = spans.iter().find(|span| span.name == "chat smart").unwrap();
        let mut told: Vec<_> =
            keys(chat).iter().filter(|key| key.contains("cost")).map(|key| (*key).to_owned()).collect();
        told.sort();
        let source = chat.attributes.iter().find(|pair| pair.key == WEIR_COST_SOURCE);
        (source.and_then(|pair| pair.value.clone()?.value), told)
    };
    let text = |text: &str| Some(Value::StringValue(text.to_owned()));
    let mut event = streamed();
    assert_eq!(source(&event).0, text("table"));
    event.response.as_mut().unwrap().usage.as_mut().unwrap().cost_usd = Some(0.0123);
    let (told, keys) = source(&event);
    assert_eq!(told, text("provider"));
    // What it is made of nobody said.
    let expected = ["llm.cost.total", "tfy.model.metric.cost_in_usd", "weir.cost.source", "weir.cost.total"];
    assert_eq!(keys, expected);
}

#[test]
fn an_error_within_a_stream_is_an_error_of_the_operation_after_a_status_of_200() {
    let mut event = streamed();
    event.response.as_mut().unwrap().error_type = "overloaded_error".to_owned();
    let spans = of(ID, &event, &ExportProfile::default());
    let chat = spans.iter().find(|span| span.name == "chat smart").unwrap();
    assert_eq!(chat.status.as_ref().unwrap().code(), StatusCode::Error);
    assert!(spans[0].status.is_none());
}

#[test]
fn what_has_no_standard_name_is_told_under_weirs() {
    let mut event = streamed();
    event.sampling = Some(Sampling { ratio: 0.1, kept_for: "slow".to_owned() });
    event.request.as_mut().unwrap().files =
        vec![FormFile { field: "file".to_owned(), media_type: "audio/mpeg".to_owned(), bytes: 9000 }];
    event.response.as_mut().unwrap().usage = Some(Usage {
        output_tokens: Some(7),
        figures: [("a.b".to_owned(), 1), ("a".to_owned(), 2)].into(),
        ..Usage::default()
    });
    let spans = of(ID, &event, &ExportProfile::default());
    let value = |span: &Span, key: &str| {
        span.attributes
            .iter()
            .find(|attribute| attribute.key == key)
            .and_then(|found| found.value.clone()?.value)
    };
    let chat = spans.iter().find(|span| span.name == "chat smart").unwrap();
    assert_eq!(value(chat, WEIR_USAGE_FIGURES), Some(Value::StringValue(r#"{"a":2,"a.b":1}"#.to_owned())));
    // 600 ms over 6 steps.
    assert_eq!(value(chat, WEIR_TIME_PER_OUTPUT_TOKEN), Some(Value::DoubleValue(0.1)));
    assert!(
        matches!(value(chat, WEIR_FORM_SIZES), Some(Value::ArrayValue(sizes)) if sizes.values.len() == 1)
    );
    assert_eq!(value(&spans[0], WEIR_SAMPLING_RATIO), Some(Value::DoubleValue(0.1)));
    assert_eq!(value(&spans[0], WEIR_SAMPLING_KEPT_FOR), Some(Value::StringValue("slow".to_owned())));
}

#[test]
fn middleware_gets_the_service_on_each_span_and_the_user() {
    let mut event = streamed();
    event.caller = Some(Caller { key_name: "team-a".to_owned(), ..Caller::default() });
    let spans = of(ID, &event, &everything(true));
    assert!(spans.iter().all(|span| keys(span).contains(&MW_SERVICE_DERIVED)));
    assert!(keys(&spans[0]).contains(&GEN_AI_USER_ID));
    assert!(spans.iter().all(|span| keys(span).contains(&openinference::SPAN_KIND)));
    let plain = of(ID, &event, &ExportProfile::default());
    assert!(plain.iter().all(|span| {
        keys(span)
            .iter()
            .all(|key| !key.starts_with("mw.") && !key.starts_with("llm.") && !key.starts_with("tfy."))
    }));
}

#[test]
fn no_attribute_of_a_span_is_there_twice() {
    for api in apis() {
        let event = planted(api, false);
        for span in of(ID, &event, &everything(false)) {
            let mut found = keys(&span);
            found.sort_unstable();
            let twice: Vec<_> = found.windows(2).filter(|pair| pair[0] == pair[1]).collect();
            assert!(twice.is_empty(), "{api:?} {}: {twice:?}", span.name);
        }
    }
}

proptest! {
    #[test]
    fn no_content_whatever_its_shape_breaks_a_span(
        asked in families::tests::hostile(),
        answered in families::tests::hostile(),
        value_limit in prop::option::of(0_usize..200),
    ) {
        let profile = ExportProfile { value_limit, ..everything(false) };
        for api in apis() {
            let mut event = planted(api, false);
            let content = event.content.as_mut().unwrap();
            content.request = asked.to_string().into_bytes().into();
            content.response = answered.to_string().into_bytes().into();
            for span in of(ID, &event, &profile) {
                prop_assert!(span.attributes.len() <= MAX_ATTRIBUTES);
            }
        }
    }
}
