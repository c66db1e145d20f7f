//! A model with several targets and a caller's key, on a mock host: which target comes next, with its own
//! settings, and what a caller may use.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use std::rc::Rc;

use weir_event::v1;
use weir_filter::headers::Headers;
use weir_filter::host::Step;
use weir_filter::roles::Role as _;
use weir_filter::roles::attempt::Attempt;

use host::Stream;

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
        // Envoy gives each attempt a fresh copy of the body.
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
    // No attempt gets a response: a, b, and b again; Envoy would make a fourth.
    let attempts: Vec<_> = (0..3).map(|_| stream.attempt()).collect();
    let mut fourth = Attempt::new(Rc::clone(&stream.vm));
    assert_eq!(fourth.on_request_headers(&stream.host, false), Step::Hold);
    assert_eq!(stream.host.refused().0, 502);
    drop(attempts);
    stream.host.details = "upstream_reset_before_response_started{connection_failure}".to_owned();
    let event = stream.event().unwrap();
    let errors: Vec<&str> = event.attempts.iter().map(|attempt| attempt.error.as_str()).collect();
    assert_eq!(errors.len(), 3);
    assert!(errors.iter().all(|error| !error.is_empty()), "{errors:?}");
}

#[test]
fn a_caller_gets_what_its_key_allows_and_a_response_in_its_apis_shape() {
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
fn a_held_stream_that_ends_with_trailers_before_any_token_is_the_response() {
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
    attempt.on_response_trailers(&stream.host);
    stream.gateway.on_response_headers(&stream.host, false);
    stream.gateway.on_response_body(&stream.host, 11, false);
    stream.gateway.on_response_trailers(&stream.host);
    assert_eq!(stream.event().unwrap().ending(), v1::Ending::Completed);
}

#[test]
fn a_held_stream_that_fails_before_its_first_token_is_given_up_and_nothing_behind_one_is() {
    let config = SMART.replace(r#""retry""#, r#""timeouts": {"first_token": "5s"}, "retry""#);
    let error = r#"data: {"error":{"message":"m","type":"overloaded_error"}}"#;
    let token = r#"data: {"choices":[{"index":0,"delta":{"content":"At"}}]}"#;
    for (content_type, body, noted) in [
        ("text/event-stream", format!("{error}\n\n"), "overloaded_error"),
        ("text/event-stream", format!(": wait\n\n{error}\n\n{token}\n\n"), "overloaded_error"),
        ("text/plain", format!("\n{error}\n\n"), "overloaded_error"),
        ("application/json", r#"{"error":{"message":"m","code":"two words"}}"#.to_owned(), "error"),
        ("text/html", "<html></html>".to_owned(), "unreadable_response"),
        ("application/json", "\n\n".to_owned(), "empty_response"),
        ("text/event-stream", "data: [DONE]\n\n".to_owned(), "empty_response"),
        ("text/event-stream", format!("{token}\n\n{error}\n\n"), ""),
        ("text/event-stream", "data: {\"choices\":[]}\n\n".to_owned(), ""),
        ("application/json", r#"{"choices":[{"message":{"content":"At"}}]}"#.to_owned(), ""),
    ] {
        for size in [1, body.len()] {
            let case = format!("{content_type} {body:?} in pieces of {size}");
            let asked = br#"{"model":"smart","stream":true,"messages":[]}"#;
            let mut stream = Stream::with(&config, &[WITH_KEY], asked);
            assert_eq!(stream.arrive(), Step::Continue);
            let mut attempt = stream.attempt();
            *stream.host.response_headers.borrow_mut() = vec![
                (":status".to_owned(), b"200".to_vec()),
                ("content-type".to_owned(), content_type.as_bytes().to_vec()),
            ];
            assert_eq!(attempt.on_response_headers(&stream.host, false), Step::Hold, "{case}");
            let mut end = size;
            loop {
                let is_end = end >= body.len();
                *stream.host.response_body.borrow_mut() = body.as_bytes()[..end.min(body.len())].to_vec();
                if attempt.on_response_body(&stream.host, end.min(body.len()), is_end) == Step::Continue {
                    break;
                }
                assert!(!is_end, "{case}");
                end += size;
            }
            let marked = stream.host.response_headers.borrow().iter().any(|(key, _)| key == "x-weir-retry");
            assert_eq!(marked, !noted.is_empty(), "{case}");
            if marked {
                stream.attempt();
            }
            let event = stream.event().unwrap();
            assert_eq!(
                (event.attempts[0].status, event.attempts[0].error.as_str() == noted || noted.is_empty()),
                (200, true),
                "{case}"
            );
            assert_eq!(event.attempts.len(), if marked { 2 } else { 1 }, "{case}");
        }
    }
}

#[test]
fn a_provider_that_switches_protocols_is_not_waited_for_whatever_it_says_of_its_type() {
    let config = SMART.replace(r#""retry""#, r#""timeouts": {"first_token": "5s"}, "retry""#);
    let mut stream = Stream::with(&config, &[WITH_KEY], br#"{"model":"smart","stream":true,"messages":[]}"#);
    assert_eq!(stream.arrive(), Step::Continue);
    let mut attempt = stream.attempt();
    *stream.host.response_headers.borrow_mut() = vec![
        (":status".to_owned(), b"101".to_vec()),
        ("content-type".to_owned(), b"text/event-stream".to_vec()),
    ];
    assert_eq!(attempt.on_response_headers(&stream.host, false), Step::Continue);
    stream.gateway.on_response_headers(&stream.host, false);
    let (status, error) = stream.host.refused();
    assert_eq!((status, error["code"].as_str()), (502, Some("unasked_upgrade")));
}

#[test]
fn a_chunk_that_says_nothing_is_held_as_long_as_the_first_token_is_awaited() {
    let config = SMART.replace(r#""retry""#, r#""timeouts": {"first_token": "5s"}, "retry""#);
    for empty in [
        r#""content":"","reasoning_content":null,"tool_calls":null"#,
        r#""content":null,"function_call":{"name":"","arguments":""},"audio":{"id":"","data":""}"#,
    ] {
        let mut stream =
            Stream::with(&config, &[WITH_KEY], br#"{"model":"smart","stream":true,"messages":[]}"#);
        assert_eq!(stream.arrive(), Step::Continue);
        let mut attempt = stream.attempt();
        *stream.host.response_headers.borrow_mut() = vec![
            (":status".to_owned(), b"200".to_vec()),
            ("content-type".to_owned(), b"text/event-stream".to_vec()),
        ];
        assert_eq!(attempt.on_response_headers(&stream.host, false), Step::Hold);
        let first = format!(
            "data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"role\":\"assistant\",{empty}}}}}]}}\n\n"
        );
        let size = first.len();
        *stream.host.response_body.borrow_mut() = first.into_bytes();
        assert_eq!(attempt.on_response_body(&stream.host, size, false), Step::Hold, "{empty}");
        let token = b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"Late.\"}}]}\n\n";
        stream.host.response_body.borrow_mut().extend(token);
        assert_eq!(attempt.on_response_body(&stream.host, size + token.len(), false), Step::Continue);
    }
}
