//! Requests: values to restore, bodies while they are decided on, and what is refused.

use std::rc::Rc;

use proptest::prelude::*;
use serde_json::json;
use weir_event::v1;
use weir_filter::capture::budget::BudgetPermit;

use crate::streams::KINDS;
use crate::worker::{Request, Worker};
use crate::{MIB, allocator, is_overload, recovers, shared};

const RESTORES: &str = r#""redaction": {"forwarded": {"action": "mask", "restore": true}},
    "limits": {"request_body": "1MiB", "response_body": "1MiB", "memory_budget": "48MiB"}"#;
/// What such a worker may use.
const BUDGET: usize = 48 * MIB;

/// A body of a megabyte that consists of values to restore: ten private keys.
fn keys() -> Rc<[u8]> {
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2\n";
    let key = |n: usize| {
        let lines = line.repeat(1600);
        format!(
            "-----BEGIN RSA PRIVATE KEY-----\n{lines}AAAA{n:08}AAAAAAAA\n-----END RSA PRIVATE KEY-----\n\n"
        )
    };
    let content: String = (0..10).map(key).collect();
    let content = &content[..1_020_000];
    shared(&json!({"model": "openai", "messages": [{"role": "user", "content": content}]}).to_string())
}

#[test]
fn a_thousand_requests_full_of_values_to_restore_stay_within_the_budget_and_the_rest_is_refused() {
    let (worker, body) = (Worker::new(RESTORES), keys());
    let (before, _) = (allocator::live(), allocator::peak());
    let (mut served, mut refused) = (Vec::new(), 0);
    for _ in 0..1000 {
        let request = worker.ask("/v1/chat/completions", &body);
        match request.refused() {
            None => served.push(request),
            Some(refusal) => {
                is_overload(&refusal, "/v1/chat/completions");
                refused += 1;
                request.end();
            }
        }
        assert!(worker.vm.memory.used() <= BUDGET);
    }
    let (live, most) =
        ((allocator::live() - before).unsigned_abs(), (allocator::peak() - before).unsigned_abs());
    assert!(most <= BUDGET, "{most} bytes were allocated");
    let reserved = worker.vm.memory.used();
    assert!(live <= reserved + 2 * MIB, "{live} bytes are allocated, and {reserved} reserved");
    assert!(served.len() >= 15, "{} requests were served", served.len());
    assert_eq!((served.len() + refused, worker.vm.overloads.get()), (1000, refused as u64));
    served.into_iter().for_each(Request::end);
    recovers(&worker);
    let left = allocator::live() - before;
    assert!(left < 4 * MIB as isize + 2 * MIB as isize, "{left} bytes are left beside the outbox");
}

/// Uses up the memory, but for so many bytes.
fn use_up(worker: &Worker, left: usize) -> BudgetPermit {
    BudgetPermit::of(&worker.vm.memory, worker.vm.memory.max() - worker.vm.memory.used() - left).unwrap()
}

#[test]
fn a_request_without_memory_is_refused_in_the_shape_of_its_api_and_reported() {
    let worker = Worker::new(RESTORES);
    let used = use_up(&worker, 64 << 10);
    let paths = KINDS.map(|kind| (kind.path(), kind.request(&"so ".repeat(40_000))));
    let embeddings = ("/v1/embeddings", json!({"model": "openai", "input": "so ".repeat(40_000)}));
    for (path, body) in paths.into_iter().chain([embeddings]) {
        let body = shared(&body.to_string());
        let request = worker.ask(path, &body);
        is_overload(&request.refused().expect(path), path);
        request.end();
        let event = next_event(&worker);
        assert_eq!(event.ending(), v1::Ending::Overloaded, "{path}");
        let response = event.response.unwrap();
        assert_eq!((response.status, response.error_type.as_str()), (503, "overloaded"), "{path}");
        assert!(event.attempts.is_empty());
    }
    drop(used);
    recovers(&worker);
}

#[test]
fn an_attempt_without_memory_to_rewrite_its_body_is_refused() {
    let worker = Worker::new(RESTORES);
    // The model stands last, so all of the body is rewritten for its target.
    let content = "so ".repeat(100_000);
    let body =
        shared(&format!(r#"{{"messages":[{{"role":"user","content":"{content}"}}],"model":"openai"}}"#));
    let mut request = worker.begin("/v1/chat/completions", &body);
    request.decide();
    let used = use_up(&worker, 64 << 10);
    request.try_it(&worker);
    is_overload(&request.refused().unwrap(), "/v1/chat/completions");
    request.end();
    assert_eq!(next_event(&worker).ending(), v1::Ending::Overloaded);
    drop(used);
    recovers(&worker);
}

#[test]
fn edits_of_every_model_named_in_a_body_are_counted_before_they_are_made() {
    let targets: Vec<_> = (0..32).map(|n| json!({"provider": "gemini", "model": format!("m{n}")})).collect();
    let settings = r#""limits": {"request_body": "4MiB", "memory_budget": "24MiB"}"#;
    let many = json!({"many": {"targets": targets}}).to_string();
    let worker = Worker::with_models(settings, &many[1..many.len() - 1]);
    let one = r#"{"model":"models/many","content":{}}"#;
    let body = format!(r#"{{"requests":[{}]}}"#, vec![one; 50_000].join(","));
    let (before, _) = (allocator::live(), allocator::peak());
    let request = worker.ask("/v1beta/models/many:batchEmbedContents", &shared(&body));
    is_overload(&request.refused().unwrap(), "/v1beta/models/many:batchEmbedContents");
    let most = (allocator::peak() - before).unsigned_abs();
    assert!(most <= 24 * MIB, "{most} bytes were allocated");
    request.end();
    recovers(&worker);
}

/// What one request does next, of several.
#[derive(Clone, Debug)]
enum Act {
    Begin { kind: usize, content: usize },
    Send,
    Respond,
    Feed { size: usize, is_end: bool },
    End,
    Abort,
    Press { bytes: usize },
}

fn act() -> impl Strategy<Value = Act> {
    prop_oneof![
        (0..KINDS.len(), 0usize..40_000).prop_map(|(kind, content)| Act::Begin { kind, content }),
        Just(Act::Send),
        Just(Act::Respond),
        (1usize..60_000, prop::bool::weighted(0.2)).prop_map(|(size, is_end)| Act::Feed { size, is_end }),
        (1usize..60_000).prop_map(|size| Act::Feed { size, is_end: false }),
        Just(Act::End),
        Just(Act::Abort),
        (0usize..MIB).prop_map(|bytes| Act::Press { bytes }),
    ]
}

/// How far a request of the property has come.
struct Under {
    request: Request,
    kind: usize,
    step: u8,
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn in_whatever_order_requests_come_and_go_they_stay_within_the_budget_and_give_all_back(
        acts in prop::collection::vec((0usize..6, act()), 1..60),
        returned in any::<bool>(),
    ) {
        let returned = if returned { r#", "returned": {"action": "mask", "detectors": ["email"]}"# } else { "" };
        let worker = Worker::new(&format!(
            r#""redaction": {{"exported": {{"content": "redact", "detectors": ["email"]}},
                "forwarded": {{"action": "mask", "restore": true, "detectors": ["email"]}}{returned}}},
              "limits": {{"request_body": "64KiB", "response_body": "64KiB", "memory_budget": "9MiB"}}"#
        ));
        let mut under: Vec<Option<Under>> = (0..6).map(|_| None).collect();
        let mut pressed = BudgetPermit::new(&worker.vm.memory);
        for (place, act) in acts {
            match (act, &mut under[place]) {
                (Act::Begin { kind, content }, slot @ None) => {
                    let content = format!("ann@example.com {}", "bo@example.org so ".repeat(content / 18));
                    let body = shared(&KINDS[kind].request(&content).to_string());
                    *slot = Some(Under { request: worker.begin(KINDS[kind].path(), &body), kind, step: 0 });
                }
                (Act::Send, Some(Under { request, step: step @ 0, .. })) => {
                    request.send(&worker);
                    *step = 1;
                }
                (Act::Respond, Some(Under { request, kind, step: step @ 1 })) if request.refused().is_none() => {
                    let pieces = ["[EMAIL_1] and zoe@example.net ".repeat(900), "so".to_owned()];
                    let body = KINDS[*kind].stream(&pieces, &["{}".to_owned()]);
                    request.respond(KINDS[*kind].content_type(), &shared(&body));
                    *step = 2;
                }
                (Act::Feed { size, is_end }, Some(Under { request, step: step @ 2, .. })) => {
                    request.feed(size, is_end);
                    *step = if is_end { 3 } else { 2 };
                }
                (Act::End, slot @ Some(_)) => slot.take().unwrap().request.end(),
                (Act::Abort, slot @ Some(_)) => drop(slot.take()),
                (Act::Press { bytes }, _) => {
                    pressed.resize(bytes);
                }
                _ => {}
            }
            prop_assert!(worker.vm.memory.used() <= worker.vm.memory.max());
        }
        drop(pressed);
        for (place, one) in under.into_iter().flatten().enumerate() {
            if place % 2 == 0 { one.request.end() } else { drop(one) }
        }
        recovers(&worker);
    }
}

fn next_event(worker: &Worker) -> v1::TraceEvent {
    use prost::Message;
    let batch = worker.vm.outbox.borrow_mut().next_batch(u64::MAX).expect("an event");
    let batch = v1::EventBatch::decode(batch.body.as_slice()).unwrap();
    v1::TraceEvent::decode(batch.events[0].clone()).unwrap()
}
