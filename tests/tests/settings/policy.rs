//! Exclude Request Data: what is stored and what leaves Envoy holds no content any more, from every worker.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Instant,
};

use axum::{
    body::{Body, Bytes},
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use prost::Message as _;
use serde_json::json;
use weir_event::v1::{EventBatch, TraceEvent};
use weir_tests::{
    callers::{
        client::{self, Trace},
        source::Source,
    },
    fakes::{otlp::Endpoint, server::Server},
    stack::{CALLER_KEY, Options, Stack},
    system::wait,
};

use super::rig::{NONE, ask, exporter, get, lists, nats, part, saved};

/// What is looked for: a part of every prompt.
const CANARY: &str = "canary-prompt";

fn holds(bytes: &[u8]) -> bool {
    bytes.windows(CANARY.len()).any(|window| window == CANARY.as_bytes())
}

/// What passed between Envoy and the exporter.
#[derive(Default)]
struct Passed {
    to: Option<String>,
    /// Of each worker, by its source: when an event with content came last, and when one without did.
    workers: BTreeMap<Vec<u8>, (Option<Instant>, Option<Instant>)>,
    asked: usize,
}

type Shared = Arc<Mutex<Passed>>;

/// Passes a request on to the exporter, and looks at it.
async fn pass(State(passed): State<Shared>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let body = axum::body::to_bytes(body, 64 << 20).await.expect("a body");
    let to = passed.lock().expect("no panic").to.clone().expect("an exporter");
    {
        let mut passed = passed.lock().expect("no panic");
        if head.uri.path() == weir_event::POLICY_PATH {
            passed.asked += 1;
        } else {
            look(&mut passed, &body);
        }
    }
    let mut forward = client::http().request(head.method, format!("{to}{}", head.uri.path())).body(body);
    if let Some(kind) = head.headers.get("content-type") {
        forward = forward.header("content-type", kind);
    }
    let Ok(answer) = forward.send().await else {
        return Response::builder().status(StatusCode::BAD_GATEWAY).body(Body::empty()).expect("an answer");
    };
    let status = answer.status();
    let body = answer.bytes().await.unwrap_or_default();
    Response::builder().status(status).body(Body::from(body)).expect("an answer")
}

fn look(passed: &mut Passed, body: &Bytes) {
    let batch = EventBatch::decode(body.clone()).expect("a batch");
    let (with, without) = passed.workers.entry(batch.source.to_vec()).or_default();
    for event in batch.events {
        let now = Some(Instant::now());
        if holds(&event) {
            *with = now;
        } else {
            let event = TraceEvent::decode(event).expect("an event");
            assert!(event.content.is_some_and(|content| content.request.is_empty()));
            *without = now;
        }
    }
}

/// One request on a connection of its own, so that any worker may get it.
async fn ask_model(stack: &Stack) -> Trace {
    let trace = Trace::new();
    let body = json!({ "model": "gpt-4o", "messages": [{ "role": "user", "content": format!("{CANARY} {}", trace.span_id) }] });
    let answered =
        stack.post("/v1/chat/completions", &trace, body.to_string()).bearer_auth(CALLER_KEY).send();
    assert_eq!(answered.await.expect("an answer").status().as_u16(), 200);
    trace
}

/// Asks until it is so of both workers.
async fn until_both(
    stack: &Stack,
    passed: &Shared,
    what: &str,
    is_so: impl Fn(&(Option<Instant>, Option<Instant>)) -> bool,
) {
    let seen = wait::poll(wait::DEADLINE, || async {
        ask_model(stack).await;
        let passed = passed.lock().expect("no panic");
        (passed.workers.values().filter(|worker| is_so(worker)).count() == 2).then_some(())
    });
    let seen = seen.await;
    let workers = passed.lock().expect("no panic").workers.clone();
    assert!(seen.is_some(), "{what}: {workers:?}\n{}", stack.envoy.process.log_end());
}

async fn switch(stack: &Stack, to: &str) -> Instant {
    let revision = get(&stack.exporter, "/api/policy").await["revision"].clone();
    let body = json!({ "revision": revision, "switch": to });
    let (status, answer) = ask(&stack.exporter, "PUT", "/api/policy", Some(body)).await;
    assert_eq!((status, &answer["switch"]), (200, &json!(to)), "{answer}");
    Instant::now()
}

#[tokio::test(flavor = "multi_thread")]
async fn after_the_switch_no_content_leaves_envoy_from_busy_and_idle_workers_alike() {
    let passed = Shared::default();
    let recorder = Server::start(axum::Router::new().fallback(pass).with_state(Arc::clone(&passed))).await;
    let (to, at) = (Arc::clone(&passed), recorder.address());
    let options = Options::default().workers(2).yaml(move |wiring| {
        to.lock().expect("no panic").to = Some(wiring.exporter.clone());
        format!(
            "listen: {}\nadmin: {}\nproviders: {{ openai: {{ api: openai, url: \"http://{}/v1\" }} }}\n\
             models: {{ gpt-4o: {{ targets: [{{ provider: openai }}] }} }}\nexporter: {{ url: \"http://{at}\" }}\n\
             redaction: {{ exported: {{ content: keep }} }}\n",
            wiring.gateway.listen, wiring.gateway.admin, wiring.provider
        )
    });
    let stack = options.start().await;
    let with = |worker: &(Option<Instant>, Option<Instant>)| worker.0.is_some();
    until_both(&stack, &passed, "both workers tell content", with).await;

    // Busy: requests go on all the while.
    let saved = switch(&stack, "exclude").await;
    until_both(&stack, &passed, "both busy workers have stopped", |worker| {
        worker.1.is_some_and(|without| without > saved && worker.0.is_none_or(|with| with < without))
    })
    .await;
    let last = passed.lock().expect("no panic").workers.values().filter_map(|worker| worker.0).max();
    let took = last.map(|last| last.saturating_duration_since(saved)).unwrap_or_default();
    println!("busy: the last content left Envoy {took:?} after it was saved");
    // And from there on nothing.
    let after = Instant::now();
    for _ in 0..20 {
        ask_model(&stack).await;
    }
    let trace = ask_model(&stack).await;
    stack.otlp.wait_for(&trace).await;
    let leaked = |since: Instant| {
        let passed = passed.lock().expect("no panic");
        passed.workers.values().any(|worker| worker.0.is_some_and(|with| with > since))
    };
    assert!(!leaked(after));

    // Switched off again, content comes again: with the next answer, so that this is no dead end.
    switch(&stack, "off").await;
    let before = Instant::now();
    until_both(&stack, &passed, "both workers tell content again", |worker| {
        worker.0.is_some_and(|with| with > before)
    })
    .await;

    // Idle: nobody asks for anything while it is saved, and yet every worker hears of it.
    let quiet = wait::poll(wait::DEADLINE, || async {
        let asked = passed.lock().expect("no panic").asked;
        (asked > 0).then_some(asked)
    });
    quiet.await.expect("idle workers ask for the policy");
    switch(&stack, "exclude").await;
    let asked = passed.lock().expect("no panic").asked;
    // Each has asked at least twice after that: the first question may have been under way.
    wait::until("questions", || passed.lock().expect("no panic").asked >= asked + 8).await;
    let idle = Instant::now();
    let mut sources = BTreeSet::new();
    let mut trace = ask_model(&stack).await;
    for _ in 0..30 {
        trace = ask_model(&stack).await;
    }
    stack.otlp.wait_for(&trace).await;
    for (source, (_, without)) in &passed.lock().expect("no panic").workers {
        if without.is_some_and(|without| without > idle) {
            sources.insert(source.clone());
        }
    }
    assert!(!leaked(idle), "an idle worker has told content");
    assert!(!sources.is_empty());
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn from_the_answer_on_ingest_stores_no_content_whatever_a_gateway_sends() {
    let nats = nats().await;
    let backend = Endpoint::counting().await;
    let exporter = exporter(&nats, NONE, None).await;
    let body = json!({ "revision": null, "settings": { "type": "otlp", "endpoint": backend.url() } });
    saved(&exporter, "d", body).await;
    backend.look_for(CANARY);
    let mut source = Source::new().saying(CANARY);
    let ids = source.store(&exporter.url(), 1).await;
    backend.wait_for_events(&ids).await;
    assert!(stored(&nats).await.iter().any(|event| holds(event)) && backend.leaked());
    let policy = get(&exporter, "/api/policy").await;
    assert_eq!((&policy["content"], &policy["switch"]), (&json!("keep"), &json!("off")), "{policy}");
    let body = json!({ "revision": policy["revision"], "switch": "exclude" });
    let (status, policy) = ask(&exporter, "PUT", "/api/policy", Some(body.clone())).await;
    assert_eq!((status, &policy["content"]), (200, &json!("exclude")), "{policy}");
    let before = stored(&nats).await.len();
    let ids = source.store(&exporter.url(), 5).await;
    backend.wait_for_events(&ids).await;
    let all = stored(&nats).await;
    assert_eq!(all.len(), before + 5);
    assert!(all.iter().skip(before).all(|event| !holds(event)));
    // Of two people the second is told.
    let (status, answer) = ask(&exporter, "PUT", "/api/policy", Some(body)).await;
    assert_eq!((status, &answer["current"]["switch"]), (409, &json!("exclude")), "{answer}");
    // It outlives the exporter: a new one strips from its first batch on.
    drop(exporter);
    let fresh = super::rig::exporter(&nats, NONE, None).await;
    source.store(&fresh.url(), 1).await;
    assert!(!holds(stored(&nats).await.last().expect("an event")));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_every_destination_excludes_request_data_the_policy_does_in_every_exporter() {
    let nats = nats().await;
    let backend = Endpoint::counting().await;
    let one = exporter(&nats, NONE, None).await;
    let other = exporter(&nats, NONE, None).await;
    let body = |revision: Option<u64>, excludes: bool| {
        let settings = json!({ "type": "otlp", "endpoint": backend.url(), "exclude_request_data": excludes });
        json!({ "revision": revision, "settings": settings })
    };
    let first = saved(&one, "a", body(None, true)).await;
    assert_eq!(get(&one, "/api/policy").await["content"], "exclude");
    let policy_of_other = async |wanted: &str| {
        wait::poll(wait::DEADLINE, || async {
            (get(&other, "/api/policy").await["content"] == wanted).then_some(())
        })
        .await
        .unwrap_or_else(|| panic!("the other exporter's policy is not {wanted}"));
    };
    policy_of_other("exclude").await;
    saved(&one, "b", body(None, false)).await;
    assert_eq!(get(&one, "/api/policy").await["content"], "keep");
    policy_of_other("keep").await;
    let revision = lists(&one, "b", |one| one.is_some()).await.expect("it")["revision"].as_u64();
    saved(&one, "b", body(revision, true)).await;
    policy_of_other("exclude").await;
    saved(&other, "a", body(Some(first), false)).await;
    policy_of_other("keep").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_only_ingests_obeys_what_is_saved_where_others_ship() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let ingest = part(&nats, "ingest", NONE, None).await;
    let ship = part(&nats, "ship", NONE, None).await;
    let mut source = Source::new().saying(CANARY);
    // It has no bucket to read before the other one has made it, and takes events all the same.
    source.store(&ingest.url(), 1).await;
    assert!(holds(stored(&nats).await.last().expect("an event")));
    let excluding = json!({ "type": "otlp", "endpoint": backend.url(), "exclude_request_data": true });
    let ready = wait::poll(wait::DEADLINE, || async {
        let body = json!({ "revision": null, "settings": excluding });
        (super::rig::save(&ship, "d", body).await.0 == 200).then_some(())
    });
    ready.await.expect("it is saved");
    // Ingest does not know the destinations; the one that ships says that all of them exclude content.
    let stripped = wait::poll(wait::DEADLINE, || async {
        Source::new().saying(CANARY).store(&ingest.url(), 1).await;
        (!holds(stored(&nats).await.last().expect("an event"))).then_some(())
    });
    stripped.await.expect("content is excluded");
    let before = stored(&nats).await.len();
    source.store(&ingest.url(), 10).await;
    assert!(stored(&nats).await.iter().skip(before).all(|event| !holds(event)));
}

/// Every event in the stream.
async fn stored(nats: &weir_tests::stack::nats::Nats) -> Vec<Bytes> {
    let client = async_nats::connect(nats.url()).await.expect("a connection");
    let stream = async_nats::jetstream::new(client).get_stream("WEIR_EVENTS").await.expect("the stream");
    let state = &stream.cached_info().state;
    let mut all = Vec::new();
    for sequence in state.first_sequence..=state.last_sequence {
        if let Ok(message) = stream.get_raw_message(sequence).await {
            all.push(message.payload);
        }
    }
    all
}
