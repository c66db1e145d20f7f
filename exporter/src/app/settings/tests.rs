use clap::Parser as _;

use super::*;
use crate::{bus::NatsAuth, cli::Cli};

fn settings(arguments: &[&str], variables: &[(&str, &str)]) -> Result<Settings, SettingsError> {
    let cli = Cli::parse_from(std::iter::once(&"weir-exporter").chain(arguments));
    Settings::load(cli.role(), &cli.flags, &variables.iter().copied().collect())
}

fn from_file(yaml: &str) -> Result<Settings, SettingsError> {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), yaml).unwrap();
    settings(&["--config", file.path().to_str().unwrap()], &[("S3CRET", "pass-secret")])
}

#[test]
fn ingest_beyond_loopback_needs_a_token() {
    let refused = settings(&["--listen", "0.0.0.0:4319"], &[]).unwrap_err().to_string();
    assert!(refused.contains("WEIR_INGEST_TOKEN") && refused.contains("0.0.0.0:4319"), "{refused}");
    assert!(settings(&["--listen", "0.0.0.0:4319"], &[("WEIR_INGEST_TOKEN", "t0ken")]).is_ok());
    assert!(settings(&["--listen", "[::1]:4319"], &[]).is_ok());
    assert!(settings(&["ship", "--listen", "0.0.0.0:4319"], &[]).is_ok());
}

#[test]
fn a_token_with_a_line_end_is_refused_without_being_shown() {
    let refused = settings(&[], &[("WEIR_INGEST_TOKEN", "t0ken\n")]).unwrap_err().to_string();
    assert!(!refused.contains("t0ken"), "{refused}");
}

#[test]
fn no_secret_is_shown_by_debug() {
    let settings = settings(
        &["--nats-url", "nats://user:pass-nats@127.0.0.1:4222,nats://b:4222"],
        &[
            ("WEIR_INGEST_TOKEN", "pass-token"),
            ("MW_API_KEY", "pass-key"),
            ("MW_TENANT", "acme"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318"),
            ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=pass-header"),
        ],
    )
    .unwrap();
    let shown = format!("{settings:?}");
    assert!(!shown.contains("pass-"), "{shown}");
    assert_eq!(settings.bus.servers.to_string(), "127.0.0.1:4222, b:4222");
    for nats in ["token: { env: S3CRET }", "nkey: { env: S3CRET }", "user: a, password: { env: S3CRET }"] {
        let settings = from_file(&format!("nats: {{ {nats} }}")).unwrap();
        assert!(!format!("{settings:?}").contains("pass-"));
        assert_ne!(settings.bus.auth, NatsAuth::None);
    }
}

#[test]
fn an_unusable_nats_url_is_refused_without_being_shown() {
    let refused = settings(&["--nats-url", "nats://u:pass@:x"], &[]).unwrap_err();
    assert!(!refused.to_string().contains("pass"), "{refused}");
}

#[test]
fn a_flag_goes_before_its_variable_and_that_before_the_file() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "stream: { max_bytes: 1GiB, replicas: 3 }\nservice_name: of-file").unwrap();
    let file = file.path().to_str().unwrap();
    let variables = [
        ("WEIR_EXPORTER__STREAM__REPLICAS", "5"),
        ("WEIR_EXPORTER__SERVICE_NAME", "of-variable"),
        ("OTEL_SERVICE_NAME", "of-otel"),
        ("OTEL_RESOURCE_ATTRIBUTES", "service.name=ignored,team=a"),
    ];
    let found = settings(&["--config", file, "--stream-max-bytes", "2097152"], &variables).unwrap();
    assert_eq!(found.bus.stream.max_bytes, 2 << 20);
    assert_eq!(found.bus.stream.replicas, 5);
    assert_eq!(found.destinations[0].resource.service(), "of-variable");
    assert_eq!(found.destinations[0].resource.of_exporter()["team"], "a");
}

#[test]
fn a_configuration_that_does_not_fit_is_refused_by_its_field() {
    for (yaml, path) in [
        ("stream: { max_bytes: 1KiB }", "stream.max_bytes"),
        ("stream: { replicas: 9 }", "stream.replicas"),
        ("stream: { max_age: 1m, duplicate_window: 2m }", "stream.duplicate_window"),
        ("ingest: { max_body: 1B }", "ingest.max_body"),
        ("ingest: { max_in_flight: 1MiB }", "ingest.max_in_flight"),
        ("ingest: { tls: { certificate: /nowhere, key: /nowhere } }", "ingest.tls.certificate"),
        ("nats: { user: a }", "nats.user"),
        ("nats: { token: { env: A }, nkey: { env: A } }", "nats"),
        ("nats: { token: { env: NO } }", "nats.token.env"),
        ("nats: { tls: { ca: /nowhere } }", "nats.tls.ca"),
        ("destinations: { a: { type: otlp, endpoint: 'http://h', metrics: 'h' } }", "destinations.a.metrics"),
    ] {
        match from_file(yaml).unwrap_err() {
            SettingsError::Config(error) => assert_eq!(error.path, path, "{error}"),
            error => panic!("{error}"),
        }
    }
    let missing = settings(&["--config", "/nowhere/exporter.yaml"], &[]).unwrap_err();
    assert_eq!(missing.to_string(), "cannot read /nowhere/exporter.yaml");
}

#[test]
fn a_file_of_prices_reaches_every_destination_and_a_bad_one_is_refused_by_its_field() {
    let file = tempfile::NamedTempFile::new().unwrap();
    fs::write(file.path(), "models: { house: { input: 1, output: 2 } }").unwrap();
    let path = file.path().to_str().unwrap().to_owned();
    let usage =
        weir_event::v1::Usage { input_tokens: Some(1_000_000), output_tokens: Some(0), ..Default::default() };
    let answer =
        weir_event::v1::Response { model: "house".to_owned(), usage: Some(usage), ..Default::default() };
    assert!(settings(&["--prices", ""], &[]).is_ok());
    let by_flag = settings(&["--prices", &path], &[]).unwrap();
    let by_file = from_file(&format!(
        "prices: {path}\ndestinations: {{ a: {{ type: console }}, b: {{ type: console }} }}"
    ));
    let destinations = [by_flag.destinations, by_file.unwrap().destinations].concat();
    assert_eq!(destinations.len(), 3);
    for destination in destinations {
        assert_eq!(destination.profile.prices.cost("", &answer).unwrap().total(), 1.0);
    }
    let before = settings(&["--prices", &path], &[]).unwrap();
    assert_eq!(settings(&["--prices", &path], &[]).unwrap(), before, "a reload sees that nothing changed");
    fs::write(file.path(), "models: { house: { input: 3, output: 2 } }").unwrap();
    assert_ne!(settings(&["--prices", &path], &[]).unwrap(), before, "and that something did");
    fs::write(file.path(), "models: {}\ncurrency: EUR").unwrap();
    let refused = settings(&["--prices", &path], &[]).unwrap_err();
    let refused = format!("{:#}", anyhow::Error::from(refused));
    assert!(refused.contains("(--prices, WEIR_PRICES): ") && refused.contains("currency"), "{refused}");
    assert_eq!(refused.matches(&path).count(), 1, "{refused}");
}

#[test]
fn the_limit_of_values_comes_from_the_specifications_variables() {
    let limit =
        |variables: &[(&str, &str)]| settings(&[], variables).unwrap().destinations[0].profile.value_limit;
    let (own, general) = ("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT", "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT");
    assert_eq!(limit(&[]), None);
    assert_eq!(limit(&[(own, "12"), (general, "13")]), Some(12));
    assert_eq!(limit(&[(general, "13")]), Some(13));
    assert!(settings(&[], &[(own, "-1")]).unwrap_err().to_string().contains(own));
}
