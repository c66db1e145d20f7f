//! A provider's 401 and 403: what is about the gateway's own credentials is withheld and told, and what is
//! about the request goes to the caller.

use weir_tests::{
    callers::client::Trace,
    fakes::provider::Answer,
    stack::{Answered, Options, Upstream},
    telemetry::spans::named,
};

use crate::setting::{Attempt, attempt_spans, attempts, chat, server};

const MODERATED: &str = r#"{"error":{"code":403,"message":"Input was flagged by moderation.","metadata":{"reasons":["violence"]}}}"#;
const BAD_KEY: &str = r#"{"error":{"message":"Incorrect key of ann@example.com.","type":"invalid_request_error","code":"invalid_api_key"}}"#;
const REDACTION: &str = "redaction: { exported: { content: redact, detectors: [email] } }";

#[tokio::test(flavor = "multi_thread")]
async fn a_403_about_the_request_is_the_callers_and_one_about_the_key_is_withheld_and_told() {
    let models = "{ m: { targets: [{ provider: a }] } }";
    let upstreams = [Upstream::openai("a", "/of-a/v1")];
    let stack = Options::default().upstreams(upstreams).models(models).with(REDACTION).start().await;
    for size in [10, 1000] {
        stack.provider.answers_once(Answer::text(MODERATED).status(403).in_pieces_of(size));
        let answered = stack.send(chat("m").to_string()).await;
        assert_eq!((answered.status, &answered.body[..]), (403, MODERATED.as_bytes()));
        assert_eq!(answered.header("x-weir-trace-id"), answered.trace.trace_id);
        let all = stack.otlp.wait_for(&answered.trace).await;
        assert_eq!(attempts(&all), [Attempt::with("a", 403)]);
        assert_eq!(server(&all).attribute("http.response.status_code"), 403);
        assert!(format!("{:?}", named(&all, "chat m")).contains("flagged by moderation"));
    }
    for (status, size) in [(401, 10), (401, 1000), (403, 10), (403, 1000)] {
        stack.provider.answers_once(Answer::text(BAD_KEY).status(status).in_pieces_of(size));
        let answered = stack.send(chat("m").to_string()).await;
        assert_eq!(answered.status, 502);
        assert_eq!(answered.json()["error"]["code"], "provider_auth");
        assert!(!String::from_utf8_lossy(&answered.body).contains("Incorrect"));
        let all = stack.otlp.wait_for(&answered.trace).await;
        assert_eq!(attempts(&all), [Attempt::with("a", status.into())]);
        assert_eq!(attempt_spans(&all)[0].attribute("weir.attempt.error"), "invalid_api_key");
        assert_eq!(named(&all, "chat m").attribute("error.type"), "provider_auth");
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_403_is_searched_before_it_is_returned_and_told_in_the_api_that_was_called() {
    let returned = "redaction: { returned: { action: mask, detectors: [email] } }";
    let models = "{ m: { targets: [{ provider: a }] } }";
    let stack = Options::default()
        .upstreams([Upstream::new("a", "anthropic", "")])
        .models(models)
        .with(returned)
        .start()
        .await;
    let error = |kind: &str, message: &str| {
        let body = format!(r#"{{"type":"error","error":{{"type":"{kind}","message":"{message}"}}}}"#);
        Answer::text(body).status(403).in_pieces_of(25)
    };
    let send = async || {
        let trace = Trace::new();
        let body = r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"Where?"}]}"#;
        Answered::to(trace.clone(), stack.post("/v1/messages", &trace, body)).await
    };
    stack.provider.answers_once(error("permission_error", "Not for ann@example.com."));
    let answered = send().await;
    assert_eq!(
        (answered.status, answered.json()["error"]["message"].as_str()),
        (403, Some("Not for [EMAIL]."))
    );
    stack.provider.answers_once(error("permission_error", "Your API key does not have permission."));
    let answered = send().await;
    assert_eq!(answered.status, 502);
    let told = answered.json();
    assert_eq!(told["type"], "error");
    assert!(!told.to_string().contains("permission."), "{told}");
}
