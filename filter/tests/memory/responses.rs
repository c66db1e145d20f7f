//! Responses: events that are held, responses in one piece, and what only reads.

use std::rc::Rc;

use serde_json::{Value, json};
use weir_filter::capture::budget::BudgetPermit;
use weir_filter::host::Step;

use crate::streams::{KINDS, Kind};
use crate::worker::{Request, Worker, value};
use crate::{MIB, allocator, is_error, is_overload, recovers, shared};

const RETURNED: &str = r#""redaction": {"returned": {"action": "mask"}},
    "limits": {"request_body": "1MiB", "response_body": "1MiB", "memory_budget": "48MiB"}"#;
const BUDGET: usize = 48 * MIB;
/// How much Envoy reads at once.
const READ: usize = 16 << 10;

fn ask(worker: &Worker, kind: Kind) -> Request {
    let request = worker.ask(kind.path(), &shared(&kind.request("so").to_string()));
    assert!(request.refused().is_none(), "{:?}", request.refused());
    request
}

/// A stream whose second event is large and has no end: it is cut within it.
fn unfinished(kind: Kind, bytes: usize) -> Rc<[u8]> {
    let whole = kind.stream(&["so ".to_owned(), "a".repeat(bytes)], &["{}".to_owned()]);
    let end = whole.find(&"a".repeat(64)).unwrap() + bytes - 1;
    shared(&whole[..end])
}

/// The error that ends a stream in this form.
fn error_of(kind: Kind, delivered: &str) -> Value {
    let text = match kind {
        Kind::GeminiArray => delivered.trim_start_matches([',', '[']).trim_end_matches(']').to_owned(),
        _ => {
            let mut data = delivered.lines().filter_map(|line| line.strip_prefix("data: "));
            data.find(|data| data.contains("memory")).expect(delivered).to_owned()
        }
    };
    serde_json::from_str(&text).unwrap_or_else(|error| panic!("{kind:?} {error}: {delivered}"))
}

#[test]
fn five_hundred_streams_with_an_unfinished_event_stay_within_the_budget_and_the_rest_ends_by_its_apis_error()
{
    let kind = Kind::Anthropic;
    let (worker, body) = (Worker::new(RETURNED), unfinished(kind, 900_000));
    let (before, _) = (allocator::live(), allocator::peak());
    let mut streams: Vec<_> = (0..500).map(|_| ask(&worker, kind)).collect();
    let mut ended = 0;
    for stream in &mut streams {
        stream.respond(kind.content_type(), &body);
        let (mut last, mut behind) = (String::new(), 0);
        for _ in 0..body.len().div_ceil(READ) {
            if behind > 3 {
                break;
            }
            behind += usize::from(!last.is_empty());
            let delivered = stream.feed(READ, false).unwrap();
            if delivered.contains("memory") {
                assert!(last.is_empty(), "{last}");
                last.clone_from(&delivered);
                is_error(&stream_error(kind, &last), kind.path());
            } else {
                assert!(last.is_empty() || delivered.is_empty(), "behind the error: {delivered}");
            }
            assert!(!delivered.contains("aaaa"), "nothing of a held event goes out");
        }
        ended += usize::from(!last.is_empty());
        assert!(worker.vm.memory.used() <= BUDGET);
    }
    let most = (allocator::peak() - before).unsigned_abs();
    let live = (allocator::live() - before).unsigned_abs();
    assert!(most <= BUDGET, "{most} bytes were allocated");
    let reserved = worker.vm.memory.used();
    assert!(live <= reserved + 4 * MIB, "{live} bytes are allocated, and {reserved} reserved");
    assert!((20..=60).contains(&(500 - ended)), "{ended} streams ended");
    streams.into_iter().for_each(Request::end);
    assert_eq!(worker.vm.overloads.get(), ended as u64);
    recovers(&worker);
}

fn stream_error(kind: Kind, delivered: &str) -> Value {
    let error = error_of(kind, delivered);
    match kind {
        // It has a form of its own within a stream.
        Kind::Responses => json!({"error": {"code": error["code"], "message": error["message"]}}),
        Kind::Cohere => json!({"message": error.to_string()}),
        _ => error,
    }
}

#[test]
fn a_stream_of_every_api_ends_by_its_own_error_where_memory_runs_out() {
    for kind in KINDS {
        let (worker, body) = (Worker::new(RETURNED), unfinished(kind, 900_000));
        let mut stream = ask(&worker, kind);
        let left = worker.vm.memory.max() - worker.vm.memory.used() - 300_000;
        let used = BudgetPermit::of(&worker.vm.memory, left).unwrap();
        stream.respond(kind.content_type(), &body);
        let pieces = (0..body.len().div_ceil(READ)).map(|_| stream.feed(READ, false).unwrap());
        let delivered: Vec<String> = pieces.collect();
        let last = delivered.iter().rposition(|piece| !piece.is_empty()).unwrap();
        is_error(&stream_error(kind, &delivered[last]), kind.path());
        assert!(!delivered.concat().contains("aaaa"), "{kind:?}: nothing of a held event goes out");
        assert!(stream.gateway.held() < 1 << 10, "{kind:?}: what was held is free");
        stream.end();
        drop(used);
        recovers(&worker);
    }
}

#[test]
fn a_whole_event_that_there_is_no_memory_to_rewrite_ends_the_stream() {
    for kind in KINDS {
        let worker = Worker::new(RETURNED);
        let body = shared(&kind.stream(&["b".repeat(200_000)], &["{}".to_owned()]));
        let mut stream = ask(&worker, kind);
        // Enough to hold it.
        let left = worker.vm.memory.max() - worker.vm.memory.used() - 900_000;
        let used = BudgetPermit::of(&worker.vm.memory, left).unwrap();
        stream.respond(kind.content_type(), &body);
        let pieces = (0..=body.len() / READ).map(|_| stream.feed(READ, false).unwrap());
        let delivered = pieces.collect::<String>();
        assert!(delivered.contains("memory") && !delivered.contains("bbbb"), "{kind:?} {delivered}");
        stream.end();
        drop(used);
        recovers(&worker);
    }
}

#[test]
fn a_response_in_one_piece_that_cannot_be_rewritten_is_refused_in_shape() {
    for (path, kind) in [
        ("/v1/chat/completions", Kind::Chat),
        ("/v1/responses", Kind::Responses),
        ("/v1/messages", Kind::Anthropic),
        ("/v1beta/models/gemini:generateContent", Kind::Gemini),
        ("/v2/chat", Kind::Cohere),
    ] {
        let worker = Worker::new(RETURNED);
        let mut request = worker.ask(path, &shared(&kind.request("so").to_string()));
        let body = shared(&json!({"text": "c".repeat(300_000)}).to_string());
        assert_eq!(request.respond("application/json", &body), Step::Hold);
        assert_eq!(request.feed(READ, false), None);
        let left = worker.vm.memory.max() - worker.vm.memory.used() - 500_000;
        let used = BudgetPermit::of(&worker.vm.memory, left).unwrap();
        let delivered = request.feed_rest();
        is_error(&serde_json::from_str(&delivered).expect(&delivered), path);
        let headers = request.host.response_headers.borrow().clone();
        assert_eq!(value(&headers, ":status").as_deref(), Some("503"), "{path}");
        assert_eq!(value(&headers, "retry-after").as_deref(), Some("1"), "{path}");
        request.end();
        assert_eq!(worker.vm.overloads.get(), 1);
        drop(used);
        recovers(&worker);
    }
}

#[test]
fn a_stream_that_is_only_read_passes_unchanged_where_memory_runs_out() {
    for kind in KINDS {
        let worker = Worker::new(r#""limits": {"memory_budget": "32MiB"}"#);
        let pieces: Vec<String> = (0..20).map(|n| format!("piece {n} ")).collect();
        let body = shared(&kind.stream(&pieces, &["{}".to_owned()]));
        let mut stream = ask(&worker, kind);
        stream.respond(kind.content_type(), &body);
        let mut delivered = stream.feed(300, false).unwrap();
        let left = worker.vm.memory.max() - worker.vm.memory.used();
        let used = BudgetPermit::of(&worker.vm.memory, left).unwrap();
        for _ in 0..body.len() / 100 {
            delivered += &stream.feed(100, false).unwrap();
        }
        delivered += &stream.feed(100, true).unwrap();
        let expected = std::str::from_utf8(&body).unwrap();
        assert_eq!(delivered, expected, "{kind:?}");
        stream.end();
        assert_eq!(worker.vm.overloads.get(), 0, "nothing was refused");
        drop(used);
        recovers(&worker);
    }
}

#[test]
fn what_was_held_to_take_usage_out_goes_on_where_memory_runs_out() {
    let worker = Worker::new(r#""limits": {"memory_budget": "32MiB"}"#);
    let body = shared(&Kind::Chat.stream(&["so it is ".repeat(300)], &["{}".to_owned()]));
    let asked = json!({"model": "openai", "stream": true, "messages": [{"role": "user", "content": "so"}]});
    let mut stream = worker.ask("/v1/chat/completions", &shared(&asked.to_string()));
    stream.respond("text/event-stream", &body);
    let mut delivered = stream.feed(1000, false).unwrap();
    assert!(stream.gateway.held() > 0, "a part of an event is held");
    let left = worker.vm.memory.max() - worker.vm.memory.used();
    let used = BudgetPermit::of(&worker.vm.memory, left).unwrap();
    delivered += &stream.feed(500, false).unwrap();
    assert_eq!(stream.gateway.held(), 0);
    delivered += &stream.feed_rest();
    assert_eq!(delivered, std::str::from_utf8(&body).unwrap());
    stream.end();
    drop(used);
    recovers(&worker);
}

#[test]
fn a_large_piece_of_a_text_leaves_no_memory_behind_in_its_stream() {
    let worker = Worker::new(
        r#""redaction": {"returned": {"action": "mask"}, "exported": {"content": "exclude"}},
            "limits": {"request_body": "1MiB", "response_body": "1MiB", "memory_budget": "48MiB"}"#,
    );
    let kind = Kind::Chat;
    let pieces = ["word ".repeat(100_000), "so".to_owned()];
    let body = shared(&kind.stream(&pieces, &["{}".to_owned()]));
    let mut stream = ask(&worker, kind);
    stream.respond(kind.content_type(), &body);
    let (before, used) = (allocator::live(), worker.vm.memory.used());
    // Behind the large piece's event.
    for size in [READ; 30].into_iter().chain([9000]) {
        stream.feed(size, false).unwrap();
    }
    let (left, reserved) = (allocator::live() - before, worker.vm.memory.used() - used);
    assert!(left < 64 << 10 && reserved < 64 << 10, "{left} bytes are allocated, {reserved} reserved");
    assert!(stream.feed_rest().contains("DONE"));
    stream.end();
    recovers(&worker);
}

#[test]
fn a_response_that_is_held_for_its_first_token_is_let_go_where_memory_runs_out() {
    let settings = r#""limits": {"memory_budget": "32MiB"}"#;
    let models =
        r#""slow": {"targets": [{"provider": "openai", "model": "m"}], "timeouts": {"first_token": "9s"}}"#;
    let worker = Worker::with_models(settings, models);
    let asked = json!({"model": "slow", "stream": true, "messages": [{"role": "user", "content": "so"}]});
    let mut stream = worker.ask("/v1/chat/completions", &shared(&asked.to_string()));
    assert!(stream.refused().is_none(), "{:?}", stream.refused());
    stream.respond("text/event-stream", &shared(&format!("data: {}", "x".repeat(1000))));
    assert_eq!(stream.await_token(900), Step::Hold);
    let left = worker.vm.memory.max() - worker.vm.memory.used();
    let used = BudgetPermit::of(&worker.vm.memory, left).unwrap();
    assert_eq!(stream.await_token(1000), Step::Continue);
    stream.end();
    drop(used);
    recovers(&worker);
}

#[test]
fn what_a_refusal_says_is_what_a_client_reads() {
    let worker = Worker::new(RETURNED);
    let used = BudgetPermit::of(&worker.vm.memory, worker.vm.memory.max()).unwrap();
    let request = worker.begin("/v1/chat/completions", &shared("{}"));
    is_overload(&request.refused().unwrap(), "/v1/chat/completions");
    drop((request, used));
    recovers(&worker);
}
