//! Every API at its provider: path, headers and body as that provider wants them, and a model's
//! name that is never more than a name.

use serde_json::{Value, json};
use weir_tests::{
    callers::client::{self, Trace},
    fakes::provider::{Answer, Provider, Received},
    stack::{Answered, CALLER_KEY, Options, Stack, Upstream},
};

use crate::setting::{attempts, chat, json_of};

fn upstreams() -> Vec<Upstream> {
    vec![
        Upstream::openai("oa", "/v1"),
        Upstream::new("an", "anthropic", ""),
        Upstream::new("ge", "gemini", "/prefix"),
        Upstream::new("az", "azure-openai", "").settings("api_version: \"2024-10-21\""),
        Upstream::new("co", "cohere", ""),
    ]
}

async fn stack() -> Stack {
    let models = "{ claude: { targets: [{ provider: an, model: claude-sonnet-4-5 }] }, \
                    gem: { targets: [{ provider: ge, model: \"tuned/gem 2\" }] }, \
                    gpt: { targets: [{ provider: az, model: \"my deployment\" }] }, \
                    command: { targets: [{ provider: co, model: command-a }] }, \
                    az-oa: { targets: [{ provider: az, model: of-az }, { provider: oa, model: of-oa }], health: { failures: 16, within: 1ms } }, \
                    oa-az: { targets: [{ provider: oa, model: of-oa }, { provider: az, model: of-az }], health: { failures: 16, within: 1ms } }, \
                    both: { targets: [{ provider: an, model: of-an }, { provider: oa, model: of-oa }] } }";
    Options::default().upstreams(upstreams()).models(models).start().await
}

async fn ask(stack: &Stack, path: &str, body: &Value, headers: &[(&str, &str)]) -> Answered {
    let trace = Trace::new();
    let mut request = stack.post(path, &trace, body.to_string()).header("x-api-key", CALLER_KEY);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answered::to(trace, request).await
}

const CREDENTIALS: [&str; 4] = ["authorization", "x-api-key", "api-key", "x-goog-api-key"];

/// Checks that a request carries its own provider's key in its own header, and no other.
fn is_authorised(received: &Received, name: &str, value: &str) {
    for header in CREDENTIALS {
        assert_eq!(received.header(header), (header == name).then_some(value), "{header}");
    }
    let text = format!("{received:?}");
    let keys =
        upstreams().into_iter().map(|upstream| upstream.key().to_owned()).filter(|key| !value.ends_with(key));
    assert!(keys.into_iter().all(|key| !text.contains(&key)), "{text}");
    assert!(!text.contains(CALLER_KEY), "{text}");
}

fn key(name: &str) -> String {
    let upstream = upstreams().into_iter().find(|upstream| upstream.key().contains(&format!("-{name}-")));
    upstream.expect("an upstream").key().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn native_apis_reach_their_providers_by_the_right_path_key_and_model() {
    let stack = stack().await;
    let messages = json!([{"role": "user", "content": "What is a weir?"}]);

    let body = json!({"model": "claude", "max_tokens": 9, "messages": messages});
    assert_eq!(ask(&stack, "/v1/messages", &body, &[("anthropic-beta", "b-1")]).await.status, 200);
    let received = stack.other("an").last().await;
    assert_eq!(received.path, "/v1/messages");
    is_authorised(&received, "x-api-key", &key("an"));
    assert_eq!(received.header("anthropic-version"), Some("2023-06-01"));
    assert_eq!(received.header("anthropic-beta"), Some("b-1"));
    assert_eq!(
        json_of(&received),
        json!({"model": "claude-sonnet-4-5", "max_tokens": 9, "messages": messages})
    );
    let older = [("anthropic-version", "2023-01-01")];
    assert_eq!(ask(&stack, "/v1/messages/count_tokens?beta=true&x=1", &body, &older).await.status, 200);
    let received = stack.other("an").last().await;
    assert_eq!(received.path, "/v1/messages/count_tokens?beta=true");
    assert_eq!(received.header("anthropic-version"), Some("2023-01-01"));

    let body = json!({"contents": [{"parts": [{"text": "What is a weir?"}]}]});
    for (called, path) in [
        ("/v1beta/models/gem:generateContent", "/prefix/v1beta/models/tuned%2Fgem%202:generateContent"),
        (
            "/v1beta/models/gem:streamGenerateContent?alt=sse&x=1",
            "/prefix/v1beta/models/tuned%2Fgem%202:streamGenerateContent?alt=sse",
        ),
        ("/v1/models/gem:countTokens", "/prefix/v1/models/tuned%2Fgem%202:countTokens"),
        ("/v1beta/models/ge%2Fother:embedContent", "/prefix/v1beta/models/other:embedContent"),
    ] {
        let answered = ask(&stack, called, &body, &[]).await;
        assert_eq!(answered.status, 200, "{called}: {answered:?}");
        let received = stack.other("ge").last().await;
        assert_eq!(received.path, path);
        is_authorised(&received, "x-goog-api-key", &key("ge"));
        assert_eq!(json_of(&received), body);
    }
    let named = json!({"model": "models/gem", "content": {}});
    assert_eq!(ask(&stack, "/v1beta/models/gem:embedContent", &named, &[]).await.status, 200);
    assert_eq!(json_of(&stack.other("ge").last().await)["model"], "models/tuned/gem 2");

    let body = json!({"model": "gpt", "messages": messages});
    assert_eq!(ask(&stack, "/v1/chat/completions", &body, &[]).await.status, 200);
    let received = stack.other("az").last().await;
    assert_eq!(received.path, "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21");
    is_authorised(&received, "api-key", &key("az"));
    // Azure's own form of the call.
    let body = json!({"messages": messages});
    let answered =
        ask(&stack, "/openai/deployments/gpt/chat/completions?api-version=2020-01-01", &body, &[]).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let received = stack.other("az").last().await;
    assert_eq!(received.path, "/openai/deployments/my%20deployment/chat/completions?api-version=2024-10-21");

    let body = json!({"model": "command", "messages": messages});
    assert_eq!(ask(&stack, "/v2/chat", &body, &[]).await.status, 200);
    let received = stack.other("co").last().await;
    assert_eq!(
        (received.path.as_str(), json_of(&received)["model"].as_str()),
        ("/v2/chat", Some("command-a"))
    );
    is_authorised(&received, "authorization", &format!("Bearer {}", key("co")));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn providers_with_keys_in_different_headers_never_see_each_others() {
    let stack = stack().await;
    let (oa, az) = (&stack.provider, stack.other("az"));
    let of_oa = |received: &Received| {
        is_authorised(received, "authorization", &format!("Bearer {}", key("oa")));
        assert_eq!(
            (received.path.as_str(), &json_of(received)["model"]),
            ("/v1/chat/completions", &json!("of-oa"))
        );
    };
    let of_az = |received: &Received| {
        is_authorised(received, "api-key", &key("az"));
        assert_eq!(received.path, "/openai/deployments/of-az/chat/completions?api-version=2024-10-21");
    };
    let failing: [(&str, &Provider); 2] = [("oa-az", oa), ("az-oa", az)];
    for (model, first) in failing {
        for answer in [Answer::error(503), Answer::cut_off(), Answer::error(401)] {
            first.answers_once(answer);
            assert_eq!(
                ask(&stack, "/v1/chat/completions", &chat(model), &[]).await.header("x-weir-attempts"),
                "2"
            );
            let (of_one, of_other) = (oa.take(), az.take());
            assert_eq!((of_one.len(), of_other.len()), (1, 1));
            of_one.iter().for_each(of_oa);
            of_other.iter().for_each(of_az);
        }
    }
    // A target that does not speak the API that was called is passed over.
    let answered = ask(&stack, "/v1/chat/completions", &chat("both"), &[]).await;
    assert_eq!((answered.status, answered.header("x-weir-model")), (200, "oa/of-oa"));
    assert_eq!(attempts(&stack.otlp.wait_for(&answered.trace).await).len(), 1);
    let answered = ask(&stack, "/v1/chat/completions", &chat("claude"), &[]).await;
    assert_eq!((answered.status, &answered.json()["error"]["code"]), (400, &json!("no_target")));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_with_its_provider_works_and_no_name_reaches_another_path() {
    let stack = stack().await;
    for (model, provider, path, sent) in [
        ("oa/gpt-x", &stack.provider, "/v1/chat/completions", Some("gpt-x")),
        ("oa/org/model:tag", &stack.provider, "/v1/chat/completions", Some("org/model:tag")),
        ("oa/modèle 🌊", &stack.provider, "/v1/chat/completions", Some("modèle 🌊")),
        ("oa/a?b=c#d", &stack.provider, "/v1/chat/completions", Some("a?b=c#d")),
        (
            "az/d?x=1#f",
            stack.other("az"),
            "/openai/deployments/d%3Fx%3D1%23f/chat/completions?api-version=2024-10-21",
            None,
        ),
        (
            "az/a/b",
            stack.other("az"),
            "/openai/deployments/a%2Fb/chat/completions?api-version=2024-10-21",
            None,
        ),
        (
            "az/%2e%2e",
            stack.other("az"),
            "/openai/deployments/%252e%252e/chat/completions?api-version=2024-10-21",
            None,
        ),
    ] {
        let answered = ask(&stack, "/v1/chat/completions", &chat(model), &[]).await;
        assert_eq!(answered.status, 200, "{model}: {answered:?}");
        let received = provider.last().await;
        assert_eq!(received.path, path);
        if let Some(sent) = sent {
            assert_eq!(json_of(&received)["model"], sent);
        }
    }
    let counts = || -> Vec<usize> {
        let others = ["an", "ge", "az", "co"].into_iter().map(|name| stack.other(name).count());
        std::iter::once(stack.provider.count()).chain(others).collect()
    };
    let before = counts();
    for model in ["az/..", "az/../x", "az/a/../../b", "az/a\\..\\b", "az/.", "az/a\n", "az/", "az/a\u{7f}"] {
        let answered = ask(&stack, "/v1/chat/completions", &chat(model), &[]).await;
        assert!(matches!(answered.status, 400 | 404), "{model:?}: {answered:?}");
    }
    let empty = json!({"contents": []});
    for (path, body) in [
        ("/v1beta/models/ge%2F..%2Fx:generateContent", &empty),
        ("/v1beta/models/ge%2F%2E%2E:generateContent", &empty),
        ("/v1beta/models/ge/x:generateContent", &empty),
        ("/v1beta/models/ge%2Fx;y:generateContent", &empty),
        ("/v1beta/models/gem:generateContent", &json!({"contents": [], "model": "models/ge/other"})),
        ("/openai/deployments/gpt/chat/completions", &chat("az/other")),
        ("/v1beta/models/:generateContent", &empty),
    ] {
        let answered = ask(&stack, path, body, &[]).await;
        assert!(matches!(answered.status, 400 | 404), "{path}: {answered:?}");
    }
    // As no client library would write them.
    for path in [
        "/v1beta/models/../files:generateContent",
        "/v1beta/models/ge%2F..:generateContent",
        "/v1/../v1/files",
        "/v1/chat/completions/../files",
        "//v1/files",
        "/v1/files#/v1/chat/completions",
        "http://elsewhere/v1/files",
    ] {
        let body = chat("gpt");
        let request = format!(
            "POST {path} HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
            body.to_string().len()
        );
        let answer = client::raw(stack.address(), request.as_bytes()).await;
        let answer = String::from_utf8_lossy(&answer);
        assert!(answer.starts_with("HTTP/1.1 40"), "{path}: {answer}");
    }
    assert_eq!(counts(), before);
    stack.assert_vm_is_well().await;
}
