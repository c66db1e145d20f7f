//! Who may call, and which models: decided before anything leaves, traced, and said in the shape
//! of the API that was called.

use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::{Value, json};
use weir_tests::{
    callers::client::{self, Trace},
    stack::{Answered, Options, Stack, Upstream},
    telemetry::spans::{self, Span},
};

use crate::setting::{chat, digest, server};

const GPT: &str = "sk-gpt-canary-8d21";
const EVERY: &str = "sk-every-canary-77c0";
const OF_A: &str = "sk-of-a-canary-1f6e";
const EXPIRED: &str = "sk-expired-canary-90b4";
const UNKNOWN: &str = "sk-unknown-canary-3ae5";

const CHAT: &str = "/v1/chat/completions";
const MESSAGES: &str = "/v1/messages";
const GENERATE: &str = "/v1beta/models/gem:generateContent";

async fn stack() -> Stack {
    let keys = [
        format!("{{ name: gpt, sha256: \"{}\", models: [\"gpt-*\", claude, gem] }}", digest(GPT)),
        format!("{{ name: every, sha256: \"{}\", expires: 2999-01-01T00:00:00Z }}", digest(EVERY)),
        format!("{{ name: of-a, sha256: \"{}\", models: [\"a/*\", virtual] }}", digest(OF_A)),
        format!("{{ name: expired, sha256: \"{}\", expires: 2020-01-01T00:00:00Z }}", digest(EXPIRED)),
    ];
    let models = "{ gpt-4o: { targets: [{ provider: a }] }, gpt-alias: { alias: o3 }, o3: { targets: [{ provider: a }] }, \
                    virtual: { targets: [{ provider: a, model: anything-else }] }, \
                    claude: { targets: [{ provider: an }] }, gem: { targets: [{ provider: ge }] } }";
    let upstreams = [
        Upstream::openai("a", "/v1"),
        Upstream::new("an", "anthropic", ""),
        Upstream::new("ge", "gemini", ""),
    ];
    let keys = format!("keys: [{}]", keys.join(", "));
    Options::default().upstreams(upstreams).models(models).with(&keys).start().await
}

async fn ask(stack: &Stack, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answered {
    let trace = Trace::new();
    let mut request = stack.post(path, &trace, body.to_string());
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answered::to(trace, request).await
}

/// Checks that the request was traced with the status that its caller saw and without an attempt.
async fn is_traced(stack: &Stack, answered: &Answered) -> Vec<Span> {
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(server(&all).attribute("http.response.status_code"), answered.status);
    let calls = all.iter().filter(|span| span.kind == SpanKind::Client).count();
    assert_eq!(calls == 0, answered.status >= 400, "{}", spans::outline(&all));
    all
}

fn bearer(key: &str) -> (&'static str, String) {
    ("authorization", format!("Bearer {key}"))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_opens_the_models_of_its_patterns_and_nothing_else_and_every_refusal_is_traced() {
    let stack = stack().await;
    for (key, model, status, code) in [
        (GPT, "gpt-4o", 200, ""),
        (GPT, "gpt-alias", 200, ""),
        (GPT, "o3", 403, "model_not_allowed"),
        (GPT, "virtual", 403, "model_not_allowed"),
        (GPT, "a/gpt-4o", 403, "model_not_allowed"),
        (GPT, "gpt-9", 404, "model_not_found"),
        (GPT, "nobody/gpt-4o", 404, "model_not_found"),
        (EVERY, "o3", 200, ""),
        (EVERY, "a/anything", 200, ""),
        (EVERY, "nothing", 404, "model_not_found"),
        (OF_A, "a/gpt-9", 200, ""),
        (OF_A, "virtual", 200, ""),
        (OF_A, "gpt-4o", 403, "model_not_allowed"),
        (OF_A, "ab/x", 404, "model_not_found"),
        (EXPIRED, "gpt-4o", 401, "expired_key"),
        (UNKNOWN, "gpt-4o", 401, "invalid_key"),
        (UNKNOWN, "nothing", 401, "invalid_key"),
    ] {
        let (name, value) = bearer(key);
        let answered = ask(&stack, CHAT, &chat(model), &[(name, &value)]).await;
        assert_eq!(answered.status, status, "{key} {model}: {answered:?}");
        assert_eq!(answered.header("x-weir-trace-id"), answered.trace.trace_id);
        if status >= 400 {
            let error = &answered.json()["error"];
            assert_eq!(error["code"], code, "{key} {model}");
            assert!(error["message"].as_str().is_some_and(|text| !text.contains(key)), "{error}");
        }
        is_traced(&stack, &answered).await;
    }
    assert_eq!(stack.provider.count(), 6);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_found_where_the_apis_clients_put_it_and_two_different_ones_are_refused() {
    let stack = stack().await;
    let (name, good) = bearer(GPT);
    let gpt = (name, good.as_str());
    let body = chat("gpt-4o");
    for headers in [
        vec![gpt],
        vec![("x-api-key", GPT)],
        vec![("api-key", GPT)],
        vec![("x-goog-api-key", GPT)],
        vec![gpt, ("x-api-key", GPT), ("api-key", "")],
    ] {
        assert_eq!(ask(&stack, CHAT, &body, &headers).await.status, 200, "{headers:?}");
    }
    let in_query = format!("{CHAT}?key={GPT}");
    assert_eq!(ask(&stack, &in_query, &body, &[]).await.status, 200);
    assert_eq!(ask(&stack, &in_query, &body, &[("x-api-key", GPT)]).await.status, 200);
    assert_eq!(
        ask(&stack, &format!("{GENERATE}?key={GPT}"), &json!({"contents": []}), &[]).await.status,
        200
    );
    let answered = ask(&stack, &format!("{CHAT}?key={UNKNOWN}"), &body, &[]).await;
    assert_eq!(answered.status, 401);
    let seen = stack.provider.take().into_iter().chain(stack.other("ge").take());
    for received in seen {
        assert!(!received.path.contains("key="), "{}", received.path);
        assert!(!format!("{received:?}").contains(GPT));
    }

    for (path, headers) in [
        (CHAT, vec![]),
        (CHAT, vec![("authorization", "Basic dTpw")]),
        (CHAT, vec![("authorization", GPT)]),
        (CHAT, vec![("authorization", "Bearer ")]),
        (CHAT, vec![("cookie", GPT)]),
        (CHAT, vec![gpt, ("x-api-key", EVERY)]),
        (CHAT, vec![gpt, ("x-api-key", UNKNOWN)]),
        (CHAT, vec![("x-api-key", GPT), ("x-api-key", EVERY)]),
        (in_query.as_str(), vec![("x-api-key", EVERY)]),
    ] {
        let answered = ask(&stack, path, &body, &headers).await;
        assert_eq!(answered.status, 401, "{headers:?}");
        assert_eq!(answered.json()["error"]["type"], "authentication_error");
        is_traced(&stack, &answered).await;
    }
    assert_eq!(stack.provider.count(), 0);
    // Nothing that was sent as a key stands in a span, in a log or in Envoy's configuration.
    let mut places =
        vec![stack.envoy.process.log(), stack.admin("/config_dump").await, stack.exporter.process.log()];
    places.extend(stack.otlp.received().iter().map(|one| String::from_utf8_lossy(&one.body).into_owned()));
    for place in places {
        for key in [GPT, EVERY, UNKNOWN] {
            assert!(!place.contains(key), "{key}");
        }
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refusals_have_the_shape_of_the_api_that_was_called() {
    let stack = stack().await;
    let empty = json!({"messages": [], "contents": [], "model": "claude"});
    let (name, of_a) = bearer(OF_A);
    for (headers, status, anthropic, rpc) in [
        (vec![], 401, "authentication_error", "UNAUTHENTICATED"),
        (vec![(name, of_a.as_str())], 403, "permission_error", "PERMISSION_DENIED"),
    ] {
        let answered = ask(&stack, MESSAGES, &empty, &headers).await;
        let body = answered.json();
        assert_eq!(
            (answered.status, &body["type"], &body["error"]["type"]),
            (status, &json!("error"), &json!(anthropic))
        );
        is_traced(&stack, &answered).await;
        let body = json!({"contents": []});
        let answered = ask(&stack, GENERATE, &body, &headers).await;
        let body = answered.json();
        assert_eq!(
            (answered.status, &body["error"]["code"], &body["error"]["status"]),
            (status, &json!(status), &json!(rpc))
        );
        is_traced(&stack, &answered).await;
        let answered = ask(&stack, "/v2/chat", &empty, &headers).await;
        assert_eq!(answered.status, status);
        assert!(answered.json()["message"].is_string(), "{answered:?}");
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_of_models_is_what_the_key_may_use_and_health_needs_no_key() {
    let stack = stack().await;
    let get = async |path: &str, key: &str| {
        let mut request = client::http().get(stack.url(path));
        if !key.is_empty() {
            request = request.bearer_auth(key);
        }
        Answered::to(Trace::new(), request).await
    };
    let ids = |answered: &Answered| -> Vec<String> {
        let list = answered.json();
        assert_eq!(list["object"], "list");
        let ids = list["data"].as_array().expect("data").iter().map(|model| model["id"].as_str());
        ids.map(|id| id.expect("an id").to_owned()).collect()
    };
    assert_eq!(ids(&get("/v1/models", GPT).await), ["claude", "gem", "gpt-4o", "gpt-alias"]);
    assert_eq!(ids(&get("/v1/models", OF_A).await), ["virtual"]);
    assert_eq!(ids(&get("/v1/models", EVERY).await).len(), 6);
    assert_eq!(ids(&get(&format!("/v1/models?key={OF_A}"), "").await), ["virtual"]);
    for (path, key, status) in [("/v1/models", GPT, 200), ("/v1/models/o3", GPT, 404), ("/healthz", "", 200)]
    {
        let head = client::http().head(stack.url(path)).bearer_auth(key).send().await.expect("an answer");
        assert_eq!(head.status().as_u16(), status, "{path}");
        // Envoy itself answers the health check, and has nothing to say beside the status.
        assert!(path == "/healthz" || head.headers().contains_key("content-type"), "{path}: {head:?}");
        assert_eq!(head.bytes().await.expect("no body").len(), 0, "{path}");
    }
    let one = get("/v1/models/gpt-4o", GPT).await;
    assert_eq!(
        (one.status, &one.json()["id"], &one.json()["owned_by"]),
        (200, &json!("gpt-4o"), &json!("a"))
    );
    for (path, key, status) in [
        ("/v1/models/o3", GPT, 404),
        ("/v1/models/none", GPT, 404),
        ("/v1/models", "", 401),
        ("/v1/models", UNKNOWN, 401),
        ("/v1/models", EXPIRED, 401),
        ("/v1/models/gpt-4o", "", 401),
        ("/healthz", "", 200),
        ("/healthz", UNKNOWN, 200),
    ] {
        assert_eq!(get(path, key).await.status, status, "{path} {key}");
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn without_keys_everybody_may_call_and_the_log_says_so() {
    let stack = Options::default().with("response_headers: false").start().await;
    let answered = ask(&stack, CHAT, &chat("gpt-4o"), &[]).await;
    assert_eq!(answered.status, 200);
    for name in ["x-weir-trace-id", "x-weir-model", "x-weir-attempts", "server-timing"] {
        assert!(!answered.headers.contains_key(name), "{name} is switched off");
    }
    assert_eq!(ask(&stack, CHAT, &chat("openai/o3"), &[("x-api-key", "whatever")]).await.status, 200);
    assert!(stack.envoy.process.log().contains("open to everybody"));
}
