//! Errors within a response that began well or did not, in every shape that servers use.

use serde_json::{Value, json};
use weir_event::v1;
use weir_filter::api::Api;
use weir_filter::api::{anthropic, cohere, gemini, openai};
use weir_filter::response::parser::ResponseParser;

use super::{Read, stream, transcript, whole};

/// Errors of any API's servers, with the expected type and message.
fn errors() -> Vec<(Value, &'static str, &'static str)> {
    vec![
        (
            json!({"error": "model is overloaded", "error_type": "overloaded"}),
            "overloaded",
            "model is overloaded",
        ),
        (json!({"error": "model is overloaded"}), "error", "model is overloaded"),
        (
            json!({"object": "error", "message": "Out of memory", "type": "InternalServerError", "param": null, "code": 500}),
            "InternalServerError",
            "Out of memory",
        ),
        (
            json!({"object": "error", "message": "Out of memory", "type": null, "code": 500}),
            "500",
            "Out of memory",
        ),
        (json!({"message": "Upstream went away"}), "error", "Upstream went away"),
        (json!({"detail": "Not enough quota"}), "error", "Not enough quota"),
        (
            json!({"detail": [{"loc": ["body", "messages"], "msg": "Field required", "type": "missing"}]}),
            "missing",
            "body.messages: Field required",
        ),
        (json!({"error": {"code": 429, "message": "Slow down"}}), "429", "Slow down"),
        (
            json!({"error": {"code": 502, "message": "Bad gateway", "status": "BAD_GATEWAY"}}),
            "BAD_GATEWAY",
            "Bad gateway",
        ),
        (
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}),
            "overloaded_error",
            "Overloaded",
        ),
        (json!({"base_resp": {"status_code": 1004, "status_msg": "login fail"}}), "1004", "login fail"),
        (
            json!({"error": ["Too long", "Too hot"], "error_type": "validation"}),
            "validation",
            "Too long; Too hot",
        ),
        (
            json!({"type": "about:blank", "title": "Too Many Requests", "status": 429, "detail": "Slow down"}),
            "429",
            "Slow down",
        ),
        (json!({"title": "Too Many Requests", "status": 429}), "429", "Too Many Requests"),
        (json!({"Message": "Not allowed"}), "error", "Not allowed"),
    ]
}

const APIS: [Api; 6] =
    [openai::CHAT, openai::COMPLETIONS, openai::RESPONSES, anthropic::MESSAGES, gemini::STREAM, cohere::CHAT];

fn error(read: &Read) -> (&str, &str) {
    (&read.response.error_type, &read.error_message)
}

#[test]
fn an_error_in_another_shape_is_one_in_every_api_in_a_stream_and_in_one_piece() {
    for api in APIS {
        for (event, kind, message) in errors() {
            let read = stream(api, std::slice::from_ref(&event));
            assert_eq!((error(&read), &read.tokens[..]), ((kind, message), &[false][..]), "{api:?} {event}");
            assert_eq!(read.response.usage, None, "nothing was used: {event}");
            assert_eq!(error(&whole(api, &event)), (kind, message), "{api:?} {event}");
        }
    }
}

#[test]
fn an_error_status_has_its_message_from_every_shape() {
    for api in APIS {
        for (body, kind, message) in errors() {
            let mut answer = ResponseParser::new(api, transcript());
            let mut response = v1::Response { status: 503, ..Default::default() };
            assert!(answer.read(body.to_string().as_bytes(), &mut response));
            // If nothing names it, the status does.
            let kind = if kind == "error" { "" } else { kind };
            assert_eq!(response.error_type, kind, "{body}");
            let (_, found, _) = answer.finish(0, true, &mut response).finish();
            assert_eq!(found, message, "{body}");
        }
    }
}

#[test]
fn an_error_may_stand_in_a_choice_or_in_a_member_of_the_servers_own() {
    let gave_up = json!({"id": "gen-1", "choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "error",
        "error": {"code": 502, "message": "Provider returned error"}}]});
    let read = stream(openai::CHAT, &[gave_up]);
    assert_eq!(error(&read), ("502", "Provider returned error"));
    assert_eq!(read.response.finish_reasons, ["error"]);
    let gave_up = json!({"id": "gen-1", "choices": [{"index": 0, "message": {"content": "At "}, "finish_reason": "error",
        "error": {"code": 502, "message": "Provider returned error"}}]});
    assert_eq!(error(&whole(openai::CHAT, &gave_up)), ("502", "Provider returned error"));
    let groq = json!({"id": "c1", "choices": [], "x_groq": {"id": "req_1", "error": "over_capacity"}});
    assert_eq!(error(&stream(openai::CHAT, &[groq])), ("over_capacity", "over_capacity"));
    let listed = br#"[{"error": {"code": 400, "message": "No such model", "status": "NOT_FOUND"}}]"#;
    let (mut answer, mut response) =
        (ResponseParser::new(openai::CHAT, transcript()), v1::Response { status: 404, ..Default::default() });
    assert!(answer.read(listed, &mut response));
    assert_eq!(response.error_type, "NOT_FOUND");
}

#[test]
fn what_broke_down_is_an_error_also_where_nothing_else_says_so() {
    let chat = |key: &str, reason: &str| json!({"choices": [{"index": 0, key: {"content": "At "}, "finish_reason": reason}], "usage": {"prompt_tokens": 10, "completion_tokens": 1}});
    let failed = json!({"id": "r1", "object": "response", "status": "failed", "error": null, "output": []});
    let end = json!({"type": "message-end", "delta": {"finish_reason": "ERROR"}});
    for read in [
        stream(openai::CHAT, &[chat("delta", "error")]),
        whole(openai::CHAT, &chat("message", "error")),
        whole(openai::RESPONSES, &failed),
        stream(openai::RESPONSES, &[json!({"type": "response.failed", "response": failed})]),
        stream(cohere::CHAT, &[end]),
        whole(cohere::CHAT, &json!({"message": {"content": []}, "finish_reason": "ERROR"})),
    ] {
        assert_eq!(error(&read), ("error", ""));
    }
    let cut = stream(openai::CHAT, &[chat("delta", "error")]);
    assert_eq!(cut.usage().source(), v1::UsageSource::Partial);
    for reason in ["stop", "length", "abort", "content_filter", "TERROR", ""] {
        assert_eq!(error(&whole(openai::CHAT, &chat("message", reason))), ("", ""), "{reason}");
    }
}

#[test]
fn an_error_that_is_empty_is_none() {
    for empty in [
        json!(null),
        json!(""),
        json!({}),
        json!([]),
        json!(false),
        json!(0),
        json!([null, ""]),
        json!({"code": null, "message": null, "type": null, "param": null}),
        json!({"code": 0, "message": "", "type": "", "param": ""}),
    ] {
        let chunk = json!({"error": empty, "errors": empty, "detail": empty, "title": empty, "choices":
            [{"index": 0, "delta": {"content": "At the pier."}, "finish_reason": "stop", "error": empty}], "x_groq": {"error": empty}});
        assert_eq!(error(&stream(openai::CHAT, &[chunk])), ("", ""), "{empty}");
        let message = json!({"type": "message", "content": [], "stop_reason": "refusal", "error": empty, "detail": empty});
        assert_eq!(error(&whole(anthropic::MESSAGES, &message)), ("", ""), "{empty}");
        let response = json!({"object": "response", "status": "completed", "output": [], "error": empty});
        let events =
            [json!({"type": "response.completed", "response": response, "error": empty, "message": empty})];
        assert_eq!(error(&stream(openai::RESPONSES, &events)), ("", ""), "{empty}");
    }
}

#[test]
fn what_a_model_writes_is_no_error() {
    let error = r#"{"error":"model is overloaded","detail":"x","message":"y"}"#;
    let chat = json!({"choices": [{"index": 0, "message": {"content": error}, "finish_reason": "stop"}], "error": null});
    let message =
        json!({"type": "message", "content": [{"type": "text", "text": error}], "stop_reason": "end_turn"});
    let tool = json!({"type": "message", "content": [{"type": "tool_use", "id": "t", "name": "error", "input": {"error": "x", "message": "y"}}]});
    let gemini = json!({"candidates": [{"content": {"parts": [{"functionCall": {"name": "f", "args": {"error": {"code": 500}}}}]}}]});
    let response = json!({"object": "response", "status": "completed", "error": null,
        "output": [{"type": "message", "content": [{"type": "output_text", "text": error}]}]});
    let cohere = json!({"message": {"role": "assistant", "content": [{"type": "text", "text": error}]}, "finish_reason": "COMPLETE"});
    for (api, body) in [
        (openai::CHAT, chat),
        (anthropic::MESSAGES, message),
        (anthropic::MESSAGES, tool),
        (gemini::GENERATE, gemini),
        (openai::RESPONSES, response),
        (cohere::CHAT, cohere),
    ] {
        assert_eq!(whole(api, &body).response.error_type, "", "{body}");
    }
}

#[test]
fn words_beside_content_are_words_and_sentences_are_dropped() {
    let said = "The caller Ann Example asked for this";
    let body = json!({"id": said, "model": said, "service_tier": said, "system_fingerprint": said,
        "choices": [{"index": 0, "message": {"content": "At the pier."}, "finish_reason": said}],
        "error": {"code": said, "type": said, "message": "m"}});
    let read = whole(openai::CHAT, &body);
    assert!(!format!("{:?}", read.response).contains("Ann"), "{:?}", read.response);
    assert_eq!(read.response.error_type, "error");
}
