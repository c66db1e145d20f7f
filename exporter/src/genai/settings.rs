//! Where metrics go and how often: next to the traces, unless the environment says otherwise.
//!
//! A destination that takes spans at `…/v1/traces` takes metrics at `…/v1/metrics`, with the same headers.
//! Of the endpoint that `OTEL_EXPORTER_OTLP_*` names, those variables say it themselves, each signal's own
//! going before the general one (OpenTelemetry, "OpenTelemetry Protocol Exporter").

use std::time::Duration;

use reqwest::Url;

use super::push::Endpoint;
use crate::{
    destination::{
        DestinationError, DestinationSettings, Kind, OtlpSettings, endpoint, headers, otlp, with_path,
    },
    env::{Env, NotUtf8, variable},
    spans::names,
};

/// Path of OTLP/HTTP for metrics (OpenTelemetry Protocol specification, "OTLP/HTTP Request").
const METRICS_PATH: &str = "v1/metrics";

/// What ends the path of an endpoint for traces.
const TRACES_END: &str = "/v1/traces";

const METRICS_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT";
const METRICS_HEADERS: &str = "OTEL_EXPORTER_OTLP_METRICS_HEADERS";
const EXPORTER: &str = "OTEL_METRICS_EXPORTER";
const INTERVAL: &str = "OTEL_METRIC_EXPORT_INTERVAL";
const TEMPORALITY: &str = "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE";

/// Time between two pushes where nobody says another (OpenTelemetry, "Environment Variable Specification").
const DEFAULT_INTERVAL: Duration = Duration::from_secs(60);

/// The longest time between two pushes.
const MAX_INTERVAL: Duration = Duration::from_secs(24 * 60 * 60);

/// Why the settings were refused.
#[derive(Debug, thiserror::Error)]
pub enum PushSettingsError {
    /// The interval is no time.
    #[error("{INTERVAL} must be a number of milliseconds, from 1 to 86400000")]
    Interval,
    /// Nothing can be done with this exporter.
    #[error("{EXPORTER} must be otlp, prometheus (/metrics is always there) or none")]
    Exporter,
    /// The temporality is none that there is.
    #[error("{TEMPORALITY} must be cumulative, delta or lowmemory")]
    Temporality,
    /// An endpoint or its headers do not fit.
    #[error(transparent)]
    Destination(#[from] DestinationError),
    /// A variable could not be read.
    #[error(transparent)]
    Variable(#[from] NotUtf8),
}

/// What is pushed where.
#[derive(Clone, Debug, Default)]
pub struct PushSettings {
    /// Where; nothing is pushed where there is none.
    pub endpoints: Vec<Endpoint>,
    /// Time between two pushes.
    pub interval: Duration,
    /// Whether a push holds what came since the last one that was taken, rather than everything.
    pub delta: bool,
}

impl PushSettings {
    /// What the environment says, for these destinations.
    ///
    /// # Errors
    ///
    /// [`PushSettingsError`], naming the variable that does not fit.
    pub fn from_env(
        destinations: &[DestinationSettings],
        service_name: &str,
        env: Env<'_>,
    ) -> Result<Self, PushSettingsError> {
        let (interval, delta) = (interval(env)?, delta(env)?);
        if !pushes(env)? {
            return Ok(Self { endpoints: Vec::new(), interval, delta });
        }
        let named = named_endpoint(service_name, env)?;
        let beside = destinations.iter().filter(|found| found.name != otlp::NAME).filter_map(beside_traces);
        Ok(Self { endpoints: beside.chain(named).collect(), interval, delta })
    }
}

/// Whether `OTEL_METRICS_EXPORTER` leaves OTLP on.
fn pushes(env: Env<'_>) -> Result<bool, PushSettingsError> {
    let Some(list) = variable(env, EXPORTER)? else { return Ok(true) };
    let mut otlp = false;
    for exporter in list.split(',').map(str::trim).filter(|exporter| !exporter.is_empty()) {
        match exporter {
            "otlp" => otlp = true,
            "none" | "prometheus" => {}
            _ => return Err(PushSettingsError::Exporter),
        }
    }
    Ok(otlp)
}

fn interval(env: Env<'_>) -> Result<Duration, PushSettingsError> {
    let Some(text) = variable(env, INTERVAL)? else { return Ok(DEFAULT_INTERVAL) };
    let interval = text.trim().parse().map(Duration::from_millis).map_err(|_| PushSettingsError::Interval)?;
    if interval.is_zero() || interval > MAX_INTERVAL {
        return Err(PushSettingsError::Interval);
    }
    Ok(interval)
}

fn delta(env: Env<'_>) -> Result<bool, PushSettingsError> {
    let Some(text) = variable(env, TEMPORALITY)? else { return Ok(false) };
    match text.trim().to_ascii_lowercase().as_str() {
        "cumulative" => Ok(false),
        // For histograms, the preference for little memory is delta.
        "delta" | "lowmemory" => Ok(true),
        _ => Err(PushSettingsError::Temporality),
    }
}

/// The endpoint that belongs to a destination's own for traces; none where that one's path tells nothing.
fn beside_traces(destination: &DestinationSettings) -> Option<Endpoint> {
    let Kind::Otlp(otlp) = &destination.kind else { return None };
    let base = otlp.url.path().strip_suffix(TRACES_END)?;
    let mut url = otlp.url.clone();
    url.set_path(base);
    Some(Endpoint {
        name: destination.name,
        otlp: OtlpSettings { url: with_path(url, METRICS_PATH), headers: otlp.headers.clone() },
        resource: destination.resource.clone(),
    })
}

/// The endpoint that `OTEL_EXPORTER_OTLP_*` names; none where these name one for traces only.
fn named_endpoint(service_name: &str, env: Env<'_>) -> Result<Option<Endpoint>, PushSettingsError> {
    let Some(url) = named_url(env)? else { return Ok(None) };
    let headers = match (variable(env, METRICS_HEADERS)?, variable(env, otlp::HEADERS)?) {
        (Some(own), _) => headers::parse(METRICS_HEADERS, &own)?,
        (None, Some(general)) => headers::parse(otlp::HEADERS, &general)?,
        (None, None) => reqwest::header::HeaderMap::new(),
    };
    Ok(Some(Endpoint {
        name: otlp::NAME,
        otlp: OtlpSettings { url, headers },
        resource: vec![(names::SERVICE_NAME, service_name.to_owned())],
    }))
}

fn named_url(env: Env<'_>) -> Result<Option<Url>, PushSettingsError> {
    Ok(match (variable(env, METRICS_ENDPOINT)?, variable(env, otlp::ENDPOINT)?) {
        (Some(whole), _) => Some(endpoint(METRICS_ENDPOINT, &whole)?),
        (None, Some(base)) => Some(with_path(endpoint(otlp::ENDPOINT, &base)?, METRICS_PATH)),
        (None, None) => None,
    })
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::destination;

    fn settings(variables: &[(&str, &str)]) -> Result<PushSettings, PushSettingsError> {
        let env = |name: &str| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        };
        PushSettings::from_env(&destination::from_env(false, "svc", &env).unwrap(), "svc", &env)
    }

    fn urls(variables: &[(&str, &str)]) -> Vec<String> {
        let endpoints = settings(variables).unwrap().endpoints;
        endpoints.iter().map(|endpoint| endpoint.otlp.url.to_string()).collect()
    }

    #[test]
    fn metrics_go_beside_the_traces_with_the_same_headers_and_resource() {
        let found = settings(&[("MW_API_KEY", "k3y"), ("MW_TENANT", "acme")]).unwrap();
        let [endpoint] = &found.endpoints[..] else { panic!("{found:?}") };
        assert_eq!(endpoint.otlp.url.as_str(), "https://acme.middleware.io/v1/metrics");
        assert_eq!(endpoint.otlp.headers["authorization"], "k3y");
        assert!(endpoint.resource.contains(&("project.name", "svc".to_owned())));
        assert_eq!(found.interval, Duration::from_secs(60));
        assert!(!found.delta && !format!("{found:?}").contains("k3y"));
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
    fn the_headers_of_metrics_go_before_the_general_ones() {
        let base = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");
        let general = ("OTEL_EXPORTER_OTLP_HEADERS", "x-key=general");
        let own = ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "x-key=own");
        let key = |found: PushSettings| found.endpoints[0].otlp.headers["x-key"].clone();
        assert_eq!(key(settings(&[base, general]).unwrap()), "general");
        assert_eq!(key(settings(&[base, general, own]).unwrap()), "own");
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
        assert_eq!((found.interval, found.delta), (Duration::from_millis(250), true));
        assert_eq!(found.endpoints.len(), 1);
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
