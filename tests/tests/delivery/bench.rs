//! The measure of the exporter's speed, in a short form: it accounts for every event and says what it is asked.

use std::path::PathBuf;

use weir_tests::bench::exporter::{Plan, measure};

#[tokio::test(flavor = "multi_thread")]
async fn the_measure_accounts_for_every_event_and_has_its_figures() {
    let plan = Plan { output: PathBuf::new(), events: Some(2000), without_page: false };
    let report = measure(&plan, &|_| {}).await.unwrap_or_else(|error| panic!("{error:#}"));
    let json = report.json();
    for part in ["ingest_events_per_s_per_core", "ship_events_per_s_per_core"] {
        for size in ["1KB", "16KB"] {
            assert!(json[part][size].as_f64().is_some_and(|rate| rate > 0.0), "{part} {size}: {json}");
        }
    }
    assert!(json["backlog_rss_mib"].as_f64().is_some_and(|mib| mib > 1.0), "{json}");
    assert_eq!(json["backlog_events"], 2000 + 2048);
    for row in &report.rows {
        assert_eq!((row.ingest.events, row.ship.events), (2000, 2000 + 2048));
        assert!(row.sent_bytes > 100, "{row:?}");
    }
    assert_eq!(report.table().lines().count(), 6);
}
