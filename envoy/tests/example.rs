//! The example is a gateway that works, and has what its comments promise.

use std::collections::BTreeSet;

use weir_config::Gateway;
use weir_filter::auth::Keys;
use weir_filter::balancing::Strategy;

const EXAMPLE: &str = include_str!("../examples/gateway.yaml");

/// The shortest gateway.yaml that shows most: as a reader would copy it.
const SHORT: &str = r#"
listen: 0.0.0.0:8080
providers:
  openai:    { api: openai,       url: https://api.openai.com/v1,          key: { env: OPENAI_API_KEY } }
  azure-eu:  { api: azure-openai, url: https://example.openai.azure.com,   key: { file: /run/secrets/azure }, api_version: "2024-10-21" }
  anthropic: { api: anthropic,    url: https://api.anthropic.com,          key: { env: ANTHROPIC_API_KEY } }
  gemini:    { api: gemini,       url: https://generativelanguage.googleapis.com, key: { env: GEMINI_API_KEY } }
  vllm:      { api: openai,       url: http://vllm:8000/v1 }
models:
  gpt-4o: { targets: [{ provider: openai }] }
  smart:
    strategy: priority
    targets:
      - { provider: openai,   model: gpt-4o, weight: 80, params: { temperature: 0.2 } }
      - { provider: azure-eu, model: gpt-4o-eu, when: { metadata: { region: eu } } }
    retry:    { attempts: 2, on: [429, 500, 502, 503, 504], backoff: 100ms }
    fallback: { on: [401, 403, 404, 429, 500, 502, 503, 504] }
    timeouts: { first_token: 5s, request: 120s }
    sticky:   { by: metadata.session, for: 10m }
keys:
  - { name: team-a, sha256: "…", models: [smart, "gpt-*"], metadata: { team: a } }
exporter: { url: http://127.0.0.1:4319, token: { env: WEIR_INGEST_TOKEN } }
"#;

#[test]
fn the_example_has_providers_of_every_kind_and_models_of_every_strategy() {
    let gateway = Gateway::parse(EXAMPLE).unwrap_or_else(|error| panic!("{error}"));
    let kinds: BTreeSet<_> =
        gateway.providers.values().map(|provider| provider.api.provider_name()).collect();
    assert_eq!(kinds.len(), 5, "{kinds:?}");
    for strategy in [Strategy::Priority, Strategy::Weighted, Strategy::Latency] {
        assert!(gateway.models.values().any(|model| model.strategy == strategy), "{strategy:?}");
    }
    assert!(!gateway.is_open());
}

#[test]
fn the_examples_keys_are_those_that_it_tells_to_throw_away() {
    let gateway = Gateway::parse(EXAMPLE).unwrap();
    let keys = Keys::new(&gateway.keys).unwrap();
    for name in ["team-a", "ci"] {
        let secret = format!("weir-example-key-of-{name}");
        assert!(EXAMPLE.contains(&secret));
        assert_eq!(keys.find(secret.as_bytes(), 0).unwrap().name, name);
    }
}

#[test]
fn the_short_gateway_is_read_once_its_digest_is_filled_in() {
    let error = Gateway::parse(SHORT).unwrap_err().to_string();
    let filled = SHORT.replace('…', &"0123456789abcdef".repeat(4));
    let gateway = Gateway::parse(&filled).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!((gateway.providers.len(), gateway.models.len(), gateway.keys.len()), (5, 2, 1));
    assert!(error.starts_with("keys[0].sha256: "), "{error}");
}
