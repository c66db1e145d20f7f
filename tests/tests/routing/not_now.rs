//! What a provider says that cannot answer now: statuses beyond HTTP's own, pauses it asks for in its own
//! way, and failures that come with a 200 while nothing has gone out.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use weir_tests::{
    callers::client::Trace,
    fakes::{fixtures, provider::Answer},
    stack::{Answered, Options, Stack, Upstream},
    telemetry::spans::named,
};

use crate::setting::{self, Attempt, ask, ask_with, attempt_spans, attempts, server, stream};

const STREAM: &str = "openai/chat_stream.sse";
/// No number of failures changes the order of targets.
const ANY_HEALTH: &str = "health: { failures: 16, within: 1ms }";
const RETRIED: &str =
    "{ m: { targets: [{ provider: a }], retry: { attempts: 3 }, health: { failures: 16, within: 1ms } } }";

fn models(more: &str) -> String {
    format!("{{ m: {{ targets: [{{ provider: a }}, {{ provider: b }}], {ANY_HEALTH}{more} }} }}")
}

fn rate_limited() -> Answer {
    Answer::json("openai/error_429.json").status(429)
}

#[tokio::test(flavor = "multi_thread")]
async fn every_status_that_means_not_now_is_followed_by_the_next_target_and_retried_where_that_is_asked_for()
{
    let stack = setting::stack(&models("")).await;
    let again = setting::stack(RETRIED).await;
    for status in [425, 520, 521, 522, 523, 524, 529] {
        stack.provider.answers_once(Answer::error(status));
        let answered = ask(&stack, "m").await;
        assert_eq!((answered.status, answered.header("x-weir-model")), (200, "b/m"), "{status}");
        again.provider.answers_once(Answer::error(status));
        let answered = ask(&again, "m").await;
        assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"), "{status}");
    }
    stack.provider.answers_once(Answer::error(501));
    assert_eq!(ask(&stack, "m").await.status, 501);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_is_overloaded_is_followed_by_another_in_anthropics_api_too() {
    let upstreams = [Upstream::new("a", "anthropic", "/of-a"), Upstream::new("b", "anthropic", "/of-b")];
    let stack = Options::default().upstreams(upstreams).models(&models("")).start().await;
    stack.provider.answers(
        Answer::text(r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#)
            .status(529),
    );
    stack.other("b").answers(Answer::text(r#"{"type":"message","content":[]}"#));
    let trace = Trace::new();
    let body =
        json!({ "model": "m", "max_tokens": 64, "messages": [{ "role": "user", "content": "Where?" }] });
    let answered = Answered::to(trace.clone(), stack.post("/v1/messages", &trace, body.to_string())).await;
    assert_eq!((answered.status, answered.header("x-weir-model")), (200, "b/m"));
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(attempts(&all), [Attempt::with("a", 529), Attempt::with("b", 200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pause_is_kept_to_in_whichever_way_it_is_asked_for_but_never_beyond_the_time_there_is() {
    let stack = setting::stack(RETRIED).await;
    let soon = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_secs(3600));
    for (name, value) in [("retry-after-ms", "700"), ("retry-after", "0.7")] {
        stack.provider.answers_once(rate_limited().header(name, value).header("x-should-retry", "true"));
        let begun = Instant::now();
        let answered = ask(&stack, "m").await;
        assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"), "{name}");
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(700), "{name}: {took:?}");
    }
    // Too long, refused, or longer than the caller waits: at once, and as the provider said it.
    let limits = [
        ("retry-after-ms", "60000", ""),
        ("retry-after", &soon, ""),
        ("x-should-retry", "false", ""),
        ("retry-after-ms", "1500", "2500"),
    ];
    for (name, value, timeout) in limits {
        stack.provider.answers_once(rate_limited().header(name, value));
        let answered = match timeout {
            "" => ask(&stack, "m").await,
            timeout => ask_with(&stack, "m", "x-weir-timeout-ms", timeout).await,
        };
        assert_eq!((answered.status, answered.header("x-weir-attempts")), (429, "1"), "{name}");
        assert_eq!(answered.header(name), value);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_google_error_asks_for_its_pause_in_its_body() {
    let upstreams = [Upstream::new("a", "gemini", "/of-a")];
    let stack = Options::default().upstreams(upstreams).models(RETRIED).start().await;
    let error = |delay: &str| {
        let info = json!({ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay });
        let error = json!({ "error": { "code": 429, "status": "RESOURCE_EXHAUSTED", "message": "m", "details": [info] } });
        Answer::text(error.to_string()).status(429).in_pieces_of(60)
    };
    let send = async || {
        let trace = Trace::new();
        let body = json!({ "contents": [{ "role": "user", "parts": [{ "text": "Where?" }] }] }).to_string();
        Answered::to(trace.clone(), stack.post("/v1beta/models/m:generateContent", &trace, body)).await
    };
    stack.provider.answers_once(error("0.6s"));
    let begun = Instant::now();
    let answered = send().await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"));
    assert!(begun.elapsed() >= Duration::from_millis(600), "{:?}", begun.elapsed());
    stack.provider.answers_once(error("34.07s"));
    let answered = send().await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (429, "1"));
    assert_eq!(answered.json()["error"]["details"][0]["retryDelay"], "34.07s");
    stack.assert_vm_is_well().await;
}

/// Failures that come with a 200, each with what is noted of the attempt.
fn failures() -> Vec<(Answer, &'static str)> {
    vec![
        (
            Answer::events("data: {\"error\":{\"message\":\"No provider is free.\",\"code\":\"503\"}}\n\n"),
            "503",
        ),
        (
            Answer::events(
                ": processing\n\ndata: {\"error\":{\"message\":\"m\",\"type\":\"overloaded_error\"}}\n\ndata: [DONE]\n\n",
            ),
            "overloaded_error",
        ),
        (
            Answer::events("data: {\"error\":{\"message\":\"m\",\"type\":\"server_error\"}}\n\n")
                .called("text/plain"),
            "server_error",
        ),
        (Answer::text(r#"{"error":{"message":"m","code":"no_capacity"}}"#), "no_capacity"),
        (
            Answer::text(r#"{"error":{"message":"m","code":"no_capacity"}}"#).called("text/event-stream"),
            "no_capacity",
        ),
        (Answer::text("<html><body>Sign in</body></html>").called("text/html"), "unreadable_response"),
        (Answer::text(""), "empty_response"),
        (Answer::events("data: [DONE]\n\n"), "empty_response"),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failure_before_the_first_token_is_a_failed_attempt_whatever_its_status() {
    let stack = setting::stack(&models(", timeouts: { first_token: 20s }")).await;
    let (a, b) = (&stack.provider, stack.other("b"));
    b.answers(Answer::stream(STREAM));
    for (answer, error) in failures() {
        a.answers_once(answer);
        let answered = stack.send(stream("m").to_string()).await;
        assert_eq!((answered.status, answered.header("x-weir-model")), (200, "b/m"), "{error}");
        assert_eq!(answered.body, fixtures::bytes(STREAM), "{error}");
        assert!(!answered.headers.contains_key("x-weir-retry"));
        let all = stack.otlp.wait_for(&answered.trace).await;
        assert_eq!(
            attempts(&all),
            [Attempt { failed: true, ..Attempt::with("a", 200) }, Attempt::with("b", 200)]
        );
        assert_eq!(attempt_spans(&all)[0].attribute("error.type"), error);
        assert!(server(&all).attribute("error.type").is_null());
    }
    // The last target's error is the caller's, as it came.
    let error = "data: {\"error\":{\"message\":\"m\",\"type\":\"overloaded_error\"}}\n\n";
    a.answers_once(Answer::error(503));
    b.answers(Answer::events(error));
    let answered = stack.send(stream("m").to_string()).await;
    assert_eq!(
        (answered.status, answered.header("x-weir-attempts"), &answered.body[..]),
        (200, "2", error.as_bytes())
    );
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(attempts(&all)[1], Attempt { failed: true, ..Attempt::with("b", 200) });
    assert_eq!(named(&all, "chat m").attribute("error.type"), "overloaded_error");
    // Behind a token there is no other attempt.
    let token = "data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"At\"}}]}\n\n";
    a.answers_once(Answer::events(format!("{token}{error}")));
    let answered = stack.send(stream("m").to_string()).await;
    assert_eq!((answered.header("x-weir-model"), answered.body.len()), ("a/m", token.len() + error.len()));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_limit_on_the_first_token_nothing_is_held_and_a_single_target_is_retried_within_it() {
    let stack = setting::stack(&models("")).await;
    let error = "data: {\"error\":{\"message\":\"m\",\"type\":\"overloaded_error\"}}\n\n";
    stack.provider.answers_once(Answer::events(error));
    let answered = stack.send(stream("m").to_string()).await;
    assert_eq!((answered.header("x-weir-model"), &answered.body[..]), ("a/m", error.as_bytes()));

    let models = RETRIED.replace("retry:", "timeouts: { first_token: 20s }, retry:");
    let stack: Stack = setting::stack(&models).await;
    stack.provider.answers_once(Answer::events(error));
    stack.provider.answers(Answer::stream(STREAM));
    let answered = stack.send(stream("m").to_string()).await;
    assert_eq!((answered.header("x-weir-attempts"), &answered.body), ("2", &fixtures::bytes(STREAM)));
    // Of an answer in one piece nothing is held.
    stack.provider.answers_once(Answer::text(error.trim_start_matches("data: ")));
    let answered: Value = ask(&stack, "m").await.json();
    assert_eq!(answered["error"]["type"], "overloaded_error");
}
