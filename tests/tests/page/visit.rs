//! A first visit, from nothing to a request that has arrived: through a real Envoy.

use fantoccini::key::Key;
use serde_json::json;
use weir_tests::{
    callers::browser::Browser,
    fakes::otlp::Endpoint,
    stack::{OTLP_KEY, Options, question},
    system::wait,
};

use crate::rig::SEALING;

const WORDS: &str = "canary of what was said";

#[tokio::test]
async fn a_first_visitor_adds_middleware_sees_a_request_delivered_keeps_content_in_and_is_told_of_another_visitor()
 {
    let options = Options::default()
        .without_destination()
        .with("redaction: { exported: { content: keep } }")
        .exporter_env("WEIR_SETTINGS_KEY", SEALING);
    let stack = options.start().await;
    let endpoint = Endpoint::start().await;
    endpoint.require_key(OTLP_KEY);
    let browser = Browser::start().await;
    browser.open(&stack.exporter.page("/")).await;
    browser.reads("No request has come yet.").await;

    // Middleware, with a wrong key first.
    browser.click("a", "OTEL Config").await;
    browser.click("a", "Add a destination").await;
    browser.enter("Tenant", "acme").await;
    browser.enter("API key", "mw-wrong-key-5512").await;
    browser.click("summary", "More").await;
    browser.enter("Base URL in place of the tenant's", &format!("http://{}", endpoint.address())).await;
    browser.click("button", "Test").await;
    browser.reads("It does not work.").await;
    browser.reads("HTTP 401").await;
    browser.reads("this key is not known here").await;
    browser.enter("API key", OTLP_KEY).await;
    browser.click("button", "Test").await;
    browser.reads("It works.").await;
    browser.click("button", "Save").await;
    browser.reads("middleware is saved and takes effect now").await;
    browser.reads("delivering").await;
    browser.reads("created middleware").await;
    assert!(!browser.text().await.contains(OTLP_KEY));

    // A request arrives by itself, is delivered, and can be read.
    browser.click("a", "Overview").await;
    let mut body = question();
    body["messages"][0]["content"] = json!(WORDS);
    let answered = stack.send(body.to_string()).await;
    assert_eq!(answered.status, 200);
    let spans = endpoint.wait_for(&answered.trace).await;
    assert!(format!("{spans:?}").contains(WORDS));
    browser.reads("All is well.").await;
    browser.reads("1 delivered").await;
    browser.click("a", "Traces").await;
    browser.find(".t-done .done").await;
    browser.find(".rows .tr").await.click().await.expect("a click");
    browser.reads(&answered.trace.trace_id).await;
    browser.reads(WORDS).await;

    // From the switch on nothing of what is said leaves: what comes is stripped before it is stored.
    browser.click("a", "OTEL Config").await;
    let switch = browser.labelled("Exclude request data everywhere").await;
    switch.click().await.expect("a click");
    browser.reads("Content is excluded now.").await;
    let answered = stack.send(body.to_string()).await;
    let spans = endpoint.wait_for(&answered.trace).await;
    assert!(!format!("{spans:?}").contains(WORDS), "{spans:?}");
    browser.click("a", "Traces").await;
    browser
        .labelled("Text of ids, user or path")
        .await
        .send_keys(&answered.trace.trace_id)
        .await
        .expect("keys");
    browser.reads("1 of ").await;
    browser.find(".rows .tr").await.click().await.expect("a click");
    browser.reads(&answered.trace.trace_id).await;
    browser.reads("No content was captured.").await;

    // Two windows: the second to save is told, and nothing is lost.
    let address = stack.exporter.page("/#/settings/middleware");
    browser.open(&address).await;
    browser.labelled("Tenant").await;
    let first = browser.client.window().await.expect("a window");
    let second = browser.client.new_window(true).await.expect("a window").handle;
    browser.client.switch_to_window(second).await.expect("the second");
    browser.open(&address).await;
    browser.enter("Tenant", "second").await;
    browser.click("button", "Save").await;
    browser.reads("middleware is saved").await;
    browser.client.switch_to_window(first).await.expect("the first");
    browser.enter("Tenant", "first").await;
    browser.click("button", "Save").await;
    browser.reads("Somebody else changed this meanwhile").await;
    browser.reads("Yours and theirs differ in: tenant").await;
    browser.click("button", "Load theirs").await;
    let theirs = || async {
        let tenant = browser.labelled("Tenant").await.prop("value").await.ok()??;
        (tenant == "second").then_some(())
    };
    wait::poll(wait::DEADLINE, theirs).await.expect("their tenant");
    browser.press(Key::Escape).await;
    let complaints = browser.complaints().await;
    let own: Vec<_> =
        complaints.iter().filter(|line| !line.contains("409") && !line.contains("422")).collect();
    assert!(own.is_empty(), "{own:?}");
}
