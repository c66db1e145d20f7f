//! Events: usage for every ending, content within its limits, sampling.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use serde_json::{Value, json};
use weir_event::v1;

use host::{CONFIG, Stream};
use weir_filter::roles::Role as _;

/// The configuration with more top-level fields.
fn with(fields: &str) -> String {
    CONFIG.replace(r#""limits": {"request_body": 1000}"#, fields)
}

const KEEP: &str = r#""redaction": {"exported": {"content": "keep"}}"#;
const STREAM: &str = "text/event-stream";

fn ask(config: &str, body: &Value) -> Stream {
    let mut stream = Stream::with(config, &[], body.to_string().as_bytes());
    stream.arrive();
    stream
}

fn chat() -> Value {
    json!({"model": "m", "stream": true, "messages": [{"role": "user", "content": "twelve chars"}]})
}

/// Responds with a stream in these pieces and returns what the caller receives.
fn respond(stream: &mut Stream, pieces: &[&str]) -> String {
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, "200", STREAM, &[]);
    let mut delivered = Vec::new();
    for (at, piece) in pieces.iter().enumerate() {
        *stream.host.response_body.borrow_mut() = piece.as_bytes().to_vec();
        stream.gateway.on_response_body(&stream.host, piece.len(), at + 1 == pieces.len());
        delivered.extend_from_slice(&stream.host.response_body.borrow());
    }
    attempt.on_response_trailers(&stream.host);
    String::from_utf8(delivered).unwrap()
}

fn chunk(content: &str, rest: &str) -> String {
    format!(
        "data: {{\"id\":\"c\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{content:?}}}}}]{rest}}}\n\n"
    )
}

#[test]
fn usage_is_asked_for_on_the_callers_behalf_and_the_caller_sees_nothing_of_it() {
    for (options, sent) in [
        (None, r#"{"stream_options":{"include_usage":true},"#),
        (Some(json!(null)), r#""stream_options":{"include_usage":true}"#),
        (Some(json!({})), r#""stream_options":{"include_usage":true}"#),
        (Some(json!({"x": 1})), r#""stream_options":{"include_usage":true,"x":1}"#),
        (Some(json!({"include_usage": false})), r#""stream_options":{"include_usage":true}"#),
    ] {
        let mut body = chat();
        if let Some(options) = options {
            body["stream_options"] = options;
        }
        let mut stream = ask(CONFIG, &body);
        let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n";
        let pieces = [&chunk("a", ",\"usage\":null"), usage, "data: [DONE]\n\n"];
        let delivered = respond(&mut stream, &pieces);
        let forwarded = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
        assert!(forwarded.contains(sent), "{forwarded}");
        let length = stream.host.header("content-length").unwrap();
        assert_eq!(length, forwarded.len().to_string());
        assert_eq!(delivered, chunk("a", "") + "data: [DONE]\n\n");
        let response = stream.event().unwrap().response.unwrap();
        let reported = response.usage.unwrap();
        assert_eq!((reported.source(), reported.output_tokens), (v1::UsageSource::Provider, Some(4)));
        assert_eq!(response.body_bytes, delivered.len() as u64);
    }
}

#[test]
fn a_caller_that_asks_for_usage_gets_it_and_a_provider_that_refuses_to_be_asked_is_not() {
    let mut asked = chat();
    asked["stream_options"] = json!({"include_usage": true});
    let usage = "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3}}\n\n";
    let mut stream = ask(CONFIG, &asked);
    let pieces = [chunk("a", ",\"usage\":null"), usage.to_owned()];
    let pieces = [pieces[0].as_str(), &pieces[1]];
    assert_eq!(respond(&mut stream, &pieces), pieces.concat());

    let off = CONFIG.replace(r#""url": "http://10"#, r#""include_usage": false, "url": "http://10"#);
    let mut stream = ask(&off, &chat());
    assert_eq!(respond(&mut stream, &pieces), pieces.concat(), "it was not asked, so nothing is taken out");
    let forwarded = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
    assert!(!forwarded.contains("stream_options"), "{forwarded}");
}

#[test]
fn usage_that_a_provider_sends_unasked_stays_where_it_is() {
    let sends = [
        &chunk("a", ",\"usage\":null"),
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":3,\"completion_tokens\":4}}\n\n",
        "data: [DONE]\n\n",
    ];
    for host in ["router.huggingface.co", "api.x.ai", "api.deepseek.com", "openrouter.ai"] {
        let config = CONFIG.replace("http://10.0.0.1:9000", &format!("https://{host}"));
        let mut stream = ask(&config, &chat());
        assert_eq!(respond(&mut stream, &sends), sends.concat(), "{host}");
        let forwarded = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
        assert!(!forwarded.contains("stream_options"), "{forwarded}");
        let usage = stream.event().unwrap().response.unwrap().usage.unwrap();
        assert_eq!((usage.source(), usage.output_tokens), (v1::UsageSource::Provider, Some(4)));
    }
}

#[test]
fn where_nobody_tells_usage_it_is_estimated_and_called_so() {
    let mut stream = ask(CONFIG, &chat());
    respond(&mut stream, &[&chunk("héllo wörld", ""), "data: [DONE]\n\n"]);
    let usage = stream.event().unwrap().response.unwrap().usage.unwrap();
    // "twelve chars", "user" and "m" in, eleven characters out.
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(5), Some(3)));
    assert_eq!(usage.source(), v1::UsageSource::Estimated);
}

#[test]
fn what_a_stream_reported_before_it_broke_off_is_partial() {
    let mut stream = ask(CONFIG, &chat());
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, "200", STREAM, &[]);
    let piece = chunk("a", ",\"usage\":{\"prompt_tokens\":7,\"completion_tokens\":1}");
    *stream.host.response_body.borrow_mut() = piece.as_bytes().to_vec();
    stream.gateway.on_response_body(&stream.host, piece.len(), false);
    stream.host.details = "downstream_remote_disconnect".to_owned();
    let event = stream.event().unwrap();
    assert_eq!(event.ending(), v1::Ending::ClientDisconnected);
    let usage = event.response.unwrap().usage.unwrap();
    assert_eq!((usage.source(), usage.input_tokens), (v1::UsageSource::Partial, Some(7)));
}

#[test]
fn without_leave_no_content_is_in_an_event() {
    let mut stream = ask(CONFIG, &chat());
    respond(&mut stream, &[&chunk("canary", ""), "data: {\"error\":{\"message\":\"canary\"}}\n\n"]);
    let event = stream.event().unwrap();
    let content = event.content.as_ref().unwrap();
    assert_eq!(content.capture(), v1::Capture::Excluded);
    assert!(!format!("{event:?}").contains("canary") && !format!("{event:?}").contains("twelve"));
}

#[test]
fn content_is_kept_as_it_was_asked_and_put_together_as_it_was_said() {
    let mut stream = ask(&with(KEEP), &chat());
    respond(
        &mut stream,
        &[
            &chunk("Hel", ""),
            &chunk("lo", ""),
            "data: {\"choices\":[{\"index\":1,\"delta\":{\"reasoning_content\":\"Hm\",\"tool_calls\":[{\"index\":0,\"id\":\"t\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"a\\\"\"}}]}}]}\n\n",
            "data: {\"choices\":[{\"index\":1,\"delta\":{\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\":1}\"}}]}}]}\n\ndata: [DONE]\n\n",
        ],
    );
    let content = stream.event().unwrap().content.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&content.request).unwrap(), chat());
    assert_eq!((content.capture(), content.request_shortened), (v1::Capture::Kept, false));
    let [first, second] = content.outputs.as_slice() else { panic!("{:?}", content.outputs) };
    assert_eq!((first.text.as_str(), second.reasoning.as_str()), ("Hello", "Hm"));
    let call = &second.tool_calls[0];
    assert_eq!((call.id.as_str(), call.name.as_str(), call.arguments.as_str()), ("t", "f", "{\"a\":1}"));
    assert_eq!(call.r#type, "");
}

#[test]
fn a_whole_response_is_kept_and_binary_data_is_in_neither() {
    let data = "QUJD".repeat(500);
    let mut body = chat();
    body["stream"] = json!(false);
    body["messages"][0]["content"] =
        json!([{"type": "image_url", "image_url": {"url": format!("data:image/png;base64,{data}")}}]);
    let keep = CONFIG.replace(r#""limits": {"request_body": 1000}"#, KEEP);
    let mut stream = ask(&keep, &body);
    let mut attempt = stream.attempt();
    let text = json!({"choices": [{"index": 0, "message": {"content": "Hello", "audio": {"data": data}}}]});
    stream.respond(&mut attempt, "200", "application/json", &[&text.to_string()]);
    let content = stream.event().unwrap().content.unwrap();
    let (request, response) =
        (String::from_utf8_lossy(&content.request), String::from_utf8_lossy(&content.response));
    assert!(request.contains("weir-blob:image/png;bytes=1500;sha256="), "{request}");
    assert!(response.contains("Hello") && response.contains("weir-blob:;bytes=1500;"), "{response}");
    assert!(!request.contains("QUJDQUJD") && !response.contains("QUJDQUJD"));
    assert!(!content.request_shortened && !content.response_shortened);
}

#[test]
fn content_has_a_limit_for_each_request_and_a_budget_over_all() {
    let limit = r#""trace": {"capture_limit": 1024, "capture_budget": 3000}, "redaction": {"exported": {"content": "keep"}}"#;
    let mut body = chat();
    body["messages"][0]["content"] = json!("x y ".repeat(500));
    let mut stream = ask(&with(&limit.replace("3000", "1500")), &body);
    assert_eq!(stream.event().unwrap().content.unwrap().capture(), v1::Capture::NoRoom);

    let mut stream = ask(&with(limit), &body);
    let long = chunk(&"z ".repeat(800), "");
    respond(&mut stream, &[&long, &chunk("more", ""), "data: [DONE]\n\n"]);
    assert!(stream.vm.budget.used() > 2000);
    let vm = std::rc::Rc::clone(&stream.vm);
    let content = stream.event().unwrap().content.unwrap();
    assert!(content.request.len() < 1024 + 200 && content.request_shortened);
    assert!(serde_json::from_slice::<Value>(&content.request).is_ok());
    assert!(content.outputs.is_empty() || content.outputs[0].text.len() <= 1024);
    assert!(content.response_shortened);
    assert_eq!(vm.budget.used(), 0, "all room is given back");
}

#[test]
fn what_sampling_leaves_out_is_counted_and_errors_are_sent_all_the_same() {
    let none = with(r#""trace": {"sample": 0.0}"#);
    let mut stream = ask(&none, &chat());
    respond(&mut stream, &[&chunk("a", ""), "data: [DONE]\n\n"]);
    assert!(stream.event().is_none());
    let totals = stream.vm.outbox.borrow().totals();
    assert_eq!((totals.created, totals.sampled_out, totals.pending), (1, 1, 0));

    let mut stream = ask(&none, &chat());
    respond(&mut stream, &[&chunk("a", ""), "data: {\"error\":{\"type\":\"overloaded\"}}\n\n"]);
    let event = stream.event().unwrap();
    assert_eq!(event.sampling.unwrap().kept_for, "error");
    assert_eq!(event.response.unwrap().error_type, "overloaded");
}

#[test]
fn without_content_a_stream_holds_no_more_than_a_few_kib_whatever_comes() {
    let long = "word ".repeat(40_000);
    let numbers = "1,".repeat(50_000);
    for event in [
        format!("data: {{\"choices\":[{{\"delta\":{{\"content\":\"{long}\"}}}}],\"usage\":null}}\n\n"),
        format!("data: {{\"usage\":{{\"a\":[{numbers}1],\"prompt_tokens\":1}}}}\n\n"),
        format!("data: {long}\n\n"),
        format!(
            "data: {{{}}}\n\n",
            (0..20_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",")
        ),
        format!("{long}: x\n\n"),
        format!("{{ \"error\": \"{long}\" }}"),
        "data: [\n".repeat(20_000),
    ] {
        let mut stream = ask(CONFIG, &chat());
        let mut attempt = stream.attempt();
        stream.respond(&mut attempt, "200", STREAM, &[]);
        let (mut most, mut delivered) = (0, 0);
        for piece in event.as_bytes().chunks(700) {
            *stream.host.response_body.borrow_mut() = piece.to_vec();
            stream.gateway.on_response_body(&stream.host, piece.len(), false);
            delivered += stream.host.response_body.borrow().len();
            most = most.max(stream.gateway.held());
        }
        let most_allowed = if event.starts_with("data: {\"usage\"") { 40 << 10 } else { 16 << 10 };
        assert!(most <= most_allowed, "{most} bytes of {event:.40}");
        stream.host.response_body.borrow_mut().clear();
        stream.gateway.on_response_body(&stream.host, 0, true);
        delivered += stream.host.response_body.borrow().len();
        assert_eq!(delivered, event.len(), "{event:.40}");
    }
}
