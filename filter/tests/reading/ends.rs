//! The end of a response is given by its API's last event, not by the connection.

use serde_json::{Value, json};
use weir_event::v1::{Ending, TraceEvent, UsageSource};
use weir_filter::api::Api;
use weir_filter::api::{anthropic, cohere, gemini, openai};
use weir_filter::roles::Role as _;

use super::host::{CONFIG, Stream};
use super::stream_of;

/// Complete streams of each API, ending in its last event.
fn streams() -> Vec<(Api, Vec<String>)> {
    let events = |events: &[Value]| events.iter().map(ToString::to_string).collect::<Vec<_>>();
    let chunk = |delta: Value, reason: Value| json!({"id": "c1", "choices": [{"index": 0, "delta": delta, "finish_reason": reason}]});
    let mut chat_without_reason = events(&[chunk(json!({"content": "At the pier."}), json!(null))]);
    chat_without_reason.push("[DONE]".to_owned());
    vec![
        (
            openai::CHAT,
            events(&[
                chunk(json!({"content": "At the pier."}), json!(null)),
                chunk(json!({}), json!("stop")),
            ]),
        ),
        (openai::CHAT, chat_without_reason),
        (
            openai::COMPLETIONS,
            events(&[
                json!({"choices": [{"index": 0, "text": "At the pier.", "finish_reason": null}]}),
                json!({"choices": [{"index": 0, "text": "", "finish_reason": "length"}]}),
            ]),
        ),
        (
            openai::RESPONSES,
            events(&[
                json!({"type": "response.created", "response": {"id": "r1", "status": "in_progress"}}),
                json!({"type": "response.output_text.delta", "output_index": 0, "delta": "At the pier."}),
                json!({"type": "response.completed", "response": {"id": "r1", "status": "completed", "output": []}}),
            ]),
        ),
        (
            openai::RESPONSES,
            events(&[
                json!({"type": "response.output_text.delta", "output_index": 0, "delta": "At the pier."}),
                json!({"type": "response.done", "response": {"id": "r1", "status": "completed", "output": []}}),
            ]),
        ),
        (
            anthropic::MESSAGES,
            events(&[
                json!({"type": "message_start", "message": {"id": "m1", "usage": {"input_tokens": 10, "output_tokens": 1}}}),
                json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": "At the pier."}}),
                json!({"type": "message_stop"}),
            ]),
        ),
        (
            gemini::STREAM,
            events(&[
                json!({"candidates": [{"index": 0, "content": {"parts": [{"text": "At the pier."}]}}]}),
                json!({"candidates": [{"index": 0, "finishReason": "STOP"}]}),
            ]),
        ),
        (
            cohere::CHAT,
            events(&[
                json!({"type": "content-delta", "index": 0, "delta": {"message": {"content": {"text": "At the pier."}}}}),
                json!({"type": "message-end", "delta": {"finish_reason": "COMPLETE"}}),
            ]),
        ),
        (
            openai::IMAGES,
            events(&[
                json!({"type": "image_generation.partial_image", "b64_json": "AAAA"}),
                json!({"type": "image_generation.completed", "b64_json": "AAAA"}),
            ]),
        ),
        (
            openai::SPEECH,
            events(&[
                json!({"type": "speech.audio.delta", "audio": "AAAA"}),
                json!({"type": "speech.audio.done"}),
            ]),
        ),
        (
            openai::TRANSCRIPTION,
            events(&[
                json!({"type": "transcript.text.delta", "delta": "At the pier."}),
                json!({"type": "transcript.text.done", "text": "At the pier."}),
            ]),
        ),
    ]
}

/// Whether a stream of these events is cut.
fn is_cut(api: Api, events: &[String]) -> bool {
    use weir_filter::capture::transcript::Transcript;
    use weir_filter::response::parser::ResponseParser;
    let (mut answer, mut response) = (ResponseParser::new(api, Transcript::counting()), Default::default());
    for event in events {
        answer.read_event(event.as_bytes(), &mut response);
    }
    answer.is_cut()
}

#[test]
fn a_stream_without_its_apis_last_event_is_cut() {
    for (api, events) in streams() {
        assert!(!is_cut(api, &events), "{api:?}");
        assert!(is_cut(api, &events[..events.len() - 1]), "{api:?}");
    }
    assert!(!is_cut(openai::EMBEDDINGS, &["{}".to_owned()]), "where no end is said none is missed");
    let two = |reason: Value| {
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}, {"index": 1, "delta": {"content": "x"}, "finish_reason": reason}]}).to_string()
    };
    assert!(is_cut(openai::CHAT, &[two(json!(null))]), "one of two choices has no end");
    for reason in ["stop", "stop sequence"] {
        assert!(!is_cut(openai::CHAT, &[two(json!(reason))]), "any reason is an end");
    }
    assert!(is_cut(openai::CHAT, &[two(json!(""))]), "an empty one is none");
}

#[test]
fn an_error_event_stands_for_an_end_and_leaves_usage_partial() {
    for (api, mut events) in streams() {
        events.pop();
        events.push(
            json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}})
                .to_string(),
        );
        events.push("[DONE]".to_owned());
        assert!(!is_cut(api, &events), "{api:?}");
        let read = stream_of(api, events.iter().map(String::as_str));
        assert_eq!(read.response.error_type, "overloaded_error", "{api:?}");
        if let Some(usage) = &read.response.usage {
            assert_ne!(usage.source(), UsageSource::Provider, "{api:?}");
        }
    }
}

fn opening(text: &str) -> String {
    let start = json!({"type": "message_start", "message": {"id": "m1", "model": "m", "usage": {"input_tokens": 10, "output_tokens": 1}}});
    let delta =
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}});
    format!("data: {start}\n\ndata: {delta}\n\n")
}

const MESSAGES: [(&str, &str); 1] = [(":path", "/v1/messages")];

/// Lets a provider respond and returns the event.
fn answered(headers: &[(&str, &str)], status: &str, content_type: &str, body: &[&str]) -> TraceEvent {
    let config = CONFIG.replace("\"api\": \"openai\"", "\"api\": \"anthropic\"");
    let config = if headers.is_empty() { CONFIG } else { &config };
    let asked = json!({"model": "m", "max_tokens": 9, "stream": true, "messages": [{"role": "user", "content": "Where?"}]});
    let mut stream = Stream::with(config, headers, asked.to_string().as_bytes());
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, status, content_type, body);
    if body.is_empty() {
        stream.gateway.on_response_body(&stream.host, 0, true);
    }
    stream.event().unwrap()
}

#[test]
fn usage_of_a_stream_that_was_cut_is_partial_and_not_less_than_what_was_seen() {
    let text = "At the pier, ".repeat(80);
    let error = "event: error\ndata: {\"type\":\"error\",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}}\n\n";
    for (rest, ending, kind) in [("", Ending::Truncated, ""), (error, Ending::Completed, "overloaded_error")]
    {
        let event =
            answered(&MESSAGES, "200", "text/event-stream", &[&opening(&text), rest, ": the end\n\n"]);
        let response = event.response.as_ref().unwrap();
        let usage = response.usage.as_ref().unwrap();
        assert_eq!((event.ending(), response.error_type.as_str()), (ending, kind));
        assert_eq!((usage.source(), usage.input_tokens), (UsageSource::Partial, Some(10)));
        assert_eq!(usage.output_tokens, Some(260));
        assert_eq!(event.sampling.unwrap().kept_for, "ratio");
    }
    let stop = "data: {\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{\"output_tokens\":7}}\n\ndata: {\"type\":\"message_stop\"}\n\n";
    let event = answered(&MESSAGES, "200", "text/event-stream", &[&opening(&text), stop]);
    let usage = event.response.as_ref().unwrap().usage.clone().unwrap();
    assert_eq!(event.ending(), Ending::Completed);
    assert_eq!(
        (usage.source(), usage.output_tokens),
        (UsageSource::Provider, Some(7)),
        "the provider knows best"
    );
}

#[test]
fn a_body_in_one_piece_that_is_cut_is_truncated() {
    let text = "At the pier. ".repeat(20);
    let usage = json!({"prompt_tokens": 9, "completion_tokens": 7});
    let body =
        json!({"id": "c1", "choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]});
    let mut with_usage = json!({"a_usage": 1, "usage": usage});
    with_usage.as_object_mut().unwrap().extend(body.as_object().unwrap().clone());
    let (body, mut first) = (body.to_string(), with_usage.to_string());
    // The usage comes first, so that it is there when the text is cut.
    first = first.replacen(&format!(",\"usage\":{usage}"), "", 1).replacen(
        "\"a_usage\":1",
        &format!("\"usage\":{usage}"),
        1,
    );
    for (body, source, output) in [(&body, UsageSource::Estimated, 62), (&first, UsageSource::Partial, 62)] {
        let event = answered(&[], "200", "application/json", &[body]);
        assert_eq!((event.ending(), event.response.unwrap().unread), (Ending::Completed, false));
        let cut = body.find("r. \"").unwrap();
        let event = answered(&[], "200", "application/json", &[body.get(..cut - 9).unwrap()]);
        let response = event.response.as_ref().unwrap();
        let usage = response.usage.as_ref().unwrap();
        assert_eq!((event.ending(), response.unread), (Ending::Truncated, false));
        assert_eq!((usage.source(), usage.output_tokens), (source, Some(output)));
        assert_eq!(response.error_type, "");
    }
    let long =
        json!({"id": "c1", "choices": [{"index": 0, "message": {"content": text.repeat(500)}}]}).to_string();
    let event = answered(&[], "200", "application/json", &[long.get(..long.len() - 9).unwrap()]);
    assert_eq!((event.ending(), event.response.unwrap().unread), (Ending::Truncated, true));
}

#[test]
fn a_200_that_is_no_answer_is_an_error() {
    let page = "<html><body>Sign in</body></html>";
    for (content_type, body, code) in [
        ("text/html", &[page][..], "unexpected_content"),
        ("application/json", &[page], "unexpected_content"),
        ("application/json", &["\"ok\""], "unexpected_content"),
        ("application/json", &["{}"], "unexpected_content"),
        ("application/json", &["{\"status\":\"ok\"}"], "unexpected_content"),
        ("application/json", &[], "empty_response"),
        ("text/html", &[], "empty_response"),
        ("text/event-stream", &[], "empty_response"),
        ("text/event-stream", &[": nothing\n\n"], "empty_response"),
    ] {
        let event = answered(&[], "200", content_type, body);
        let response = event.response.as_ref().unwrap();
        assert_eq!((response.error_type.as_str(), response.unread), (code, true), "{content_type} {body:?}");
        assert_eq!(event.ending(), Ending::Completed);
        let event = answered(&[], "204", content_type, body);
        assert_eq!(event.response.unwrap().error_type, "", "{content_type} {body:?}");
    }
    let event = answered(&[], "502", "text/html", &[page]);
    assert_eq!(event.response.unwrap().error_type, "", "the status says it");
}

#[test]
fn sound_and_subtitles_are_answers_without_json() {
    for (path, content_type) in [("/v1/audio/speech", "audio/mpeg"), ("/v1/audio/speech", "text/html")] {
        let event = answered_on(path, content_type);
        let response = event.response.unwrap();
        assert_eq!((response.error_type.as_str(), response.unread), ("", false), "{content_type}");
    }
}

fn answered_on(path: &str, content_type: &str) -> TraceEvent {
    let body = json!({"model": "m", "input": "Where?", "voice": "v"}).to_string();
    let mut stream = Stream::with(CONFIG, &[(":path", path)], body.as_bytes());
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, "200", content_type, &["ID3"]);
    stream.event().unwrap()
}
