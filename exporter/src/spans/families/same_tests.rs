//! What is the same must read the same: a stream and the response in one piece, a member that is empty and one that
//! is not there, a tool or a thought under each of its names.

use serde_json::{Value, json};
use weir_event::v1::{self, Api, Capture, Content, Output, Response, ToolCall};

use super::{super::messages::read, *};

const CHATS: [Api; 2] = [Api::OpenaiChat, Api::CohereChat];

fn output(api: Api, response: &Value) -> Value {
    let content = Content { response: response.to_string().into_bytes().into(), ..Content::default() };
    serde_json::to_value(read(of(api), &content, &Response::default(), false).output).unwrap()
}

fn input(api: Api, request: &Value) -> Value {
    let content = Content { request: request.to_string().into_bytes().into(), ..Content::default() };
    serde_json::to_value(read(of(api), &content, &Response::default(), false).input).unwrap()
}

/// The parts of a stream that was put together so.
fn streamed(api: Api, output: Output) -> Value {
    let content = Content { outputs: vec![output], ..Content::default() };
    serde_json::to_value(&read(of(api), &content, &Response::default(), false).output[0].parts).unwrap()
}

fn call(kind: &str, id: &str, name: &str, arguments: &Value) -> ToolCall {
    ToolCall {
        id: id.to_owned(),
        name: name.to_owned(),
        arguments: if arguments.is_null() { String::new() } else { arguments.to_string() },
        r#type: kind.to_owned(),
        ..ToolCall::default()
    }
}

/// A part of a stream as the API writes it.
fn written(value: &Value) -> v1::Part {
    let kind = value["type"].as_str().unwrap_or_default().to_owned();
    v1::Part { r#type: kind, json: value.to_string() }
}

/// The message that an assistant of each API says with these members, as output and as input.
fn chat(message: &Value) -> Vec<Value> {
    let whole = json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]});
    let request = json!({ "messages": [message] });
    vec![
        output(Api::OpenaiChat, &whole)[0]["parts"].clone(),
        output(Api::CohereChat, &json!({ "message": message }))[0]["parts"].clone(),
        input(Api::OpenaiChat, &request)[0]["parts"].clone(),
        input(Api::CohereChat, &request)[0]["parts"].clone(),
        input(Api::OpenaiResponses, &json!({ "input": [message] }))[0]["parts"].clone(),
    ]
}

#[test]
fn members_that_a_server_writes_out_although_they_are_empty_are_no_parts() {
    let said = json!([{"type": "text", "content": "At the pier."}]);
    for empty in [
        json!({"refusal": "", "annotations": null, "audio": {"id": "", "data": "", "transcript": "", "expires_at": 0}, "function_call": {"name": "", "arguments": ""}}),
        json!({"tool_calls": [], "function_call": {}, "audio": {}, "images": [], "reasoning": {}}),
        json!({"tool_calls": [{}], "function_call": null, "images": [{}], "reasoning_content": ""}),
        json!({"tool_calls": [null], "audio": {"transcript": null}, "reasoning_details": [{}], "refusal": []}),
        json!({"tool_calls": [{"index": 0, "id": "", "type": "function", "function": {"name": "", "arguments": ""}}]}),
        json!({"tool_calls": [{"index": 0, "id": null, "type": "function", "function": null}], "tool_plan": ""}),
        json!({"tool_calls": "", "images": [{"type": "image_url", "image_url": {"url": ""}}], "refusal": {}}),
        json!({"thinking": "", "thinking_blocks": [{"type": "thinking", "thinking": ""}]}),
    ] {
        for content in [
            json!("At the pier."),
            json!([{"type": "text", "text": ""}, {"type": "text", "text": "At the pier."}, {}, null, ""]),
            json!([{"type": "text", "text": "At the pier."}, {"type": "input_audio", "input_audio": {"data": ""}}, {"type": "file", "file": {}}]),
        ] {
            let mut message = empty.clone();
            message["role"] = json!("assistant");
            message["content"] = content;
            for parts in chat(&message) {
                assert_eq!(parts, said, "{message}");
            }
        }
    }
}

#[test]
fn empty_blocks_parts_and_items_of_the_other_apis_are_none_either() {
    let said = json!([{"type": "text", "content": "At the pier."}]);
    let blocks = json!([
        {"type": "text", "text": ""}, {"type": "thinking", "thinking": "", "signature": "s"},
        {"type": "text", "text": "At the pier.", "citations": null}, {}, null,
        {"type": "image", "source": {"type": "base64", "data": ""}}, {"type": "tool_use", "id": "", "name": "", "input": {}},
        {"type": "server_tool_use", "input": {}}, {"type": "web_search_tool_result", "content": []},
    ]);
    assert_eq!(output(Api::AnthropicMessages, &json!({ "content": blocks }))[0]["parts"], said);
    let request = json!({ "messages": [{"role": "assistant", "content": blocks}] });
    assert_eq!(input(Api::AnthropicMessages, &request)[0]["parts"], said);

    let parts = json!([
        {"text": ""}, {"text": "At the pier."}, {"text": "", "thought": true}, {}, {"thoughtSignature": "s"},
        {"functionCall": {}}, {"functionCall": {"name": "", "args": {}}}, {"inlineData": {"mimeType": "image/png", "data": ""}},
        {"fileData": {}}, {"executableCode": {"code": ""}}, {"codeExecutionResult": {}}, {"functionResponse": {"name": ""}},
    ]);
    let response = json!({"candidates": [{"content": {"role": "model", "parts": parts}}]});
    assert_eq!(output(Api::GeminiGenerate, &response)[0]["parts"], said);
    let request = json!({"contents": [{"role": "model", "parts": parts}], "systemInstruction": {"parts": [{"text": ""}]}});
    assert_eq!(input(Api::GeminiGenerate, &request)[0]["parts"], said);

    let items = json!([
        {"type": "reasoning", "id": "rs", "summary": []}, {"type": "message", "content": []},
        {"type": "message", "content": [{"type": "output_text", "text": "At the pier."}, {"type": "refusal", "refusal": ""}]},
        {"type": "function_call", "name": "", "arguments": "", "call_id": ""}, {"type": "web_search_call", "action": {}},
    ]);
    let response = json!({"output": items, "status": "completed"});
    assert_eq!(output(Api::OpenaiResponses, &response)[0]["parts"], said);
}

#[test]
fn nothing_in_tools_and_system_is_no_tool_and_no_instruction() {
    let request = json!({"system": [{"type": "text", "text": ""}], "messages": [], "tools": [null, {}]});
    let content = Content { request: request.to_string().into_bytes().into(), ..Content::default() };
    for api in [Api::AnthropicMessages, Api::OpenaiChat] {
        let read = read(of(api), &content, &Response::default(), false);
        assert!(read.system.is_empty() && read.tools.is_empty(), "{read:?}");
    }
}

#[test]
fn what_is_false_or_zero_is_said_and_an_empty_result_of_a_call_stays() {
    let request = json!({"messages": [{"role": "tool", "tool_call_id": "c", "content": ""}]});
    let expected = json!([{"type": "tool_call_response", "id": "c", "response": ""}]);
    assert_eq!(input(Api::OpenaiChat, &request)[0]["parts"], expected);
    let message = json!({"role": "assistant", "tool_calls": [{"id": "c", "function": {"name": "f", "arguments": "{\"on\":false}"}}]});
    assert_eq!(chat(&message)[0][0]["arguments"], json!({"on": false}));
    let result = json!({"index": 0, "relevance_score": 0.0});
    let parts = &output(Api::CohereRerank, &json!({ "results": [result] }))[0]["parts"];
    assert_eq!(parts[0]["content"], result);
}

#[test]
fn reasoning_is_read_once_under_each_of_its_names() {
    let expected = json!([{"type": "reasoning", "content": "hm"}, {"type": "text", "content": "Yes."}]);
    for thought in [
        json!({"reasoning_content": "hm"}),
        json!({"reasoning": "hm"}),
        json!({"reasoning": "hm", "reasoning_content": "", "reasoning_details": [{"type": "reasoning.text", "text": "hm"}]}),
        json!({"reasoning_content": "hm", "reasoning": "hm", "thinking_blocks": [{"type": "thinking", "thinking": "hm", "signature": "s"}]}),
        json!({"reasoning_details": [{"type": "reasoning.summary", "summary": "h"}, {"type": "reasoning.text", "text": "m"}, {"type": "reasoning.encrypted", "data": "x"}]}),
        json!({"reasoning_text": "hm"}),
        json!({"thinking": "hm"}),
        json!({"tool_plan": "hm"}),
    ] {
        let mut message = thought;
        message["role"] = json!("assistant");
        message["content"] = json!("Yes.");
        for parts in chat(&message) {
            assert_eq!(parts, expected, "{message}");
        }
    }
    let parts = json!([{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "Yes."}]);
    assert_eq!(chat(&json!({"role": "assistant", "content": parts}))[0], expected);
    let items = json!([
        {"type": "reasoning", "summary": [{"type": "summary_text", "text": "hm"}], "encrypted_content": "x"},
        {"type": "message", "content": [{"type": "output_text", "text": "Yes."}]},
    ]);
    assert_eq!(output(Api::OpenaiResponses, &json!({ "output": items }))[0]["parts"], expected);
    let blocks = json!([{"type": "redacted_thinking", "data": "x"}, {"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "Yes."}]);
    assert_eq!(output(Api::AnthropicMessages, &json!({ "content": blocks }))[0]["parts"], expected);
    let parts = json!([{"text": "hm", "thought": true}, {"text": "Yes."}]);
    let response = json!({"candidates": [{"content": {"parts": parts}}]});
    assert_eq!(output(Api::GeminiGenerate, &response)[0]["parts"], expected);
}

#[test]
fn a_tool_of_the_provider_is_the_same_in_a_stream_and_in_one_piece() {
    let action = json!({"type": "search", "query": "ferry"});
    for (item, arguments, name) in [
        (
            json!({"type": "web_search_call", "id": "t1", "status": "completed", "action": action}),
            action.clone(),
            "web_search",
        ),
        (
            json!({"type": "code_interpreter_call", "id": "t1", "code": "1+1", "outputs": null}),
            json!("1+1"),
            "code_interpreter",
        ),
        (
            json!({"type": "computer_call", "call_id": "t1", "id": "x", "action": {"type": "click"}}),
            json!({"type": "click"}),
            "computer",
        ),
        (
            json!({"type": "mcp_call", "id": "t1", "name": "roll", "arguments": "{\"dice\":2}", "output": null}),
            json!({"dice": 2}),
            "roll",
        ),
        (
            json!({"type": "file_search_call", "id": "t1", "queries": ["ferry"], "results": null}),
            json!({"queries": ["ferry"]}),
            "file_search",
        ),
        (
            json!({"type": "mcp_list_tools", "id": "t1", "server_label": "dice"}),
            json!({"server_label": "dice"}),
            "mcp_list_tools",
        ),
    ] {
        let kind = item["type"].as_str().unwrap();
        let expected = json!([{"type": "server_tool_call", "id": "t1", "name": name,
            "server_tool_call": {"type": kind, "arguments": arguments}}]);
        let whole = output(Api::OpenaiResponses, &json!({ "output": [item] }));
        assert_eq!(whole[0]["parts"], expected);
        assert_eq!(input(Api::OpenaiResponses, &json!({ "input": [item] }))[0]["parts"], expected);
        // As an item of its own, and as a call, which gateways before had.
        let pieces = Output { parts: vec![written(&item)], ..Output::default() };
        assert_eq!(streamed(Api::OpenaiResponses, pieces), expected);
        let told = if kind == "mcp_call" { name } else { "" };
        let calls = vec![call(kind, "t1", told, &arguments)];
        let pieces = Output { tool_calls: calls, ..Output::default() };
        assert_eq!(streamed(Api::OpenaiResponses, pieces), expected);
    }
}

#[test]
fn what_stands_beside_texts_and_calls_is_the_same_in_a_stream_and_in_one_piece() {
    let search =
        json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "ferry"}});
    let found = json!({"type": "web_search_tool_result", "tool_use_id": "s1", "content": [{"url": "https://example.com"}]});
    let compaction = json!({"type": "compaction", "content": "They asked for the ferry."});
    let now = json!({"type": "tool_use", "id": "t1", "name": "now", "input": {}});
    let text = json!({"type": "text", "text": "There."});
    let hidden = json!({"type": "redacted_thinking", "data": "x"});
    let pieces = Output {
        text: "There.".to_owned(),
        tool_calls: vec![
            call("server_tool_use", "s1", "web_search", &json!({"query": "ferry"})),
            call("", "t1", "now", &Value::Null),
        ],
        parts: [&compaction, &hidden, &found].map(written).into(),
        ..Output::default()
    };
    let streamed_parts = streamed(Api::AnthropicMessages, pieces);
    let blocks = json!({"content": [compaction, hidden, search, found, text, now]});
    assert_eq!(output(Api::AnthropicMessages, &blocks)[0]["parts"], streamed_parts);
    let kinds: Vec<_> = streamed_parts.as_array().unwrap().iter().map(|part| &part["type"]).collect();
    assert_eq!(kinds, ["text", "tool_call", "server_tool_call", "compaction", "server_tool_call_response"]);
    assert_eq!(
        streamed_parts[2]["server_tool_call"],
        json!({"type": "server_tool_use", "arguments": {"query": "ferry"}})
    );

    let drawn = json!([
        {"inlineData": {"mimeType": "image/png", "data": "weir-blob:image/png;bytes=9;sha256=aa"}},
        {"executableCode": {"language": "PYTHON", "code": "1+1"}},
        {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}},
    ]);
    let parts = drawn.as_array().unwrap().iter().map(written).collect();
    let streamed_parts = streamed(Api::GeminiStream, Output { parts, ..Output::default() });
    let whole = json!({"candidates": [{"content": {"role": "model", "parts": drawn}}]});
    assert_eq!(output(Api::GeminiGenerate, &whole)[0]["parts"], streamed_parts);
    assert_eq!(
        (&streamed_parts[0]["name"], &streamed_parts[1]["bytes"]),
        (&json!("code_execution"), &json!(9))
    );

    let image = json!({"type": "image_url", "image_url": {"url": "weir-blob:image/png;bytes=9;sha256=aa"}});
    let message = json!({"role": "assistant", "content": "", "images": [image], "audio": {"id": "audio_1"}});
    let sound = v1::Part { r#type: "audio".to_owned(), json: r#"{"id":"audio_1"}"#.to_owned() };
    let pieces = Output { parts: vec![sound, written(&image)], ..Output::default() };
    assert_eq!(chat(&message)[0], streamed(Api::OpenaiChat, pieces));
    assert_eq!(chat(&message)[0].as_array().unwrap().len(), 2);
}

#[test]
fn a_part_of_a_stream_that_is_cut_or_hostile_is_none() {
    for json in ["", "{", "null", "[]", "5", "{}", "\"\""] {
        let part = v1::Part { r#type: "web_search_call".to_owned(), json: json.to_owned() };
        for api in [
            Api::AnthropicMessages,
            Api::OpenaiResponses,
            Api::GeminiStream,
            Api::OpenaiChat,
            Api::CohereChat,
        ] {
            let content = Content {
                outputs: vec![Output {
                    parts: vec![part.clone()],
                    text: "x".to_owned(),
                    ..Output::default()
                }],
                ..Content::default()
            };
            let said = read(of(api), &content, &Response::default(), false);
            assert!(said.output[0].parts.len() <= 2, "{api:?} {json} {said:?}");
        }
    }
}

#[test]
fn what_tools_of_the_provider_answered_stands_behind_their_calls() {
    let results = json!([{"type": "logs", "logs": "2"}]);
    let items = json!([
        {"type": "code_interpreter_call", "id": "c", "code": "1+1", "outputs": results},
        {"type": "image_generation_call", "id": "i", "revised_prompt": "A pier.", "result": "weir-blob:;bytes=9;sha256=aa"},
        {"type": "house_call", "id": "h", "input": {"q": 1}, "result": {"a": 2}},
    ]);
    let parts = output(Api::OpenaiResponses, &json!({ "output": items }))[0]["parts"].clone();
    let expected = json!([
        {"type": "server_tool_call", "id": "c", "name": "code_interpreter",
         "server_tool_call": {"type": "code_interpreter_call", "arguments": "1+1"}},
        {"type": "server_tool_call", "id": "i", "name": "image_generation",
         "server_tool_call": {"type": "image_generation_call", "arguments": {"revised_prompt": "A pier."}}},
        {"type": "server_tool_call", "id": "h", "name": "house",
         "server_tool_call": {"type": "house_call", "arguments": {"q": 1}}},
        {"type": "server_tool_call_response", "id": "c",
         "server_tool_call_response": {"type": "code_interpreter_call_result", "content": results}},
        {"type": "blob", "modality": "image", "mime_type": "image/png", "bytes": 9, "sha256": "aa"},
        {"type": "server_tool_call_response", "id": "h",
         "server_tool_call_response": {"type": "house_call_result", "content": {"a": 2}}},
    ]);
    assert_eq!(parts, expected);
}

#[test]
fn a_call_of_a_chat_has_the_kind_that_its_stream_says() {
    for (kind, expected) in
        [("function", "tool_call"), ("custom", "tool_call"), ("builtin_function", "server_tool_call")]
    {
        let told =
            json!({"id": "c", "type": kind, "function": {"name": "$web_search", "arguments": "{\"q\":1}"}});
        let whole = chat(&json!({"role": "assistant", "tool_calls": [told]}))[0].clone();
        let calls = vec![call(kind, "c", "$web_search", &json!({"q": 1}))];
        assert_eq!(
            whole,
            streamed(Api::OpenaiChat, Output { tool_calls: calls, ..Output::default() }),
            "{kind}"
        );
        assert_eq!(whole[0]["type"], expected);
    }
}

#[test]
fn texts_around_calls_are_one_text_as_in_a_stream() {
    let blocks = json!([
        {"type": "text", "text": "Let me "}, {"type": "text", "text": "look. "},
        {"type": "tool_use", "id": "t", "name": "look", "input": {"at": "pier"}},
        {"type": "text", "text": "There."},
    ]);
    let calls = vec![call("", "t", "look", &json!({"at": "pier"}))];
    let pieces = Output { text: "Let me look. There.".to_owned(), tool_calls: calls, ..Output::default() };
    let whole = output(Api::AnthropicMessages, &json!({ "content": blocks }));
    assert_eq!(whole[0]["parts"], streamed(Api::AnthropicMessages, pieces));
    // What was asked stays as it was.
    let request = json!({ "messages": [{"role": "assistant", "content": blocks}] });
    assert_eq!(input(Api::AnthropicMessages, &request)[0]["parts"].as_array().unwrap().len(), 4);
}

#[test]
fn a_choice_is_read_from_its_message_or_its_delta_and_never_from_a_text_beside_it() {
    let said = json!([{"type": "text", "content": "At the pier."}]);
    for choice in [
        json!({"text": "At the pier.", "message": {"role": "assistant", "content": "At the pier."}}),
        json!({"text": "At the pier.", "delta": {"role": "assistant", "content": "At the pier."}}),
        json!({"delta": {"content": "At the pier."}, "message": {"role": "assistant", "content": "At the pier."}}),
        json!({"delta": {"content": "At the pier."}, "message": {"role": "", "content": ""}}),
    ] {
        assert_eq!(output(Api::OpenaiChat, &json!({ "choices": [choice] }))[0]["parts"], said, "{choice}");
    }
}

#[test]
fn a_stream_that_said_nothing_says_why_as_the_response_in_one_piece_does() {
    let blocked = json!({"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}});
    let whole = output(Api::GeminiGenerate, &blocked);
    assert_eq!(whole, json!([{"role": "assistant", "parts": [], "finish_reason": "content_filter"}]));
    let finish_reasons = vec!["PROHIBITED_CONTENT".to_owned()];
    let response = Response { streamed: true, finish_reasons, ..Response::default() };
    let pieces = |capture: Capture| {
        let content = Content { capture: capture.into(), ..Content::default() };
        serde_json::to_value(read(of(Api::GeminiStream), &content, &response, false).output).unwrap()
    };
    assert_eq!(pieces(Capture::Kept), whole);
    assert_eq!(pieces(Capture::Redacted), whole);
    assert_eq!(pieces(Capture::Excluded), json!([]));
    assert_eq!(pieces(Capture::NoRoom), json!([]));
}

#[test]
fn a_stream_of_responses_stops_for_a_tool_and_one_of_a_transcription_stops() {
    let reason = |api, reasons: &[&str], output: Output| {
        let finish_reasons = reasons.iter().map(|reason| (*reason).to_owned()).collect();
        let response = Response { streamed: true, finish_reasons, ..Response::default() };
        let content = Content { outputs: vec![output], ..Content::default() };
        read(of(api), &content, &response, false).output[0].finish_reason.clone().unwrap()
    };
    let calls = vec![call("", "c", "f", &Value::Null)];
    let asks = Output { tool_calls: calls, ..Output::default() };
    assert_eq!(reason(Api::OpenaiResponses, &["completed"], asks.clone()), "tool_call");
    assert_eq!(reason(Api::OpenaiResponses, &["max_output_tokens"], asks), "length");
    let says = Output { text: "x".to_owned(), ..Output::default() };
    assert_eq!(reason(Api::OpenaiResponses, &["completed"], says.clone()), "stop");
    assert_eq!(reason(Api::OpenaiTranscription, &[], says.clone()), "stop");
    for api in CHATS {
        assert_eq!(reason(api, &[], says.clone()), "unknown");
    }
}
