use super::*;

fn over(yaml: &str, variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Ok(parse_over(yaml, variables.iter().map(|(name, value)| (name.into(), value.into())))?.config)
}

#[test]
fn an_empty_file_is_all_defaults() {
    for yaml in ["", "# nothing yet\n", "---\n", "{}"] {
        assert_eq!(parse(yaml).unwrap(), Config::default(), "{yaml:?}");
    }
}

#[test]
fn an_error_names_the_field_and_what_would_be_right() {
    for (yaml, path, says) in [
        ("streem: {}", ".", "did you mean \"stream\"?"),
        ("stream: { max_byte: 1GiB }", "stream", "did you mean \"max_bytes\"?"),
        ("stream: { max_bytes: 5 }", "stream.max_bytes", "such as \"10GiB\""),
        ("stream: { keep: soon }", "stream.keep", "such as \"200ms\""),
        ("destinations: { mw: { type: midleware } }", "destinations.mw.type", "did you mean \"middleware\"?"),
        (
            "destinations: { mw: { type: otlp, headers: { authorization: [x] } } }",
            "destinations.mw.headers.authorization",
            "{ env: VARIABLE }",
        ),
        (
            "destinations: { mw: { type: otlp, headers: { authorization: { enw: X } } } }",
            "destinations.mw.headers.authorization",
            "did you mean \"env\"?",
        ),
        (
            "destinations: { a: { type: otlp, when: { status: { a: b } } } }",
            "destinations.a.when.status",
            "a list of texts",
        ),
        ("stream: [", ".", ""),
    ] {
        let error = parse(yaml).unwrap_err();
        assert!(error.path.starts_with(path.trim_start_matches('.')), "{yaml}: {error}");
        assert!(error.to_string().contains(says), "{yaml}: {error}");
    }
}

#[test]
fn a_secret_in_the_wrong_place_is_in_no_error() {
    for yaml in [
        "ingest: { token: sk-canary }",
        "ingest: { token: 12345678 }",
        "ingest: { token: [sk-canary] }",
        "ingest: { token: { env: X, kee: sk-canary } }",
        "destinations: { mw: { type: middleware, key: sk-canary } }",
        "destinations: sk-canary",
        "nats: sk-canary",
        "ingest: { token: { env: A, file: sk-canary } }",
        "stream: { max_bytes: sk-canary }",
        "stream: { replicas: sk-canary }",
    ] {
        let error = parse(yaml).unwrap_err().to_string();
        assert!(!error.contains("canary") && !error.contains("12345678"), "{error}");
        let (path, value) = yaml.split_once(": ").unwrap();
        let name = format!("{PREFIX}{}", path.to_ascii_uppercase());
        let error = over("", &[(&name, value)]).unwrap_err().to_string();
        assert!(!error.contains("canary") && !error.contains("12345678"), "{error}");
    }
    let config = parse("destinations: { a: { type: otlp, headers: { x: sk-canary } } }").unwrap();
    assert!(!format!("{config:?}").contains("canary"));
}

#[test]
fn the_environment_is_laid_over_the_file() {
    let yaml = "stream: { max_bytes: 1GiB, replicas: 3 }\ndestinations: { mw-eu: { type: console } }";
    let config = over(
        yaml,
        &[
            ("WEIR_EXPORTER__STREAM__MAX_BYTES", "2GiB"),
            ("WEIR_EXPORTER__DESTINATIONS__MW_EU__EXCLUDE_REQUEST_DATA", "true"),
            ("WEIR_EXPORTER__DESTINATIONS__NEW", "{ type: otlp, headers: { x-a: b } }"),
            ("WEIR_EXPORTER__DESTINATIONS__NEW__WHEN__STATUS", "[5xx, 429]"),
            ("WEIR_EXPORTER__SERVICE_NAME", ""),
            ("OTHER", "x"),
        ],
    )
    .unwrap();
    assert_eq!(config.stream.max_bytes, Some(weir_settings::Size(2 << 30)));
    assert_eq!(config.stream.replicas, Some(3));
    let destinations = config.destinations.unwrap();
    assert!(destinations["mw-eu"].exclude_request_data);
    let status = destinations["new"].when.as_ref().unwrap().status.as_ref().unwrap();
    assert_eq!(status.all(), ["5xx", "429"]);
    assert_eq!(config.service_name, None);
}

#[test]
fn a_variable_that_names_no_field_is_refused_by_its_field() {
    let error = over("", &[("WEIR_EXPORTER__STREAM__MAX_BYTE", "1GiB")]).unwrap_err();
    assert!(error.path.starts_with("stream"), "{error}");
    assert!(error.to_string().contains("max_byte") && error.to_string().contains("environment"), "{error}");
    assert!(over("", &[("WEIR_EXPORTER__", "1")]).is_err());
}
