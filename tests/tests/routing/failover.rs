//! Retry and fallback: whatever a provider does wrong before its first token, the caller gets the
//! next one's answer, and every attempt is told.

use std::time::{Duration, Instant};

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::json;
use weir_tests::{
    callers::client::Trace,
    fakes::{
        fixtures,
        provider::{Answer, Provider},
    },
    stack::{Answered, CALLER_KEY, Stack},
    telemetry::spans::{self, named},
};

use crate::setting::{self, Attempt, ask, attempt_spans, attempts, json_of, server, stream, three};

const STREAM: &str = "openai/chat_stream.sse";

/// Targets a, b and c in this order. No number of failures changes the order.
const IN_ORDER: &str = "targets: [{ provider: a, model: m-at-a }, { provider: b, model: model-of-b }, { provider: c }], \
                        health: { failures: 16, within: 1ms }";

fn all_in_order(more: &str) -> String {
    format!("{{ m: {{ {IN_ORDER}{more} }} }}")
}

/// What this request's attempts at each of the three providers were, checked against the spans.
async fn told(stack: &Stack, answered: &Answered) -> Vec<Attempt> {
    attempts(&stack.otlp.wait_for(&answered.trace).await)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_target_gets_every_request_as_long_as_it_answers() {
    let stack = setting::stack(&all_in_order("")).await;
    for _ in 0..10 {
        let answered = ask(&stack, "m").await;
        assert_eq!(answered.status, 200);
        assert_eq!(answered.header("x-weir-model"), "a/m-at-a");
        assert_eq!(answered.header("x-weir-attempts"), "1");
    }
    assert_eq!([stack.provider.count(), stack.other("b").count(), stack.other("c").count()], [10, 0, 0]);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_retried_and_then_left_for_the_next_and_each_attempt_has_its_own_targets_request() {
    let stack = setting::stack(&all_in_order(", retry: { attempts: 2, on: [503] }")).await;
    let (a, b) = (&stack.provider, stack.other("b"));
    // Of itself Envoy makes no further attempt after such a word.
    a.answers(Answer::error(503).header("set-cookie", "provider=a").header("x-envoy-ratelimited", "true"));
    let spoofed =
        ["x-weir-trace-id", "x-weir-model", "x-weir-attempts", "x-weir-other", "x-envoy-overloaded"];
    let spoofed = spoofed.into_iter().chain(["alt-svc", "clear-site-data", "set-cookie2", "authorization"]);
    let of_b = Answer::json("openai/chat.json").header("set-cookie", "provider=b").header("x-of-b", "kept");
    b.answers(spoofed.fold(of_b, |answer, name| answer.header(name, "EVIL")));
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, &answered.body), (200, &fixtures::bytes("openai/chat.json")));

    // What the caller is told, and what it is not.
    assert_eq!(answered.header("x-weir-trace-id"), answered.trace.trace_id);
    assert_eq!(answered.header("x-weir-model"), "b/model-of-b");
    assert_eq!(answered.header("x-weir-attempts"), "3");
    let timing = answered.header("server-timing");
    assert!(timing.contains("weir;dur=") && timing.contains("provider;dur="), "{timing}");
    assert_eq!(answered.header("x-of-b"), "kept");
    for name in ["x-weir-retry", "set-cookie"] {
        assert!(!answered.headers.contains_key(name), "{name}: {answered:?}");
    }
    assert!(answered.headers.keys().all(|name| !name.as_str().starts_with("x-envoy-")), "{answered:?}");
    assert!(answered.headers.values().all(|value| value != "EVIL"), "{answered:?}");

    // What each attempt was.
    let [of_a, of_b, _] = three();
    let seen = [a.take(), b.take(), stack.other("c").take()];
    assert_eq!(seen.each_ref().map(Vec::len), [2, 1, 0]);
    for (received, (provider, upstream, path, model)) in seen.iter().flatten().zip([
        (a, &of_a, "/of-a/v1/chat/completions", "m-at-a"),
        (a, &of_a, "/of-a/v1/chat/completions", "m-at-a"),
        (b, &of_b, "/of-b/v1/chat/completions", "model-of-b"),
    ]) {
        assert_eq!(received.path, path);
        assert_eq!(received.header("host"), Some(provider.address().to_string().as_str()));
        assert_eq!(received.header("authorization"), Some(format!("Bearer {}", upstream.key()).as_str()));
        let body = setting::chat("m").to_string().replace(r#""m""#, &format!("\"{model}\""));
        assert_eq!(String::from_utf8_lossy(&received.body), body);
        assert_eq!(received.header("content-length"), Some(body.len().to_string().as_str()));
        for (name, value) in &received.headers {
            let value = value.to_str().expect("text");
            let others = three().into_iter().filter(|other| other.key() != upstream.key());
            assert!(others.into_iter().all(|other| !value.contains(other.key())), "{name}: {value}");
            assert!(!value.contains(CALLER_KEY), "{name}");
            let name = name.as_str();
            assert!(!name.starts_with("x-envoy-") && !name.starts_with("x-weir-"), "{name}");
        }
    }

    // What the spans say.
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(attempts(&all), [Attempt::with("a", 503), Attempt::with("a", 503), Attempt::with("b", 200)]);
    let chat = named(&all, "chat m");
    let told = attempt_spans(&all);
    for (span, model) in told.iter().zip(["m-at-a", "m-at-a", "model-of-b"]) {
        assert_eq!(span.parent_id, chat.span_id);
        assert_eq!(span.attribute("weir.attempt.model"), model);
    }
    assert_eq!(told[0].attribute("error.type"), "503");
    assert_eq!(told[2].attribute("server.port"), b.address().port());
    assert_ne!(chat.status, StatusCode::Error);
    assert_ne!(server(&all).status, StatusCode::Error);
    // Private providers receive their own attempt's span as parent.
    let parents: Vec<_> = seen.iter().flatten().map(|one| one.header("traceparent").expect("one")).collect();
    for (parent, span) in parents.iter().zip(&told) {
        assert_eq!(*parent, format!("00-{}-{}-01", answered.trace.trace_id, span.span_id));
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_target_answers_for_one_that_refuses_rate_limits_rejects_the_key_or_resets() {
    let stack = setting::stack(&all_in_order("")).await;
    let (a, b) = (&stack.provider, stack.other("b"));
    for status in [401, 403, 404, 408, 429, 500, 502, 503, 504] {
        a.answers_once(Answer::error(status));
        let answered = ask(&stack, "m").await;
        assert_eq!((answered.status, answered.header("x-weir-model")), (200, "b/model-of-b"), "{status}");
        let expected = [Attempt::with("a", u64::from(status)), Attempt::with("b", 200)];
        assert_eq!(told(&stack, &answered).await, expected);
    }
    // 429 with a Retry-After, which is this provider's and not the next one's.
    a.answers_once(Answer::json("openai/error_429.json").status(429).header("retry-after", "3600"));
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("retry-after")), (200, ""));
    // An error without a body.
    a.answers_once(Answer::text("").status(503));
    assert_eq!(ask(&stack, "m").await.header("x-weir-model"), "b/model-of-b");
    // A request that is the caller's fault is nobody else's to answer.
    a.answers_once(Answer::json("openai/error_400.json").status(400));
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (400, "1"));
    assert_eq!(answered.body, fixtures::bytes("openai/error_400.json"));

    a.answers_once(Answer::cut_off());
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("x-weir-model")), (200, "b/model-of-b"));
    assert_eq!(told(&stack, &answered).await, [Attempt::with("a", 0), Attempt::with("b", 200)]);

    a.server.stop().await;
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("x-weir-model")), (200, "b/model-of-b"));
    assert_eq!(told(&stack, &answered).await, [Attempt::with("a", 0), Attempt::with("b", 200)]);
    b.server.stop().await;
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("x-weir-model")), (200, "c/m"));
    let expected = [Attempt::with("a", 0), Attempt::with("b", 0), Attempt::with("c", 200)];
    assert_eq!(told(&stack, &answered).await, expected);
    a.server.restart().await;
    assert_eq!(ask(&stack, "m").await.header("x-weir-model"), "a/m-at-a");
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_short_retry_after_is_waited_for_and_a_long_one_makes_the_next_target_answer() {
    let stack = setting::stack(&all_in_order(", retry: { attempts: 2 }")).await;
    let rate_limited =
        |seconds| Answer::json("openai/error_429.json").status(429).header("retry-after", seconds);
    stack.provider.answers_once(rate_limited("1"));
    let begun = Instant::now();
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"));
    assert!(begun.elapsed() >= Duration::from_secs(1), "{:?}", begun.elapsed());
    assert_eq!(told(&stack, &answered).await, [Attempt::with("a", 429), Attempt::with("a", 200)]);
    stack.provider.answers_once(rate_limited("3600"));
    let answered = ask(&stack, "m").await;
    assert_eq!(told(&stack, &answered).await, [Attempt::with("a", 429), Attempt::with("b", 200)]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_whose_first_token_is_late_comes_from_the_next_target_and_one_that_pauses_later_is_kept() {
    let stack = setting::stack(&all_in_order(", timeouts: { first_token: 1s }")).await;
    let (a, b) = (&stack.provider, stack.other("b"));
    b.answers(Answer::stream(STREAM));
    // Nothing at all; headers and nothing; headers and comments that are no token.
    let held = [Answer::stream(STREAM).held(), Answer::stream(STREAM).holding_after(0)];
    for (answer, status) in held.into_iter().zip([0, 200]) {
        a.answers_once(answer);
        let answered = stack.send(stream("m").to_string()).await;
        assert_eq!(answered.status, 200);
        assert_eq!(answered.body, fixtures::bytes(STREAM));
        assert_eq!(answered.header("x-weir-model"), "b/model-of-b");
        let all = stack.otlp.wait_for(&answered.trace).await;
        let late = Attempt { failed: true, ..Attempt::with("a", status) };
        assert_eq!(attempts(&all), [late, Attempt::with("b", 200)]);
        named(&all, "stream");
    }
    // The first tokens are there in time; then nothing for longer than the limit.
    a.answers_once(Answer::stream(STREAM).holding_after(900));
    let trace = Trace::new();
    let mut response = stack.request(&trace, stream("m").to_string()).send().await.expect("headers");
    let mut body = Vec::new();
    while body.len() < 900 {
        body.extend(response.chunk().await.expect("a piece").expect("more"));
    }
    tokio::time::sleep(Duration::from_secs(2)).await;
    a.release();
    while let Some(piece) = response.chunk().await.expect("a piece") {
        body.extend(piece);
    }
    assert_eq!(body, fixtures::bytes(STREAM));
    assert_eq!(attempts(&stack.otlp.wait_for(&trace).await), [Attempt::with("a", 200)]);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn when_every_target_fails_the_caller_gets_the_last_ones_status_or_502_or_504_in_the_apis_shape() {
    let models = "{ m: { targets: [{ provider: a }, { provider: b }], health: { failures: 16, within: 1ms } }, \
                    slow: { targets: [{ provider: a }, { provider: b }], timeouts: { first_token: 300ms, request: 20s }, \
                            health: { failures: 16, within: 1ms } } }";
    let stack = setting::stack(models).await;
    let (a, b) = (&stack.provider, stack.other("b"));
    let both = |answer: &Answer| {
        a.answers(answer.clone());
        b.answers(answer.clone());
    };
    a.answers(Answer::error(500));
    b.answers(Answer::json("openai/error_429.json").status(429).header("retry-after", "7"));
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("retry-after")), (429, "7"));
    assert_eq!(answered.body, fixtures::bytes("openai/error_429.json"));
    assert_eq!(answered.header("x-weir-attempts"), "2");
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(attempts(&all), [Attempt::with("a", 500), Attempt::with("b", 429)]);
    assert_eq!(named(&all, "chat m").status, StatusCode::Error);

    // The gateway's own credentials are none of the caller's business, whether anything is said of them or not.
    for refused in [Answer::json("openai/error_401.json"), Answer::text("")] {
        both(&refused.status(401));
        let answered = ask(&stack, "m").await;
        assert_eq!((answered.status, answered.header("x-weir-model")), (502, "b/m"));
        assert_eq!(answered.json()["error"]["code"], "provider_auth");
        let all = stack.otlp.wait_for(&answered.trace).await;
        assert_eq!(attempts(&all), [Attempt::with("a", 401), Attempt::with("b", 401)]);
        assert_eq!(server(&all).attribute("weir.ending"), "completed");
    }

    both(&Answer::cut_off());
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("content-type")), (502, "application/json"));
    assert_eq!(answered.json()["error"]["code"], "provider_unreachable");
    assert_eq!(answered.header("x-weir-trace-id"), answered.trace.trace_id);
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(attempts(&all), [Attempt::with("a", 0), Attempt::with("b", 0)]);
    assert_eq!(server(&all).attribute("http.response.status_code"), 502);

    both(&Answer::stream(STREAM).holding_after(0));
    let answered = stack.send(stream("slow").to_string()).await;
    assert_eq!(answered.status, 504, "{answered:?}");
    assert_eq!(answered.json()["error"]["code"], "provider_timeout");
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(attempts(&all).len(), 2);
    assert_eq!(server(&all).attribute("weir.ending"), "timeout");

    // A caller's own, narrower limit.
    both(&Answer::json("openai/chat.json").held());
    let answered = setting::ask_with(&stack, "m", "x-weir-timeout-ms", "400").await;
    assert_eq!(answered.status, 504, "{answered:?}");
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(attempts(&all), [Attempt::with("a", 0)]);
    for bad in ["0", "soon", "-1", "99999999999"] {
        assert_eq!(setting::ask_with(&stack, "m", "x-weir-timeout-ms", bad).await.status, 400, "{bad}");
    }
    a.server.stop().await;
    b.server.stop().await;
    let answered = ask(&stack, "m").await;
    assert_eq!(answered.status, 502);
    assert_eq!(told(&stack, &answered).await, [Attempt::with("a", 0), Attempt::with("b", 0)]);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_dies_in_mid_stream_is_passed_on_as_it_came_and_no_other_is_asked() {
    let stack =
        setting::stack(&all_in_order(", timeouts: { first_token: 20s }, retry: { attempts: 2 }")).await;
    for model in ["m", "a/m-at-a"] {
        let before = stack.provider.count();
        stack.provider.answers(Answer::stream(STREAM).breaking_after(1500));
        let trace = Trace::new();
        let mut response = stack.request(&trace, stream(model).to_string()).send().await.expect("headers");
        let mut body = Vec::new();
        let end = loop {
            match response.chunk().await {
                Ok(Some(piece)) => body.extend(piece),
                end => break end,
            }
        };
        assert!(end.is_err(), "the caller can tell that it broke off");
        assert_eq!(body, fixtures::bytes(STREAM)[..1500]);
        let all = stack.otlp.wait_for(&trace).await;
        assert_eq!(server(&all).attribute("weir.ending"), "upstream_reset", "{}", spans::outline(&all));
        assert_eq!(attempts(&all), [Attempt { failed: true, ..Attempt::with("a", 200) }]);
        assert_eq!(stack.provider.count() - before, 1);
    }
    assert_eq!([stack.other("b").count(), stack.other("c").count()], [0, 0]);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_has_failed_twice_goes_to_the_end_until_it_recovers() {
    let models =
        "{ m: { targets: [{ provider: a }, { provider: b }], health: { failures: 2, within: 2s } } }";
    let stack = setting::stack(models).await;
    let (a, b) = (&stack.provider, stack.other("b"));
    a.answers(Answer::error(503));
    for _ in 0..2 {
        assert_eq!(ask(&stack, "m").await.header("x-weir-attempts"), "2");
    }
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.header("x-weir-model"), answered.header("x-weir-attempts")), ("b/m", "1"));
    // Last is not never: it still stands in for the other.
    a.answers(Answer::json("openai/chat.json"));
    b.answers_once(Answer::error(503));
    let answered = ask(&stack, "m").await;
    assert_eq!((answered.status, answered.header("x-weir-model")), (200, "a/m"));
    // Having answered, it is first again.
    assert_eq!(ask(&stack, "m").await.header("x-weir-model"), "a/m");
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_set_a_short_limit_or_go_away_say_nothing_about_the_target() {
    let models =
        "{ m: { targets: [{ provider: a }, { provider: b }], health: { failures: 1, within: 1h } } }";
    let stack = setting::stack(models).await;
    stack.provider.answers(Answer::json("openai/chat.json").held());
    let answered = setting::ask_with(&stack, "m", "x-weir-timeout-ms", "100").await;
    assert_eq!(answered.status, 504);
    stack.otlp.wait_for(&answered.trace).await;
    let trace = Trace::new();
    let request = stack.request(&trace, setting::chat("m").to_string()).timeout(Duration::from_millis(300));
    assert!(request.send().await.is_err());
    let all = stack.otlp.wait_for(&trace).await;
    assert_eq!(server(&all).attribute("weir.ending"), "client_disconnected");
    stack.provider.answers(Answer::json("openai/chat.json"));
    assert_eq!(ask(&stack, "m").await.header("x-weir-model"), "a/m");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_reaches_every_attempt_whole_wherever_its_model_stands() {
    let stack = setting::stack(&all_in_order("")).await;
    let content = "wort ".repeat((9 << 20) / 5);
    let message = format!("[{{\"role\":\"user\",\"content\":\"{content}\"}}]");
    for body in [
        format!("{{\"model\":\"m\",\"messages\":{message}}}"),
        format!("{{\"messages\":{message}, \"model\" : \"m\" }}"),
    ] {
        for answer in [Answer::error(503), Answer::cut_off()] {
            stack.provider.answers_once(answer);
            let answered = stack.send(body.clone()).await;
            assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"), "{answered:?}");
            for (provider, model) in [(&stack.provider, "m-at-a"), (stack.other("b"), "model-of-b")] {
                let received = provider.take().pop().expect("a request");
                let expected = body.replace("\"m\"", &format!("\"{model}\""));
                assert!(received.body == expected.as_bytes(), "{} bytes", received.body.len());
            }
        }
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_providers_and_callers_say_cannot_steer_the_attempts() {
    let stack = setting::stack(&all_in_order("")).await;
    let providers: [&Provider; 3] = [&stack.provider, stack.other("b"), stack.other("c")];
    // The mark that the filter itself puts on a response.
    for status in [200, 400] {
        stack
            .provider
            .answers_once(Answer::json("openai/chat.json").status(status).header("x-weir-retry", "1"));
        let answered = ask(&stack, "m").await;
        assert_eq!((answered.status, answered.header("x-weir-attempts")), (status, "1"), "{answered:?}");
        assert!(!answered.headers.contains_key("x-weir-retry"));
        assert_eq!(told(&stack, &answered).await, [Attempt::with("a", u64::from(status))]);
    }
    // Envoy's own request headers, in requests with and without a fallback.
    for model in ["m", "a/m-at-a"] {
        let before: usize = providers.iter().map(|provider| provider.count()).sum();
        let trace = Trace::new();
        let request = stack
            .request(&trace, setting::chat(model).to_string())
            .header("x-envoy-max-retries", "9")
            .header("x-envoy-retry-on", "5xx,retriable-4xx,retriable-status-codes")
            .header("x-envoy-retriable-status-codes", "200,400")
            .header("x-envoy-retriable-header-names", "content-type")
            .header("x-envoy-upstream-rq-timeout-ms", "1")
            .header("x-envoy-upstream-rq-per-try-timeout-ms", "1")
            .header("x-envoy-hedge-on-per-try-timeout", "true")
            .header("x-weir-retry", "1");
        stack.provider.answers_once(Answer::json("openai/chat.json").after(Duration::from_millis(300)));
        let answered = Answered::to(trace, request).await;
        assert_eq!((answered.status, answered.header("x-weir-model")), (200, "a/m-at-a"), "{answered:?}");
        let after: usize = providers.iter().map(|provider| provider.count()).sum();
        assert_eq!(after - before, 1);
        assert_eq!(json_of(&stack.provider.last().await)["model"], json!("m-at-a"));
    }
    stack.assert_vm_is_well().await;
}
