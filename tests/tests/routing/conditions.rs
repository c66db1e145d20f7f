//! What one target asks of a request and does to it: conditions, parameters, headers.

use serde_json::{Value, json};
use weir_tests::{
    callers::client::Trace,
    fakes::provider::Answer,
    stack::{Answered, Options, Stack},
};

use crate::setting::{self, ask, ask_with, chat, digest, json_of, three};

#[tokio::test(flavor = "multi_thread")]
async fn a_target_is_considered_only_where_metadata_key_and_headers_are_as_it_asks() {
    let models = "{ m: { targets: [ \
                      { provider: a, model: of-eu, when: { metadata: { region: [eu, \"eu-*\"] } } }, \
                      { provider: a, model: of-team-b, when: { key: team-b } }, \
                      { provider: b, model: of-beta, when: { header: { x-tier: beta } } }, \
                      { provider: c, model: of-all } ] }, \
                    eu-only: { targets: [{ provider: a, when: { metadata: { region: eu } } }] } }";
    let keys = format!(
        "keys: [{{ name: team-a, sha256: \"{}\" }}, {{ name: team-b, sha256: \"{}\", metadata: {{ region: us }} }}]",
        digest("sk-of-team-a"),
        digest("sk-of-team-b"),
    );
    let stack = Options::default().upstreams(three()).models(models).with(&keys).start().await;
    let asked = async |key: &str, model: &str, headers: &[(&str, &str)]| {
        let trace = Trace::new();
        let mut request =
            stack.post("/v1/chat/completions", &trace, chat(model).to_string()).bearer_auth(key);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Answered::to(trace, request).await
    };
    let (a, b, eu) = ("sk-of-team-a", "sk-of-team-b", ("x-weir-metadata", r#"{"region":"eu"}"#));
    for (key, headers, target) in [
        (a, vec![], "c/of-all"),
        (a, vec![eu], "a/of-eu"),
        (a, vec![("x-weir-metadata", r#"{"region":"eu-west"}"#)], "a/of-eu"),
        (a, vec![("x-weir-metadata", r#"{"region":"europe"}"#)], "c/of-all"),
        (a, vec![("x-tier", "beta")], "b/of-beta"),
        (a, vec![("x-tier", "beta"), eu], "a/of-eu"),
        (b, vec![], "a/of-team-b"),
        // A key's own metadata cannot be overridden.
        (b, vec![eu], "a/of-team-b"),
    ] {
        let answered = asked(key, "m", &headers).await;
        assert_eq!((answered.status, answered.header("x-weir-model")), (200, target), "{headers:?}");
    }
    let answered = asked(a, "eu-only", &[]).await;
    assert_eq!((answered.status, &answered.json()["error"]["code"]), (400, &json!("no_target")));
    assert_eq!(asked(a, "eu-only", &[eu]).await.status, 200);
    assert_eq!(asked(b, "eu-only", &[eu]).await.status, 400);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_target_that_may_not_be_a_fallback_is_never_one() {
    let models = "{ m: { health: { failures: 16, within: 1ms }, targets: \
                       [{ provider: a }, { provider: b, fallback: false }, { provider: c }] }, \
                    last: { health: { failures: 16, within: 1ms }, targets: \
                       [{ provider: a, fallback: false }, { provider: b, fallback: false }] } }";
    let stack = setting::stack(models).await;
    stack.provider.answers(Answer::error(503));
    for _ in 0..5 {
        assert_eq!(ask(&stack, "m").await.header("x-weir-model"), "c/m");
    }
    let answered = ask(&stack, "last").await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (503, "1"));
    stack.provider.answers(Answer::json("openai/chat.json"));
    assert_eq!(ask(&stack, "last").await.status, 200);
    assert_eq!(stack.other("b").count(), 0);
}

/// Sends this body and gives what the first provider received.
async fn received(stack: &Stack, body: &Value) -> Value {
    assert_eq!(stack.send(body.to_string()).await.status, 200);
    json_of(&stack.provider.last().await)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_sets_and_caps_its_own_parameters() {
    let models = "{ m: { targets: [ \
                      { provider: a, params: { temperature: 0.2, top_p: 1, stop: [\"x\"] }, caps: { max_tokens: 100 } }, \
                      { provider: b, params: { seed: 7 } } ] } }";
    let stack = setting::stack(models).await;
    let mut body = chat("m");
    let got = received(&stack, &body).await;
    assert_eq!((&got["temperature"], &got["stop"]), (&json!(0.2), &json!(["x"])));
    assert_eq!((&got["max_tokens"], &got["messages"]), (&json!(100), &body["messages"]));
    body["temperature"] = json!(1.9);
    body["max_tokens"] = json!(50);
    let got = received(&stack, &body).await;
    assert_eq!((&got["temperature"], &got["max_tokens"]), (&json!(0.2), &json!(50)));
    for tokens in [json!(101), json!(1e9), json!(-1), Value::Null] {
        body["max_tokens"] = tokens.clone();
        assert_eq!(received(&stack, &body).await["max_tokens"], 100, "{tokens}");
    }
    // The other name of the same parameter.
    body.as_object_mut().expect("an object").remove("max_tokens");
    body["max_completion_tokens"] = json!(5000);
    let got = received(&stack, &body).await;
    assert_eq!(got["max_completion_tokens"], 100, "{got}");

    // The next target gets the caller's own values, and what it sets itself.
    stack.provider.answers(Answer::error(503));
    let asked = body.to_string();
    assert_eq!(stack.send(asked.clone()).await.status, 200);
    let got = json_of(&stack.other("b").last().await);
    assert_eq!(
        (&got["temperature"], &got["max_completion_tokens"], &got["seed"]),
        (&json!(1.9), &json!(5000), &json!(7))
    );
    assert!(got.get("stop").is_none() && got.get("top_p").is_none(), "{got}");
    let sent = stack.other("b").last().await;
    assert_eq!(sent.header("content-length").unwrap_or_default(), sent.body.len().to_string());
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn each_target_sets_and_removes_its_own_headers() {
    let models = "{ m: { targets: [ \
                      { provider: a, headers: { set: { x-project: of-a, openai-beta: set-here }, remove: [user-agent] } }, \
                      { provider: b } ] } }";
    let stack = setting::stack(models).await;
    stack.provider.answers(Answer::error(503));
    let trace = Trace::new();
    let request = stack
        .request(&trace, chat("m").to_string())
        .header("user-agent", "a-client/1.0")
        .header("openai-beta", "of-the-caller")
        .header("x-project", "of-the-caller");
    assert_eq!(Answered::to(trace, request).await.header("x-weir-model"), "b/m");
    let (a, b) = (stack.provider.last().await, stack.other("b").last().await);
    assert_eq!(
        [a.header("x-project"), a.header("openai-beta"), a.header("user-agent")],
        [Some("of-a"), Some("set-here"), None]
    );
    assert_eq!(
        [b.header("x-project"), b.header("openai-beta"), b.header("user-agent")],
        [None, Some("of-the-caller"), Some("a-client/1.0")]
    );
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn metadata_user_and_conversation_reach_no_provider_and_bad_ones_are_refused() {
    let stack = setting::stack("{ m: { targets: [{ provider: a }, { provider: b }] } }").await;
    stack.provider.answers(Answer::error(500));
    let said = "canary-of-what-was-said";
    let trace = Trace::new();
    let request = stack
        .request(&trace, chat("m").to_string())
        .header("x-weir-metadata", format!("{{\"team\":\"{said}\"}}"))
        .header("x-tfy-metadata", format!("{{\"old\":\"{said}\"}}"))
        .header("x-weir-user", said)
        .header("x-weir-conversation-id", said)
        .header("x-anything-else", said)
        .header("forwarded", format!("for={said}"));
    assert_eq!(Answered::to(trace, request).await.status, 200);
    for received in [stack.provider.last().await, stack.other("b").last().await] {
        for (name, value) in &received.headers {
            assert!(!value.to_str().expect("text").contains(said), "{name}");
        }
        assert!(!String::from_utf8_lossy(&received.body).contains(said));
    }
    let before = stack.other("b").count();
    for (name, value) in [
        ("x-weir-metadata", "not json"),
        ("x-weir-metadata", "[]"),
        ("x-weir-metadata", r#"{"a":{"deep":1}}"#),
        ("x-weir-metadata", r#"{"a":"1","A":"2"}"#),
        ("x-weir-metadata", r#"{"a b":"1"}"#),
        ("x-tfy-metadata", "{"),
        ("x-weir-user", &"x".repeat(300)),
        ("x-weir-conversation-id", &"x".repeat(300)),
    ] {
        let answered = ask_with(&stack, "m", name, value).await;
        let error = &answered.json()["error"];
        assert_eq!((answered.status, &error["code"]), (400, &json!("invalid_header")), "{name}: {value}");
        assert!(error["message"].as_str().is_some_and(|text| text.contains(name)), "{error}");
        let all = stack.otlp.wait_for(&answered.trace).await;
        assert_eq!(setting::server(&all).attribute("http.response.status_code"), 400);
    }
    assert_eq!(stack.other("b").count(), before);
    stack.assert_vm_is_well().await;
}
