//! Callers with a token of an identity provider: Envoy's jwt_authn verifies it, and the filter takes
//! user and team from what was verified, from nothing else.

use weir_tests::{
    client::Trace,
    spans,
    stack::{Answered, Options, Stack, Upstream, question},
};

use crate::setting::server;

/// Signed with the key in jwks.json; by an issuer called https://idp.test, without expiry.
const ANN: &str = include_str!("../../fixtures/jwt/ann.token");
/// The same issuer's by its own word, signed with another key.
const FORGED: &str = include_str!("../../fixtures/jwt/forged.token");

async fn stack() -> Stack {
    let jwks = concat!(env!("CARGO_MANIFEST_DIR"), "/fixtures/jwt/jwks.json");
    let jwt = format!(
        "jwt: {{ issuer: \"https://idp.test\", jwks: {{ file: \"{jwks}\" }}, team_claim: group, models: [\"gpt-*\"] }}"
    );
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
    for token in [None, Some(FORGED), Some("not.a.token")] {
        let answered = ask(&stack, "gpt-4o", token, "").await;
        assert_eq!(answered.status, 401);
        assert_eq!(answered.json()["error"]["type"], "authentication_error", "in the API's shape");
    }
    stack.assert_vm_is_well().await;
}
