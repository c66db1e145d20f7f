//! The short forms of `make bench` and `make soak`: they run whole and say all that they should. No figure decides.

#![allow(clippy::expect_used, clippy::panic, reason = "tests fail by panicking")]

use std::{path::PathBuf, time::Duration};

use serde_json::Value;
use weir_tests::{
    bench::gateway::{self, Plan},
    soak,
};

/// Every figure of the summary that others read.
const FIGURES: [&str; 31] = [
    "/throughput/1KB/bare_rps",
    "/throughput/1KB/noop_rps",
    "/throughput/1KB/weir_rps",
    "/throughput/1KB/ratio",
    "/throughput/10KB/bare_rps",
    "/throughput/10KB/noop_rps",
    "/throughput/10KB/weir_rps",
    "/throughput/10KB/ratio",
    "/throughput/100KB/bare_rps",
    "/throughput/100KB/noop_rps",
    "/throughput/100KB/weir_rps",
    "/throughput/100KB/ratio",
    "/throughput/1KB/cpu_us/bare",
    "/throughput/10KB/cpu_us/noop",
    "/throughput/100KB/cpu_us/weir",
    "/concurrency/1/weir_rps",
    "/concurrency/1/cpu_us/bare",
    "/half_load/rate_rps",
    "/half_load/added_p50_ms",
    "/half_load/added_p99_ms",
    "/half_load/bare_p50_ms",
    "/half_load/bare_p99_ms",
    "/stream/concurrent",
    "/stream/added_first_token_ms",
    "/stream/added_chunk_us",
    "/memory/wasm_mib",
    "/memory/envoy_rss_mib",
    "/events/created",
    "/events/accepted",
    "/events/dropped_outbox_full",
    "/throughput/1KB/noop_ratio",
];

/// As `weir-bench` does it: an answer that is missing or not 200 is an error.
#[tokio::test]
async fn the_bench_gets_every_request_answered_and_tells_every_figure() {
    let plan = Plan {
        rounds: 1,
        each: Duration::from_secs(1),
        connections: 4,
        concurrency: vec![1],
        streams: 4,
        out: PathBuf::new(),
    };
    let summary = gateway::run(&plan, |line| println!("{line}")).await.expect("every request is answered");
    println!("{}", summary.table());
    let picture = gateway::picture::svg(&summary);
    assert_eq!(
        picture.matches("<rect class=\"weir\"").count(),
        5,
        "a bar for each size and one for its name"
    );
    let json = summary.json();
    for figure in FIGURES {
        let value = json.pointer(figure).and_then(Value::as_f64);
        assert!(value.is_some_and(f64::is_finite), "{figure} is {value:?} in {json:#}");
    }
    for figure in FIGURES.iter().filter(|figure| figure.ends_with("_rps") || figure.starts_with("/memory")) {
        assert!(json.pointer(figure).and_then(Value::as_f64).is_some_and(|value| value > 0.0), "{figure}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_soak_loses_nothing_and_draws_what_it_saw() {
    let dir = tempfile::tempdir().expect("a directory");
    let settings = soak::Settings {
        length: Duration::from_secs(6),
        rate: 40,
        seed: 1,
        every: Duration::from_secs(1),
        out: dir.path().to_owned(),
        exporter: None,
    };
    let report = soak::run(&settings, |line| println!("{line}")).await.expect("it runs");
    println!("{}", report.text);
    assert!(report.whole, "{}", report.text);
    let csv = std::fs::read_to_string(dir.path().join("soak.csv")).expect("soak.csv");
    assert!(csv.lines().count() > 1, "{csv}");
    let svg = std::fs::read_to_string(dir.path().join("soak.svg")).expect("soak.svg");
    assert!(svg.contains("<polyline") || svg.contains("<path"), "{svg}");
}
