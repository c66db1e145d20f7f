//! An Envoy that is drained before it is ended.

use std::time::Duration;

use weir_config::drain::DrainError;
use weir_tests::{
    callers::client::{self, Trace},
    stack::{Options, Stack, question},
    system::{process::Stopped, wait},
};

/// How long an Envoy may take to end once it is told to.
const GRACE: Duration = Duration::from_secs(5);

async fn ask(stack: &Stack, count: usize) -> Vec<Trace> {
    let mut traces = Vec::new();
    for _ in 0..count {
        traces.push(stack.chat().await.trace);
    }
    traces
}

#[tokio::test(flavor = "multi_thread")]
async fn drained_and_then_ended_an_envoy_loses_no_event_and_what_is_left_is_told_until_it_is_gone() {
    let mut stack = Options::default().start().await;
    stack.exporter.process.kill();
    let traces = ask(&stack, 40).await;

    // While the exporter is away the events stay where they are, and that is said.
    let error = stack.envoy.drain(Duration::from_millis(1500)).await.expect_err("events are left");
    let DrainError::TimedOut { left, .. } = &error else { panic!("{error}") };
    assert_eq!((left.requests, left.events), (0, 40), "{error}");
    assert!(error.to_string().contains("40 trace events that the exporter has not taken"), "{error}");

    stack.exporter.process.restart().await.expect("the exporter");
    stack.envoy.drain(wait::DEADLINE).await.expect("all have left");
    assert!(matches!(stack.envoy.process.stop(GRACE).await, Ok(Stopped::Gracefully(_))));
    for trace in &traces {
        assert!(!stack.otlp.wait_for(trace).await.is_empty());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn healthz_needs_no_key_and_fails_once_the_gateway_drains() {
    let keys =
        "keys: [{ name: a, sha256: \"bab76bdbf5475357a8a1b2f7a6f6a4ac188a966790a71029dc1193ad3c89da0b\" }]";
    let stack = Options::default().with(keys).start().await;
    let status = async || {
        let answer = client::http().get(stack.url("/healthz")).send().await.expect("an answer");
        answer.status().as_u16()
    };
    assert_eq!(status().await, 200);
    assert_eq!(stack.send(question().to_string()).await.status, 401, "everything else needs one");
    let admin = format!("http://{}/healthcheck/fail", stack.envoy.addresses.admin);
    client::http().post(admin).send().await.expect("an answer");
    assert_eq!(status().await, 503);
}
