//! Streams as each API writes them, built from pieces of their texts, and the texts that a client reads from
//! them.

#![allow(missing_docs)]

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An API that streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Chat,
    Completions,
    Responses,
    Anthropic,
    Gemini,
    GeminiArray,
    Cohere,
}

pub const KINDS: [Kind; 7] = [
    Kind::Chat,
    Kind::Completions,
    Kind::Responses,
    Kind::Anthropic,
    Kind::Gemini,
    Kind::GeminiArray,
    Kind::Cohere,
];

impl Kind {
    pub fn path(self) -> &'static str {
        match self {
            Self::Chat => "/v1/chat/completions",
            Self::Completions => "/v1/completions",
            Self::Responses => "/v1/responses",
            Self::Anthropic => "/v1/messages",
            Self::Gemini => "/v1beta/models/gemini:streamGenerateContent?alt=sse",
            Self::GeminiArray => "/v1beta/models/gemini:streamGenerateContent",
            Self::Cohere => "/v2/chat",
        }
    }

    pub fn model(self) -> &'static str {
        match self {
            Self::Chat | Self::Completions | Self::Responses => "openai",
            Self::Anthropic => "anthropic",
            Self::Gemini | Self::GeminiArray => "gemini",
            Self::Cohere => "cohere",
        }
    }

    pub fn content_type(self) -> &'static str {
        if self == Self::GeminiArray { "application/json" } else { "text/event-stream" }
    }

    pub fn request(self, content: &str) -> Value {
        match self {
            Self::Completions => json!({"model": "openai", "stream": true, "prompt": content}),
            Self::Responses => json!({"model": "openai", "stream": true, "input": content}),
            Self::Gemini | Self::GeminiArray => json!({"contents": [{"parts": [{"text": content}]}]}),
            _ => json!({"model": self.model(), "stream": true, "stream_options": {"include_usage": true},
                "messages": [{"role": "user", "content": content}]}),
        }
    }

    /// A stream of two texts in these pieces: content and a tool's arguments (or another choice's content,
    /// where an API does not send arguments in pieces).
    pub fn stream(self, content: &[String], arguments: &[String]) -> String {
        let mut events = Vec::new();
        match self {
            Self::Chat => {
                let chunk = |choice: Value| json!({"id": "c", "object": "chat.completion.chunk", "created": 1_700_000_000, "model": "m", "choices": [choice]});
                events.push((None, chunk(json!({"index": 0, "delta": {"role": "assistant", "content": ""}, "finish_reason": null}))));
                for piece in content {
                    events.push((
                        None,
                        chunk(json!({"index": 0, "delta": {"content": piece}, "finish_reason": null})),
                    ));
                }
                let call = json!([{"index": 0, "id": "t1", "type": "function", "function": {"name": "f", "arguments": ""}}]);
                events.push((None, chunk(json!({"index": 0, "delta": {"tool_calls": call}}))));
                for piece in arguments {
                    let call = json!([{"index": 0, "function": {"arguments": piece}}]);
                    events.push((None, chunk(json!({"index": 0, "delta": {"tool_calls": call}}))));
                }
                events.push((None, chunk(json!({"index": 0, "delta": {}, "finish_reason": "stop"}))));
                let usage =
                    json!({"id": "c", "choices": [], "usage": {"prompt_tokens": 3, "completion_tokens": 4}});
                events.push((None, usage));
                return sse(&events) + "data: [DONE]\n\n";
            }
            Self::Completions => {
                for (index, pieces) in [content, arguments].into_iter().enumerate() {
                    for piece in pieces {
                        events.push((None, json!({"id": "c", "choices": [{"index": index, "text": piece, "finish_reason": null}]})));
                    }
                }
                for index in [0, 1] {
                    events.push((None, json!({"id": "c", "choices": [{"index": index, "text": "", "finish_reason": "stop"}]})));
                }
                return sse(&events) + "data: [DONE]\n\n";
            }
            Self::Responses => {
                let mut number = 0;
                let mut event = |kind: &'static str, mut rest: Value| {
                    rest["type"] = json!(kind);
                    rest["sequence_number"] = json!(number);
                    number += 1;
                    events.push((Some(kind), rest));
                };
                event("response.created", json!({"response": {"id": "r", "status": "in_progress"}}));
                for piece in content {
                    event(
                        "response.output_text.delta",
                        json!({"item_id": "i", "output_index": 0, "content_index": 0, "delta": piece}),
                    );
                }
                let whole = content.concat();
                event(
                    "response.output_text.done",
                    json!({"item_id": "i", "output_index": 0, "content_index": 0, "text": whole}),
                );
                for piece in arguments {
                    event(
                        "response.function_call_arguments.delta",
                        json!({"item_id": "j", "output_index": 1, "delta": piece}),
                    );
                }
                event(
                    "response.function_call_arguments.done",
                    json!({"item_id": "j", "output_index": 1, "arguments": arguments.concat()}),
                );
                event(
                    "response.completed",
                    json!({"response": {"id": "r", "status": "completed", "output": [{"type": "message",
                    "content": [{"type": "output_text", "text": whole}]}]}}),
                );
            }
            Self::Anthropic => {
                let mut event = |kind: &'static str, mut rest: Value| {
                    rest["type"] = json!(kind);
                    events.push((Some(kind), rest));
                };
                event(
                    "message_start",
                    json!({"message": {"id": "m", "role": "assistant", "content": [], "usage": {"input_tokens": 3}}}),
                );
                event(
                    "content_block_start",
                    json!({"index": 0, "content_block": {"type": "text", "text": ""}}),
                );
                event("ping", json!({}));
                for piece in content {
                    event(
                        "content_block_delta",
                        json!({"index": 0, "delta": {"type": "text_delta", "text": piece}}),
                    );
                }
                event("content_block_stop", json!({"index": 0}));
                event(
                    "content_block_start",
                    json!({"index": 1, "content_block": {"type": "tool_use", "id": "t", "name": "f", "input": {}}}),
                );
                for piece in arguments {
                    event(
                        "content_block_delta",
                        json!({"index": 1, "delta": {"type": "input_json_delta", "partial_json": piece}}),
                    );
                }
                event("content_block_stop", json!({"index": 1}));
                event(
                    "message_delta",
                    json!({"delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 4}}),
                );
                event("message_stop", json!({}));
            }
            Self::Gemini | Self::GeminiArray => {
                for (index, pieces) in [content, arguments].into_iter().enumerate() {
                    for piece in pieces {
                        events.push((None, json!({"candidates": [{"index": index, "content": {"role": "model", "parts": [{"text": piece}]}}], "modelVersion": "g"})));
                    }
                }
                for index in [0, 1] {
                    events.push((None, json!({"candidates": [{"index": index, "finishReason": "STOP", "content": {"parts": [{"text": ""}]}}], "usageMetadata": {"totalTokenCount": 7}})));
                }
                if self == Self::GeminiArray {
                    let elements: Vec<String> =
                        events.iter().map(|(_, event)| format!("{event:#}")).collect();
                    return format!("[{}\n]\n", elements.join("\n,\r\n"));
                }
            }
            Self::Cohere => {
                let mut event = |kind: &'static str, mut rest: Value| {
                    rest["type"] = json!(kind);
                    events.push((Some(kind), rest));
                };
                event(
                    "message-start",
                    json!({"id": "x", "delta": {"message": {"role": "assistant", "content": []}}}),
                );
                event(
                    "content-start",
                    json!({"index": 0, "delta": {"message": {"content": {"type": "text", "text": ""}}}}),
                );
                for piece in content {
                    event(
                        "content-delta",
                        json!({"index": 0, "delta": {"message": {"content": {"text": piece}}}}),
                    );
                }
                event("content-end", json!({"index": 0}));
                event(
                    "tool-call-start",
                    json!({"index": 0, "delta": {"message": {"tool_calls": {"id": "t", "type": "function", "function": {"name": "f", "arguments": ""}}}}}),
                );
                for piece in arguments {
                    event(
                        "tool-call-delta",
                        json!({"index": 0, "delta": {"message": {"tool_calls": {"function": {"arguments": piece}}}}}),
                    );
                }
                event("tool-call-end", json!({"index": 0}));
                event(
                    "message-end",
                    json!({"delta": {"finish_reason": "COMPLETE", "usage": {"tokens": {"input_tokens": 1}}}}),
                );
                return sse(&events) + "data: [DONE]\n\n";
            }
        }
        sse(&events)
    }
}

fn sse(events: &[(Option<&str>, Value)]) -> String {
    let events = events.iter().map(|(name, event)| match name {
        Some(name) => format!("event: {name}\ndata: {event}\n\n"),
        None => format!("data: {event}\n\n"),
    });
    events.collect()
}

/// The messages of a stream; every one is JSON.
pub fn messages(kind: Kind, stream: &str) -> Vec<Value> {
    if kind == Kind::GeminiArray {
        return serde_json::from_str(stream).unwrap_or_else(|error| panic!("{error}: {stream}"));
    }
    let events = stream.split_terminator("\n\n").filter_map(|event| {
        let mut data = event.lines().filter_map(|line| line.strip_prefix("data: "));
        let one = data.next()?;
        assert!(data.next().is_none(), "{event}");
        (one != "[DONE]")
            .then(|| serde_json::from_str(one).unwrap_or_else(|error| panic!("{error}: {event}")))
    });
    events.collect()
}

/// The texts that a client assembles, by position, including repeated ones.
pub fn texts(messages: &[Value]) -> BTreeMap<String, String> {
    let mut texts = BTreeMap::new();
    for message in messages {
        let kind = message["type"].as_str().unwrap_or_default();
        let mut add = |key: String, piece: &Value| {
            if let Some(piece) = piece.as_str() {
                texts.entry(key).or_insert_with(String::new).push_str(piece);
            }
        };
        for choice in message["choices"].as_array().into_iter().flatten() {
            let index = &choice["index"];
            add(format!("text {index}"), &choice["text"]);
            add(format!("text {index}"), &choice["delta"]["content"]);
            for call in choice["delta"]["tool_calls"].as_array().into_iter().flatten() {
                add("arguments".to_owned(), &call["function"]["arguments"]);
            }
        }
        for candidate in message["candidates"].as_array().into_iter().flatten() {
            for part in candidate["content"]["parts"].as_array().into_iter().flatten() {
                add(format!("text {}", candidate["index"]), &part["text"]);
            }
        }
        match kind {
            "response.output_text.delta" => add("text 0".to_owned(), &message["delta"]),
            "response.function_call_arguments.delta" => add("arguments".to_owned(), &message["delta"]),
            "response.output_text.done" => add("done".to_owned(), &message["text"]),
            "response.function_call_arguments.done" => add("done".to_owned(), &message["arguments"]),
            "response.completed" => {
                add("completed".to_owned(), &message["response"]["output"][0]["content"][0]["text"]);
            }
            "content_block_delta" => {
                add("text 0".to_owned(), &message["delta"]["text"]);
                add("arguments".to_owned(), &message["delta"]["partial_json"]);
            }
            "content-delta" => add("text 0".to_owned(), &message["delta"]["message"]["content"]["text"]),
            "tool-call-delta" => {
                add(
                    "arguments".to_owned(),
                    &message["delta"]["message"]["tool_calls"]["function"]["arguments"],
                );
            }
            _ => {}
        }
    }
    // Another choice takes the place of arguments that do not come in pieces.
    if let Some(other) = texts.remove("text 1") {
        texts.insert("arguments".to_owned(), other);
    }
    texts
}
