//! Metrics beside the spans: pushed by each destination's own protocol, and no part of any ledger.

use weir_tests::{
    callers::source::Source,
    fakes::otlp::Endpoint,
    stack::exporter::{Exporter, Options},
    system::wait,
    telemetry::metrics,
};

use super::rig::{self, QUICK, settled, status};

const DURATION: &str = "gen_ai.client.operation.duration";

/// The media types that metrics came as.
fn kinds(backend: &Endpoint) -> Vec<String> {
    let mut kinds: Vec<_> = backend.pushed().into_iter().map(|push| push.kind).collect();
    kinds.sort();
    kinds.dedup();
    kinds
}

/// How many operations the last push holds.
fn operations(backend: &Endpoint) -> u64 {
    let last = backend.pushed().pop().map(|push| push.points).unwrap_or_default();
    last.iter().filter(|point| point.name == DURATION).map(|point| point.count).sum()
}

async fn pushed(backend: &Endpoint, count: u64) {
    wait::until("the pushes", || operations(backend) == count).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_go_where_each_destination_says_by_its_own_protocol_and_a_reload_changes_that() {
    let nats = rig::nats().await;
    let (proto, json, grpc) =
        (Endpoint::counting().await, Endpoint::counting().await, Endpoint::counting().await);
    let elsewhere = Endpoint::counting().await;
    let config = |of_json: &str| {
        format!(
            "{QUICK}destinations:
  proto: {{ type: otlp, endpoint: \"{}\" }}
  json: {{ type: otlp, endpoint: \"{}\", protocol: http/json, metrics: {of_json} }}
  grpc: {{ type: otlp, endpoint: \"http://{}\", protocol: grpc }}
",
            proto.url(),
            json.url(),
            grpc.address(),
        )
    };
    let env = [("OTEL_METRIC_EXPORT_INTERVAL".to_owned(), "100".into())];
    let yaml = config(&format!("\"http://{}/v1/metrics\"", elsewhere.address()));
    let options = Options { config: Some(&yaml), env: &env, ..Options::default() };
    let mut exporter = Exporter::with(&nats.url(), &options).await.unwrap_or_else(|error| panic!("{error}"));

    // One of them is larger than NATS takes, and so compressed.
    Source::new().store(&exporter.url(), 20).await;
    Source::new().of_bytes(2 << 20).store(&exporter.url(), 1).await;
    for backend in [&proto, &elsewhere, &grpc] {
        pushed(backend, 21).await;
    }
    assert!(json.pushed().is_empty());
    assert_eq!(kinds(&proto), ["application/x-protobuf"]);
    assert_eq!(kinds(&elsewhere), ["application/json"]);
    assert_eq!(kinds(&grpc), ["application/grpc"]);
    let samples = metrics::samples(&rig::metrics(&exporter).await);
    assert!(
        samples.iter().any(
            |sample| sample.name == "weir_exporter_ingest_events_compressed_total" && sample.value == 1.0
        )
    );

    exporter.configure(&config("false")).expect("a file");
    wait::until("the reload", || exporter.process.log().contains("read again and applies")).await;
    let before = elsewhere.pushed().len();
    Source::new().store(&exporter.url(), 4).await;
    pushed(&proto, 25).await;
    pushed(&grpc, 25).await;
    assert_eq!((elsewhere.pushed().len(), operations(&elsewhere)), (before, 21));

    // The consumer of the metrics is no destination, and has no ledger.
    for name in ["proto", "json", "grpc"] {
        settled(&exporter, name, 25).await;
    }
    let told = status(&exporter).await;
    assert_eq!(told["destinations"].as_array().map(Vec::len), Some(3), "{told}");
    exporter.process.stop(std::time::Duration::from_secs(20)).await.expect("a stop");
}
