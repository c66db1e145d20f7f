//! A destination whose content an external recognizer searches first.

use axum::{Json, Router, routing::post};
use serde_json::{Value, json};
use weir_tests::{
    callers::source::Source,
    fakes::{otlp::Endpoint, server::Server},
};

use super::rig::{self, QUICK, condition, settled};

const NAME: &str = "Canary-Lee-77ab";

/// Answers as Presidio analyzer does: a person, in code points.
async fn analyze(Json(asked): Json<Value>) -> Json<Value> {
    let text = asked["text"].as_str().unwrap_or_default();
    let found = text.match_indices(NAME).map(|(at, name)| {
        let start = text.split_at(at).0.chars().count();
        json!({"entity_type": "PERSON", "start": start, "end": start + name.chars().count(), "score": 0.85})
    });
    Json(found.collect())
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_searched_is_not_shipped_and_comes_once_the_recognizer_is_back() {
    let (nats, searched) = (rig::nats().await, Endpoint::counting().await);
    let (bare, whole) = (Endpoint::counting().await, Endpoint::counting().await);
    let recognizer = Server::start(Router::new().route("/analyze", post(analyze))).await;
    recognizer.stop().await;
    let url = format!("http://{}", recognizer.address());
    let config = format!(
        "{QUICK}destinations:
  searched: {{ type: otlp, endpoint: \"{}\", recognizer: {{ url: \"{url}\" }} }}
  bare: {{ type: otlp, endpoint: \"{}\", recognizer: {{ url: \"{url}\", when_away: exclude_content }} }}
  whole: {{ type: otlp, endpoint: \"{}\" }}
",
        searched.url(),
        bare.url(),
        whole.url(),
    );
    let exporter = rig::exporter(&nats.url(), &config).await;
    for endpoint in [&searched, &bare, &whole] {
        endpoint.look_for(NAME);
    }
    let ids = Source::new().saying(&format!("é I am {NAME}")).store(&exporter.url(), 100).await;
    whole.wait_for_events(&ids).await;
    bare.wait_for_events(&ids).await;
    condition(&exporter, "searched", "retrying").await;
    assert_eq!((searched.events(), bare.leaked(), whole.leaked()), (0, false, true));
    recognizer.restart().await;
    searched.wait_for_events(&ids).await;
    let ledger = settled(&exporter, "searched", 100).await;
    assert_eq!(ledger.delivered, 100);
    assert!(!searched.leaked());
    let log = exporter.process.log();
    assert!(log.contains("the recognizer cannot be reached") && !log.contains(NAME), "{log}");
}
