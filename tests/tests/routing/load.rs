//! Many requests at once, with targets that fail and callers that go away: none is lost, none is
//! answered twice, none sees another's state, and nothing of them stays.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use futures_util::{StreamExt, future::join_all, stream};
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weir_tests::{
    callers::client::Trace,
    fakes::provider::{Answer, Provider, Received},
    stack::{Answered, Stack},
    system::wait,
    telemetry::spans::Span,
};

use crate::setting::{self, ask, attempts, chat, json_of, stream as streamed};

/// A chat request for a model that carries a word of its own.
fn with_word(model: &str, word: &str) -> String {
    let mut body = chat(model);
    body["messages"][0]["content"] = json!(word);
    body.to_string()
}

fn word_of(received: &Received) -> String {
    json_of(received)["messages"][0]["content"].as_str().expect("a word").to_owned()
}

/// Answers with the word that the request carries.
fn echo(received: &Received) -> Answer {
    let reply = json!({ "id": "x", "object": "chat.completion", "model": "m", "echo": word_of(received) });
    Answer::text(reply.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_requests_at_once_whose_first_target_fails_all_fail_over() {
    const COUNT: usize = 200;
    let models =
        "{ m: { targets: [{ provider: a }, { provider: b }], health: { failures: 16, within: 1ms } } }";
    for broken in [Answer::error(503).held(), Answer::cut_off()] {
        let stack = setting::stack(models).await;
        let (a, b) = (&stack.provider, stack.other("b"));
        a.answers(broken);
        b.answers_by(echo);
        let asked = join_all((0..COUNT).map(|n| stack.send(with_word("m", &format!("w-{n}")))));
        let all_are_there = async {
            wait::until("every first attempt", || a.count() == COUNT).await;
            a.release();
        };
        let (answers, ()) = tokio::join!(asked, all_are_there);
        for (n, answered) in answers.iter().enumerate() {
            assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"), "{answered:?}");
            assert_eq!(answered.json()["echo"], format!("w-{n}"));
        }
        assert_eq!([a.count(), b.count()], [COUNT, COUNT]);
        let stats = stack.admin("/stats?filter=overflow|circuit").await;
        for line in stats.lines().filter(|line| line.contains("overflow")) {
            assert!(line.ends_with(": 0"), "{line}");
        }
        stack.assert_vm_is_well().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_the_same_request_id_at_once_never_see_each_others_state() {
    const COUNT: usize = 40;
    let models = "{ one: { targets: [{ provider: a, model: one-at-a }, { provider: b, model: one-at-b }], health: { failures: 16, within: 1ms } }, \
                    two: { targets: [{ provider: a, model: two-at-a }, { provider: c, model: two-at-c }], health: { failures: 16, within: 1ms } } }";
    let stack = setting::stack(models).await;
    stack.provider.answers(Answer::error(503).held());
    stack.other("b").answers_by(echo);
    stack.other("c").answers_by(echo);
    let asked = join_all((0..COUNT).map(async |n| {
        let model = if n % 2 == 0 { "one" } else { "two" };
        let trace = Trace::new();
        let request = stack
            .request(&trace, with_word(model, &format!("{model}-{n}")))
            .header("x-request-id", "5f1c9a52-4f7d-4f0b-9d3c-1f1f1f1f1f1f")
            .header("x-weir-stream", "1");
        (model, n, Answered::to(trace, request).await)
    }));
    let release = async {
        wait::until("every first attempt", || stack.provider.count() == COUNT).await;
        stack.provider.release();
    };
    let (answers, ()) = tokio::join!(asked, release);
    for (model, n, answered) in &answers {
        let (provider, target) = if *model == "one" { ("b", "b/one-at-b") } else { ("c", "c/two-at-c") };
        assert_eq!((answered.status, answered.header("x-weir-model")), (200, target));
        assert_eq!(answered.json()["echo"], format!("{model}-{n}"));
        assert_eq!(answered.header("x-weir-trace-id"), answered.trace.trace_id);
        let told = attempts(&stack.otlp.wait_for(&answered.trace).await);
        let providers: Vec<&str> = told.iter().map(|attempt| attempt.provider.as_str()).collect();
        assert_eq!(providers, ["a", provider]);
    }
    for (provider, count) in
        [(&stack.provider, COUNT), (stack.other("b"), COUNT / 2), (stack.other("c"), COUNT / 2)]
    {
        let received = provider.take();
        assert_eq!(received.len(), count);
        for one in received {
            let (word, sent) = (word_of(&one), json_of(&one)["model"].clone());
            assert_eq!(
                word.split('-').next(),
                sent.as_str().and_then(|model| model.split('-').next()),
                "{word} {sent}"
            );
        }
    }
    stack.assert_vm_is_well().await;
}

/// What the providers saw of each request, by its word: the provider and how it behaved.
type Seen = Arc<Mutex<BTreeMap<String, Vec<(&'static str, u64)>>>>;

/// Has a provider fail at random in every way that is followed by another attempt, and in some
/// that are not.
fn fail_at_random(provider: &Provider, name: &'static str, seed: u64, seen: &Seen) {
    let (mut random, seen) = (Rng::with_seed(seed), Arc::clone(seen));
    provider.answers_by(move |received| {
        let (status, answer) = match random.u32(0..10) {
            0 => (503, Answer::error(503)),
            1 => (500, Answer::error(500).header("retry-after", "0")),
            2 => (429, Answer::error(429).header("retry-after", "60")),
            3 => (401, Answer::error(401)),
            4 => (400, Answer::error(400)),
            5 => (0, Answer::cut_off()),
            6 => (200, echo(received).after(Duration::from_millis(10))),
            _ => (200, echo(received)),
        };
        seen.lock().expect("unpoisoned").entry(word_of(received)).or_default().push((name, status));
        answer
    });
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_fails_each_request_is_answered_once_and_its_spans_are_the_attempts_that_were_made() {
    // WEIR_TEST_REQUESTS=10000 is the long form.
    let count: usize = std::env::var("WEIR_TEST_REQUESTS").ok().and_then(|n| n.parse().ok()).unwrap_or(2000);
    let models = "{ m: { strategy: weighted, retry: { attempts: 2 }, health: { failures: 4, within: 50ms }, \
                         targets: [{ provider: a }, { provider: b }, { provider: c }] } }";
    let stack = setting::stack(models).await;
    let seen = Seen::default();
    let named = [("a", &stack.provider), ("b", stack.other("b")), ("c", stack.other("c"))];
    for (seed, (name, provider)) in named.into_iter().enumerate() {
        fail_at_random(provider, name, seed as u64, &seen);
    }
    let asked = stream::iter(0..count).map(async |n| {
        let word = format!("w-{n}");
        let answered = stack.send(with_word("m", &word)).await;
        (word, answered)
    });
    let answers: Vec<(String, Answered)> = asked.buffer_unordered(16).collect().await;
    assert_eq!(answers.len(), count);
    wait::until("a trace of every request", || {
        let spans = stack.otlp.spans();
        spans.iter().filter(|span| span.kind == SpanKind::Server).count() >= count
    })
    .await;
    let mut traces: BTreeMap<String, Vec<Span>> = BTreeMap::new();
    for span in stack.otlp.spans() {
        traces.entry(span.trace_id.clone()).or_default().push(span);
    }
    assert_eq!(traces.len(), count, "one trace a request");
    let seen = std::mem::take(&mut *seen.lock().expect("unpoisoned"));
    let mut statuses: BTreeMap<u16, usize> = BTreeMap::new();
    for (word, answered) in &answers {
        *statuses.entry(answered.status).or_default() += 1;
        let spans = &traces[&answered.trace.trace_id];
        assert_eq!(spans.iter().filter(|span| span.kind == SpanKind::Server).count(), 1);
        let told: Vec<(String, u64)> =
            attempts(spans).into_iter().map(|attempt| (attempt.provider, attempt.status)).collect();
        let made: Vec<(String, u64)> =
            seen[word].iter().map(|(name, status)| ((*name).to_owned(), *status)).collect();
        assert_eq!(told, made, "{word}");
        assert_eq!(answered.header("x-weir-attempts"), made.len().to_string());
        let (_, last) = made.last().expect("an attempt");
        let expected = match last {
            0 | 401 => 502,
            status => *status,
        };
        assert_eq!(u64::from(answered.status), expected, "{word} {made:?}");
        if answered.status == 200 {
            assert_eq!(answered.json()["echo"], *word);
            assert!(made[..made.len() - 1].iter().all(|(_, status)| *status != 200), "{made:?}");
        }
    }
    println!("{statuses:?}");
    assert!(statuses[&200] * 10 > count * 7, "{statuses:?}");
    assert_eq!(seen.len(), count);
    stack.assert_vm_is_well().await;
}

/// The gauge of the requests that the filter keeps state of.
const STREAMS: &str = "weir.streams";

/// Where a caller goes away.
const STAGES: usize = 7;

/// Sends a request and goes away at one of the stages.
async fn cut_at(stack: &Stack, stage: usize) {
    let model = if stage == 5 { "failing" } else { "m" };
    let body = streamed(model).to_string();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    let mut connection = TcpStream::connect(stack.address()).await.expect("a connection");
    let whole = format!("{head}{body}").into_bytes();
    let sent = match stage {
        0 => &whole[..20],
        1 => &whole[..head.len()],
        2 => &whole[..head.len() + 10],
        _ => &whole,
    };
    connection.write_all(sent).await.expect("written");
    if matches!(stage, 4 | 6) {
        // Gone in mid answer.
        let mut some = [0; 64];
        let _ = connection.read(&mut some).await;
    } else if stage != 3 {
        tokio::time::sleep(Duration::from_millis(fastrand::u64(0..5))).await;
    }
    drop(connection);
}

async fn stat(stack: &Stack, name: &str) -> Option<i64> {
    let stats = stack.admin(&format!("/stats?filter={name}")).await;
    stats
        .lines()
        .find_map(|line| line.split_once(": ").filter(|(key, _)| key.ends_with(name))?.1.parse().ok())
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_cut_at_every_stage_leave_no_state_behind() {
    // WEIR_TEST_CUTS=100000 is the long form.
    let count: usize = std::env::var("WEIR_TEST_CUTS").ok().and_then(|n| n.parse().ok()).unwrap_or(2100);
    let models = "{ m: { targets: [{ provider: a }], timeouts: { first_token: 20s } }, \
                    failing: { targets: [{ provider: b }, { provider: c }, { provider: a }], health: { failures: 16, within: 1ms } } }";
    let stack = setting::stack(models).await;
    // While requests are under way, they are counted; else the count below would prove nothing.
    stack.provider.answers(Answer::json("openai/chat.json").held());
    let waiting = join_all((0..20).map(|_| ask(&stack, "m")));
    let counted = async {
        let seen =
            wait::poll(wait::DEADLINE, || async { (stat(&stack, STREAMS).await? == 20).then_some(()) });
        assert!(seen.await.is_some(), "twenty requests are under way");
        stack.provider.release();
    };
    tokio::join!(waiting, counted);
    stack.provider.hold_again();
    let mut nth = 0;
    stack.provider.answers_by(move |_| {
        nth += 1;
        let whole = Answer::stream("openai/chat_stream.sse");
        match nth % 4 {
            0 => whole.holding_after(0),
            1 => whole.holding_after(700),
            2 => whole.pausing(Duration::from_millis(2)),
            _ => whole.in_pieces_of(97).breaking_after(900),
        }
    });
    stack.other("b").answers(Answer::error(503));
    stack.other("c").answers(Answer::cut_off());
    // A held answer never begins, so stages that wait for one would wait for ever: they have a limit.
    let cuts = stream::iter(0..count).map(|n| {
        let limit = Duration::from_millis(500);
        let stack = &stack;
        async move { tokio::time::timeout(limit, cut_at(stack, n % STAGES)).await }
    });
    cuts.buffer_unordered(16).collect::<Vec<_>>().await;
    let gone = wait::poll(wait::DEADLINE, || async {
        let under_way = [stat(&stack, STREAMS).await, stat(&stack, "http.weir.downstream_rq_active").await];
        println!("{under_way:?}");
        (under_way == [Some(0), Some(0)]).then_some(())
    });
    assert!(gone.await.is_some(), "requests are still under way");
    // Whoever was cut after its head is told of, once.
    let (created, accepted) = ("weir.events_created", "weir.events_accepted");
    let told = wait::poll(wait::DEADLINE, || async {
        let (created, accepted) = (stat(&stack, created).await?, stat(&stack, accepted).await?);
        (created > 0 && created == accepted).then_some(created)
    });
    let told = told.await.expect("every event is accepted");
    assert!(usize::try_from(told).expect("a count") <= count, "{told} events of {count} requests");
    stack.provider.answers(Answer::json("openai/chat.json"));
    assert_eq!(ask(&stack, "m").await.status, 200);
    assert_eq!(ask(&stack, "failing").await.header("x-weir-attempts"), "3");
    stack.assert_vm_is_well().await;
}
