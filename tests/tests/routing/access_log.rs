//! Envoy's access log, as gateway.yaml asks for it.

use serde_json::Value;
use weir_tests::{
    callers::client::Trace,
    fakes::provider::Answer,
    stack::{Answered, Options},
    system::{process::Stopped, wait},
};

use crate::setting::{chat, three};

const KEY: &str = "sk-in-the-query-canary-3b9a";

#[tokio::test(flavor = "multi_thread")]
async fn every_request_is_one_line_of_json_without_a_query() {
    let models = "{ m: { targets: [{ provider: a, model: of-a }, { provider: b, model: of-b }] } }";
    let dir = tempfile::TempDir::new().expect("a directory");
    let file = dir.path().join("access.log");
    for (place, log) in [("stdout".to_owned(), None), (file.display().to_string(), Some(file))] {
        let options = Options::default().upstreams(three()).models(models);
        let mut stack = options.with(&format!("access_log: {place}")).start().await;
        stack.provider.answers(Answer::error(503));
        let ask = async |path: &str, body: String| {
            let trace = Trace::new();
            Answered::to(trace.clone(), stack.post(&format!("{path}?key={KEY}&x=1"), &trace, body)).await
        };
        let body = chat("m").to_string();
        let answered = ask("/v1/chat/completions", body.clone()).await;
        assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"));
        assert_eq!(ask("/v1/nowhere", String::new()).await.status, 404);
        let refused = ask("/v1/chat/completions", chat("nope").to_string()).await;

        assert!(matches!(stack.envoy.process.stop(wait::DEADLINE).await, Ok(Stopped::Gracefully(_))));
        let text = match log {
            Some(file) => std::fs::read_to_string(file).expect("the access log"),
            None => stack.envoy.process.log(),
        };
        let lines: Vec<Value> = text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
        assert_eq!(lines.len(), 3, "{text}");
        for line in &lines {
            assert!(!line.to_string().contains(['?']) && !line.to_string().contains(KEY), "{line}");
            assert_eq!((&line["method"], &line["client"]), (&"POST".into(), &"127.0.0.1".into()), "{line}");
            assert!(
                line["time"].is_string() && line["duration_ms"].is_u64() && line["bytes_sent"].is_u64(),
                "{line}"
            );
        }
        let line = &lines[0];
        assert_eq!((&line["status"], &line["attempts"]), (&200.into(), &2.into()), "{line}");
        assert_eq!(line["path"], "/of-b/v1/chat/completions", "{line}");
        assert_eq!(line["target"], "b/of-b");
        assert_eq!(line["upstream"], stack.other("b").address().to_string());
        assert_eq!(
            (&line["trace_id"], &line["bytes_received"]),
            (&answered.trace.trace_id.into(), &body.len().into())
        );
        assert_eq!((&lines[1]["status"], &lines[1]["path"]), (&404.into(), &"/v1/nowhere".into()));
        assert_eq!(
            (&lines[2]["status"], &lines[2]["trace_id"]),
            (&404.into(), &refused.trace.trace_id.into())
        );
        assert_eq!(
            (&lines[2]["path"], &lines[2]["upstream"]),
            (&"/v1/chat/completions".into(), &Value::Null)
        );
    }
}
