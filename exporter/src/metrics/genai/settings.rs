//! Where metrics go and how often: where each destination's are pushed (see [`crate::destination`]), unless the
//! environment turns pushing off, and as often as it says.

use std::{sync::Arc, time::Duration};

use crate::{
    config::ConfigError,
    destination::{DestinationSettings, OtlpSettings},
    process::env::Env,
    spans::resource::{Attributes, Resource},
};

/// The name of an endpoint that is no destination's.
const ALONE: &str = "otlp";

const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";

/// Default time between two pushes (OpenTelemetry, "Environment Variable Specification").
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// The longest time between two pushes.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// What is pushed to one endpoint.
#[derive(Clone, Debug, PartialEq)]
pub struct PushSettings {
    /// The destination's name, for logs and as a label.
    pub name: Arc<str>,
    /// Where metrics are posted, and how.
    pub otlp: OtlpSettings,
    /// Attributes of the resource that they belong to.
    pub resource: Attributes,
    /// Time between two pushes.
    pub interval: Duration,
    /// Whether a push holds what came since the last one that was taken, rather than everything.
    pub delta: bool,
}

/// The endpoints of these destinations, and `alone`, which is none's.
pub(crate) fn all(
    destinations: &[DestinationSettings],
    alone: Option<OtlpSettings>,
    resource: &Resource,
    env: &Env,
) -> Result<Vec<PushSettings>, ConfigError> {
    let (interval, delta) = (interval(env)?, delta(env)?);
    if !pushes(env)? {
        return Ok(Vec::new());
    }
    let push = |name: Arc<str>, otlp, resource| PushSettings { name, otlp, resource, interval, delta };
    let of_destination = |found: &DestinationSettings| {
        let otlp = found.metrics.as_deref()?.clone();
        Some(push(Arc::clone(&found.name), otlp, found.resource.of_exporter()))
    };
    let alone = alone.map(|otlp| push(ALONE.into(), otlp, resource.of_exporter()));
    Ok(destinations.iter().filter_map(of_destination).chain(alone).collect())
}

/// Whether `OTEL_METRICS_EXPORTER` leaves OTLP on.
fn pushes(env: &Env) -> Result<bool, ConfigError> {
    let Some(list) = env.get(EXPORTER)? else { return Ok(true) };
    let mut otlp = false;
    for exporter in list.split(',').map(str::trim).filter(|exporter| !exporter.is_empty()) {
        match exporter {
            "otlp" => otlp = true,
            "none" | "prometheus" => {}
            _ => {
                let message = "must be otlp, prometheus (/metrics is always there) or none";
                return Err(ConfigError::at(EXPORTER, message));
            }
        }
    }
    Ok(otlp)
}

fn interval(env: &Env) -> Result<Duration, ConfigError> {
    let Some(text) = env.get(INTERVAL)? else { return Ok(DEFAULT_INTERVAL) };
    let interval = text.trim().parse().ok().map(Duration::from_millis);
    interval
        .filter(|interval| !interval.is_zero() && *interval <= MAX_INTERVAL)
        .ok_or_else(|| ConfigError::at(INTERVAL, "must be a number of milliseconds, from 1 to 86400000"))
}

fn delta(env: &Env) -> Result<bool, ConfigError> {
    let Some(text) = env.get(TEMPORALITY)? else { return Ok(false) };
    match text.trim().to_ascii_lowercase().as_str() {
        "cumulative" => Ok(false),
        // For histograms, the preference for little memory is delta.
        "delta" | "lowmemory" => Ok(true),
        _ => Err(ConfigError::at(TEMPORALITY, "must be cumulative, delta or lowmemory")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::{
        app::settings::{Settings, SettingsError},
        cli::Cli,
        config::wire::Protocol,
    };

    fn settings(variables: &[(&str, &str)]) -> Result<Vec<PushSettings>, SettingsError> {
        of("", variables)
    }

    fn of(yaml: &str, variables: &[(&str, &str)]) -> Result<Vec<PushSettings>, SettingsError> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), yaml).unwrap();
        let cli = Cli::parse_from(["weir-exporter", "--config", file.path().to_str().unwrap()]);
        let env = variables.iter().copied().collect();
        Ok(Settings::load(cli.role(), &cli.flags, &env)?.pushes)
    }

    fn shown(pushes: &[PushSettings]) -> Vec<String> {
        pushes.iter().map(|push| push.otlp.url.to_string()).collect()
    }

    fn urls(variables: &[(&str, &str)]) -> Vec<String> {
        shown(&settings(variables).unwrap())
    }

    #[test]
    fn metrics_go_beside_the_traces_with_the_same_headers_and_resource() {
        let found = settings(&[("MW_API_KEY", "k3y"), ("MW_TENANT", "acme")]).unwrap();
        let [push] = &found[..] else { panic!("{found:?}") };
        assert_eq!(push.otlp.url.as_str(), "https://acme.middleware.io/v1/metrics");
        assert_eq!(push.otlp.headers["authorization"], "k3y");
        assert_eq!(push.resource["project.name"], "weir-gateway");
        assert_eq!(push.interval, Duration::from_secs(60));
        assert!(!push.delta && !format!("{found:?}").contains("k3y"));
        let target = urls(&[("MW_API_KEY", "k"), ("MW_TARGET", "http://127.0.0.1:1/mw")]);
        assert_eq!(target, ["http://127.0.0.1:1/mw/v1/metrics"]);
    }

    #[test]
    fn a_base_gets_the_path_and_a_metrics_endpoint_is_used_as_it_is() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/otel/");
        assert_eq!(urls(&[base]), ["http://127.0.0.1:4318/otel/v1/metrics"]);
        let whole = ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://h/custom");
        assert_eq!(urls(&[base, whole]), ["https://h/custom"]);
        assert_eq!(urls(&[whole]), ["https://h/custom"]);
        assert!(urls(&[("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://h/v1/traces")]).is_empty());
        assert!(urls(&[]).is_empty(), "the console takes no metrics");
    }

    #[test]
    fn the_variables_of_metrics_go_before_the_general_ones() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let general = ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=general");
        let own = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-key=own");
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "x-key=traces");
        let key = |found: Vec<PushSettings>| found[0].otlp.headers["x-key"].clone();
        assert_eq!(key(settings(&[base, general, traces]).unwrap()), "general");
        assert_eq!(key(settings(&[base, general, own]).unwrap()), "own");
        let grpc = ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc");
        let found = settings(&[base, grpc]).unwrap();
        assert_eq!(
            (found[0].otlp.protocol, found[0].otlp.url.as_str()),
            (Protocol::Grpc, "http://127.0.0.1:4318/")
        );
    }

    #[test]
    fn a_destination_says_where_its_metrics_go_or_that_they_do_not() {
        let of = |one: &str| of(&format!("destinations: {{ d: {{ type: otlp, {one} }} }}"), &[]);
        let urls = |one: &str| shown(&of(one).unwrap());
        assert_eq!(urls("endpoint: 'https://h/otel/v1/traces'"), ["https://h/otel/v1/metrics"]);
        assert!(urls("endpoint: 'https://h/custom'").is_empty(), "the path tells nothing");
        assert_eq!(urls("endpoint: 'https://h:4317', protocol: grpc"), ["https://h:4317/"]);
        assert_eq!(urls("endpoint: 'https://h/custom', metrics: 'https://m/x'"), ["https://m/x"]);
        assert!(urls("endpoint: 'https://h/v1/traces', metrics: false").is_empty());
        for (metrics, says) in [("true", "a URL, or false"), ("'nowhere'", "destinations.d.metrics: must be")]
        {
            let refused = of(&format!("endpoint: 'https://h/v1/traces', metrics: {metrics}")).unwrap_err();
            assert!(refused.to_string().contains(says), "{refused}");
        }
        let several = super::tests::of(
            "destinations: { a: { type: otlp, endpoint: 'http://a/v1/traces' }, b: { type: console } }",
            &[("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "https://h/other")],
        );
        assert_eq!(shown(&several.unwrap()), ["http://a/v1/metrics"]);
    }

    #[test]
    fn the_interval_the_temporality_and_the_exporter_are_heeded() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let found = settings(&[
            base,
            ("OTEL_METRIC_EXPORT_INTERVAL", "250"),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", "Delta"),
            ("OTEL_METRICS_EXPORTER", "otlp,prometheus"),
        ])
        .unwrap();
        let [push] = &found[..] else { panic!("{found:?}") };
        assert_eq!((push.interval, push.delta), (Duration::from_millis(250), true));
        for off in ["none", "prometheus"] {
            assert!(urls(&[base, ("OTEL_METRICS_EXPORTER", off)]).is_empty());
        }
    }

    #[test]
    fn what_does_not_fit_is_refused_by_the_variables_name() {
        for (name, values) in [
            ("OTEL_METRIC_EXPORT_INTERVAL", &["0", "-1", "soon", "86400001"][..]),
            ("OTEL_METRICS_EXPORTER", &["console", "s3cret"]),
            ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", &["s3cret"]),
            ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", &["s3cret:1", "http://u:s3cret@h"]),
        ] {
            for value in values {
                let refused = settings(&[(name, value)]).unwrap_err().to_string();
                assert!(refused.contains(name) && !refused.contains("s3cret"), "{refused}");
            }
        }
    }
}
