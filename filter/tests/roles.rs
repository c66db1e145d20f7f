//! Both roles of the filter on a mock host: a request to one target and its response.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use std::rc::Rc;

use weir_event::v1;
use weir_filter::host::Step;
use weir_filter::roles::Role as _;
use weir_filter::roles::attempt::Attempt;

use host::{CONFIG, Stream};

const BODY: &[u8] = b"{ \"x\" : {\"model\":\"m\"},\"model\" : \"m\" , \"messages\":[]}";
const ANSWER: &str = r#"{"id":"c1","model":"um","choices":[{"index":0,"finish_reason":"stop"}],
    "usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

#[test]
fn an_attempt_gets_its_targets_host_path_and_model_and_nothing_of_the_callers_secrets() {
    let mut stream = Stream::new(
        &[
            ("authorization", "Bearer caller"),
            ("x-api-key", "caller"),
            ("cookie", "c=1"),
            ("accept-encoding", "gzip"),
            ("x-request-id", "1"),
            ("user-agent", "test"),
        ],
        BODY,
    );
    assert_eq!(stream.arrive(), Step::Continue);
    assert_eq!(stream.host.state.borrow()["weir.cluster"], b"provider.up");
    stream.attempt();
    let names: Vec<String> =
        stream.host.request_headers.borrow().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(
        names,
        [":method", ":scheme", ":authority", ":path", "content-length", "user-agent", "traceparent"]
    );
    assert_eq!(stream.host.header(":path").unwrap(), "/base/v1/chat/completions");
    assert_eq!(stream.host.header(":authority").unwrap(), "10.0.0.1:9000");
    let body = stream.host.request_body.borrow().clone();
    assert_eq!(body, b"{ \"x\" : {\"model\":\"m\"},\"model\" : \"upstream-m\" , \"messages\":[]}");
    assert_eq!(stream.host.header("content-length").unwrap(), body.len().to_string());
}

#[test]
fn a_whole_response_becomes_an_event_with_usage_and_its_attempt() {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut stream =
        Stream::new(&[("traceparent", traceparent), ("x-forwarded-for", "9.9.9.9, 1.2.3.4")], BODY);
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, "200", "application/json", &[ANSWER]);
    let event = stream.event().unwrap();
    assert_eq!((event.sequence, event.ending()), (1, v1::Ending::Completed));
    assert_eq!(event.request.as_ref().unwrap().client_address, "1.2.3.4");
    assert_eq!(event.request.unwrap().model, "m");
    let response = event.response.unwrap();
    assert_eq!((response.status, response.finish_reasons), (200, vec!["stop".to_owned()]));
    assert_eq!(response.usage.unwrap().output_tokens, Some(4));
    let [attempt] = event.attempts.as_slice() else { panic!("one attempt") };
    assert_eq!((attempt.status, attempt.model.as_str(), attempt.error.as_str()), (200, "upstream-m", ""));
    assert!(
        attempt.started_ns < attempt.response_headers_ns && attempt.response_headers_ns < attempt.ended_ns
    );
    let sent = stream.host.header("traceparent").unwrap();
    let span: String = attempt.span_id.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(sent, format!("00-0af7651916cd43dd8448eb211c80319c-{span}-01"));
}

#[test]
fn a_public_target_receives_no_trace_context_unless_it_says_so() {
    let traceparent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let body = br#"{"model":"same","messages":[]}"#;
    let mut stream =
        Stream::new(&[("traceparent", traceparent), ("tracestate", "a=1"), ("baggage", "k=v")], body);
    stream.arrive();
    stream.attempt();
    for name in ["traceparent", "tracestate", "baggage"] {
        assert_eq!(stream.host.header(name), None, "{name}");
    }
    assert_eq!(*stream.host.request_body.borrow(), body, "a model that keeps its name keeps every byte");
}

#[test]
fn a_streams_times_tokens_and_end_are_exported() {
    let mut stream = Stream::new(&[], br#"{"model":"m","stream":true,"messages":[]}"#);
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.respond(
        &mut attempt,
        "200",
        "text/event-stream; charset=utf-8",
        &[
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\"}}]}\n\n",
            "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"a\"}}]}\n\nda",
            "ta: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"b\"}}]}\n\n",
            "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
        ],
    );
    let event = stream.event().unwrap();
    let (response, timing) = (event.response.unwrap(), event.timing.unwrap());
    assert!(response.streamed);
    assert_eq!((response.chunks, response.usage.unwrap().input_tokens), (4, Some(1)));
    assert!(timing.first_byte_ns < timing.first_token_ns && timing.first_token_ns < timing.last_token_ns);
}

#[test]
fn a_request_that_the_gateway_refuses_is_answered_and_traced() {
    type Case<'a> = (&'a [(&'a str, &'a str)], &'a [u8], u16, &'a str);
    let cases: [Case<'_>; 7] = [
        (&[], b"", 400, "invalid_body"),
        (&[], b"nonsense", 400, "invalid_body"),
        (&[], br#"{"model":"nope","messages":[]}"#, 404, "model_not_found"),
        (&[("content-encoding", "gzip")], BODY, 415, "unsupported_content_encoding"),
        (&[("content-length", "1001")], BODY, 413, "request_too_large"),
        (&[], &[b'x'; 1001], 413, "request_too_large"),
        (&[], br#"{"model":"m\r\nx-evil: 1","messages":[]}"#, 400, "invalid_value"),
    ];
    for (headers, body, status, code) in cases {
        let mut stream = Stream::new(headers, body);
        assert_eq!(stream.arrive(), Step::Hold);
        let (answered, error) = stream.host.refused();
        assert_eq!((answered, error["code"].as_str().unwrap()), (status, code));
        let event = stream.event().expect("a refused request is traced");
        assert_eq!(
            (event.ending(), event.response.unwrap().error_type.as_str()),
            (v1::Ending::Rejected, code)
        );
    }
}

#[test]
fn what_is_no_inference_is_answered_and_not_traced() {
    for (method, path, status) in
        [("GET", "/v1/chat/completions", 405), ("POST", "/v1/models", 405), ("GET", "/x", 404)]
    {
        let mut stream = Stream::new(&[(":method", method), (":path", path)], b"");
        assert_eq!(stream.arrive(), Step::Hold);
        assert_eq!(stream.host.refused().0, status);
        assert!(stream.event().is_none());
    }
    let mut stream = Stream::new(&[(":method", "GET"), (":path", "/v1/models?x=1")], b"");
    stream.arrive();
    let answered = stream.host.answered.borrow().clone().unwrap();
    assert!(answered.1.contains(r#""id":"m""#) && answered.0 == 200);
}

#[test]
fn a_key_in_the_query_is_gone_from_the_path_at_once_whatever_becomes_of_the_request() {
    for (method, path, without) in [
        ("POST", "/v1/chat/completions?key=secret", "/v1/chat/completions"),
        ("GET", "/v1/models?a=1&k%65y=secret", "/v1/models?a=1"),
        ("POST", "/x?key=secret&b=2", "/x?b=2"),
    ] {
        let stream = &mut Stream::new(&[(":method", method), (":path", path), ("x-other", "kept")], BODY);
        stream.gateway.on_request_headers(&stream.host, false);
        assert_eq!(stream.host.header(":path").as_deref(), Some(without));
        assert_eq!(stream.host.header("x-other").as_deref(), Some("kept"));
        let debug = format!("{:?} {:?}", stream.host.answered, stream.gateway);
        assert!(!debug.contains("secret"), "{debug}");
    }
}

#[test]
fn a_mark_of_the_providers_own_asks_for_no_other_attempt() {
    let mut stream = Stream::new(&[], BODY);
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.host.set_response(&[(":status", "200"), ("x-weir-retry", "1"), ("x-kept", "1")]);
    attempt.on_response_headers(&stream.host, false);
    let names: Vec<String> =
        stream.host.response_headers.borrow().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(names, [":status", "x-kept"]);
}

/// The headers of a provider's response as the caller receives them, by name.
fn returned(config: &str, request: &[(&str, &str)], headers: &[(&str, &str)]) -> Vec<(String, String)> {
    let mut stream = Stream::with(config, request, BODY);
    assert_eq!(stream.arrive(), Step::Continue);
    stream.attempt();
    stream.host.details = "via_upstream".to_owned();
    stream.receive(headers, ANSWER.as_bytes(), &[50]);
    let headers = stream.host.response_headers.borrow();
    let text = |value: &[u8]| String::from_utf8(value.to_vec()).unwrap();
    headers.iter().map(|(key, value)| (key.clone(), text(value))).collect()
}

/// Response headers that a provider may set, and others that it may not.
const SPOOFED: [(&str, &str); 24] = [
    (":status", "200"),
    ("content-type", "application/json"),
    ("x-ratelimit-remaining-tokens", "7"),
    ("request-id", "r"),
    ("x-weir-trace-id", "EVIL"),
    ("x-weir-model", "EVIL/EVIL"),
    ("x-weir-attempts", "EVIL"),
    ("x-weir-made-up", "EVIL"),
    ("x-envoy-overloaded", "EVIL"),
    ("x-envoy-immediate-health-check-fail", "EVIL"),
    ("server-timing", "EVIL"),
    ("alt-svc", "h3=\":443\"; EVIL"),
    ("clear-site-data", "EVIL"),
    ("strict-transport-security", "EVIL"),
    ("set-cookie", "EVIL"),
    ("set-cookie2", "EVIL"),
    ("authorization", "EVIL"),
    ("x-api-key", "EVIL"),
    ("www-authenticate", "EVIL"),
    ("proxy-authenticate", "EVIL"),
    ("access-control-allow-origin", "EVIL"),
    ("refresh", "0; EVIL"),
    ("location", "https://EVIL.example"),
    ("x-made-up-by-the-provider", "7"),
];

#[test]
fn a_provider_speaks_neither_for_the_gateway_nor_for_its_host() {
    let returning = CONFIG.replacen('{', r#"{"redaction": {"returned": {"action": "mask"}}, "#, 1);
    let silent = CONFIG.replacen('{', r#"{"response_headers": false, "#, 1);
    for config in [CONFIG, &returning] {
        let headers = returned(config, &[], &SPOOFED);
        let evil: Vec<_> = headers.iter().filter(|(_, value)| value.contains("EVIL")).collect();
        assert!(evil.is_empty(), "{evil:?}");
        for name in ["x-weir-trace-id", "x-weir-model", "x-weir-attempts", "server-timing"] {
            assert_eq!(headers.iter().filter(|(key, _)| key == name).count(), 1, "{name}");
        }
    }
    let kept = [":status", "content-type", "x-ratelimit-remaining-tokens", "request-id"];
    let kept: Vec<&str> = kept.into_iter().chain(["x-made-up-by-the-provider"]).collect();
    let headers = returned(&silent, &[], &SPOOFED);
    assert_eq!(headers.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), kept);
}

#[test]
fn a_provider_cannot_forbid_envoy_another_attempt() {
    let mut stream = Stream::with(
        &CONFIG.replace(r#""up", "model": "upstream-m"}"#, r#""up"}, {"provider": "out"}"#),
        &[],
        BODY,
    );
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.host.set_response(&[(":status", "503"), ("x-envoy-ratelimited", "true"), ("x-kept", "1")]);
    attempt.on_response_headers(&stream.host, true);
    let names: Vec<String> =
        stream.host.response_headers.borrow().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(names, [":status", "x-kept", "x-weir-retry"]);
}

#[test]
fn request_trailers_end_the_body() {
    let mut stream = Stream::new(&[], BODY);
    assert_eq!(stream.gateway.on_request_headers(&stream.host, false), Step::Hold);
    assert_eq!(stream.gateway.on_request_body(&stream.host, BODY.len(), false), Step::Hold);
    assert_eq!(stream.gateway.on_request_trailers(&stream.host), Step::Continue);
    assert!(stream.host.state.borrow().contains_key("weir.cluster"));
}

#[test]
fn an_attempt_without_a_decision_is_refused() {
    let stream = Stream::new(&[], BODY);
    for state in [None, Some(vec![1]), Some(7u64.to_le_bytes().to_vec())] {
        stream.host.state.borrow_mut().clear();
        stream.host.state.borrow_mut().extend(state.map(|state| ("weir.stream".to_owned(), state)));
        let mut attempt = Attempt::new(Rc::clone(&stream.vm));
        assert_eq!(attempt.on_request_headers(&stream.host, false), Step::Hold);
        assert_eq!(stream.host.refused().0, 502);
    }
}

#[test]
fn envoys_own_response_takes_the_apis_shape_and_says_why() {
    let mut stream = Stream::new(&[], BODY);
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.host.details = "upstream_reset_before_response_started{connection_failure}".to_owned();
    *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), b"503".to_vec())];
    stream.gateway.on_response_headers(&stream.host, false);
    *stream.host.response_body.borrow_mut() = b"upstream connect error".to_vec();
    stream.gateway.on_response_body(&stream.host, 22, true);
    attempt.on_response_trailers(&stream.host);
    assert_eq!(stream.host.response_headers.borrow()[0].1, b"502");
    let body: serde_json::Value = serde_json::from_slice(&stream.host.response_body.borrow()).unwrap();
    assert_eq!(body["error"]["code"], "provider_unreachable");
    let event = stream.event().unwrap();
    assert_eq!((event.ending(), event.response.unwrap().status), (v1::Ending::UpstreamReset, 502));
    assert!(event.attempts[0].error.contains("connection_failure"));
}

#[test]
fn a_provider_that_refuses_the_gateways_key_is_the_gateways_fault_and_its_text_is_withheld() {
    let mut stream = Stream::new(&[], BODY);
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, "401", "application/json", &[r#"{"error":{"message":"bad key sk-12"}}"#]);
    let body = String::from_utf8(stream.host.response_body.borrow().clone()).unwrap();
    assert!(body.contains("provider_auth") && !body.contains("sk-12"), "{body}");
    let event = stream.event().unwrap();
    assert_eq!((event.response.unwrap().status, event.attempts[0].status), (502, 401));
}

const MODERATED: &str = r#"{"error":{"code":403,"message":"Input was flagged by moderation.","metadata":{"reasons":["violence"]}}}"#;

#[test]
fn a_403_that_does_not_speak_of_credentials_goes_to_the_caller_as_it_is() {
    for body in [
        MODERATED,
        "<html>error code: 1020</html>",
        r#"{"error":{"code":"model_not_found","message":"Your API key has no access to m."}}"#,
    ] {
        for size in [7, body.len()] {
            let mut stream = Stream::new(&[], BODY);
            stream.arrive();
            let mut attempt = stream.attempt();
            let headers = [(":status", "403"), ("content-type", "application/json"), ("x-own", "1")];
            *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), b"403".to_vec())];
            attempt.on_response_headers(&stream.host, false);
            let delivered = stream.receive(&headers, body.as_bytes(), &[size]);
            assert_eq!(String::from_utf8(delivered).unwrap(), body);
            let sent = weir_filter::headers::Headers(stream.host.response_headers.borrow().clone());
            assert_eq!((sent.text(":status").as_str(), sent.text("x-own").as_str()), ("403", "1"));
            assert!(sent.get("x-weir-trace-id").is_some());
            let event = stream.event().unwrap();
            let response = event.response.as_ref().unwrap();
            assert_eq!((event.ending(), response.status), (v1::Ending::Completed, 403));
            assert_eq!(response.body_bytes, body.len() as u64);
        }
    }
}

#[test]
fn what_is_withheld_of_a_refusal_is_in_the_trace_where_content_is() {
    let keeping = CONFIG.replace(
        r#""limits""#,
        r#""redaction": {"exported": {"content": "redact", "detectors": ["email"]}}, "limits""#,
    );
    let text = "bad key of ann@example.com";
    let named = |code: &str| format!(r#"{{"error":{{"message":"{text}","type":"t","code":"{code}"}}}}"#);
    for (status, body, word) in [
        ("401", named("invalid_api_key"), "invalid_api_key"),
        ("403", named("invalid_api_key"), "invalid_api_key"),
        ("401", named("a sentence, not a word"), "t"),
        ("401", "no JSON".to_owned(), ""),
    ] {
        for (config, size) in [(keeping.as_str(), 5), (keeping.as_str(), 500), (CONFIG, 500)] {
            let mut stream = Stream::with(config, &[], BODY);
            stream.arrive();
            let mut attempt = stream.attempt();
            *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), status.into())];
            attempt.on_response_headers(&stream.host, false);
            let headers = [(":status", status), ("content-type", "application/json")];
            let delivered = String::from_utf8(stream.receive(&headers, body.as_bytes(), &[size])).unwrap();
            assert!(delivered.contains("provider_auth") && !delivered.contains("bad key"), "{delivered}");
            let event = stream.event().unwrap();
            let response = event.response.as_ref().unwrap();
            assert_eq!((response.status, response.error_type.as_str()), (502, "provider_auth"));
            assert_eq!(
                (event.attempts[0].error.as_str(), event.attempts[0].status.to_string().as_str()),
                (word, status)
            );
            let content = event.content.unwrap_or_default();
            let expected = if config == CONFIG || word.is_empty() { "" } else { "bad key of [EMAIL]" };
            assert_eq!(content.error_message, expected, "{body}");
            assert!(content.response.is_empty());
        }
    }
}

/// The headers of a response without a body.
fn answered_without_a_body(stream: &mut Stream, status: &str) {
    *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), status.as_bytes().to_vec())];
    stream.gateway.on_response_headers(&stream.host, true);
}

#[test]
fn a_response_of_envoys_without_a_body_takes_the_apis_shape_and_its_own_account_is_exported() {
    for (details, ending) in
        [("cluster_not_found", v1::Ending::UpstreamReset), ("response_timeout", v1::Ending::Timeout)]
    {
        let mut stream = Stream::new(&[], BODY);
        stream.arrive();
        stream.host.details = details.to_owned();
        answered_without_a_body(&mut stream, "503");
        let (status, error) = stream.host.refused();
        assert_eq!((status, error["code"].as_str()), (502, Some("provider_unreachable")));
        // From here on Envoy's reason is that of the gateway's own response.
        stream.host.details = String::new();
        let event = stream.event().unwrap();
        let response = event.response.as_ref().unwrap();
        assert_eq!((event.ending(), response.status), (ending, 502), "{details}");
        assert_eq!((response.error_type.as_str(), event.attempts.len()), ("provider_unreachable", 0));
    }
}

#[test]
fn a_provider_that_refuses_the_gateways_key_without_a_word_is_answered_for() {
    let mut stream = Stream::new(&[], BODY);
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.host.details = "via_upstream".to_owned();
    *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), b"401".to_vec())];
    attempt.on_response_headers(&stream.host, true);
    answered_without_a_body(&mut stream, "401");
    let (status, error) = stream.host.refused();
    assert_eq!((status, error["code"].as_str()), (502, Some("provider_auth")));
    let event = stream.event().unwrap();
    assert_eq!((event.ending(), event.response.as_ref().unwrap().status), (v1::Ending::Completed, 502));
    assert_eq!(event.attempts[0].status, 401);
}

#[test]
fn a_provider_that_switches_to_another_protocol_is_answered_for() {
    let mut stream = Stream::new(&[], BODY);
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.respond(&mut attempt, "101", "", &[]);
    let (status, error) = stream.host.refused();
    assert_eq!((status, error["code"].as_str()), (502, Some("unasked_upgrade")));
    let event = stream.event().unwrap();
    let response = event.response.as_ref().unwrap();
    assert_eq!((event.ending(), response.status), (v1::Ending::Completed, 502));
    assert_eq!((response.error_type.as_str(), event.attempts[0].status), ("unasked_upgrade", 101));
}

#[test]
fn endings_are_told_apart_by_envoys_details() {
    let cases = [
        ("downstream_remote_disconnect", v1::Ending::ClientDisconnected),
        ("upstream_reset_after_response_started{remote_reset}", v1::Ending::UpstreamReset),
        ("http2.remote_reset", v1::Ending::ClientDisconnected),
        ("response_timeout", v1::Ending::Timeout),
        ("", v1::Ending::UpstreamReset),
    ];
    for (details, ending) in cases {
        let mut stream = Stream::new(&[], BODY);
        stream.arrive();
        stream.attempt();
        stream.host.details = details.to_owned();
        assert_eq!(stream.event().unwrap().ending(), ending, "{details}");
    }
}

#[test]
fn a_stream_that_never_began_or_never_ended_leaves_nothing() {
    let mut stream = Stream::new(&[], BODY);
    stream.gateway.on_log(&stream.host);
    assert!(stream.vm.outbox.borrow_mut().next_batch(u64::MAX).is_none());
    stream.arrive();
    let Stream { vm, gateway, .. } = stream;
    assert_eq!(vm.streams.borrow().len(), 1);
    drop(gateway);
    assert!(vm.streams.borrow().is_empty());
}

#[test]
fn a_requests_crossings_stay_within_their_budget() {
    let mut stream = Stream::new(&[], BODY);
    stream.arrive();
    assert_eq!(stream.host.calls.replace(0), 8, "request, downstream");
    let mut attempt = stream.attempt();
    assert_eq!(stream.host.calls.replace(0), 5, "request, upstream");
    stream.respond(&mut attempt, "200", "application/json", &[ANSWER]);
    // One of them writes the response headers.
    assert_eq!(stream.host.calls.replace(0), 7, "response");
    stream.gateway.on_log(&stream.host);
    assert_eq!(stream.host.calls.replace(0), 1, "end");
}
