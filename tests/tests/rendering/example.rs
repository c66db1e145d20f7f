//! The example gateway.yaml, as Envoy checks it.

use std::{fs, path::Path};

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};
use weir_config::{Gateway, Secret, envoy};
use weir_tests::system::{tools, wait};

use weir_tests::fakes::tls::Certificates;

/// The example, with its files in `dir` and not where a deployment has them.
fn example(dir: &Path) -> Gateway {
    let yaml = include_str!("../../../envoy/examples/gateway.yaml")
        .replace("/run/secrets/", &format!("{}/", dir.display()))
        .replace("/etc/weir/tls/", &format!("{}/", dir.display()));
    let gateway = Gateway::parse(&yaml).unwrap_or_else(|error| panic!("{error}"));
    for (_, secret) in gateway.secrets() {
        if let Secret::File(file) = secret {
            fs::write(file, "a key\n").expect("a key's file");
        }
    }
    Certificates::new(&["llm.inside.example.com"]).write(dir);
    gateway
}

async fn validate(gateway: &Gateway, bootstrap: &str, dir: &Path) -> String {
    let file = dir.join("envoy.yaml");
    fs::write(&file, bootstrap).expect("the bootstrap");
    let mut command = Command::new(tools::envoy().expect("Envoy"));
    command.args(["--mode", "validate", "-c"]).arg(&file).kill_on_drop(true);
    for (_, secret) in gateway.secrets() {
        if let Secret::Env(variable) = secret {
            command.env(variable, "a key");
        }
    }
    if let Some(variable) = gateway.hash_key() {
        command.env(variable, "a key of sixteen bytes");
    }
    let output = timeout(wait::DEADLINE, command.output()).await.expect("an end").expect("a start");
    let log = String::from_utf8_lossy(&output.stderr).into_owned() + &String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{log}");
    log
}

#[tokio::test]
async fn envoy_takes_what_the_example_becomes_with_and_without_a_directory_for_secrets() {
    let dir = TempDir::new().expect("a directory");
    let gateway = example(dir.path());
    for secrets_dir in [None, Some(dir.path().join("secrets"))] {
        let options = envoy::Options { wasm: tools::wasm().expect("the filter"), secrets_dir };
        let rendered = envoy::bootstrap(&gateway, &options).expect("a bootstrap");
        rendered.write_secrets().expect("the resource files");
        assert_quiet(&validate(&gateway, &rendered.bootstrap, dir.path()).await);
    }
}

fn assert_quiet(log: &str) {
    for sign in ["deprecated", "[warning]", "[error]"] {
        let line = log.lines().find(|line| line.contains(sign));
        assert!(line.is_none(), "{line:?}");
    }
}

/// Five providers in one file, one of each kind.
const FIVE: &str = r#"
listen: 127.0.0.1:8080
providers:
  openai:    { api: openai,       url: https://api.openai.com/v1,          key: { env: OPENAI_API_KEY } }
  azure-eu:  { api: azure-openai, url: https://example.openai.azure.com,   key: { env: AZURE_API_KEY }, api_version: "2024-10-21" }
  anthropic: { api: anthropic,    url: https://api.anthropic.com,          key: { env: ANTHROPIC_API_KEY }, proxy: http://proxy.invalid:3128 }
  gemini:    { api: gemini,       url: https://generativelanguage.googleapis.com, key: { env: GEMINI_API_KEY } }
  vllm:      { api: openai,       url: http://vllm.invalid:8000/v1 }
models:
  smart:
    targets: [{ provider: openai, model: gpt-4o }, { provider: azure-eu, model: gpt-4o-eu }, { provider: vllm, model: llama }]
    retry: { attempts: 2, backoff: 100ms }
exporter: { url: http://127.0.0.1:4319, token: { env: WEIR_INGEST_TOKEN } }
"#;

/// The least configuration of one's own that the parts are pasted into.
fn wrapped(fragment: &str) -> String {
    let parts: serde_json::Value = serde_saphyr::from_str(fragment).expect("YAML");
    let mut filters = parts["http_filters"].as_array().expect("filters").clone();
    filters.push(serde_json::json!({
        "name": "envoy.filters.http.router",
        "typed_config": {
            "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router",
            "suppress_envoy_headers": true,
        },
    }));
    let mut listeners = parts["listeners"].as_array().expect("tunnels").clone();
    listeners.push(serde_json::json!({
        "name": "mine",
        "address": {"socket_address": {"address": "127.0.0.1", "port_value": 8080}},
        "per_connection_buffer_limit_bytes": 1_048_576,
        "filter_chains": [{"filters": [{
            "name": "envoy.filters.network.http_connection_manager",
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
                "stat_prefix": "mine",
                "use_remote_address": true,
                "route_config": {"virtual_hosts": parts["virtual_hosts"]},
                "http_filters": filters,
            },
        }]}],
    }));
    serde_json::json!({
        "node": {"id": "mine", "cluster": "mine"},
        "bootstrap_extensions": parts["bootstrap_extensions"],
        "static_resources": {
            "listeners": listeners,
            "clusters": parts["clusters"],
            "secrets": parts["secrets"],
        },
    })
    .to_string()
}

#[tokio::test]
async fn envoy_takes_five_providers_as_a_bootstrap_and_as_a_fragment_within_another_and_as_files() {
    let dir = TempDir::new().expect("a directory");
    let gateway = Gateway::parse(FIVE).expect("a gateway");
    let options = envoy::Options { wasm: tools::wasm().expect("the filter"), secrets_dir: None };
    let bootstrap = envoy::bootstrap(&gateway, &options).expect("a bootstrap").bootstrap;
    assert_quiet(&validate(&gateway, &bootstrap, dir.path()).await);
    let fragment = envoy::fragment(&gateway, &options).expect("a fragment").bootstrap;
    assert_quiet(&validate(&gateway, &wrapped(&fragment), dir.path()).await);
    let hot = envoy::hot(&gateway, &options, &dir.path().join("xds")).expect("files");
    hot.publish(None, std::time::SystemTime::now()).expect("files that are written");
    assert_quiet(&validate(&gateway, &hot.bootstrap, dir.path()).await);
}

#[tokio::test]
async fn envoy_takes_what_is_rendered_for_an_older_one() {
    let dir = TempDir::new().expect("a directory");
    let mut gateway = Gateway::parse(FIVE).expect("a gateway");
    let lost = "1.38".parse::<envoy::Version>().expect("a version").limit(&mut gateway);
    assert!(!lost.is_empty());
    let options = envoy::Options { wasm: tools::wasm().expect("the filter"), secrets_dir: None };
    let bootstrap = envoy::bootstrap(&gateway, &options).expect("a bootstrap").bootstrap;
    assert!(!bootstrap.contains("refresh_cluster_on_retry"));
    // The filter itself says what it is without, and nothing else is said.
    let log = validate(&gateway, &bootstrap, dir.path()).await;
    let log: Vec<&str> =
        log.lines().filter(|line| !line.contains("runs without its upstream filter")).collect();
    assert_quiet(&log.join("\n"));
}
