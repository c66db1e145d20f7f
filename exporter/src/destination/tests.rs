use std::{collections::BTreeMap, time::Duration};

use reqwest::Url;

use super::*;
use crate::{
    config::{
        self, ConfigError,
        wire::{Compression, Protocol},
    },
    spans::{Overlays, prices::Prices, resource::Attributes},
};

fn destinations(yaml: &str, variables: &[(&str, &str)]) -> Result<Vec<DestinationSettings>, ConfigError> {
    let config = config::parse(yaml)?;
    let env = variables.iter().copied().collect();
    let resource = Attributes::from([("service.name".to_owned(), "svc".to_owned())]).into();
    let context = Context {
        env: &env,
        resource: &resource,
        batch: &config.batch,
        retry: &config.retry,
        prices: &Prices::built_in(),
        value_limit: Some(9),
        guard: None,
        proxy: true,
    };
    all(config.destinations.as_ref(), false, &context)
}

fn from_env(variables: &[(&str, &str)]) -> Result<Vec<DestinationSettings>, ConfigError> {
    destinations("", variables)
}

fn otlp(destination: &DestinationSettings) -> &OtlpSettings {
    match &destination.kind {
        Kind::Otlp(settings) => settings,
        _ => panic!("{} posts nothing", destination.name),
    }
}

#[test]
fn without_any_destination_the_console_prints() {
    let found = from_env(&[]).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(&*found[0].name, "console");
    let empty = from_env(&[("MW_API_KEY", ""), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap();
    assert_eq!(&*empty[0].name, "console");
    assert!(destinations("destinations: {}", &[]).unwrap().is_empty());
}

#[test]
fn middleware_needs_only_tenant_and_key() {
    let found = from_env(&[("MW_API_KEY", "k3y"), ("MW_TENANT", "acme")]).unwrap();
    let settings = otlp(&found[0]);
    assert_eq!(&*found[0].name, "middleware");
    assert_eq!(settings.url.as_str(), "https://acme.middleware.io/v1/traces");
    assert_eq!(settings.headers["authorization"], "k3y");
    assert_eq!(settings.headers["x-trace-source"], "openinference");
    assert!(settings.headers["authorization"].is_sensitive());
    // Wherever a request was served, what Middleware finds spans by stays.
    for served_by in [Attributes::new(), Attributes::from([("host.name".to_owned(), "envoy".to_owned())])] {
        let resource = found[0].resource.of(&served_by);
        assert_eq!((resource["project.name"].as_str(), resource["mw.app.lang"].as_str()), ("svc", "rust"));
        assert_eq!(resource.get("host.name"), served_by.get("host.name"));
    }
    let profile = &found[0].profile;
    assert!(profile.overlays.openinference && !profile.exclude_content);
    assert_eq!(profile.middleware_service.as_deref(), Some("svc"));
}

#[test]
fn a_target_replaces_the_tenants_url() {
    let found = from_env(&[("MW_API_KEY", "k"), ("MW_TARGET", "http://127.0.0.1:1234/")]).unwrap();
    assert_eq!(otlp(&found[0]).url.as_str(), "http://127.0.0.1:1234/v1/traces");
}

#[test]
fn half_of_middlewares_settings_is_refused_by_the_missing_name() {
    for (present, missing) in
        [("MW_API_KEY", "MW_TENANT"), ("MW_TENANT", "MW_API_KEY"), ("MW_TARGET", "MW_API_KEY")]
    {
        let refused = from_env(&[(present, "http://s3cret")]).unwrap_err().to_string();
        assert!(refused.contains(&format!("must be set, or {missing}")), "{refused}");
        assert!(!refused.contains("s3cret"), "{refused}");
    }
}

#[test]
fn a_tenant_cannot_lead_elsewhere() {
    for tenant in ["evil.com/", "a#", "a@b", "-a", "a b", "é"] {
        let refused = from_env(&[("MW_API_KEY", "k"), ("MW_TENANT", tenant)]).unwrap_err();
        assert_eq!(refused.path, "MW_TENANT", "{tenant}");
    }
}

#[test]
fn a_key_with_a_line_end_is_refused_without_being_shown() {
    for key in ["k3y\n", "k3y\r\nX-Evil: 1", "\tk3y", "k3y\u{7f}"] {
        let refused = from_env(&[("MW_API_KEY", key), ("MW_TENANT", "acme")]).unwrap_err().to_string();
        assert!(refused.contains("MW_API_KEY") && !refused.contains("k3y"), "{refused}");
    }
}

#[test]
fn an_otlp_endpoint_gets_the_path_and_a_traces_endpoint_is_used_as_it_is() {
    let base = from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/otel/")]).unwrap();
    assert_eq!(&*base[0].name, "otlp");
    assert_eq!(otlp(&base[0]).url.as_str(), "http://127.0.0.1:4318/otel/v1/traces");
    let whole = from_env(&[
        ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://h/custom"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ignored"),
    ])
    .unwrap();
    assert_eq!(otlp(&whole[0]).url.as_str(), "https://h/custom");
}

#[test]
fn the_signals_own_variable_goes_before_the_general_one() {
    let found = from_env(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h:4317"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_TIMEOUT", "1500"),
        ("OTEL_EXPORTER_OTLP_COMPRESSION", "none"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=1"),
        ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "b=2"),
    ])
    .unwrap();
    let settings = otlp(&found[0]);
    assert_eq!((settings.protocol, settings.url.as_str()), (Protocol::Grpc, "http://h:4317/"));
    assert_eq!((settings.timeout, settings.compression), (Duration::from_millis(1500), Compression::None));
    assert_eq!(settings.headers.keys().map(http::HeaderName::as_str).collect::<Vec<_>>(), ["b"]);
    for (name, value) in
        [("PROTOCOL", "http"), ("TIMEOUT", "10s"), ("COMPRESSION", "zip"), ("CERTIFICATE", "/nowhere")]
    {
        let name = format!("OTEL_EXPORTER_OTLP_{name}");
        let refused = from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://h"), (&name, value)]).unwrap_err();
        assert!(refused.path.starts_with(&name), "{refused}");
    }
}

#[test]
fn an_endpoint_of_its_own_gets_no_key_that_was_meant_for_another() {
    let yaml = "destinations: { a: { type: otlp, endpoint: 'https://h/x', headers: { x-a: { env: A } } } }";
    let variables = [
        ("A", "1"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://other"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "k=s3cret"),
    ];
    let found = destinations(yaml, &variables).unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!(otlp(&found[0]).headers.len(), 1);
    assert_eq!(otlp(&found[0]).url.as_str(), "https://h/x");
}

#[test]
fn an_endpoint_that_is_no_http_url_is_refused_without_being_shown() {
    for url in ["127.0.0.1:4318", "grpc://h:4317", "http://user:s3cret@h", "http://"] {
        let refused = from_env(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]).unwrap_err().to_string();
        assert!(refused.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !refused.contains("s3cret"), "{refused}");
    }
}

#[test]
fn several_destinations_stand_side_by_side_each_with_its_own_settings() {
    let yaml = "
batch: { events: 100 }
destinations:
  mw: { type: middleware, tenant: acme, key: { env: KEY }, overlays: [tfy], exclude_request_data: true, value_limit: 7 }
  collector: { type: otlp, endpoint: 'http://c:4318/v1/traces', protocol: http/json, batch: { bytes: 1MiB }, concurrency: 2 }
  here: { type: console, resource: { team: a } }
  disk: { type: file, path: /var/log/weir.jsonl, max_files: 3 }
";
    let found = destinations(yaml, &[("KEY", "k")]).unwrap();
    let by_name: BTreeMap<&str, &DestinationSettings> = found.iter().map(|one| (&*one.name, one)).collect();
    let profile = &by_name["mw"].profile;
    assert_eq!(profile.overlays, Overlays { openinference: false, tfy: true });
    assert!(profile.exclude_content && profile.middleware_service.is_some());
    assert_eq!((profile.value_limit, by_name["here"].profile.value_limit), (Some(7), Some(9)));
    assert_eq!((by_name["collector"].batch.events, by_name["collector"].batch.bytes), (100, 1 << 20));
    assert_eq!((by_name["collector"].concurrency, by_name["here"].concurrency), (2, 1));
    assert_eq!(by_name["here"].resource.of_exporter()["team"], "a");
    assert!(matches!(&by_name["disk"].kind, Kind::File(file) if file.max_files == 3));
}

#[test]
fn what_does_not_fit_is_refused_by_its_field() {
    for (one, path) in [
        ("{ type: console, tenant: a }", "destinations.d.tenant"),
        ("{ type: console, metrics: false }", "destinations.d.metrics"),
        ("{ type: otlp, endpoint: 'http://h', path: /x }", "destinations.d.path"),
        ("{ type: file }", "destinations.d.path"),
        ("{ type: otlp }", "destinations.d.endpoint"),
        ("{ type: otlp, endpoint: 'http://h', concurrency: 99 }", "destinations.d.concurrency"),
        ("{ type: console, batch: { events: 0 } }", "destinations.d.batch.events"),
        ("{ type: console, when: { status: x } }", "destinations.d.when.status"),
        (
            "{ type: otlp, endpoint: 'http://h', headers: { authorization: { env: NO } } }",
            "destinations.d.headers.authorization.env",
        ),
    ] {
        let error = destinations(&format!("destinations: {{ d: {one} }}"), &[]).unwrap_err();
        assert_eq!(error.path, path, "{error}");
    }
    assert!(destinations("destinations: { a.b: { type: console } }", &[]).is_err());
}

#[test]
fn only_plain_http_beyond_loopback_travels_in_the_clear() {
    let clear = |url: &str| travels_in_the_clear(&Url::parse(url).unwrap());
    assert!(clear("http://collector:4318"));
    for url in ["https://collector", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
        assert!(!clear(url), "{url}");
    }
}

#[test]
fn a_recognizer_is_asked_at_its_path_and_what_does_not_fit_is_named() {
    let with = |recognizer: &str, more: &str| {
        let yaml =
            format!("destinations: {{ d: {{ type: console{more}, recognizer: {{ {recognizer} }} }} }}");
        destinations(&yaml, &[]).map(|mut found| *found.remove(0).recognizer.unwrap())
    };
    let found = with("url: 'http://127.0.0.1:5002'", "").unwrap();
    assert_eq!(found.url.as_str(), "http://127.0.0.1:5002/analyze");
    assert_eq!((found.language.as_str(), found.timeout), ("en", Duration::from_secs(10)));
    assert_eq!(with("url: 'https://h/presidio/analyze'", "").unwrap().url.path(), "/presidio/analyze");
    for (recognizer, more, field) in [
        ("url: 'ftp://h'", "", "url"),
        ("url: 'http://h/?key=s'", "", "url"),
        ("url: 'http://h', language: 'e n'", "", "language"),
        ("url: 'http://h', entities: [person]", "", "entities"),
        ("url: 'http://h', score: 1.5", "", "score"),
        ("url: 'http://h', timeout: 0ms", "", "timeout"),
        ("url: 'http://h'", ", exclude_request_data: true", ""),
    ] {
        let error = with(recognizer, more).unwrap_err();
        assert_eq!(
            error.path.trim_end_matches('.'),
            format!("destinations.d.recognizer.{field}").trim_end_matches('.')
        );
    }
}
