//! Whose host a span shows: that of the Envoy which served the request, wherever the exporter runs.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{
    collections::{BTreeMap, BTreeSet},
    ffi::OsString,
    time::Duration,
};

use bytes::Bytes;
use prost::Message as _;
use serde_json::Value;
use weir_event::v1::{EventBatch, TraceEvent};
use weir_tests::{
    callers::{
        client::{self, Trace},
        source::{Batch, Source},
    },
    fakes::{otlp::Endpoint, provider::Provider},
    stack::{
        envoy::{self, Addresses, Envoy, Kind},
        exporter::{self, Exporter},
        nats::Nats,
        question,
    },
    system::wait,
    telemetry::spans::Span,
};

/// What says where a process runs.
const PLACES: [&str; 6] = ["host.", "container.", "k8s.", "cloud.", "os.", "service.instance.id"];

/// Variables of the exporter's environment, which are on no span of a gateway that says where it runs.
const EXPORTERS: [(&str, &str); 4] = [
    ("POD_NAME", "exporter-pod"),
    ("NODE_NAME", "exporter-node"),
    ("OTEL_SERVICE_NAME", "gateway"),
    ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=prod,k8s.pod.uid=exporter-uid"),
];

type Attributes = BTreeMap<String, Value>;

fn env(pairs: &[(&str, &str)]) -> Vec<(String, OsString)> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), value.into())).collect()
}

fn attributes(pairs: &[(&str, &str)]) -> Attributes {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).into())).collect()
}

/// What a resource says of where a process runs, and of Envoy's node.
fn place(span: &Span) -> Attributes {
    let is_place =
        |name: &str| name.starts_with("weir.envoy.") || PLACES.iter().any(|prefix| name.starts_with(prefix));
    span.resource
        .iter()
        .filter(|(name, _)| is_place(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

async fn nats() -> Nats {
    Nats::start().await.unwrap_or_else(|error| panic!("{error}"))
}

/// An exporter that puts what comes within a second into one export.
async fn exporter(nats: &Nats, otlp: &Endpoint) -> Exporter {
    let config = format!(
        "batch: {{ events: 512, delay: 1s }}\nretry: {{ first: 20ms, longest: 200ms }}\nstream: {{ max_bytes: 256MiB }}\n\
         destinations:\n  d: {{ type: otlp, endpoint: \"http://{}\" }}\n",
        otlp.address()
    );
    let env = env(&EXPORTERS);
    let options = exporter::Options { env: &env, config: Some(&config), ..exporter::Options::default() };
    Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"))
}

fn routing(provider: &Provider, exporter: &Exporter) -> impl Fn(Addresses) -> String + use<> {
    let (provider, exporter) = (provider.address(), exporter.url());
    move |addresses| {
        format!(
            "listen: {}\nadmin: {}\nproviders: {{ openai: {{ api: openai, url: \"http://{provider}/v1\" }} }}\n\
             models: {{ gpt-4o: {{ targets: [{{ provider: openai }}] }} }}\nexporter: {{ url: \"{exporter}\" }}\n",
            addresses.listen, addresses.admin
        )
    }
}

fn options(env: &[(String, OsString)], kind: Kind) -> envoy::Options<'_> {
    envoy::Options { env, kind, ..envoy::Options::default() }
}

fn up(envoy: anyhow::Result<Envoy>) -> Envoy {
    envoy.unwrap_or_else(|error| panic!("{error}"))
}

async fn ask(envoy: &Envoy) -> Trace {
    let trace = Trace::new();
    let url = format!("http://{}/v1/chat/completions", envoy.addresses.listen);
    let request = client::http()
        .post(url)
        .header("content-type", "application/json")
        .header("traceparent", trace.parent())
        .body(question().to_string());
    let response = request.send().await.expect("an answer");
    assert_eq!(response.status(), 200, "{}", envoy.process.log_end());
    response.bytes().await.expect("a body");
    trace
}

async fn stored(exporter: &Exporter, count: u64) {
    let look = || async {
        let response = client::http().get(exporter.admin("/status")).send().await.ok()?;
        let status: Value = serde_json::from_slice(&response.bytes().await.ok()?).ok()?;
        (status["ingest"]["stored"] == count).then_some(())
    };
    assert!(wait::poll(wait::DEADLINE, look).await.is_some(), "{}", exporter.process.log_end());
}

#[tokio::test(flavor = "multi_thread")]
async fn each_gateways_spans_show_its_own_place_in_one_export_and_after_a_restart_of_the_exporter() {
    let (nats, otlp, provider) = (nats().await, Endpoint::start().await, Provider::start().await);
    let mut before = exporter(&nats, &otlp).await;
    let yaml = routing(&provider, &before);
    let in_a = [
        ("HOSTNAME", "host-a"),
        ("POD_NAME", "pod-a"),
        ("POD_NAMESPACE", "ns-a"),
        ("POD_UID", "uid-a"),
        ("NODE_NAME", "node-a"),
        ("CONTAINER_ID", "container-a"),
        ("DEPLOYMENT_NAME", "deployment-a"),
    ];
    let a = up(Envoy::start(&options(&env(&in_a), Kind::OfNode("edge-a")), &yaml).await);
    // As it is rendered, all have one node id, which says nothing.
    let in_b = [("HOSTNAME", "host-b"), ("OTEL_RESOURCE_ATTRIBUTES", "host.id=id-b,service.name=not-ours")];
    let b = up(Envoy::start(&options(&env(&in_b), Kind::Whole), &yaml).await);
    let observed = |_| format!("mode: observe\nexporter: {{ url: \"{}\" }}\n", before.url());
    let kind = Kind::Observing(provider.address());
    let c = up(Envoy::start(&options(&env(&[("POD_NAME", "pod-c")]), kind), observed).await);

    otlp.refuse_next(usize::MAX, 503);
    let mut traces = Vec::new();
    for envoy in [&a, &b, &c, &a, &b] {
        traces.push(ask(envoy).await);
    }
    stored(&before, 5).await;
    before.process.stop(Duration::from_secs(10)).await.expect("it ends");
    otlp.refuse_next(0, 503);
    let _after = exporter(&nats, &otlp).await;

    let place_a = attributes(&[
        ("container.id", "container-a"),
        ("host.name", "host-a"),
        ("k8s.deployment.name", "deployment-a"),
        ("k8s.namespace.name", "ns-a"),
        ("k8s.node.name", "node-a"),
        ("k8s.pod.name", "pod-a"),
        ("k8s.pod.uid", "uid-a"),
        ("service.instance.id", "edge-a"),
        ("weir.envoy.node.id", "edge-a"),
    ]);
    let place_b =
        attributes(&[("host.id", "id-b"), ("host.name", "host-b"), ("service.instance.id", "host-b")]);
    let place_c = attributes(&[
        ("cloud.region", "eu"),
        ("host.id", "i-07"),
        ("k8s.deployment.name", "chat"),
        ("k8s.namespace.name", "shop"),
        ("k8s.pod.name", "pod-c"),
        ("service.instance.id", "proxy"),
        ("weir.envoy.node.cluster", "proxy"),
        ("weir.envoy.node.id", "proxy"),
    ]);
    let places = [&place_a, &place_b, &place_c, &place_a, &place_b];
    for (trace, expected) in traces.iter().zip(places) {
        let spans = otlp.wait_for(trace).await;
        assert!(spans.len() > 1, "{spans:?}");
        for span in spans {
            assert_eq!(&place(&span), expected, "{}", span.name);
            assert_eq!(span.resource["service.name"], "gateway");
            assert_eq!(span.resource["deployment.environment.name"], "prod");
        }
    }
    // What was refused showed the same, and one export held all three, each resource once.
    let mut most = 0;
    for received in otlp.received() {
        let all = weir_tests::telemetry::spans::flatten(&received.export);
        assert!(all.iter().all(|span| places.contains(&&place(span))), "{all:?}");
        let distinct: BTreeSet<String> = all.iter().map(|span| format!("{:?}", span.resource)).collect();
        assert_eq!(distinct.len(), received.export.resource_spans.len(), "one for each resource");
        most = most.max(distinct.len());
    }
    assert_eq!(most, 3);
    for envoy in [&a, &b, &c] {
        assert!(!envoy.process.log().contains("[critical]"), "{}", envoy.process.log_end());
    }
}

/// What the exporter's page answers.
async fn page(exporter: &Exporter, path: &str) -> Value {
    let response =
        client::http().get(exporter.page(path)).header("x-weir-page", "1").send().await.expect("an answer");
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}

/// A batch of this source whose events and resource are changed, with further bytes behind it.
fn changed(source: &mut Source, change: impl Fn(&mut EventBatch), more: &[u8]) -> Batch {
    let Batch { ids, body } = source.batch(2);
    let mut batch = EventBatch::decode(body).expect("a batch");
    change(&mut batch);
    Batch { ids, body: [&batch.encode_to_vec(), more].concat().into() }
}

async fn spans_of(otlp: &Endpoint, ids: &[String]) -> Vec<Span> {
    let of_ids = |span: &Span| ids.iter().any(|id| span.attribute("weir.event.id") == id.as_str());
    let look = || async {
        let spans = otlp.spans();
        let servers: Vec<_> =
            spans.iter().filter(|span| of_ids(span)).map(|span| span.trace_id.clone()).collect();
        let own = || spans.iter().filter(|span| servers.contains(&span.trace_id)).cloned().collect();
        (servers.len() == ids.len()).then(own)
    };
    wait::poll(wait::DEADLINE, look).await.unwrap_or_else(|| panic!("the spans of {ids:?} did not come"))
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_gateway_says_of_itself_is_bounded_and_an_older_one_that_says_nothing_still_works() {
    let (nats, otlp) = (nats().await, Endpoint::start().await);
    let exporter = exporter(&nats, &otlp).await;

    let ids = Source::new().store(&exporter.url(), 2).await;
    for span in spans_of(&otlp, &ids).await {
        assert_eq!(span.resource["k8s.pod.name"], "exporter-pod", "as before gateways said it");
        assert!(span.resource["host.name"].is_string());
    }

    let honest = |batch: &mut EventBatch| {
        batch.resource = [("host.name".to_owned(), "envoy-host".to_owned())].into();
    };
    let mut source = Source::new();
    let ids = changed(&mut source, honest, &[]);
    ids.store(&exporter.url()).await;
    for span in spans_of(&otlp, &ids.ids).await {
        assert_eq!(place(&span), attributes(&[("host.name", "envoy-host")]));
    }

    let trace = page(&exporter, "/api/traces").await["requests"][0]["id"].as_str().expect("an id").to_owned();
    let download = page(&exporter, &format!("/api/traces/{trace}/otlp")).await;
    let shown = download["resourceSpans"][0]["resource"].to_string();
    assert!(
        shown.contains("envoy-host") && !shown.contains("exporter-pod"),
        "the page says the same: {shown}"
    );

    let lying = |batch: &mut EventBatch| {
        honest(batch);
        for (name, value) in [("service.name", "lie"), ("mw.account_key", "lie"), ("project.name", "lie")] {
            batch.resource.insert(name.to_owned(), value.to_owned());
        }
        batch.resource.insert("host.id".to_owned(), "x".repeat(100_000));
        batch.resource.insert(format!("host.{}", "x".repeat(1000)), "lie".to_owned());
        batch.resource.extend((0..1000).map(|n| (format!("k8s.pod.label.{n}"), "v".to_owned())));
        for event in &mut batch.events {
            let mut own = TraceEvent::decode(event.clone()).expect("an event");
            own.resource = [("host.name", "lie"), ("service.name", "lie"), ("host.type", "lie")]
                .map(|(name, value)| (name.to_owned(), value.to_owned()))
                .into();
            *event = Bytes::from(own.encode_to_vec());
        }
    };
    // Field 4, `host.arch` and a value that is not UTF-8.
    let no_text = b"\x22\x0e\x0a\x09host.arch\x12\x01\xff";
    let batch = changed(&mut source, lying, no_text);
    let (status, answer) = batch.post(&exporter.url()).await.expect("an answer");
    assert_eq!((status, answer.stored.len()), (200, 2), "never the batch");
    for span in spans_of(&otlp, &batch.ids).await {
        assert_eq!(span.resource["service.name"], "gateway");
        assert!(!format!("{:?}", span.resource).contains("lie"), "{:?}", span.resource);
        assert_eq!(place(&span).len(), 32);
        assert_eq!(place(&span)["host.name"], "envoy-host");
        assert!(span.resource.values().all(|value| value.to_string().len() < 300));
    }
    let metrics = client::http().get(exporter.admin("/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("text");
    // Three names, two that are too long, all but 31 labels, one that is no text; three of each event.
    let dropped = 3 + 2 + (1000 - 31) + 1 + 2 * 3;
    assert!(
        metrics.contains(&format!("weir_exporter_ingest_resource_attributes_dropped_total {dropped}")),
        "{metrics}"
    );
}
