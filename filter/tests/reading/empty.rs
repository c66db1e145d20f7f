//! Members that are present but empty are neither a token nor output.

use serde_json::{Value, json};
use weir_filter::api::Api;
use weir_filter::api::{anthropic, cohere, gemini, openai};

use super::{Read, stream, whole};

/// One chunk of a chat with this delta.
fn chunk(delta: &Value) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

fn said_nothing(read: &Read) -> bool {
    read.outputs.iter().all(|output| {
        output.text.is_empty()
            && output.reasoning.is_empty()
            && output.refusal.is_empty()
            && output.tool_calls.is_empty()
    })
}

/// Events without output, by API.
fn nothing() -> Vec<(Api, Value)> {
    let chat = [
        json!({"role": "assistant", "content": "", "reasoning_content": null, "tool_calls": null}),
        json!({"role": "assistant", "content": null, "tool_calls": [], "function_call": null, "audio": null}),
        json!({"content": "", "refusal": "", "annotations": null, "function_call": {"name": "", "arguments": ""},
            "audio": {"id": "", "data": "", "transcript": "", "expires_at": 0}}),
        json!({"content": [], "tool_calls": [{}], "reasoning_details": [{"type": "reasoning.text", "text": ""}]}),
        json!({"content": [{"type": "text", "text": ""}], "images": []}),
        json!({"tool_calls": [{"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}]}),
        json!({"role": "assistant", "name": "MiniMax AI", "content": "", "audio_content": ""}),
        json!({"unheard_of": {"a": [null, {"b": ""}]}, "token_id": 7}),
    ];
    let mut events: Vec<(Api, Value)> = chat.iter().map(|delta| (openai::CHAT, chunk(delta))).collect();
    events.extend([
        (openai::COMPLETIONS, json!({"choices": [{"index": 0, "text": "", "logprobs": null}]})),
        (
            openai::RESPONSES,
            json!({"type": "response.output_text.delta", "output_index": 0, "item_id": "msg_1", "delta": ""}),
        ),
        (
            openai::RESPONSES,
            json!({"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": "fc_1", "delta": ""}),
        ),
        (openai::RESPONSES, json!({"type": "response.something_new.delta", "item_id": "x_1", "delta": null})),
        (openai::IMAGES, json!({"type": "image_generation.partial_image", "b64_json": ""})),
        (
            anthropic::MESSAGES,
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}}),
        ),
        (
            anthropic::MESSAGES,
            json!({"type": "content_block_start", "index": 0,
                "content_block": {"type": "tool_use", "id": "", "name": "", "input": {}}}),
        ),
        (
            anthropic::MESSAGES,
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": ""}}),
        ),
        (
            gemini::STREAM,
            json!({"candidates": [{"index": 0, "content": {"role": "model", "parts": [{"text": ""}]}}]}),
        ),
        (
            gemini::STREAM,
            json!({"candidates": [{"content": {"parts": [{}, {"functionCall": {}}, {"inlineData": {"mimeType": "", "data": ""}}]}}]}),
        ),
        (
            cohere::CHAT,
            json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
        ),
        (
            cohere::CHAT,
            json!({"type": "message-start", "delta": {"message": {"role": "assistant", "content": [],
                "tool_plan": "", "tool_calls": [], "citations": []}}}),
        ),
        (
            cohere::CHAT,
            json!({"type": "tool-call-start", "index": 0, "delta": {"message": {"tool_calls": [{}]}}}),
        ),
    ]);
    events
}

#[test]
fn an_event_whose_members_are_all_empty_brings_no_token_whatever_the_api() {
    for (api, event) in nothing() {
        let read = stream(api, std::slice::from_ref(&event));
        assert_eq!(read.tokens, [false], "{api:?} {event}");
        assert!(said_nothing(&read), "{api:?} {event}: {:?}", read.outputs);
    }
}

#[test]
fn empty_members_beside_content_are_no_part_of_a_whole_response() {
    let mut message = json!({"role": "assistant", "content": "At the pier.", "refusal": "", "annotations": null,
        "audio": {"id": "", "data": "", "transcript": "", "expires_at": 0},
        "function_call": {"name": "", "arguments": ""}});
    for calls in [json!(null), json!([]), json!([{"id": "", "type": "function", "function": {"name": ""}}])] {
        message["tool_calls"] = calls;
        let read = whole(openai::CHAT, &json!({"id": "c1", "choices": [{"index": 0, "message": message}]}));
        assert_eq!((read.text(), read.calls()), ("At the pier.", vec![]), "{message}");
    }
    let block = json!({"type": "tool_use", "id": "", "name": "", "input": {}});
    let read =
        whole(anthropic::MESSAGES, &json!({"content": [block, {"type": "text", "text": "At the pier."}]}));
    assert_eq!((read.text(), read.calls()), ("At the pier.", vec![]));
}

#[test]
fn what_a_member_holds_that_is_not_known_is_a_token_all_the_same() {
    for delta in [
        json!({"content": " "}),
        json!({"unheard_of": {"a": [null, {"b": "c"}]}}),
        json!({"tool_calls": [{"index": 0, "id": "a1", "type": "function", "function": {"name": "", "arguments": ""}}]}),
    ] {
        assert_eq!(stream(openai::CHAT, &[chunk(&delta)]).tokens, [true], "{delta}");
    }
}
