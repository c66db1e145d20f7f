//! `examples/exporter.yaml` names every field there is, and is a configuration that works.

#![allow(clippy::indexing_slicing, clippy::panic, clippy::unwrap_used, reason = "tests fail by panicking")]

use std::{fs, path::Path};

use clap::Parser as _;
use rcgen::generate_simple_self_signed;
use serde_json::Value;
use weir_exporter::{app::reload::Source, cli::Cli, commands, config, process::env::Env};

const EXAMPLE: &str = include_str!("../examples/exporter.yaml");

/// The example with its files in this directory.
fn placed(dir: &Path) -> String {
    let pair = generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (certificate, key) = (pair.cert.pem(), pair.signing_key.serialize_pem());
    let credentials = format!(
        "-----BEGIN NATS USER JWT-----\na.b.c\n------END NATS USER JWT------\n\
         -----BEGIN USER NKEY SEED-----\n{}\n------END USER NKEY SEED------\n",
        nkeys::KeyPair::new_user().seed().unwrap()
    );
    for (name, text) in [
        ("server.pem", certificate.as_str()),
        ("server.key", &key),
        ("client.pem", &certificate),
        ("client.key", &key),
        ("ca.pem", &certificate),
        ("weir.creds", &credentials),
        ("collector-key", "a-key"),
        ("nats.nk", "a-seed"),
        ("prices.yaml", "models: { my-model: { input: 1.0, output: 2.0 } }\n"),
    ] {
        fs::write(dir.join(name), text).unwrap();
    }
    EXAMPLE.replace("/etc/weir", &dir.display().to_string())
}

fn env() -> Env {
    Env::from_iter([
        ("WEIR_INGEST_TOKEN", "an-ingest-token-of-some-length"),
        ("WEIR_PAGE_TOKEN", "a-page-token-of-some-length"),
        ("WEIR_SETTINGS_KEY", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8="),
        ("MW_API_KEY", "a-middleware-key"),
    ])
}

#[test]
fn check_accepts_the_example() {
    weir_exporter::install_provider();
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("exporter.yaml");
    fs::write(&file, placed(dir.path())).unwrap();
    let cli = Cli::parse_from(["weir-exporter", "check", "--config", file.to_str().unwrap()]);
    let source = Source { role: cli.role(), flags: cli.flags, env: env() };
    let settings = source.load().unwrap_or_else(|error| panic!("{error:#?}"));
    commands::check(&settings).unwrap();
    assert_eq!(settings.destinations.len(), 4);
}

/// The example as a tree, its other ways made lines of their own.
fn tree() -> Value {
    let uncommented: Vec<_> = EXAMPLE
        .lines()
        .map(|line| match line.trim_start().strip_prefix('#') {
            Some(rest) if rest.starts_with(|first: char| first.is_ascii_lowercase()) => {
                line.replacen('#', "", 1)
            }
            _ => line.to_owned(),
        })
        .collect();
    let yaml = uncommented.join("\n");
    config::parse(&yaml).unwrap_or_else(|error| panic!("{error}"));
    serde_saphyr::from_str(&yaml).unwrap()
}

#[test]
fn the_example_names_every_field() {
    let schema: Value = serde_json::from_str(&config::schema()).unwrap();
    let tree = tree();
    let mut missing = Vec::new();
    let seen = visit(&schema, &schema, &[&tree], "", &mut missing);
    assert_eq!(missing, [""; 0]);
    assert!(seen > 90, "{seen} fields");
}

/// Looks for each property of a schema in these values; gives how many there are.
fn visit(root: &Value, schema: &Value, values: &[&Value], path: &str, missing: &mut Vec<String>) -> usize {
    let mut seen = 0;
    if let Some(name) = schema["$ref"].as_str().and_then(|name| name.rsplit('/').next()) {
        seen += visit(root, &root["$defs"][name], values, path, missing);
    }
    // Of several kinds of a value one is shown, unless they are one kind and null.
    let variants = schema["anyOf"].as_array().cloned().unwrap_or_default();
    let some: Vec<_> = variants.iter().filter(|one| one["type"] != "null").collect();
    if let [only] = some.as_slice() {
        seen += visit(root, only, values, path, missing);
    }
    // A secret is in one place.
    if schema["maxProperties"] == 1 {
        return seen;
    }
    for (name, field) in schema["properties"].as_object().into_iter().flatten() {
        let path = format!("{path}.{name}");
        let within: Vec<_> = values.iter().filter_map(|value| value.get(name)).collect();
        if within.is_empty() {
            missing.push(path);
        } else {
            seen += 1 + visit(root, field, &within, &path, missing);
        }
    }
    if schema["additionalProperties"].is_object() {
        let within: Vec<_> =
            values.iter().filter_map(|value| value.as_object()).flat_map(|object| object.values()).collect();
        seen += visit(root, &schema["additionalProperties"], &within, &format!("{path}.*"), missing);
    }
    seen
}
