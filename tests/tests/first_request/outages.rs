//! Outages: of the provider, which the caller is told of, and of everything behind the gateway,
//! which no caller notices and which costs no trace that was accepted.

use std::{collections::BTreeSet, time::Duration};

use opentelemetry_proto::tonic::trace::v1::{span::SpanKind, status::StatusCode};
use weir_tests::{
    stack::{Answered, Stack, question},
    system::{process::Stopped, wait},
    telemetry::spans::{self, named},
};

/// Long enough for whatever ends gracefully.
const GRACE: Duration = Duration::from_secs(20);

/// Waits until every one of these requests has its trace.
async fn all_are_traced(stack: &Stack, answered: &[Answered]) {
    for one in answered {
        let spans = stack.otlp.wait_for(&one.trace).await;
        assert_eq!(spans.len(), 4, "{}", spans::outline(&spans));
    }
}

async fn chats(stack: &Stack, count: usize) -> Vec<Answered> {
    futures_util::future::join_all((0..count).map(|_| stack.chat())).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_down_is_answered_in_the_apis_shape_and_traced_as_an_error() {
    let stack = Stack::start().await;
    stack.provider.server.stop().await;
    let answered = stack.send(question().to_string()).await;
    assert!((502..=504).contains(&answered.status), "{answered:?}");
    let error = &answered.json()["error"];
    assert!(error["message"].is_string() && error["type"].is_string(), "{error}");
    assert_eq!(answered.headers["content-type"], "application/json");
    let all = stack.otlp.wait_for(&answered.trace).await;
    let server = spans::only(&all, "the SERVER span", |span| span.kind == SpanKind::Server);
    assert_eq!(server.attribute("http.response.status_code"), answered.status);
    assert_eq!(server.status, StatusCode::Error);
    assert_eq!(named(&all, "chat gpt-4o").status, StatusCode::Error);
    assert_eq!(named(&all, "POST").status, StatusCode::Error);
    stack.provider.server.restart().await;
    stack.chat().await;
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_otlp_endpoint_is_down_callers_notice_nothing_and_traces_come_later() {
    let stack = Stack::start().await;
    stack.otlp.refuse_next(3, 503);
    let refused = chats(&stack, 5).await;
    wait::until("the refusals", || stack.otlp.refused() == 3).await;
    all_are_traced(&stack, &refused).await;

    stack.otlp.server.stop().await;
    let meanwhile = chats(&stack, 20).await;
    stack.otlp.server.restart().await;
    all_are_traced(&stack, &meanwhile).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_nats_is_down_callers_notice_nothing_and_traces_come_later() {
    let mut stack = Stack::start().await;
    let before = chats(&stack, 3).await;
    all_are_traced(&stack, &before).await;
    let stopped = stack.nats.process.stop(GRACE).await.expect("a stop");
    assert!(matches!(stopped, Stopped::Gracefully(_)));
    let meanwhile = chats(&stack, 20).await;
    stack.nats.process.restart().await.expect("NATS is back");
    all_are_traced(&stack, &meanwhile).await;

    stack.nats.process.kill();
    let killed = chats(&stack, 20).await;
    stack.nats.process.restart().await.expect("NATS is back");
    all_are_traced(&stack, &killed).await;
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_the_exporter_is_down_callers_notice_nothing_and_traces_come_later() {
    let mut stack = Stack::start().await;
    stack.traced_chat().await;
    stack.exporter.process.kill();
    let meanwhile = chats(&stack, 20).await;
    stack.exporter.process.restart().await.expect("the exporter is back");
    all_are_traced(&stack, &meanwhile).await;
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_is_killed_amid_its_backlog_loses_no_trace() {
    let mut stack = Stack::start().await;
    // What is accepted meanwhile lies in the bus, some of it pulled and not acknowledged.
    stack.otlp.refuse_next(usize::MAX, 503);
    let accepted = chats(&stack, 30).await;
    wait::until("an attempt to ship", || stack.otlp.refused() > 0).await;
    stack.exporter.process.kill();
    stack.otlp.refuse_next(0, 503);
    let meanwhile = chats(&stack, 10).await;
    stack.exporter.process.restart().await.expect("the exporter is back");
    all_are_traced(&stack, &accepted).await;
    all_are_traced(&stack, &meanwhile).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_is_stopped_under_load_loses_no_trace() {
    let mut stack = Stack::start().await;
    let mut sent = chats(&stack, 20).await;
    // Stopped as soon as some have come through and others are on their way.
    wait::until("the first trace", || !stack.otlp.spans().is_empty()).await;
    stack.exporter.process.terminate().expect("SIGTERM");
    sent.extend(chats(&stack, 30).await);
    let stopped = stack.exporter.process.ends_within(GRACE).await;
    assert!(matches!(stopped, Stopped::Gracefully(status) if status.success()), "{stopped:?}");
    stack.exporter.process.restart().await.expect("the exporter is back");
    all_are_traced(&stack, &sent).await;
    let servers = stack.otlp.spans().into_iter().filter(|span| span.kind == SpanKind::Server);
    let traces: BTreeSet<String> = servers.map(|span| span.trace_id).collect();
    assert_eq!(traces.len(), sent.len());
}
