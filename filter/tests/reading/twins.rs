//! A stream and the same response in one piece yield the same texts, calls, other parts, finish reasons and
//! usage.

use std::path::PathBuf;

use serde_json::{Value, json};
use weir_event::v1;
use weir_filter::api::Api;
use weir_filter::api::call::Call;
use weir_filter::api::{anthropic, gemini, openai};
use weir_filter::headers::Headers;
use weir_filter::json::truncate::Limits;
use weir_filter::response::framing::form::Form;
use weir_filter::response::framing::framer::Framer;
use weir_filter::response::parser::ResponseParser;

use super::{Read, finish, stream, transcript, whole};

/// Fixtures of streams with a twin in one piece.
const TWINS: [(&str, &str, &str); 18] = [
    ("/v1/chat/completions", "openai/azure_chat_stream.sse", "openai/azure_chat.json"),
    ("/v1/chat/completions", "openai/chat_stream_audio.sse", "openai/chat_audio.json"),
    ("/v1/chat/completions", "openai/chat_stream_n2.sse", "openai/chat_n2.json"),
    (
        "/v1/chat/completions",
        "openai/chat_stream_reasoning_content.sse",
        "openai/chat_reasoning_content.json",
    ),
    ("/v1/chat/completions", "openai/chat_stream_refusal.sse", "openai/chat_refusal.json"),
    ("/v1/chat/completions", "openai/chat_stream_tools_parallel.sse", "openai/chat_tools_parallel.json"),
    ("/v1/completions", "openai/completions_stream.sse", "openai/completions.json"),
    ("/v1/responses", "openai/responses_stream_incomplete.sse", "openai/responses_incomplete.json"),
    ("/v1/responses", "openai/responses_stream_refusal.sse", "openai/responses_refusal.json"),
    ("/v1/responses", "openai/responses_stream_tools.sse", "openai/responses_tools.json"),
    ("/v1/audio/transcriptions", "openai/transcription_stream.sse", "openai/transcription.json"),
    ("/v1/messages", "anthropic/message_stream_tools.sse", "anthropic/message_tools.json"),
    ("/v1beta/models/m:streamGenerateContent", "gemini/stream.sse", "gemini/generate.json"),
    (
        "/v1beta/models/m:streamGenerateContent",
        "gemini/stream_thoughts.json",
        "gemini/generate_thoughts.json",
    ),
    ("/v1beta/models/m:streamGenerateContent", "gemini/stream_tools.sse", "gemini/generate_tools.json"),
    ("/v2/chat", "cohere/chat_stream.sse", "cohere/chat.json"),
    ("/v2/chat", "cohere/chat_stream_thinking.sse", "cohere/chat_thinking.json"),
    ("/v2/chat", "cohere/chat_stream_tools.sse", "cohere/chat_tools.json"),
];

fn fixture(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures").join(name);
    std::fs::read(path).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn streamed(api: Api, name: &str) -> Read {
    let content_type = if name.ends_with(".sse") { "text/event-stream" } else { "application/json" };
    let headers = Headers(vec![("content-type".to_owned(), content_type.into())]);
    let limits = Limits { string: 64 << 10, total: 64 << 10 };
    let mut framer = Framer::new(Form::of(api, &headers), limits).unwrap();
    let mut answer = ResponseParser::new(api, transcript());
    let mut response = v1::Response { status: 200, ..Default::default() };
    let mut tokens = Vec::new();
    framer.read(&fixture(name), true, |event| tokens.push(answer.read_message(event, &mut response)));
    assert!(!answer.is_cut(), "{name}");
    finish(answer, response, tokens)
}

/// What a span reports of a response, without what only one of the two forms has.
fn reported(read: &Read) -> Value {
    let usage = read.response.usage.clone().unwrap_or_default();
    let outputs = read.outputs.iter().map(|output| {
        let calls = output
            .tool_calls
            .iter()
            .map(|call| json!([call.id, call.name, call.r#type, compact(&call.arguments)]));
        // Each audio has an id of its own.
        let json = |part: &v1::Part| if part.r#type == "audio" { Value::Null } else { compact(&part.json) };
        let parts = output.parts.iter().map(|part| json!([part.r#type, json(part)]));
        json!({"text": output.text, "refusal": output.refusal, "reasoning": output.reasoning,
            "calls": calls.collect::<Value>(), "parts": parts.collect::<Value>()})
    });
    json!({
        "outputs": outputs.collect::<Value>(),
        "finish_reasons": read.response.finish_reasons,
        "tokens": [usage.input_tokens, usage.output_tokens, usage.cache_read_tokens, usage.cache_write_tokens, usage.reasoning_tokens],
        "source": usage.source,
        "marks": usage.price_marks,
        "error": read.response.error_type,
    })
}

fn compact(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| json.into())
}

#[test]
fn every_fixture_with_a_twin_says_what_its_twin_says() {
    for (path, of_stream, of_whole) in TWINS {
        let api = Call::of(b"POST", path).unwrap().api;
        let body = serde_json::from_slice(&fixture(of_whole)).unwrap();
        assert_eq!(reported(&streamed(api, of_stream)), reported(&whole(api, &body)), "{of_stream}");
    }
}

/// Type and JSON of each part of the only output.
fn parts(read: &Read) -> Vec<(&str, Value)> {
    let [output] = read.outputs.as_slice() else { panic!("{read:?}") };
    output.parts.iter().map(|part| (part.r#type.as_str(), compact(&part.json))).collect()
}

#[test]
fn a_tool_of_the_providers_is_an_item_of_its_own_in_both_forms() {
    let items = [
        json!({"type": "web_search_call", "id": "ws1", "status": "completed", "action": {"type": "search", "query": "ferry"}}),
        json!({"type": "code_interpreter_call", "id": "ci1", "code": "1 + 1", "outputs": null}),
        json!({"type": "mcp_list_tools", "id": "mcp1", "server_label": "s", "tools": []}),
        json!({"type": "mcp_call", "id": "mcp2", "name": "tide", "arguments": "{}", "output": "high"}),
        json!({"type": "image_generation_call", "id": "ig1", "status": "completed", "result": "a picture"}),
    ];
    let mut events = Vec::new();
    for (index, item) in items.iter().enumerate() {
        let mut begun = item.clone();
        begun["status"] = json!("in_progress");
        events.push(json!({"type": "response.output_item.added", "output_index": index, "item": begun}));
        events.push(
            json!({"type": "response.code_interpreter_call_code.delta", "output_index": index, "delta": "1"}),
        );
        events.push(json!({"type": "response.output_item.done", "output_index": index, "item": item}));
    }
    let response = json!({"id": "r1", "status": "completed", "output": items, "usage": {"input_tokens": 3, "output_tokens": 2}});
    events.push(json!({"type": "response.completed", "response": response}));
    let expected: Vec<_> = items.iter().map(|item| (item["type"].as_str().unwrap(), item.clone())).collect();
    for read in [stream(openai::RESPONSES, &events), whole(openai::RESPONSES, &response)] {
        assert_eq!(parts(&read), expected);
        assert!(read.calls().is_empty());
    }
}

#[test]
fn what_a_tool_of_anthropics_brought_is_a_part_in_both_forms() {
    let result = json!({"type": "web_search_tool_result", "tool_use_id": "s1",
        "content": [{"type": "web_search_result", "title": "Ferries", "url": "https://ferries.example"}]});
    let hidden = json!({"type": "redacted_thinking", "data": "opaque"});
    let call =
        json!({"type": "server_tool_use", "id": "s1", "name": "web_search", "input": {"query": "ferry"}});
    let compaction = json!({"type": "compaction", "content": "They asked for the ferry."});
    let mut begun = call.clone();
    begun["input"] = json!({});
    let start = |index: u64, block: &Value| json!({"type": "content_block_start", "index": index, "content_block": block});
    let delta =
        |index: u64, delta: Value| json!({"type": "content_block_delta", "index": index, "delta": delta});
    let events = [
        start(0, &json!({"type": "compaction", "content": null})),
        delta(0, json!({"type": "compaction_delta", "content": "They asked for the ferry."})),
        start(1, &hidden),
        start(2, &begun),
        delta(2, json!({"type": "input_json_delta", "partial_json": "{\"query\":\"ferry\"}"})),
        start(3, &result),
        start(4, &json!({"type": "text", "text": ""})),
        delta(4, json!({"type": "text_delta", "text": "At the pier."})),
        json!({"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": {"input_tokens": 3, "output_tokens": 9}}),
        json!({"type": "message_stop"}),
    ];
    let body = json!({"type": "message", "stop_reason": "end_turn", "usage": {"input_tokens": 3, "output_tokens": 9},
        "content": [compaction, hidden, call, result, {"type": "text", "text": "At the pier."}]});
    let (streamed, whole) = (stream(anthropic::MESSAGES, &events), whole(anthropic::MESSAGES, &body));
    assert_eq!(reported(&streamed), reported(&whole));
    let expected =
        [("compaction", compaction), ("redacted_thinking", hidden), ("web_search_tool_result", result)];
    assert_eq!(parts(&streamed), expected);
    assert_eq!(streamed.calls(), [("s1", "web_search", "{\"query\":\"ferry\"}")]);
}

#[test]
fn pictures_and_code_are_parts_and_their_bytes_are_references() {
    let picture =
        "iVBORw0KGgoAAAANSUhEUgAAAAIAAAACCAIAAAD91JpzAAAAEklEQVR42mMQSFig0HCAAUIBAB7eBOET".repeat(9);
    let inline = json!({"inlineData": {"mimeType": "image/png", "data": picture}});
    let code = json!({"executableCode": {"language": "PYTHON", "code": "1 + 1"}});
    let result = json!({"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "2"}});
    let body = json!({"candidates": [{"content": {"parts": [{"text": "Here."}, inline, code, result]}, "finishReason": "STOP"}]});
    for read in [whole(gemini::GENERATE, &body), stream(gemini::STREAM, std::slice::from_ref(&body))] {
        let parts = parts(&read);
        assert_eq!(
            parts.iter().map(|(kind, _)| *kind).collect::<Vec<_>>(),
            ["inlineData", "executableCode", "codeExecutionResult"]
        );
        let data = parts[0].1["inlineData"]["data"].as_str().unwrap();
        assert!(data.starts_with("weir-blob:") && data.len() < 100, "{data}");
        assert_eq!((&parts[1].1, &parts[2].1, read.text()), (&code, &result, "Here."));
    }
    let image = json!({"type": "image_url", "index": 0, "image_url": {"url": format!("data:image/png;base64,{picture}")}});
    let message = json!({"role": "assistant", "content": "Here.", "images": [image]});
    for read in [
        whole(openai::CHAT, &json!({"choices": [{"index": 0, "message": message}]})),
        stream(openai::CHAT, &[json!({"choices": [{"index": 0, "delta": message}]})]),
    ] {
        let [(kind, image)] = &parts(&read)[..] else { panic!("{read:?}") };
        assert_eq!((*kind, read.text()), ("image_url", "Here."));
        assert!(image["image_url"]["url"].as_str().unwrap().starts_with("weir-blob:image/png"), "{image}");
    }
}

#[test]
fn what_no_capture_keeps_is_read_all_the_same() {
    let item = json!({"type": "response.output_item.done", "output_index": 0, "item": {"type": "web_search_call", "id": "ws1"}});
    let mut answer =
        ResponseParser::new(openai::RESPONSES, weir_filter::capture::transcript::Transcript::counting());
    let mut response = v1::Response::default();
    assert!(!answer.read_event(item.to_string().as_bytes(), &mut response));
    assert!(answer.finish(0, true, &mut response).finish().0.is_empty());
}
