//! The example gateway.yaml, as Envoy checks it.

use std::{fs, path::Path};

use tempfile::TempDir;
use tokio::{process::Command, time::timeout};
use weir_config::{Gateway, Secret, envoy};
use weir_tests::{tools, wait};

use crate::tls_provider::Certificates;

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

async fn validate(gateway: &Gateway, options: &envoy::Options, dir: &Path) -> String {
    let rendered = envoy::bootstrap(gateway, options).expect("a bootstrap");
    rendered.write_secrets().expect("the resource files");
    let file = dir.join("envoy.yaml");
    fs::write(&file, rendered.bootstrap).expect("the bootstrap");
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
        let log = validate(&gateway, &options, dir.path()).await;
        for sign in ["deprecated", "[warning]", "[error]"] {
            let line = log.lines().find(|line| line.contains(sign));
            assert!(line.is_none(), "{line:?}");
        }
    }
}
