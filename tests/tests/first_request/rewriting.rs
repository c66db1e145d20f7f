//! What the provider receives: its own path, host, key and model, and nothing of the caller's that
//! is not its business.

use serde_json::json;
use weir_tests::{
    callers::client::{self, Trace},
    stack::{CALLER_KEY, Options, PROVIDER_KEY, Stack, question},
    telemetry::spans::named,
};

#[tokio::test(flavor = "multi_thread")]
async fn the_provider_gets_its_own_path_host_and_key_and_none_of_the_callers_credentials() {
    let stack = Options::default().provider_path("/some/prefix/v1").start().await;
    let request = stack
        .request(&Trace::new(), question().to_string())
        .header("accept-encoding", "gzip, br")
        .header("x-api-key", CALLER_KEY)
        .header("api-key", CALLER_KEY)
        .header("x-goog-api-key", CALLER_KEY)
        .header("cookie", format!("session={CALLER_KEY}"))
        .header("openai-organization", "org-of-the-caller")
        .header("x-weir-anything", "1")
        .header("x-envoy-max-retries", "3")
        .header("x-request-id", "chosen-by-the-caller")
        .header("x-forwarded-for", "192.0.2.7")
        .header("user-agent", "a-client/1.0");
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let received = stack.provider.last().await;
    assert_eq!(received.method, "POST");
    assert_eq!(received.path, "/some/prefix/v1/chat/completions");
    assert_eq!(received.header("host"), Some(stack.provider.address().to_string().as_str()));
    assert_eq!(received.header("authorization"), Some(format!("Bearer {PROVIDER_KEY}").as_str()));
    assert_eq!(received.header("content-type"), Some("application/json"));
    assert_eq!(received.header("user-agent"), Some("a-client/1.0"));
    for name in [
        "x-api-key",
        "api-key",
        "x-goog-api-key",
        "cookie",
        "accept-encoding",
        "openai-organization",
        "x-request-id",
        "x-forwarded-for",
        "x-forwarded-proto",
    ] {
        assert_eq!(received.header(name), None, "{name}");
    }
    for (name, value) in &received.headers {
        assert!(!name.as_str().starts_with("x-weir-") && !name.as_str().starts_with("x-envoy-"), "{name}");
        assert!(!value.to_str().expect("text").contains(CALLER_KEY), "{name}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_reaches_the_provider_byte_for_byte_but_for_the_models_name() {
    let stack = Stack::start().await;
    // In each, `@` stands for the model that is asked for, a JSON string with its quotes.
    let bodies = [
        r#"{"model":@,"messages":[]}"#,
        "{ \"messages\" : [ {\"role\":\"user\",\n\t\"content\":\"Grüße 🌊 \\u00e9 \\\"q\\\" \\/\"} ] ,\r\n \"model\"\t:  @  }  \n",
        r#"{"metadata":{"model":"gpt-4o","deep":[{"model":"x"}]},"messages":[{"role":"user","content":"\"model\":\"gpt-4o\""}],"model":@,"seed":12345678901234567890,"temperature":1.0e-0}"#,
        r#"{"messages":[],"x":{"Model":"gpt-4o"},"mod\u0065l":@}"#,
    ];
    for (body, asked) in bodies.iter().flat_map(|body| [(body, r#""gpt-4o""#), (body, r#""gpt\u002d4o""#)]) {
        let answered = stack.send(body.replace('@', asked)).await;
        assert_eq!(answered.status, 200, "{body}: {answered:?}");
        let received = stack.provider.last().await;
        let expected = body.replace('@', r#""gpt-4o-2024-11-20""#);
        assert_eq!(String::from_utf8_lossy(&received.body), expected);
        assert_eq!(received.header("content-length").unwrap_or("none"), expected.len().to_string());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_body_reaches_the_provider_whole() {
    let stack = Stack::start().await;
    let content = "wort ".repeat(400_000);
    let mut body = question();
    body["messages"][0]["content"] = json!(content);
    let answered = stack.send(body.to_string()).await;
    assert_eq!(answered.status, 200);
    body["model"] = json!("gpt-4o-2024-11-20");
    let received = stack.provider.last().await;
    assert!(received.body == body.to_string().as_bytes(), "{} bytes", received.body.len());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_trace_goes_on_to_a_private_provider_and_to_none_that_is_not_to_know_of_it() {
    let models = "{ known: { targets: [{ provider: openai }] }, \
                    told: { targets: [{ provider: openai, propagate: true }] }, \
                    untold: { targets: [{ provider: openai, propagate: false }] } }";
    let stack = Options::default().models(models).start().await;
    for (model, told) in [("known", true), ("told", true), ("untold", false)] {
        let mut body = question();
        body["model"] = json!(model);
        let answered = stack.send(body.to_string()).await;
        assert_eq!(answered.status, 200);
        let received = stack.provider.last().await;
        let spans = stack.otlp.wait_for(&answered.trace).await;
        let parent = format!("00-{}-{}-01", answered.trace.trace_id, named(&spans, "POST").span_id);
        assert_eq!(received.header("traceparent"), told.then_some(parent.as_str()), "{model}");
        if !told {
            assert_eq!((received.header("tracestate"), received.header("baggage")), (None, None));
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_a_name_of_its_own_at_the_provider_keeps_its_name() {
    let stack = Options::default().models("{ gpt-4o: { targets: [{ provider: openai }] } }").start().await;
    let body = "{\"model\" : \"gpt-4o\" , \"messages\" : []}";
    assert_eq!(stack.send(body).await.status, 200);
    assert_eq!(stack.provider.last().await.body, body);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_models_is_the_model_table() {
    let models = "{ zeta: { targets: [{ provider: openai }] }, alpha: { targets: [{ provider: openai }] } }";
    let stack = Options::default().models(models).start().await;
    let response = client::http().get(stack.url("/v1/models")).send().await.expect("an answer");
    assert_eq!(response.status(), 200);
    assert_eq!(response.headers()["content-type"], "application/json");
    let list: serde_json::Value = serde_json::from_str(&response.text().await.expect("text")).expect("JSON");
    assert_eq!(list["object"], "list");
    let models = list["data"].as_array().expect("data");
    let ids: Vec<&str> = models.iter().filter_map(|model| model["id"].as_str()).collect();
    assert_eq!(ids, ["alpha", "zeta"]);
    for model in models {
        assert_eq!(model["object"], "model");
        assert!(model["created"].is_u64() && model["owned_by"].is_string(), "{model}");
    }
    assert!(stack.provider.received().is_empty());
}
