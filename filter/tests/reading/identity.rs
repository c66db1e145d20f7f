//! Assigns pieces to tool calls: by id, then by index, then by position.

use serde_json::{Value, json};
use weir_filter::api::{anthropic, cohere, gemini, openai};

use super::{stream, whole};

const BOTH: [(&str, &str, &str); 2] = [("a1", "tide", r#"{"port":"A"}"#), ("a2", "wind", r#"{"port":"B"}"#)];

fn chunk(calls: &Value) -> Value {
    json!({"id": "c1", "choices": [{"index": 0, "delta": {"tool_calls": calls}, "finish_reason": null}]})
}

/// A call in a delta; null members are left out.
fn call(index: Option<u64>, id: &str, name: &str, arguments: &str) -> Value {
    let mut call = json!({"type": "function", "function": {"arguments": arguments}});
    if let Some(index) = index {
        call["index"] = json!(index);
    }
    if !id.is_empty() {
        call["id"] = json!(id);
    }
    if !name.is_empty() {
        call["function"]["name"] = json!(name);
    }
    call
}

fn chat(deltas: &[Value]) -> Vec<Value> {
    deltas.iter().map(chunk).collect()
}

#[test]
fn parallel_calls_with_one_index_or_none_are_two_by_their_ids() {
    let whole = |index: fn(u64) -> Option<u64>| {
        chat(&[
            json!([call(index(0), "a1", "tide", r#"{"port":"A"}"#)]),
            json!([call(index(1), "a2", "wind", r#"{"port":"B"}"#)]),
        ])
    };
    let in_pieces = |index: fn(u64) -> Option<u64>| {
        chat(&[
            json!([call(index(0), "a1", "tide", "")]),
            json!([call(index(0), "", "", r#"{"port""#)]),
            json!([call(index(0), "", "", r#":"A"}"#)]),
            json!([call(index(1), "a2", "wind", "")]),
            json!([call(index(1), "", "", r#"{"port":"#)]),
            json!([call(index(1), "a2", "", r#""B"}"#)]),
        ])
    };
    let indexes: [fn(u64) -> Option<u64>; 3] = [Some, |_| Some(0), |_| None];
    for index in indexes {
        assert_eq!(stream(openai::CHAT, &whole(index)).calls(), BOTH);
        assert_eq!(stream(openai::CHAT, &in_pieces(index)).calls(), BOTH);
    }
}

#[test]
fn calls_that_come_in_turns_are_kept_apart_by_index_and_by_place() {
    let by_index = chat(&[
        json!([call(Some(0), "a1", "tide", ""), call(Some(1), "a2", "wind", "")]),
        json!([call(Some(1), "", "", r#"{"port":"#)]),
        json!([call(Some(0), "", "", r#"{"port":"#)]),
        json!([call(Some(1), "", "", r#""B"}"#), call(Some(0), "", "", r#""A"}"#)]),
    ]);
    let by_place = chat(&[
        json!([call(None, "a1", "tide", ""), call(None, "a2", "wind", "")]),
        json!([call(None, "", "", r#"{"port":"#), call(None, "", "", r#"{"port":"#)]),
        json!([call(None, "", "", r#""A"}"#), call(None, "", "", r#""B"}"#)]),
    ]);
    let with_a_name_in_each = chat(&[
        json!([call(Some(0), "a1", "tide", r#"{"port":"#)]),
        json!([call(Some(0), "a1", "tide", r#""A"}"#)]),
        json!([call(Some(1), "a2", "wind", r#"{"port":"#)]),
        json!([call(Some(1), "", "wind", r#""B"}"#)]),
    ]);
    for events in [by_index, by_place, with_a_name_in_each] {
        assert_eq!(stream(openai::CHAT, &events).calls(), BOTH);
    }
}

#[test]
fn calls_without_ids_are_told_apart_by_their_names_and_complete_arguments() {
    let two = chat(&[
        json!([call(Some(0), "", "tide", r#"{"port":"A"}"#)]),
        json!([call(Some(0), "", "tide", r#"{"port":"B"}"#)]),
    ]);
    let other = chat(&[json!([call(None, "", "tide", "")]), json!([call(None, "", "wind", "{}")])]);
    let late_id = chat(&[json!([call(Some(0), "", "tide", "")]), json!([call(Some(0), "a1", "", "{}")])]);
    for (events, expected) in [
        (two, vec![("", "tide", r#"{"port":"A"}"#), ("", "tide", r#"{"port":"B"}"#)]),
        (other, vec![("", "tide", ""), ("", "wind", "{}")]),
        (late_id, vec![("a1", "tide", "{}")]),
    ] {
        assert_eq!(stream(openai::CHAT, &events).calls(), expected);
    }
}

#[test]
fn a_name_in_pieces_is_one_name_and_one_that_is_repeated_too() {
    let in_pieces = chat(&[
        json!([call(Some(0), "a1", "ti", "")]),
        json!([call(Some(0), "", "de", "")]),
        json!([call(Some(0), "", "", r#"{"port":"A"}"#)]),
        json!([call(Some(1), "a2", "wi", "")]),
        json!([call(Some(1), "a2", "nd", r#"{"port":"B"}"#)]),
    ]);
    let growing = chat(&[
        json!([call(Some(0), "a1", "ti", "")]),
        json!([call(Some(0), "", "tide", "")]),
        json!([call(Some(0), "", "tide", r#"{"port":"A"}"#)]),
        json!([call(Some(1), "a2", "wind", "")]),
        json!([call(Some(1), "a2", "wind", r#"{"port":"B"}"#)]),
    ]);
    for events in [in_pieces, growing] {
        assert_eq!(stream(openai::CHAT, &events).calls(), BOTH);
    }
}

#[test]
fn in_a_whole_message_every_call_is_one_of_its_own() {
    for index in [Some(0), None] {
        let calls = json!([
            call(index, "a1", "tide", r#"{"port":"A"}"#),
            call(index, "a2", "wind", r#"{"port":"B"}"#)
        ]);
        let body = json!({"choices": [{"index": 0, "message": {"tool_calls": calls}}]});
        assert_eq!(whole(openai::CHAT, &body).calls(), BOTH);
        let calls = json!([call(index, "", "tide", "{}"), call(index, "", "tide", "{}")]);
        let body = json!({"choices": [{"index": 0, "message": {"tool_calls": calls}}]});
        assert_eq!(whole(openai::CHAT, &body).calls(), [("", "tide", "{}"); 2]);
    }
}

#[test]
fn a_second_message_of_anthropics_begins_its_blocks_anew() {
    let message = |id: &str, name: &str, arguments: &str| {
        vec![
            json!({"type": "message_start", "message": {"id": "m1"}}),
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": id, "name": name, "input": {}}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": ""}}),
            json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": arguments}}),
            json!({"type": "content_block_stop", "index": 0}),
        ]
    };
    let events =
        [message("a1", "tide", r#"{"port":"A"}"#), message("a2", "wind", r#"{"port":"B"}"#)].concat();
    assert_eq!(stream(anthropic::MESSAGES, &events).calls(), BOTH);
    let without = message("a1", "tide", "");
    assert_eq!(stream(anthropic::MESSAGES, &without).calls(), [("a1", "tide", "{}")]);
}

#[test]
fn items_of_a_response_with_one_index_are_told_apart_by_their_ids() {
    let item = |call: &str, item: &str, name: &str, arguments: &str| json!({"type": "function_call", "id": item, "call_id": call, "name": name, "arguments": arguments});
    let added = |item: Value| json!({"type": "response.output_item.added", "output_index": 0, "item": item});
    let delta = |item: &str, delta: &str| json!({"type": "response.function_call_arguments.delta", "output_index": 0, "item_id": item, "delta": delta});
    let done = |item: Value| json!({"type": "response.output_item.done", "output_index": 0, "item": item});
    let in_turns = [
        added(item("a1", "fc1", "tide", "")),
        added(item("a2", "fc2", "wind", "")),
        delta("fc1", r#"{"port":"#),
        delta("fc2", r#"{"port":"B"}"#),
        delta("fc1", r#""A"}"#),
        done(item("a1", "fc1", "tide", r#"{"port":"A"}"#)),
        done(item("a2", "fc2", "wind", r#"{"port":"B"}"#)),
    ];
    let other_item_ids = [
        added(item("a1", "x1", "tide", "")),
        delta("x2", r#"{"port":"A"}"#),
        done(item("a1", "x3", "tide", r#"{"port":"A"}"#)),
        added(item("a2", "y1", "wind", "")),
        done(item("a2", "y2", "wind", r#"{"port":"B"}"#)),
    ];
    for events in [&in_turns[..], &other_item_ids[..]] {
        assert_eq!(stream(openai::RESPONSES, events).calls(), BOTH);
    }
}

#[test]
fn geminis_and_coheres_calls_are_told_apart() {
    let part = |id: &str, name: &str, port: &str| json!({"functionCall": {"id": id, "name": name, "args": {"port": port}}});
    let piece = |parts: Value| json!({"candidates": [{"content": {"parts": parts}}]});
    let together = vec![piece(json!([part("a1", "tide", "A"), part("a2", "wind", "B")]))];
    let apart = vec![piece(json!([part("a1", "tide", "A")])), piece(json!([part("a2", "wind", "B")]))];
    let repeated = [apart.clone(), vec![piece(json!([part("a2", "wind", "B")]))]].concat();
    for events in [together, apart, repeated] {
        assert_eq!(stream(gemini::STREAM, &events).calls(), BOTH);
    }
    let unnamed = piece(json!([part("", "tide", "A"), part("", "tide", "A")]));
    assert_eq!(stream(gemini::STREAM, &[unnamed]).calls(), [("", "tide", r#"{"port":"A"}"#); 2]);

    let start = |index: u64, id: &str, name: &str| json!({"type": "tool-call-start", "index": index, "delta": {"message": {"tool_calls": {"id": id, "type": "function", "function": {"name": name, "arguments": ""}}}}});
    let delta = |index: u64, arguments: &str| json!({"type": "tool-call-delta", "index": index, "delta": {"message": {"tool_calls": {"function": {"arguments": arguments}}}}});
    for second in [0, 1] {
        let events = [
            start(0, "a1", "tide"),
            delta(0, r#"{"port":"A"}"#),
            start(second, "a2", "wind"),
            delta(second, r#"{"port":"B"}"#),
        ];
        assert_eq!(stream(cohere::CHAT, &events).calls(), BOTH);
    }
}
