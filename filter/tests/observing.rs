//! The observing role on a mock host: what passes, what is exported of it, and what is changed.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::string_slice
)]

mod host;

use std::cell::RefCell;
use std::rc::Rc;

use weir_event::v1;
use weir_filter::capture::budget::BudgetPermit;
use weir_filter::event::vm::{ENTROPY, Vm};
use weir_filter::host::Step;
use weir_filter::roles::Role as _;
use weir_filter::roles::observer::Observer;
use weir_filter::roles::turns::AT_ONCE;

use host::{FakeHost, checked};

const PLAIN: &str = r#""exporter":{"cluster":"weir.exporter","authority":"exporter"}"#;
const BODY: &[u8] =
    br#"{"messages":[{"role":"user","content":"mail ann@example.com"}],"model":"gpt-4o","temperature":0.5}"#;
const ANSWER: &str = r#"{"id":"c1","model":"gpt-4o-2024-08-06","choices":[{"index":0,"finish_reason":"stop","message":
    {"role":"assistant","content":"I wrote to [EMAIL_1], not to bob@example.com"}}],"usage":{"prompt_tokens":3,"completion_tokens":4}}"#;

struct Stream {
    vm: Rc<Vm>,
    host: FakeHost,
    observer: Observer,
}

impl Stream {
    fn new(config: &str, headers: &[(&str, &str)]) -> Self {
        let config = checked(&format!(r#"{{"mode":"observe",{PLAIN}{config}}}"#));
        let vm = Rc::new(Vm::new(&[5; ENTROPY]));
        vm.limit(&config);
        let mut pairs =
            vec![(":method", "POST"), (":path", "/v1/chat/completions"), (":authority", "api.openai.com")];
        pairs.retain(|(name, _)| !headers.iter().any(|(given, _)| given == name));
        pairs.extend_from_slice(headers);
        let host = FakeHost {
            request_headers: RefCell::new(host::pairs(&pairs)),
            details: "via_upstream".to_owned(),
            ..FakeHost::default()
        };
        Self { observer: Observer::new(config, Rc::clone(&vm)), vm, host }
    }

    /// Passes headers in; they are never held.
    fn headers(&mut self, end_of_stream: bool) -> &mut Self {
        assert_eq!(self.observer.on_request_headers(&self.host, end_of_stream), Step::Continue);
        self
    }

    /// Passes a piece of the body in.
    fn piece(&mut self, piece: &[u8], end_of_stream: bool) -> Step {
        self.host.request_body.borrow_mut().extend_from_slice(piece);
        let size = self.host.request_body.borrow().len();
        let step = self.observer.on_request_body(&self.host, size, end_of_stream);
        if step == Step::Continue && !end_of_stream {
            self.host.request_body.borrow_mut().clear();
        }
        step
    }

    fn respond(&mut self, headers: &[(&str, &str)], pieces: &[&str]) -> String {
        self.host.set_response(headers);
        self.observer.on_response_headers(&self.host, pieces.is_empty());
        let mut received = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            self.host.response_body.borrow_mut().extend_from_slice(piece.as_bytes());
            let size = self.host.response_body.borrow().len();
            if self.observer.on_response_body(&self.host, size, at + 1 == pieces.len()) == Step::Continue {
                received.append(&mut self.host.response_body.borrow_mut());
            }
        }
        String::from_utf8(received).unwrap()
    }

    fn event(&mut self) -> Option<v1::TraceEvent> {
        self.observer.on_log(&self.host);
        assert!(self.vm.streams.borrow().is_empty(), "a finished request leaves nothing behind");
        host::next_event(&self.vm)
    }
}

const JSON: &[(&str, &str)] =
    &[(":status", "200"), ("content-type", "application/json"), ("content-length", "9")];

#[test]
fn a_request_passes_as_it_is_and_is_exported_with_model_provider_and_tokens() {
    let headers = [
        ("authorization", "Bearer sk-canary"),
        ("cookie", "c=1"),
        ("content-length", "9"),
        ("x-weir-user", "u"),
    ];
    let mut stream = Stream::new("", &headers);
    let before = stream.host.request_headers.borrow().clone();
    stream.headers(false);
    assert_eq!(*stream.host.request_headers.borrow(), before, "nothing is changed or taken away");
    assert!(stream.host.state.borrow().is_empty(), "no filter state is needed");
    assert_eq!(stream.piece(BODY, true), Step::Continue);
    assert_eq!(*stream.host.request_body.borrow(), BODY);
    assert_eq!(stream.respond(JSON, &[&ANSWER[..30], &ANSWER[30..]]), ANSWER);
    assert_eq!(stream.host.response_header("content-length").as_deref(), Some("9"));
    let event = stream.event().unwrap();
    assert!(!format!("{event:?}").contains("canary"), "{event:?}");
    assert_eq!(event.ending(), v1::Ending::Completed);
    let request = event.request.unwrap();
    assert_eq!((request.model.as_str(), request.body_bytes), ("gpt-4o", BODY.len() as u64));
    assert_eq!(request.parameters.unwrap().temperature, Some(0.5));
    assert_eq!(event.caller.unwrap().user, "u");
    assert_eq!(event.response.unwrap().usage.unwrap().output_tokens, Some(4));
    assert_eq!(event.resolution.unwrap().rule, "observed");
    let [attempt] = event.attempts.as_slice() else { panic!("one attempt") };
    assert_eq!((attempt.provider_kind.as_str(), attempt.host.as_str()), ("openai", "api.openai.com"));
    assert_eq!((attempt.status, attempt.model.as_str()), (200, "gpt-4o"));
    assert!(attempt.started_ns > 0 && attempt.ended_ns >= attempt.response_headers_ns);
    assert_eq!(event.content.unwrap().capture(), v1::Capture::Excluded);
}

#[test]
fn a_long_body_passes_piece_by_piece_and_its_model_is_read_wherever_it_stands() {
    let mut stream = Stream::new(r#","redaction":{},"trace":{"capture_limit":"8KiB"}"#, &[]);
    let text = format!("{} ann@example.com ", "a word ".repeat(40_000));
    let body =
        format!(r#"{{"messages":[{{"role":"user","content":"{text}"}}],"stream":true,"model":"gpt-4o"}}"#);
    stream.headers(false);
    let pieces: Vec<&[u8]> = body.as_bytes().chunks(16 << 10).collect();
    for (at, piece) in pieces.iter().enumerate() {
        assert_eq!(stream.piece(piece, at + 1 == pieces.len()), Step::Continue);
        assert_eq!(stream.host.request_body.borrow().len() * usize::from(at + 1 < pieces.len()), 0);
        assert!(stream.observer.held() < 80 << 10, "{}", stream.observer.held());
    }
    let event = stream.event().unwrap();
    let request = event.request.unwrap();
    assert_eq!(
        (request.model.as_str(), request.stream, request.body_bytes),
        ("gpt-4o", true, body.len() as u64)
    );
    let content = event.content.unwrap();
    assert!(content.request_shortened && content.request.len() <= 8 << 10);
    assert!(!String::from_utf8_lossy(&content.request).contains("ann@"));
}

#[test]
fn a_stream_is_exported_as_it_passes() {
    let mut stream = Stream::new(r#","redaction":{"exported":{"content":"keep"}}"#, &[]);
    stream.headers(false);
    stream.piece(br#"{"model":"gpt-4o","stream":true,"messages":[]}"#, true);
    let pieces = [
        "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"He\"}}]}\n\nda",
        "ta: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"llo\"}}]}\n\n",
        "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1,\"completion_tokens\":2}}\n\ndata: [DONE]\n\n",
    ];
    let answered = stream.respond(&[(":status", "200"), ("content-type", "text/event-stream")], &pieces);
    assert_eq!(answered, pieces.concat(), "usage that nobody else asked for stays");
    let event = stream.event().unwrap();
    assert_eq!(event.content.unwrap().outputs[0].text, "Hello");
    let (response, timing) = (event.response.unwrap(), event.timing.unwrap());
    assert!(response.streamed && response.usage.unwrap().input_tokens == Some(1));
    assert!(timing.first_token_ns > 0 && timing.first_token_ns < timing.last_token_ns);
}

#[test]
fn what_is_no_call_to_a_provider_costs_two_looks_and_is_not_exported() {
    let providers = r#","providers":{"o":{"api":"openai","url":"https://api.openai.com/v1"}}"#;
    for headers in [
        [(":method", "GET"), (":path", "/v1/models")],
        [(":method", "POST"), (":path", "/v1/files")],
        [(":method", "GET"), (":path", "/healthz")],
        [(":authority", "shop.example"), (":path", "/v1/messages")],
    ] {
        let mut stream = Stream::new(providers, &headers);
        stream.headers(false);
        assert_eq!(stream.host.calls.get(), 2);
        assert_eq!(stream.piece(b"anything", true), Step::Continue);
        stream.respond(&[(":status", "404")], &["x"]);
        assert_eq!(stream.host.calls.get(), 2);
        assert!(stream.event().is_none());
    }
}

#[test]
fn what_keeps_a_response_from_being_read_is_not_asked_for() {
    let mut stream =
        Stream::new("", &[("accept-encoding", "gzip, br"), ("content-length", "9"), ("accept", "*/*")]);
    stream.headers(false);
    assert_eq!(stream.host.header("accept-encoding"), None);
    assert_eq!(stream.host.header("content-length").as_deref(), Some("9"));
    assert_eq!(stream.host.header("accept").as_deref(), Some("*/*"));
}

#[test]
fn a_providers_refusal_and_its_cookies_are_the_callers() {
    let mut stream = Stream::new("", &[]);
    stream.headers(false);
    stream.piece(BODY, true);
    let headers = [(":status", "401"), ("content-type", "application/json"), ("set-cookie", "a=1")];
    let error = r#"{"error":{"message":"Incorrect API key provided","code":"invalid_api_key"}}"#;
    assert_eq!(stream.respond(&headers, &[error]), error);
    assert_eq!(stream.host.response_header(":status").as_deref(), Some("401"));
    assert_eq!(stream.host.response_header("set-cookie").as_deref(), Some("a=1"));
    assert_eq!(stream.host.response_header("x-weir-model").as_deref(), Some("openai/gpt-4o"));
    assert_eq!(stream.event().unwrap().response.unwrap().status, 401);
}

#[test]
fn envoys_own_response_passes_and_is_explained() {
    let mut stream = Stream::new("", &[]);
    stream.headers(false);
    stream.piece(BODY, true);
    stream.host.details = "upstream_reset_before_response_started{connection_failure}".to_owned();
    assert_eq!(stream.respond(&[(":status", "503")], &["upstream connect error"]), "upstream connect error");
    let event = stream.event().unwrap();
    assert_eq!((event.ending(), event.response.unwrap().status), (v1::Ending::UpstreamReset, 503));
    assert_eq!((event.attempts[0].status, event.attempts[0].error.contains("connection_failure")), (0, true));
}

const MASK: &str = r#","limits":{"request_body":2000},
    "redaction":{"forwarded":{"action":"mask","detectors":["email"],"restore":true},
                 "returned":{"action":"mask","detectors":["email"],"on_unreadable":"pass"}}"#;

#[test]
fn what_must_not_reach_the_provider_is_masked_and_the_length_is_not_promised_before() {
    let length = BODY.len().to_string();
    let mut stream = Stream::new(MASK, &[("content-length", &length)]);
    stream.headers(false);
    assert_eq!(stream.host.header("content-length"), None);
    assert_eq!(stream.piece(&BODY[..20], false), Step::Hold);
    assert_eq!(stream.piece(&BODY[20..], true), Step::Continue);
    let sent = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
    assert!(sent.contains("mail [EMAIL_1]") && !sent.contains("ann@"), "{sent}");
    let answered = stream.respond(JSON, &[&ANSWER[..99], &ANSWER[99..]]);
    assert!(answered.contains("I wrote to ann@example.com, not to [EMAIL]"), "{answered}");
    assert_eq!(stream.host.response_header("content-length"), None);
    let event = stream.event().unwrap();
    let scopes: Vec<_> = event.redactions.iter().map(v1::Redaction::scope).collect();
    for scope in [v1::RedactedFor::Provider, v1::RedactedFor::Caller, v1::RedactedFor::Restored] {
        assert!(scopes.contains(&scope), "{scopes:?}");
    }
}

#[test]
fn a_body_that_ends_with_trailers_is_searched_too() {
    let mut stream = Stream::new(MASK, &[]);
    stream.headers(false);
    assert_eq!(stream.piece(BODY, false), Step::Hold);
    assert_eq!(stream.observer.on_request_trailers(&stream.host), Step::Continue);
    assert!(!String::from_utf8_lossy(&stream.host.request_body.borrow()).contains("ann@"));
    assert_eq!(stream.event().unwrap().request.unwrap().model, "gpt-4o");
    let mut stream = Stream::new("", &[]);
    stream.headers(false);
    assert_eq!(stream.piece(BODY, false), Step::Continue);
    assert_eq!(stream.observer.on_request_trailers(&stream.host), Step::Continue);
    assert_eq!(stream.event().unwrap().request.unwrap().model, "gpt-4o");
}

#[test]
fn a_response_that_comes_early_lets_no_unsearched_body_through() {
    let mut stream = Stream::new(MASK, &[]);
    stream.headers(false);
    assert_eq!(stream.piece(&BODY[..60], false), Step::Hold);
    stream.respond(&[(":status", "401")], &[]);
    assert_eq!(stream.piece(&BODY[60..80], false), Step::Hold);
    assert_eq!(stream.event().unwrap().response.unwrap().status, 401);
}

#[test]
fn a_request_that_must_not_be_sent_is_refused() {
    let block = MASK
        .replace("mask\",\"detectors\":[\"email\"],\"restore\":true", "block\",\"detectors\":[\"email\"]");
    let long = format!("{:2001}", "");
    type Case<'a> = (&'a str, &'a [(&'a str, &'a str)], &'a [u8], &'a str);
    let cases: [Case<'_>; 5] = [
        (&block, &[], BODY, "content_blocked"),
        (MASK, &[], b"not json", "content_unreadable"),
        (MASK, &[("content-encoding", "gzip")], b"\x1f\x8b", "content_unreadable"),
        (MASK, &[], long.as_bytes(), "request_too_large"),
        (MASK, &[("content-length", "2001")], b"", "request_too_large"),
    ];
    for (config, headers, body, code) in cases {
        let mut stream = Stream::new(config, headers);
        if stream.observer.on_request_headers(&stream.host, false) == Step::Continue {
            assert_eq!(stream.piece(body, true), Step::Hold, "{code}");
        }
        assert_eq!(stream.host.refused().1["code"], code);
        assert_eq!(stream.piece(b"more", true), Step::Hold, "nothing of it follows");
        let event = stream.event().unwrap();
        assert_eq!((event.ending(), event.attempts.len()), (v1::Ending::Rejected, 0));
        assert_eq!(event.response.unwrap().error_type, code);
    }
}

#[test]
fn a_larger_response_than_envoy_would_hold_passes_unsearched() {
    let mut stream = Stream::new(MASK, &[]);
    stream.headers(false);
    stream.piece(BODY, true);
    let long = format!(r#"{{"choices":[],"text":"{}bob@example.com"}}"#, " ".repeat(600 << 10));
    let (head, tail) = long.split_at(550 << 10);
    assert_eq!(stream.respond(JSON, &[head, tail]), long);
    let event = stream.event().unwrap();
    assert_eq!(
        (event.ending(), event.response.unwrap().body_bytes),
        (v1::Ending::Completed, long.len() as u64)
    );
}

#[test]
fn callers_are_known_by_their_keys_where_there_are_keys() {
    use sha2::Digest;
    let digest: String = sha2::Sha256::digest("sk-of-a").iter().map(|byte| format!("{byte:02x}")).collect();
    let keys = format!(r#","keys":[{{"name":"team-a","sha256":"{digest}","metadata":{{"team":"a"}}}}]"#);
    let mut stream = Stream::new(&keys, &[("authorization", "Bearer sk-of-a")]);
    stream.headers(false).piece(BODY, true);
    assert_eq!(stream.host.header("authorization").as_deref(), Some("Bearer sk-of-a"));
    let caller = stream.event().unwrap().caller.unwrap();
    assert_eq!((caller.key_name.as_str(), caller.metadata["team"].as_str()), ("team-a", "a"));
    let mut stream = Stream::new(&keys, &[("authorization", "Bearer sk-of-b")]);
    assert_eq!(stream.observer.on_request_headers(&stream.host, false), Step::Hold);
    assert_eq!(stream.host.refused().0, 401);
    assert_eq!(stream.event().unwrap().ending(), v1::Ending::Rejected);
}

#[test]
fn a_forms_model_and_files_are_exported() {
    let form = "--b\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n--b\r\nContent-Disposition: \
                form-data; name=\"file\"; filename=\"a.mp3\"\r\nContent-Type: audio/mpeg\r\n\r\nbytes\r\n--b--\r\n";
    let headers =
        [(":path", "/v1/audio/transcriptions"), ("content-type", "multipart/form-data; boundary=b")];
    let mut stream = Stream::new("", &headers);
    stream.headers(false);
    assert_eq!(stream.piece(&form.as_bytes()[..50], false), Step::Continue);
    assert_eq!(stream.piece(&form.as_bytes()[50..], true), Step::Continue);
    let request = stream.event().unwrap().request.unwrap();
    assert_eq!((request.model.as_str(), request.files[0].bytes), ("whisper-1", 5));
}

#[test]
fn a_long_body_is_searched_slice_by_slice_and_then_let_go() {
    let mut stream = Stream::new(r#","redaction":{"forwarded":{"action":"mask"}}"#, &[]);
    let text = "mail ann@example.com or dob 1.2.1980, ".repeat(4 * AT_ONCE / 38);
    let body =
        serde_json::json!({"messages": [{"role": "user", "content": text}], "model": "gpt-4o"}).to_string();
    let (head, tail) = body.as_bytes().split_at(10_000);
    assert_eq!(stream.headers(false).piece(head, false), Step::Hold);
    assert_eq!(stream.piece(tail, true), Step::Hold);
    let mut slices = 0;
    let step = loop {
        assert_eq!(stream.observer.long_work(), Some(body.len()));
        slices += 1;
        if let Some(step) = stream.observer.go_on(&stream.host, 100_000) {
            break step;
        }
    };
    assert_eq!((step, stream.observer.long_work()), (Step::Continue, None));
    assert!(slices > 3, "{slices}");
    let sent = String::from_utf8(stream.host.request_body.borrow().clone()).unwrap();
    assert!(sent.contains("mail [EMAIL] or dob [DATE_OF_BIRTH]") && !sent.contains("ann@"));
    stream.respond(&[(":status", "200"), ("content-type", "application/json")], &[ANSWER]);
    let event = stream.event().unwrap();
    assert_eq!(event.request.unwrap().model, "gpt-4o");
    let found = event.redactions.iter().filter(|found| found.scope() == v1::RedactedFor::Provider);
    assert_eq!(found.count(), 2);
}

#[test]
fn without_memory_a_request_passes_unobserved_and_one_that_is_to_be_searched_is_refused() {
    for (config, passes) in [("", true), (MASK, false)] {
        let mut stream = Stream::new(config, &[]);
        let used = BudgetPermit::of(&stream.vm.memory, stream.vm.memory.max()).unwrap();
        let step = stream.observer.on_request_headers(&stream.host, false);
        assert_eq!(step == Step::Continue, passes);
        if passes {
            assert_eq!(stream.piece(BODY, true), Step::Continue);
            assert_eq!(stream.respond(JSON, &[ANSWER]), ANSWER);
        } else {
            assert_eq!(
                (stream.host.refused().0, &stream.host.refused().1["code"]),
                (503, &"overloaded".into())
            );
        }
        drop(used);
        assert_eq!((stream.vm.memory.used(), stream.vm.overloads.get()), (0, 1));
    }
}

#[test]
fn a_body_that_there_is_no_memory_to_search_is_refused() {
    let mut stream = Stream::new(MASK, &[]);
    stream.headers(false);
    let left = stream.vm.memory.max() - stream.vm.memory.used() - BODY.len();
    let used = BudgetPermit::of(&stream.vm.memory, left).unwrap();
    assert_eq!(stream.piece(BODY, true), Step::Hold);
    assert_eq!(stream.host.refused().0, 503);
    drop(used);
    let event = stream.event().unwrap();
    assert_eq!((event.ending(), event.attempts.len()), (v1::Ending::Overloaded, 0));
    assert_eq!(stream.vm.memory.used(), 0);
}
