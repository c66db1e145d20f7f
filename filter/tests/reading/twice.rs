//! Output that a server sends twice, under two names or in two events, is read once.

use serde_json::{Value, json};
use weir_event::v1;
use weir_filter::api::{anthropic, openai};

use super::{Read, stream, whole};

fn chunk(choice: &Value) -> Value {
    json!({"id": "c1", "object": "chat.completion.chunk", "choices": [choice]})
}

/// The text, the reasoning and the refusal of the only output.
fn said(read: &Read) -> (&str, &str, &str) {
    let [v1::Output { text, reasoning, refusal, .. }] = read.outputs.as_slice() else { panic!("{read:?}") };
    (text, reasoning, refusal)
}

#[test]
fn an_input_that_is_there_as_a_block_starts_is_not_read_again_from_its_deltas() {
    let event = |input: Value, pieces: &[&str]| {
        let mut events = vec![
            json!({"type": "content_block_start", "index": 0, "content_block": {"type": "tool_use", "id": "a1", "name": "tide", "input": input}}),
        ];
        events.extend(pieces.iter().map(|piece| json!({"type": "content_block_delta", "index": 0, "delta": {"type": "input_json_delta", "partial_json": piece}})));
        events
    };
    for events in [
        event(json!({"port": "A"}), &["{\"port\":", "\"A\"}"]),
        event(json!({"port": "A"}), &[]),
        event(json!({}), &["{\"port\":", "\"A\"}"]),
    ] {
        let read = stream(anthropic::MESSAGES, &events);
        assert_eq!(read.calls(), [("a1", "tide", r#"{"port":"A"}"#)]);
    }
}

#[test]
fn a_chats_text_is_its_deltas_and_never_that_of_a_legacy_completion_too() {
    let piece = |text: &str| {
        chunk(
            &json!({"index": 0, "text": text, "delta": {"token_id": 1, "role": "assistant", "content": text}}),
        )
    };
    let events = [piece("At"), piece(" the pier."), piece("")];
    let read = stream(openai::CHAT, &events);
    assert_eq!((read.text(), read.tokens.as_slice()), ("At the pier.", &[true, true, false][..]));
    assert_eq!(read.usage().output_tokens, Some(3), "the estimate is not doubled");
    let read = stream(openai::COMPLETIONS, &events);
    assert_eq!(read.text(), "At the pier.");
    let mut cloudflare = events;
    for event in &mut cloudflare {
        event["response"] = event["choices"][0]["text"].clone();
    }
    assert_eq!(stream(openai::CHAT, &cloudflare).text(), "At the pier.");
    let alone = [json!({"response": "At"}), json!({"response": " the pier.", "p": "abc"})];
    assert_eq!(stream(openai::CHAT, &alone).text(), "At the pier.");
}

#[test]
fn a_message_that_repeats_the_deltas_of_a_stream_is_not_read() {
    let events = [
        chunk(&json!({"index": 0, "delta": {"content": "At"}, "message": {"content": "At"}})),
        chunk(&json!({"index": 0, "delta": {"content": " the pier."}})),
        chunk(
            &json!({"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "At the pier."}}),
        ),
    ];
    assert_eq!(stream(openai::CHAT, &events).text(), "At the pier.");
    let only = [
        chunk(&json!({"index": 0, "message": {"content": "At"}})),
        chunk(&json!({"index": 0, "message": {"content": " the pier."}})),
    ];
    assert_eq!(stream(openai::CHAT, &only).text(), "At the pier.");
    let both = json!({"choices": [{"index": 0, "message": {"content": "At the pier."}, "delta": {"content": "At the pier."}}]});
    assert_eq!(whole(openai::CHAT, &both).text(), "At the pier.");
}

#[test]
fn reasoning_and_refusals_under_several_names_are_read_once() {
    let detail = json!([{"type": "reasoning.text", "text": "Hm", "format": "unknown", "index": 0}]);
    for message in [
        json!({"content": "x", "reasoning": "Hm", "reasoning_content": "Hm"}),
        json!({"content": "x", "reasoning": "Hm", "reasoning_details": detail}),
        json!({"content": "x", "reasoning": "", "reasoning_details": detail}),
        json!({"content": "x", "reasoning_content": null, "reasoning": "Hm"}),
        json!({"content": "x", "reasoning_content": "Hm", "thinking_blocks": [{"type": "thinking", "thinking": "Hm", "signature": "s"}]}),
        json!({"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "Hm"}]}, {"type": "text", "text": "x"}], "reasoning_content": "Hm"}),
    ] {
        let read = whole(openai::CHAT, &json!({"choices": [{"index": 0, "message": message}]}));
        assert_eq!(said(&read), ("x", "Hm", ""), "{message}");
        let read = stream(openai::CHAT, &[chunk(&json!({"index": 0, "delta": message}))]);
        assert_eq!(said(&read), ("x", "Hm", ""), "{message}");
    }
    let message = json!({"content": [{"type": "refusal", "refusal": "No."}], "refusal": "No."});
    let read = whole(openai::CHAT, &json!({"choices": [{"index": 0, "message": message}]}));
    assert_eq!(said(&read), ("", "", "No."));
}

#[test]
fn a_call_beside_its_older_form_and_words_beside_their_sound_are_read_once() {
    let function = json!({"name": "tide", "arguments": "{}"});
    let message = json!({"content": "At the pier.", "function_call": function,
        "tool_calls": [{"id": "a1", "type": "function", "function": function}],
        "audio": {"id": "audio_1", "transcript": "At the pier.", "data": "AAAA"}});
    for read in [
        whole(openai::CHAT, &json!({"choices": [{"index": 0, "message": message}]})),
        stream(openai::CHAT, &[chunk(&json!({"index": 0, "delta": message}))]),
    ] {
        assert_eq!((read.text(), read.calls()), ("At the pier.", vec![("a1", "tide", "{}")]));
        let parts: Vec<_> =
            read.outputs[0].parts.iter().map(|part| (part.r#type.as_str(), part.json.as_str())).collect();
        assert_eq!(parts, [("audio", r#"{"id":"audio_1"}"#)]);
    }
    let older = json!({"choices": [{"index": 0, "message": {"function_call": function}}]});
    assert_eq!(whole(openai::CHAT, &older).calls(), [("", "tide", "{}")]);
}

#[test]
fn a_response_that_says_its_text_in_four_events_says_it_once() {
    let item = json!({"type": "message", "id": "msg_1", "content": [{"type": "output_text", "text": "At the pier."}]});
    let thought =
        json!({"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "Hm"}]});
    let call = json!({"type": "function_call", "id": "fc_1", "call_id": "a1", "name": "tide", "arguments": "{\"a\":1}"});
    let events = [
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "summary_index": 0, "delta": "Hm"}),
        json!({"type": "response.reasoning_summary_text.done", "output_index": 0, "summary_index": 0, "text": "Hm"}),
        json!({"type": "response.output_item.done", "output_index": 0, "item": thought}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": "At the"}),
        json!({"type": "response.output_text.delta", "output_index": 1, "content_index": 0, "delta": " pier."}),
        json!({"type": "response.output_text.done", "output_index": 1, "content_index": 0, "text": "At the pier."}),
        json!({"type": "response.content_part.done", "output_index": 1, "content_index": 0, "part": item["content"][0]}),
        json!({"type": "response.output_item.done", "output_index": 1, "item": item}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 2, "item_id": "fc_1", "delta": "{\"a\":1}"}),
        json!({"type": "response.function_call_arguments.done", "output_index": 2, "item_id": "fc_1", "arguments": "{\"a\":1}"}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": call}),
        json!({"type": "response.completed", "response": {"status": "completed", "output": [thought, item, call]}}),
    ];
    let is_any = |_: usize| true;
    let no_deltas = |at: usize| !events[at]["type"].as_str().unwrap().ends_with(".delta");
    let items_only = |at: usize| events[at]["type"] == "response.output_item.done";
    let end_only = |at: usize| at + 1 == events.len();
    let filters: [&dyn Fn(usize) -> bool; 4] = [&is_any, &no_deltas, &items_only, &end_only];
    for (name, filter) in filters.iter().enumerate() {
        let events: Vec<Value> =
            events.iter().enumerate().filter(|(at, _)| filter(*at)).map(|(_, event)| event.clone()).collect();
        let read = stream(openai::RESPONSES, &events);
        assert_eq!(said(&read), ("At the pier.", "Hm", ""), "{name}");
        assert_eq!(read.calls(), [("a1", "tide", "{\"a\":1}")], "{name}");
        assert!(read.tokens.contains(&true), "{name}");
    }
}

#[test]
fn a_transcription_says_its_text_once() {
    let delta = json!({"type": "transcript.text.delta", "delta": "At the pier."});
    let done = json!({"type": "transcript.text.done", "text": "At the pier."});
    for events in [&[delta.clone(), done.clone()][..], &[done.clone()][..]] {
        assert_eq!(stream(openai::TRANSCRIPTION, events).text(), "At the pier.");
    }
}

#[test]
fn thoughts_in_parts_of_the_content_are_reasoning() {
    let thought = json!([{"type": "text", "text": "Hm."}]);
    for part in [
        json!({"type": "thinking", "thinking": thought}),
        json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm.", "signature": "s"}]}),
    ] {
        let events = [
            chunk(&json!({"index": 0, "delta": {"role": "assistant", "content": [part]}})),
            chunk(&json!({"index": 0, "delta": {"content": "At the pier."}})),
        ];
        assert_eq!(said(&stream(openai::CHAT, &events)), ("At the pier.", "Hm.", ""), "{part}");
        let twice = [chunk(&json!({"index": 0, "delta": {"reasoning_content": "Hm.", "content": [part]}}))];
        assert_eq!(said(&stream(openai::CHAT, &twice)), ("", "Hm.", ""), "{part}");
    }
}
