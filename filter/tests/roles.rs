//! Both roles of the filter on a host made for tests.

#![cfg(not(target_arch = "wasm32"))]
// What stands outside of test functions here is test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use std::rc::Rc;

use weir_event::v1;
use weir_filter::attempt::Attempt;
use weir_filter::headers::Headers;
use weir_filter::host::Step;

use host::Stream;

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
fn a_whole_answer_becomes_an_event_with_usage_and_its_attempt() {
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
fn a_streams_times_tokens_and_end_are_told() {
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
        let told = format!("{:?} {:?}", stream.host.answered, stream.gateway);
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn a_mark_of_the_providers_own_asks_for_no_other_attempt() {
    let mut stream = Stream::new(&[], BODY);
    stream.arrive();
    let mut attempt = stream.attempt();
    *stream.host.response_headers.borrow_mut() = [(":status", "200"), ("x-weir-retry", "1"), ("x-kept", "1")]
        .map(|(key, value)| (key.to_owned(), value.as_bytes().to_vec()))
        .to_vec();
    attempt.on_response_headers(&stream.host, false);
    let names: Vec<String> =
        stream.host.response_headers.borrow().iter().map(|(key, _)| key.clone()).collect();
    assert_eq!(names, [":status", "x-kept"]);
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
        assert_eq!(attempt.on_request_headers(&stream.host), Step::Hold);
        assert_eq!(stream.host.refused().0, 502);
    }
}

#[test]
fn envoys_own_answer_takes_the_apis_shape_and_says_why() {
    let mut stream = Stream::new(&[], BODY);
    stream.arrive();
    let mut attempt = stream.attempt();
    stream.host.details = "upstream_reset_before_response_started{connection_failure}".to_owned();
    *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), b"503".to_vec())];
    stream.gateway.on_response_headers(&stream.host, false);
    *stream.host.response_body.borrow_mut() = b"upstream connect error".to_vec();
    stream.gateway.on_response_body(&stream.host, 22, true);
    attempt.on_response_end(&stream.host);
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
    // One of them writes what is told about the answer into its headers.
    assert_eq!(stream.host.calls.replace(0), 7, "response");
    stream.gateway.on_log(&stream.host);
    assert_eq!(stream.host.calls.replace(0), 1, "end");
}

/// Two providers with retry and fallback, for callers with a key (the digest is that of "secret").
const SMART: &str = r#"{
    "providers": {"a": {"api": "openai", "url": "http://10.0.0.1/a"}, "b": {"api": "openai", "url": "http://10.0.0.2/b"},
                  "claude": {"api": "anthropic", "url": "https://claude.example"}},
    "models": {"smart": {"targets": [{"provider": "a", "model": "ma"}, {"provider": "b", "model": "mb"}],
                         "retry": {"attempts": 2, "on": [503]}},
               "claude": {"targets": [{"provider": "claude"}]}},
    "keys": [{"name": "team-a", "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
              "models": ["smart", "a/*"], "metadata": {"team": "a"}}],
    "exporter": {"cluster": "weir.exporter", "authority": "exporter"}
}"#;
const SMART_BODY: &[u8] = br#"{"model":"smart","messages":[]}"#;
const WITH_KEY: (&str, &str) = ("authorization", "Bearer secret");

#[test]
fn a_failing_target_is_tried_again_and_then_the_next_one_with_what_is_its_own() {
    let mut stream = Stream::with(SMART, &[WITH_KEY], SMART_BODY);
    assert_eq!(stream.arrive(), Step::Continue);
    assert_eq!(stream.host.header("x-envoy-max-retries").unwrap(), "3");
    let mut seen = Vec::new();
    for status in ["503", "503", "200"] {
        // Envoy hands each attempt a fresh copy of the body.
        *stream.host.request_body.borrow_mut() = SMART_BODY.to_vec();
        let mut attempt = stream.attempt();
        let body = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
        seen.push((stream.host.header(":path").unwrap(), body.contains("\"mb\"")));
        *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), status.as_bytes().to_vec())];
        attempt.on_response_headers(&stream.host, true);
        let marked = stream.host.response_headers.borrow().iter().any(|(key, _)| key == "x-weir-retry");
        assert_eq!(marked, status == "503");
    }
    assert_eq!(
        seen,
        [
            ("/a/chat/completions".to_owned(), false),
            ("/a/chat/completions".to_owned(), false),
            ("/b/chat/completions".to_owned(), true)
        ]
    );
    stream.gateway.on_response_headers(&stream.host, true);
    let headers = Headers(stream.host.response_headers.borrow().clone());
    assert_eq!(
        (headers.text("x-weir-model"), headers.text("x-weir-attempts")),
        ("b/mb".to_owned(), "3".to_owned())
    );
    let event = stream.event().unwrap();
    let statuses: Vec<u32> = event.attempts.iter().map(|attempt| attempt.status).collect();
    assert_eq!((statuses.as_slice(), event.ending()), (&[503, 503, 200][..], v1::Ending::Completed));
    assert_eq!(event.caller.unwrap().key_name, "team-a");
}

#[test]
fn a_plan_that_has_come_to_its_end_sends_nothing_more_to_a_provider() {
    let mut stream = Stream::with(SMART, &[WITH_KEY], SMART_BODY);
    stream.arrive();
    // None of these brings an answer: a, b, and b again; Envoy would make a fourth.
    let attempts: Vec<_> = (0..3).map(|_| stream.attempt()).collect();
    let mut fourth = Attempt::new(Rc::clone(&stream.vm));
    assert_eq!(fourth.on_request_headers(&stream.host), Step::Hold);
    assert_eq!(stream.host.refused().0, 502);
    drop(attempts);
    stream.host.details = "upstream_reset_before_response_started{connection_failure}".to_owned();
    let event = stream.event().unwrap();
    let errors: Vec<&str> = event.attempts.iter().map(|attempt| attempt.error.as_str()).collect();
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(|error| !error.is_empty()), "{errors:?}");
}

#[test]
fn a_caller_gets_what_its_key_allows_and_an_answer_in_its_apis_shape() {
    let refused = |headers: &[(&str, &str)], body: &str| {
        let mut stream = Stream::with(SMART, headers, body.as_bytes());
        stream.arrive();
        let (status, error) = stream.host.refused();
        let event = stream.event().expect("a refused request is traced");
        assert_eq!(event.ending(), v1::Ending::Rejected);
        (status, error)
    };
    let smart = r#"{"model":"smart","messages":[]}"#;
    assert_eq!(refused(&[], smart).1["code"], "missing_key");
    assert_eq!(refused(&[("authorization", "Bearer wrong")], smart).0, 401);
    assert_eq!(refused(&[WITH_KEY, ("x-api-key", "other")], smart).0, 401);
    assert_eq!(refused(&[WITH_KEY], r#"{"model":"b/x","messages":[]}"#).0, 403);
    assert_eq!(refused(&[WITH_KEY], r#"{"model":"nope","messages":[]}"#).0, 404);
    assert_eq!(refused(&[WITH_KEY, ("x-weir-metadata", "[1]")], smart).0, 400);
    let messages = (":path", "/v1/messages");
    assert_eq!(refused(&[messages], "{}").1["type"], "authentication_error", "Anthropic's shape");
    assert_eq!(refused(&[WITH_KEY, messages], r#"{"model":"smart","max_tokens":1,"messages":[]}"#).0, 400);
}

#[test]
fn without_the_upstream_filter_the_first_target_is_all_there_is() {
    let config = SMART.replace(r#""providers""#, r#""upstream_filter": false, "providers""#);
    let mut stream = Stream::with(&config, &[WITH_KEY], SMART_BODY);
    assert_eq!(stream.arrive(), Step::Continue);
    assert_eq!(stream.host.header(":path").unwrap(), "/a/chat/completions");
    assert_eq!(stream.host.header("authorization"), None);
    assert_eq!(*stream.host.request_body.borrow(), br#"{"model":"ma","messages":[]}"#);
    stream.host.details = "via_upstream".to_owned();
    *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), b"503".to_vec())];
    stream.gateway.on_response_headers(&stream.host, true);
    let event = stream.event().unwrap();
    assert_eq!((event.attempts.len(), event.attempts[0].status), (1, 503));
    assert_eq!((event.response.as_ref().unwrap().status, event.ending()), (503, v1::Ending::Completed));
}

#[test]
fn a_held_stream_that_ends_with_trailers_before_any_token_is_the_answer() {
    let config = SMART.replace(r#""retry""#, r#""timeouts": {"first_token": "5s"}, "retry""#);
    let mut stream = Stream::with(&config, &[WITH_KEY], br#"{"model":"smart","stream":true,"messages":[]}"#);
    assert_eq!(stream.arrive(), Step::Continue);
    let mut attempt = stream.attempt();
    *stream.host.response_headers.borrow_mut() = vec![
        (":status".to_owned(), b"200".to_vec()),
        ("content-type".to_owned(), b"text/event-stream".to_vec()),
    ];
    assert_eq!(attempt.on_response_headers(&stream.host, false), Step::Hold);
    *stream.host.response_body.borrow_mut() = b": nothing\n\n".to_vec();
    assert_eq!(attempt.on_response_body(&stream.host, 11, false), Step::Hold);
    attempt.on_response_end(&stream.host);
    stream.gateway.on_response_headers(&stream.host, false);
    stream.gateway.on_response_body(&stream.host, 11, false);
    stream.gateway.on_response_trailers(&stream.host);
    assert_eq!(stream.event().unwrap().ending(), v1::Ending::Completed);
}

/// Providers that grant what is beyond the calls, for a key that is granted it too.
const GRANTS: &str = r#"{
    "providers": {
        "a": {"api": "openai", "url": "http://10.0.0.1/a", "grants": ["stored", "files", "batches", "paths"]},
        "b": {"api": "openai", "url": "http://10.0.0.2/b", "grants": ["batches"]},
        "plain": {"api": "openai", "url": "http://10.0.0.3/plain"},
        "claude": {"api": "anthropic", "url": "https://claude.example", "grants": ["batches"]}
    },
    "models": {"both": {"targets": [{"provider": "plain", "model": "mp"}, {"provider": "a", "model": "ma"}]},
               "plain": {"targets": [{"provider": "plain"}]}},
    "keys": [{"name": "team-a", "sha256": "2bb80d537b1da3e38bd30361aa855686bde0eacd7162fef6a25fe97bf527a25b",
              "models": ["both", "plain", "a/*", "claude/*"], "grants": ["stored", "files", "batches", "paths"]}],
    "exporter": {"cluster": "weir.exporter", "authority": "exporter"}
}"#;

/// A request to the gateway of [`GRANTS`] whose headers have arrived.
fn passing(config: &str, headers: &[(&str, &str)]) -> (Stream, Step) {
    let mut stream = Stream::with(config, headers, b"");
    let step = stream.gateway.on_request_headers(&stream.host, false);
    (stream, step)
}

/// Status and code of a request that is not passed through.
fn not_passed(config: &str, headers: &[(&str, &str)]) -> (u16, String) {
    let (stream, step) = passing(config, headers);
    assert_eq!(step, Step::Hold, "{headers:?}");
    let (status, error) = stream.host.refused();
    (status, error["code"].as_str().unwrap_or_default().to_owned())
}

#[test]
fn what_both_grant_is_passed_through_unheld_and_unread() {
    let path = "/v1/files/file-1/content?limit=2&key=secret&x=%2F";
    let more = [("x-weir-provider", "a"), ("content-type", "a/b"), ("content-length", "7"), ("cookie", "c")];
    let (mut stream, step) =
        passing(GRANTS, &[&[(":method", "PUT"), (":path", path), WITH_KEY], more.as_slice()].concat());
    assert_eq!(step, Step::Continue);
    assert_eq!(stream.host.state.borrow()["weir.cluster"], b"provider.a");
    assert_eq!(stream.gateway.on_request_body(&stream.host, 7, false), Step::Continue);
    let mut attempt = Attempt::new(Rc::clone(&stream.vm));
    assert_eq!(attempt.on_request_headers(&stream.host), Step::Continue);
    assert_eq!(attempt.on_request_body(&stream.host, 7, true), Step::Continue);
    let names: Vec<String> =
        stream.host.request_headers.borrow().iter().map(|(key, _)| key.clone()).collect();
    let expected =
        [":method", ":scheme", ":authority", ":path", "content-type", "content-length", "traceparent"];
    assert_eq!(names, expected);
    assert_eq!(stream.host.header(":method").as_deref(), Some("PUT"));
    assert_eq!(stream.host.header(":path").as_deref(), Some("/a/files/file-1/content?limit=2&x=%2F"));
    assert_eq!(stream.host.header("content-length").as_deref(), Some("7"));

    stream.host.details = "via_upstream".to_owned();
    let calls = stream.host.calls.get();
    stream.respond(&mut attempt, "200", "text/event-stream", &["data: {\"id\":\"x\"}\n\n", "more"]);
    // Headers of both roles, and times: no piece of the body.
    assert!(stream.host.calls.get() - calls <= 7, "{}", stream.host.calls.get() - calls);
    let event = stream.event().unwrap();
    let (request, response) = (event.request.as_ref().unwrap(), event.response.as_ref().unwrap());
    assert_eq!((request.api(), request.operation.as_str()), (v1::Api::Passthrough, ""));
    assert_eq!((request.method.as_str(), request.path.as_str()), ("PUT", "/v1/files/file-1/content"));
    assert_eq!((request.route.as_str(), request.body_bytes), ("/v1/files/*", 7));
    assert_eq!((response.status, response.body_bytes, response.id.as_str()), (200, 22, ""));
    assert_eq!((event.ending(), event.attempts.len()), (v1::Ending::Completed, 1));
    assert_eq!(event.attempts[0].path, "/a/files/file-1/content");
}

#[test]
fn the_provider_is_the_one_that_is_named_or_the_only_one_that_speaks_the_api_and_grants_it() {
    let cluster = |path: &str, named: &[(&str, &str)]| {
        let (stream, step) = passing(GRANTS, &[&[(":path", path), WITH_KEY], named].concat());
        assert_eq!(step, Step::Continue, "{path}");
        String::from_utf8(stream.host.state.borrow()["weir.cluster"].clone()).unwrap()
    };
    assert_eq!(cluster("/v1/files", &[]), "provider.a");
    assert_eq!(cluster("/v1/responses/r/cancel", &[]), "provider.a");
    assert_eq!(cluster("/v1/messages/batches", &[]), "provider.claude");
    assert_eq!(cluster("/v1/batches", &[("x-weir-provider", "a")]), "provider.a");
    assert_eq!(cluster("/v1/whatever", &[]), "provider.a");
    let post = |path| vec![(":path", path), WITH_KEY];
    assert_eq!(not_passed(GRANTS, &post("/v1/batches")), (400, "ambiguous_provider".to_owned()));
    assert_eq!(not_passed(GRANTS, &post("/v2/datasets")).0, 404, "no provider of Cohere's kind");
    for name in ["plain", "b", "nobody", ""] {
        let headers = [post("/v1/files"), vec![("x-weir-provider", name)]].concat();
        assert_eq!(not_passed(GRANTS, &headers), (404, "not_granted".to_owned()), "{name}");
    }
}

#[test]
fn a_grant_of_one_side_alone_is_none() {
    let files = [(":method", "GET"), (":path", "/v1/files"), WITH_KEY];
    let key = GRANTS.replace(r#""claude/*"], "grants": ["stored", "files","#, r#""claude/*"], "grants": ["#);
    assert_ne!(key, GRANTS);
    assert_eq!(not_passed(&key, &files), (404, "not_granted".to_owned()));
    let provider = GRANTS.replace(r#"/a", "grants": ["stored", "files", "batches", "paths"]"#, r#"/a""#);
    assert_eq!(not_passed(&provider, &files), (404, "unknown_path".to_owned()));
    assert_eq!(not_passed(GRANTS, &[(":path", "/v1/files")]), (401, "missing_key".to_owned()));
    // What may be for any model needs them all; what is stored does not.
    let some = GRANTS.replace(r#""a/*""#, r#""a/gpt-4o""#);
    for path in ["/v1/files", "/v1/batches", "/v1/other"] {
        let headers = [(":path", path), WITH_KEY, ("x-weir-provider", "a")];
        assert_eq!(not_passed(&some, &headers), (403, "model_not_allowed".to_owned()), "{path}");
    }
    let stored = [(":method", "GET"), (":path", "/v1/responses/r"), WITH_KEY];
    assert_eq!(passing(&some, &stored).1, Step::Continue);
    // Where everybody may call, the provider's grant is enough.
    let (before, keys) = GRANTS.split_once(r#""keys""#).unwrap();
    let (_, after) = keys.split_once(r#""exporter""#).unwrap();
    let open = format!("{before}\"exporter\"{after}");
    assert_eq!(passing(&open, &[(":path", "/v1/files")]).1, Step::Continue);
    assert_eq!(passing(&open, &[(":path", "/v1/files"), ("x-weir-provider", "b")]).1, Step::Hold);
}

#[test]
fn what_has_two_readings_or_is_a_call_of_the_table_is_not_passed_through() {
    for path in ["/v1/files/%2e%2e/x", "/v1/files/a%2Fb", "/v1//files", "/v1/files/", "/v1/files/..;/x", "*"]
    {
        assert_eq!(
            not_passed(GRANTS, &[(":path", path), WITH_KEY]),
            (404, "unknown_path".to_owned()),
            "{path}"
        );
    }
    let method = |method, path| not_passed(GRANTS, &[(":method", method), (":path", path), WITH_KEY]);
    assert_eq!(method("CONNECT", "/v1/files").0, 404);
    assert_eq!(method("GET", "/v1/chat/completions"), (405, "method_not_allowed".to_owned()));
    assert_eq!(method("DELETE", "/v1/models"), (405, "method_not_allowed".to_owned()));
}

#[test]
fn a_request_is_passed_through_by_the_downstream_filter_alone_too() {
    let config = GRANTS.replacen('{', r#"{"upstream_filter": false, "#, 1);
    let (mut stream, step) = passing(&config, &[(":method", "DELETE"), (":path", "/v1/files/f"), WITH_KEY]);
    assert_eq!(step, Step::Continue);
    assert_eq!(stream.host.header(":path").as_deref(), Some("/a/files/f"));
    assert_eq!(stream.host.header("authorization"), None);
    stream.host.details = "via_upstream".to_owned();
    *stream.host.response_headers.borrow_mut() = vec![(":status".to_owned(), b"404".to_vec())];
    stream.gateway.on_response_headers(&stream.host, true);
    assert_eq!(stream.event().unwrap().attempts[0].status, 404);
}

#[test]
fn a_body_that_refers_to_what_is_stored_goes_only_where_that_is_granted() {
    let ask = |config: &str, model: &str| {
        let body = format!(r#"{{"model":"{model}","input":"x","previous_response_id":"resp_1"}}"#);
        let mut stream = Stream::with(config, &[(":path", "/v1/responses"), WITH_KEY], body.as_bytes());
        match stream.arrive() {
            Step::Continue => {
                let cluster = stream.host.state.borrow()["weir.cluster"].clone();
                (200, String::from_utf8(cluster).unwrap())
            }
            Step::Hold => {
                let (status, error) = stream.host.refused();
                (status, error["code"].as_str().unwrap().to_owned())
            }
        }
    };
    assert_eq!(ask(GRANTS, "both"), (200, "provider.a".to_owned()), "the first target does not grant it");
    assert_eq!(ask(GRANTS, "plain"), (403, "not_granted".to_owned()));
    let key = GRANTS.replace(r#""claude/*"], "grants": ["stored","#, r#""claude/*"], "grants": ["#);
    assert_eq!(ask(&key, "both"), (403, "not_granted".to_owned()));
}

#[test]
fn a_form_reaches_its_target_with_the_targets_model_and_every_other_byte() {
    let form = |model: &str| {
        format!(
            "--b\r\nContent-Disposition: form-data; name=\"file\"; filename=\"secret.wav\"\r\n\
             Content-Type: audio/wav\r\n\r\nRIFF\r\n--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n\
             {model}\r\n--b--\r\n"
        )
    };
    let content_type = ("content-type", "multipart/form-data; boundary=b");
    let headers = [(":path", "/v1/audio/transcriptions"), content_type];
    let mut stream = Stream::new(&headers, form("m").as_bytes());
    assert_eq!(stream.arrive(), Step::Continue);
    let mut attempt = stream.attempt();
    assert_eq!(*stream.host.request_body.borrow(), form("upstream-m").into_bytes());
    assert_eq!(stream.host.header("content-length").unwrap(), form("upstream-m").len().to_string());
    assert_eq!(stream.host.header(":path").unwrap(), "/base/v1/audio/transcriptions");
    assert_eq!(stream.host.header("content-type").as_deref(), Some(content_type.1));
    stream.respond(&mut attempt, "200", "application/json", &[r#"{"text":"x"}"#]);
    let event = stream.event().unwrap();
    assert!(!format!("{event:?}").contains("secret"), "a file's name is content");
    let request = event.request.unwrap();
    assert_eq!((request.api(), request.model.as_str()), (v1::Api::OpenaiTranscription, "m"));
    let [file] = request.files.as_slice() else { panic!("one file") };
    assert_eq!((file.field.as_str(), file.media_type.as_str(), file.bytes), ("file", "audio/wav", 4));

    let (over, named) = (form(&"x".repeat(1000)), form("m").replace("name=\"file\"; ", "name=\"Model\"; "));
    for (body, content_type, status) in [
        (over.as_str(), content_type.1, 413),
        (named.as_str(), content_type.1, 400),
        (r#"{"model":"m"}"#, "application/json", 415),
        (form("m").as_str(), "multipart/form-data", 400),
        (form("nope").as_str(), content_type.1, 404),
    ] {
        let headers = [(":path", "/v1/audio/transcriptions"), ("content-type", content_type)];
        let mut stream = Stream::new(&headers, body.as_bytes());
        stream.arrive();
        assert_eq!(stream.host.refused().0, status, "{content_type}");
    }
}
