//! Metrics from the same events as the spans: what went through the gateway is counted at `/metrics` and at
//! the OTLP endpoint, alike and in agreement with the spans.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{collections::BTreeMap, time::Duration};

use async_nats::jetstream::consumer::PullConsumer;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use serde_json::{Value, json};
use weir_tests::{
    fakes::{otlp::Pushed, provider::Answer},
    stack::{CALLER_KEY, OTLP_KEY, Options, PROVIDER_KEY, Stack, question},
    system::{process::Stopped, wait},
    telemetry::{
        metrics::{Point, Sample, samples, scrape},
        spans::{Span, named},
    },
};

const DURATION: &str = "gen_ai.client.operation.duration";

/// Long enough for whatever ends gracefully.
const GRACE: Duration = Duration::from_secs(20);

/// A stack whose exporter pushes metrics often.
fn pushing() -> Options {
    Options::default().exporter_env("OTEL_METRIC_EXPORT_INTERVAL", "100")
}

/// What one series must hold, at `/metrics` and at the endpoint.
struct Expected {
    name: &'static str,
    unit: &'static str,
    /// Beyond those that all have.
    labels: Vec<(&'static str, String)>,
    count: u64,
    sum: f64,
}

fn seconds(span: &Span) -> f64 {
    Duration::from_nanos(span.end_ns - span.start_ns).as_secs_f64()
}

/// The samples of a scrape that have this name, such as `…_count`.
fn of<'s>(all: &'s [Sample], name: &str) -> Vec<&'s Sample> {
    all.iter().filter(|sample| sample.name == name).collect()
}

/// How many operations were counted, failed ones too.
fn operations(all: &[Sample]) -> f64 {
    of(all, "gen_ai_client_operation_duration_seconds_count").iter().map(|sample| sample.value).sum()
}

/// Waits until so many operations stand at `/metrics`; the text then.
async fn counted(stack: &Stack, count: f64) -> String {
    let look = || async {
        let text = scrape(stack.exporter.admin_port).await;
        (operations(&samples(&text)) >= count).then_some(text)
    };
    let text = wait::poll(wait::DEADLINE, look).await.expect("the operations are counted in time");
    assert_eq!(operations(&samples(&text)), count, "{text}");
    text
}

fn pushed_operations(pushed: &Pushed) -> u64 {
    pushed.points.iter().filter(|point| point.name == DURATION).map(|point| point.count).sum()
}

/// The last push, once it holds so many operations.
async fn pushed(stack: &Stack, count: u64) -> Pushed {
    let look = || stack.otlp.pushed().pop().filter(|pushed| pushed_operations(pushed) >= count);
    let pushed = wait::poll(wait::DEADLINE, || std::future::ready(look())).await;
    let pushed = pushed.expect("the operations are pushed in time");
    assert_eq!(pushed_operations(&pushed), count, "{pushed:?}");
    pushed
}

fn assert_sample(all: &[Sample], expected: &Expected, common: &BTreeMap<String, Value>) {
    let Expected { name, unit, labels, count, sum } = expected;
    let suffix = if *unit == "s" { "_seconds" } else { "" };
    let name = format!("{}{suffix}", name.replace('.', "_"));
    let plain = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let common = common.iter().map(|(key, value)| (key.replace('.', "_"), plain(value)));
    let labels = labels.iter().map(|(key, value)| (key.replace('.', "_"), value.clone()));
    let labels: BTreeMap<String, String> = common.chain(labels).collect();
    let value = |suffix: &str| {
        let found = of(all, &format!("{name}{suffix}"));
        let found: Vec<_> = found.into_iter().filter(|sample| sample.labels == labels).collect();
        assert_eq!(found.len(), 1, "{name}{suffix} {labels:?} in {all:#?}");
        found[0].value
    };
    assert_eq!(value("_count"), *count as f64, "{name}");
    assert!((value("_sum") - sum).abs() < 1e-6, "{name} {} {sum}", value("_sum"));
    let whole = |sample: &&&Sample| {
        let mut bounded = labels.clone();
        bounded.insert("le".to_owned(), "+Inf".to_owned());
        sample.labels == bounded
    };
    let buckets = of(all, &format!("{name}_bucket"));
    assert_eq!(buckets.iter().find(whole).expect("the last bucket").value, *count as f64, "{name}");
}

fn assert_point(points: &[Point], expected: &Expected, common: &BTreeMap<String, Value>) {
    let Expected { name, unit, labels, count, sum } = expected;
    let mut attributes = common.clone();
    attributes.extend(labels.iter().map(|(key, value)| ((*key).to_owned(), json!(value))));
    let fits = |point: &&Point| point.name == *name && point.attributes == attributes;
    let found: Vec<_> = points.iter().filter(fits).collect();
    assert_eq!(found.len(), 1, "{name} {attributes:?} in {points:#?}");
    let point = found[0];
    assert_eq!((point.count, point.unit.as_str()), (*count, *unit), "{name}");
    assert!((point.sum - sum).abs() < 1e-6, "{name} {} {sum}", point.sum);
    assert_eq!(point.buckets.iter().sum::<u64>(), *count, "{name}");
    assert_eq!(point.temporality, AggregationTemporality::Cumulative);
    assert!(0 < point.start_ns && point.start_ns < point.end_ns);
    assert!(!point.resource["service.name"].is_null() && !point.resource["project.name"].is_null());
    assert!(point.resource["service.instance.id"].is_string());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_through_the_gateway_is_counted_and_pushed_in_agreement_with_its_spans() {
    let stack = pushing().start().await;
    let mut durations = Vec::new();
    for _ in 0..2 {
        let (_, all) = stack.traced_chat().await;
        durations.push(seconds(named(&all, "chat gpt-4o")));
    }

    stack.provider.answers_once(Answer::stream("openai/chat_stream.sse"));
    let mut body = question();
    body["stream"] = json!(true);
    body["stream_options"] = json!({ "include_usage": true });
    let answered = stack.send(body.to_string()).await;
    let streamed = stack.otlp.wait_for(&answered.trace).await;
    let (chat, stream) = (named(&streamed, "chat gpt-4o"), named(&streamed, "stream"));
    durations.push(seconds(chat));
    let first_chunk = chat.attribute("gen_ai.response.time_to_first_chunk").as_f64().expect("a time");
    let chunks = stream.attribute("weir.stream.chunks").as_u64().expect("a number");
    assert!(chunks > 2);

    stack.provider.answers_once(Answer::json("openai/error_429.json").status(429));
    let answered = stack.send(question().to_string()).await;
    let failed = stack.otlp.wait_for(&answered.trace).await;
    let failed = named(&failed, "chat gpt-4o");
    let error_type = failed.attribute("error.type").as_str().expect("a type").to_owned();

    // Refused by the gateway: no provider was asked, so there is no operation to count.
    let mut unknown = question();
    unknown["model"] = json!("nobody-knows-this-canary-model");
    let answered = stack.send(unknown.to_string()).await;
    assert_eq!(answered.status, 404);
    stack.otlp.wait_for(&answered.trace).await;

    let text = counted(&stack, 4.0).await;
    let pushed = pushed(&stack, 4).await;
    let asked = BTreeMap::from([
        ("gen_ai.operation.name".to_owned(), json!("chat")),
        ("gen_ai.provider.name".to_owned(), json!("openai")),
        ("gen_ai.request.model".to_owned(), json!("gpt-4o")),
        ("server.address".to_owned(), json!("127.0.0.1")),
        ("server.port".to_owned(), json!(stack.provider.address().port())),
    ]);
    let mut common = asked.clone();
    common.insert("gen_ai.response.model".to_owned(), json!("gpt-4o-2024-11-20"));
    let series = |name, unit, count, sum, labels| Expected { name, unit, labels, count, sum };
    let kind = |name: &str| vec![("gen_ai.token.type", name.to_owned())];
    let expected = [
        series("gen_ai.client.token.usage", "{token}", 3, 19.0 + 19.0 + 21.0, kind("input")),
        series("gen_ai.client.token.usage", "{token}", 3, 14.0 + 14.0 + 11.0, kind("output")),
        series(DURATION, "s", 3, durations.iter().sum(), Vec::new()),
        series("gen_ai.client.operation.time_to_first_chunk", "s", 1, first_chunk, Vec::new()),
        series("gen_ai.client.operation.time_per_output_chunk", "s", chunks - 1, seconds(stream), Vec::new()),
    ];
    let all = samples(&text);
    for expected in &expected {
        assert_sample(&all, expected, &common);
        assert_point(&pushed.points, expected, &common);
    }
    let failure = series(DURATION, "s", 1, seconds(failed), vec![("error.type", error_type)]);
    assert_sample(&all, &failure, &asked);
    assert_point(&pushed.points, &failure, &asked);
    assert_eq!(pushed.points.len(), 6, "{:#?}", pushed.points);

    assert_eq!(pushed.headers["authorization"], OTLP_KEY);
    assert_eq!(pushed.headers["content-type"], "application/x-protobuf");
    assert_eq!(pushed.headers["content-encoding"], "gzip");
    let sent = String::from_utf8_lossy(&pushed.body);
    for secret in ["weir?", "Bonjour", "canary-model", "Rate limit", CALLER_KEY, PROVIDER_KEY, OTLP_KEY] {
        assert!(!text.contains(secret) && !sent.contains(secret), "{secret}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_is_refused_is_made_good_by_the_next_and_spans_do_not_wait_for_it() {
    let stack = pushing().start().await;
    stack.otlp.refuse_metrics(3, 503);
    stack.traced_chat().await;
    stack.traced_chat().await;
    wait::until("the refusals", || stack.otlp.refused_metrics() == 3).await;
    pushed(&stack, 2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_exporter_that_stops_pushes_once_more_and_the_next_counts_only_what_is_new() {
    // Once a day, so what comes is the push at the end.
    let mut stack = Options::default().exporter_env("OTEL_METRIC_EXPORT_INTERVAL", "86400000").start().await;
    stack.traced_chat().await;
    stack.traced_chat().await;
    counted(&stack, 2.0).await;
    assert!(stack.otlp.pushed().is_empty());
    let stopped = stack.exporter.process.stop(GRACE).await.expect("a stop");
    assert!(matches!(stopped, Stopped::Gracefully(status) if status.success()), "{stopped:?}");
    let first = pushed(&stack, 2).await;

    stack.exporter.process.restart().await.expect("the exporter is back");
    stack.traced_chat().await;
    counted(&stack, 1.0).await;
    stack.exporter.process.stop(GRACE).await.expect("a stop");
    wait::until("the last push", || stack.otlp.pushed().len() == 2).await;
    let second = pushed(&stack, 1).await;
    let instance = |pushed: &Pushed| pushed.points[0].resource["service.instance.id"].clone();
    assert_ne!(instance(&first), instance(&second));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_came_while_nats_was_down_is_counted_once_it_is_back() {
    let mut stack = pushing().start().await;
    stack.traced_chat().await;
    counted(&stack, 1.0).await;
    stack.nats.process.kill();
    for _ in 0..5 {
        stack.chat().await;
    }
    stack.nats.process.restart().await.expect("NATS is back");
    counted(&stack, 6.0).await;
    pushed(&stack, 6).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_event_is_acknowledged_and_a_consumer_made_anew_starts_at_what_is_new() {
    let mut stack = pushing().start().await;
    let client = async_nats::connect(stack.nats.url()).await.expect("a connection");
    let jetstream = async_nats::jetstream::new(client);
    for _ in 0..3 {
        stack.traced_chat().await;
    }
    counted(&stack, 3.0).await;
    let look = || async {
        let consumer: PullConsumer =
            jetstream.get_consumer_from_stream("metrics", "WEIR_EVENTS").await.ok()?;
        let info = consumer.cached_info();
        (info.ack_floor.stream_sequence == 3 && info.num_ack_pending == 0).then_some(())
    };
    wait::poll(wait::DEADLINE, look).await.expect("all three are acknowledged");

    stack.exporter.process.stop(GRACE).await.expect("a stop");
    jetstream.delete_consumer_from_stream("metrics", "WEIR_EVENTS").await.expect("it is there");
    stack.exporter.process.restart().await.expect("the exporter is back");
    stack.traced_chat().await;
    counted(&stack, 1.0).await;
}
