//! Whatever is saved runs after a restart, however the start and the news from NATS come together.

use serde_json::{Value, json};
use weir_tests::{
    callers::{client, source::Source},
    fakes::otlp::Endpoint,
    stack::exporter::Exporter,
    system::wait,
};

use super::rig::{SEALING_KEY, SECRET, exporter, get, nats, saved, secretive};

/// The destinations of the configuration, and those of the page.
const FILE: [&str; 3] = ["one", "two", "three"];
const PAGE: [&str; 2] = ["middleware", "other"];

/// How often the exporter starts again.
const RESTARTS: usize = 20;

/// Waits until `status` lists every destination as one that runs, and says of none that it does not.
async fn runs_all(exporter: &Exporter, restart: usize) {
    let all: Vec<&str> = FILE.into_iter().chain(PAGE).collect();
    let status = || async {
        let response = client::http().get(exporter.admin("/status")).send().await.ok()?;
        serde_json::from_slice::<Value>(&response.bytes().await.ok()?).ok()
    };
    let run = wait::poll(wait::DEADLINE, || async {
        let status = status().await?;
        let listed: Vec<_> =
            status["destinations"].as_array()?.iter().filter_map(|one| one["name"].as_str()).collect();
        let off = status["settings"]["off"].as_object()?.len();
        (off == 0 && all.iter().all(|name| listed.contains(name))).then_some(())
    });
    if run.await.is_none() {
        panic!("restart {restart}: {:?}\n{}", status().await, exporter.process.log_end());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_every_restart_all_destinations_run_those_of_the_file_and_those_of_the_page() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let file = FILE.map(|name| format!("{name}: {{ type: otlp, endpoint: '{}' }}", backend.url()));
    let config = format!("destinations: {{ {} }}\n", file.join(", "));
    let mut running = exporter(&nats, &config, Some(SEALING_KEY)).await;
    let middleware = json!({
        "revision": null,
        "settings": { "type": "middleware", "endpoint": backend.url() },
        "secrets": { "key": { "set": SECRET } },
    });
    saved(&running, PAGE[0], middleware).await;
    saved(&running, PAGE[1], secretive(&backend)).await;
    for restart in 0..RESTARTS {
        drop(running);
        running = exporter(&nats, &config, Some(SEALING_KEY)).await;
        runs_all(&running, restart).await;
        let overview = get(&running, "/api/overview").await;
        assert!(!overview["trouble"].to_string().contains("does not run"), "{overview}");
    }
    let metrics = client::http().get(running.admin("/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a body");
    for name in FILE.into_iter().chain(PAGE) {
        let line = format!("weir_exporter_ship_running{{destination=\"{name}\"}} 1");
        assert!(metrics.contains(&line), "{line}\n{metrics}");
    }
    let ids = Source::new().store(&running.url(), 10).await;
    backend.wait_for_events(&ids).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_destination_that_is_saved_and_cannot_run_is_a_trouble_and_a_metric() {
    let (nats, backend) = (nats().await, Endpoint::counting().await);
    let sealed = exporter(&nats, "destinations: {}\n", Some(SEALING_KEY)).await;
    saved(&sealed, "page", secretive(&backend)).await;
    drop(sealed);
    let other =
        exporter(&nats, "destinations: {}\n", Some("b3RoZXIga2V5IG9mIHRlc3RzLCAzMiBieXRlcyEhISE=")).await;
    let told = wait::poll(wait::DEADLINE, || async {
        let overview = get(&other, "/api/overview").await;
        overview["trouble"].to_string().contains("page is saved and cannot run here").then_some(())
    });
    told.await.expect("the trouble is told");
    let metrics = client::http().get(other.admin("/metrics")).send().await.expect("an answer");
    let metrics = metrics.text().await.expect("a body");
    assert!(metrics.contains("weir_exporter_ship_running{destination=\"page\"} 0"), "{metrics}");
}
