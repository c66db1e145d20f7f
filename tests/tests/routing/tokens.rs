//! Callers with a token of an identity provider: Envoy's jwt_authn verifies it, and the filter takes
//! user and team from what was verified, from nothing else.

use weir_tests::{
    callers::client::Trace,
    stack::{Answered, Options, Stack, Upstream, question},
    telemetry::spans,
};

use crate::setting::{digest, server};

/// Signed with the key in jwks.json; by an issuer called https://idp.test, until the year 2100.
const ANN: &str = include_str!("../../fixtures/jwt/ann.token");
/// The same without an end, and one that has ended.
const ENDLESS: &str = include_str!("../../fixtures/jwt/endless.token");
const EXPIRED: &str = include_str!("../../fixtures/jwt/expired.token");
/// A caller's key, beside which no token is taken.
const KEY: &str = "sk-of-a-caller-1f0c";
/// The same issuer's by its own word, signed with another key.
const FORGED: &str = include_str!("../../fixtures/jwt/forged.token");

async fn stack() -> Stack {
    let jwks = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/jwt/jwks.json");
    let jwt = format!(
        "jwt: {{ issuer: \"https://idp.test\", jwks: {{ file: \"{jwks}\" }}, team_claim: group, models: [\"gpt-*\"] }}"
    );
    let jwt = format!("{jwt}\nkeys: [{{ name: k, sha256: \"{}\" }}]", digest(KEY));
    let models = "{ gpt-4o: { targets: [{ provider: a }] }, o3: { targets: [{ provider: a }] } }";
    Options::default().upstreams([Upstream::openai("a", "/v1")]).models(models).with(&jwt).start().await
}

async fn ask(stack: &Stack, model: &str, token: Option<&str>, user: &str) -> Answered {
    let trace = Trace::new();
    let mut body = question();
    body["model"] = model.into();
    let mut request =
        stack.post("/v1/chat/completions", &trace, body.to_string()).header("x-weir-user", user);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    Answered::to(trace, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_verified_token_names_user_and_team_and_bounds_the_models() {
    let stack = stack().await;
    let answered = ask(&stack, "gpt-4o", Some(ANN), "somebody else").await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let spans = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(server(&spans).attribute("user.id"), "ann@example.com", "{}", spans::outline(&spans));
    assert_eq!(server(&spans).attribute("weir.team"), "research");
    let token = ANN.trim();
    assert!(stack.provider.received().iter().all(|request| !format!("{request:?}").contains(token)));

    assert_eq!(ask(&stack, "o3", Some(ANN), "").await.status, 403);
    for token in [None, Some(FORGED), Some(ENDLESS), Some(EXPIRED), Some("not.a.token")] {
        let answered = ask(&stack, "gpt-4o", token, "").await;
        assert_eq!(answered.status, 401);
        assert_eq!(answered.json()["error"]["type"], "authentication_error", "in the API's shape");
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_stands_alone_and_not_in_the_url() {
    let stack = stack().await;
    let bearer = format!("Bearer {}", ANN.trim());
    let send = async |query: &str, headers: &[(&str, &str)]| {
        let trace = Trace::new();
        let path = format!("/v1/chat/completions{query}");
        let mut request = stack.post(&path, &trace, question().to_string());
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let answered = Answered::to(trace, request).await;
        (answered.status, answered.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
    };
    let token = ("authorization", bearer.as_str());
    let joined = format!("{bearer},Bearer {KEY}");
    let key_in_query = format!("?key={KEY}");
    let other = format!("Bearer {KEY}");
    let invalid = (401, "invalid_key".to_owned());
    for (query, headers) in [
        ("", vec![token, ("x-api-key", KEY)]),
        ("", vec![token, ("api-key", "sk-of-nobody")]),
        ("", vec![token, ("x-goog-api-key", KEY)]),
        ("", vec![token, ("authorization", other.as_str())]),
        ("", vec![("authorization", joined.as_str())]),
        (key_in_query.as_str(), vec![token]),
    ] {
        assert_eq!(send(query, &headers).await, invalid, "{query} {headers:?}");
    }
    let in_query = format!("?access_token={}", ANN.trim());
    assert_eq!(send(&in_query, &[]).await, (401, "missing_key".to_owned()));
    assert_eq!(stack.provider.count(), 0);

    // One credential is one, wherever it stands.
    for (query, headers) in [
        ("", vec![token]),
        ("", vec![token, ("x-api-key", ANN.trim())]),
        ("", vec![("x-api-key", KEY)]),
        ("", vec![("authorization", other.as_str())]),
    ] {
        assert_eq!(send(query, &headers).await.0, 200, "{headers:?}");
    }
    let received = stack.provider.take();
    assert!(received.iter().all(|request| !format!("{request:?}").contains(ANN.trim())), "{received:?}");
    stack.assert_vm_is_well().await;
}
