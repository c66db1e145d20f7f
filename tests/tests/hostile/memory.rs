//! Requests and responses that would fill the memory of a worker: what it cannot hold is refused in shape, and what it
//! holds is given back.

#![allow(clippy::print_stdout, reason = "the figures of the full load")]

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::{sync::Notify, task::JoinHandle};
use weir_tests::{callers::client::Trace, fakes::provider::Answer, stack::question, system::wait};

use crate::setting::Hostile;

/// The budget of a worker unless another one is configured, in bytes.
const BUDGET: i64 = 256 << 20;
/// Most events of [`EVENT`] bytes that it holds.
const EVENTS_MAX: usize = 26;
/// How many requests begin at once.
const WAVE: usize = 20;
/// How many bytes an event has that is held and never ends.
const EVENT: usize = 9_400_000;
/// What is redacted: values are restored, and what comes back is searched.
const REDACTION: &str = "{ exported: { content: redact }, forwarded: { action: mask, restore: true }, \
                         returned: { action: mask } }";

/// A question of a megabyte that consists of values to restore: ten private keys.
fn keys() -> String {
    let line = "QUJDREVGR0hJSktMTU5PUFFSU1RVVldYWVphYmNkZWZnaGlqa2xtbm9wcXJzdHV2\n";
    let key = |n: usize| {
        let lines = line.repeat(1600);
        format!(
            "-----BEGIN RSA PRIVATE KEY-----\n{lines}AAAA{n:08}AAAAAAAA\n-----END RSA PRIVATE KEY-----\n\n"
        )
    };
    let content: String = (0..10).map(key).collect();
    let mut body = question();
    body["messages"][0]["content"] = json!(content.get(..1_040_000).expect("a megabyte"));
    body.to_string()
}

/// A stream whose event has no end.
fn unfinished() -> String {
    format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{}", "a".repeat(EVENT))
}

/// Waits until so many requests have come to the provider or were refused. More begin only then: the load is what is
/// held, and not how fast connections are made.
async fn have_arrived(hostile: &Hostile, count: usize, refused: &AtomicUsize) {
    let provider = &hostile.stack.provider;
    let known = || provider.count() + refused.load(Ordering::Relaxed);
    let arrived = wait::poll(wait::DEADLINE, || async { (known() >= count).then_some(()) });
    assert!(arrived.await.is_some(), "of {count} requests {} are known", known());
}

/// So many requests at once whose provider does not answer before it is released; gives how many were refused.
async fn hold_requests(hostile: &Hostile, count: usize) -> usize {
    let stack = &hostile.stack;
    stack.provider.hold_again();
    stack.provider.take();
    stack.provider.answers(Answer::json("openai/chat.json").held());
    let (body, refused) = (keys(), Arc::new(AtomicUsize::new(0)));
    let mut callers: Vec<JoinHandle<()>> = Vec::with_capacity(count);
    while callers.len() < count {
        let (request, turned_away) = (stack.request(&Trace::new(), body.clone()), Arc::clone(&refused));
        callers.push(tokio::spawn(async move {
            // The provider answers none before all are here, which takes as long as their searches.
            let response = request.timeout(wait::DEADLINE * 3).send().await.expect("a response");
            let status = response.status().as_u16();
            let retry_after = response.headers().get("retry-after").map(|value| value.as_bytes().to_vec());
            if status == 503 {
                turned_away.fetch_add(1, Ordering::Relaxed);
            }
            let body = response.bytes().await.expect("a body");
            let body: Value = serde_json::from_slice(&body).expect("JSON");
            match status {
                200 => assert!(body["choices"].is_array(), "{body}"),
                503 => {
                    assert_eq!(body["error"]["code"], "overloaded", "{body}");
                    assert_eq!(retry_after.as_deref(), Some(&b"1"[..]));
                }
                other => panic!("{other}: {body}"),
            }
        }));
        if callers.len().is_multiple_of(WAVE) || callers.len() == count {
            have_arrived(hostile, callers.len(), &refused).await;
        }
    }
    within_budget(hostile).await;
    stack.provider.release();
    for caller in join_all(callers).await {
        caller.expect("every request is answered as it should be");
    }
    stack.provider.answers(Answer::json("openai/chat.json"));
    refused.load(Ordering::Relaxed)
}

/// So many streams at once with an event that is never whole; gives how many were ended by an error, or refused.
async fn hold_events(hostile: &Hostile, count: usize) -> usize {
    let stack = &hostile.stack;
    stack.provider.hold_again();
    stack.provider.take();
    stack.provider.answers(Answer::events(unfinished()).holding_after(EVENT));
    let (ended, refused, leave) =
        (Arc::<AtomicUsize>::default(), Arc::<AtomicUsize>::default(), Arc::new(Notify::new()));
    let mut body = question();
    body["stream"] = json!(true);
    let mut callers: Vec<JoinHandle<()>> = Vec::with_capacity(count);
    while callers.len() < count {
        let request = stack.request(&Trace::new(), body.to_string());
        let (ended, turned_away, leave) = (Arc::clone(&ended), Arc::clone(&refused), Arc::clone(&leave));
        callers.push(tokio::spawn(async move {
            let leaving = leave.notified();
            tokio::pin!(leaving);
            let mut response = request.send().await.expect("a response");
            if response.status() == 503 {
                // What is held left nothing even for a small request.
                turned_away.fetch_add(1, Ordering::Relaxed);
                ended.fetch_add(1, Ordering::Relaxed);
                return;
            }
            assert_eq!(response.status(), 200);
            let (mut said, mut is_ended) = (String::new(), false);
            loop {
                tokio::select! {
                    () = &mut leaving => return,
                    piece = response.chunk() => match piece.expect("a piece") {
                        Some(piece) => said += std::str::from_utf8(&piece).expect("text"),
                        None => return,
                    },
                }
                assert!(!said.contains("aaaa"), "nothing of a held event goes out");
                if said.contains("[DONE]") && !is_ended {
                    is_ended = true;
                    let error =
                        said.lines().next().and_then(|line| line.strip_prefix("data: ")).expect("an error");
                    let error: Value = serde_json::from_str(error).expect("JSON");
                    assert_eq!(error["error"]["code"], "overloaded", "{error}");
                    ended.fetch_add(1, Ordering::Relaxed);
                }
            }
        }));
        if callers.len().is_multiple_of(WAVE) {
            have_arrived(hostile, callers.len(), &refused).await;
        }
    }
    let enough = count.saturating_sub(EVENTS_MAX);
    let all_there =
        wait::poll(wait::DEADLINE * 2, || async { (ended.load(Ordering::Relaxed) >= enough).then_some(()) });
    assert!(all_there.await.is_some(), "of {count} streams {ended:?} have ended");
    within_budget(hostile).await;
    leave.notify_waiters();
    for caller in join_all(callers).await {
        caller.expect("every stream ends as it should");
    }
    stack.provider.release();
    stack.provider.answers(Answer::json("openai/chat.json"));
    ended.load(Ordering::Relaxed)
}

/// No VM has failed, and what is reserved is within the budget; so is what there is, with the copies of the one
/// body that is worked on and the gaps between blocks.
async fn within_budget(hostile: &Hostile) {
    hostile.stack.assert_vm_is_well().await;
    let reserved = hostile.gauge("weir.memory_reserved_bytes").await.expect("a gauge");
    assert!((1..=BUDGET).contains(&reserved), "{reserved}");
    let memory = hostile.gauge("weir.memory_bytes").await.expect("a gauge");
    println!("reserved {} MiB, memory of the VM {} MiB", reserved >> 20, memory >> 20);
    assert!(memory < 2 * BUDGET, "{memory}");
}

/// Both loads, one after the other; more of each than a worker can hold.
async fn fill(requests: usize, streams: usize) {
    let hostile = Hostile::redacting("{}", REDACTION).await;
    let refused = hold_requests(&hostile, requests).await;
    println!("{refused} of {requests} requests with values to restore were refused");
    assert!(refused > 0 && refused < requests, "{refused} were refused");
    hostile.is_well("values to restore").await;
    let ended = hold_events(&hostile, streams).await;
    println!("{ended} of {streams} streams with an event that is held were ended");
    assert!(ended < streams, "some are held");
    hostile.is_well("events that are held").await;
    // Some streams end while their callers leave.
    let counted = hostile.gauge("weir.overloaded").await.and_then(|count| usize::try_from(count).ok());
    let expected = refused + ended..=refused + streams;
    assert!(counted.is_some_and(|counted| expected.contains(&counted)), "{counted:?} of {expected:?}");
    hostile.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_fill_a_workers_memory_is_refused_in_shape_and_the_worker_recovers() {
    fill(260, 48).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "the full load: make fill-memory"]
async fn a_thousand_requests_full_of_values_and_five_hundred_held_events_end_no_worker() {
    fill(1000, 500).await;
}
