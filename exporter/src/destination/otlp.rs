//! Any OTLP/HTTP endpoint, by the variables of the OpenTelemetry specification ("OpenTelemetry Protocol
//! Exporter"): the signal's own variable goes before the general one.

use super::{
    DestinationError, DestinationSettings, Kind, OtlpSettings, TRACES_PATH, endpoint, headers, with_path,
};
use crate::{
    env::{Env, variable},
    spans::{View, names},
};

/// The destination's name.
pub(crate) const NAME: &str = "otlp";

pub(crate) const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
pub(crate) const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";

pub(super) fn from_env(
    service_name: &str,
    env: Env<'_>,
) -> Result<Option<DestinationSettings>, DestinationError> {
    let url = match (variable(env, TRACES_ENDPOINT)?, variable(env, ENDPOINT)?) {
        (Some(whole), _) => endpoint(TRACES_ENDPOINT, &whole)?,
        (None, Some(base)) => with_path(endpoint(ENDPOINT, &base)?, TRACES_PATH),
        (None, None) => return Ok(None),
    };
    let headers = match (variable(env, TRACES_HEADERS)?, variable(env, HEADERS)?) {
        (Some(own), _) => headers::parse(TRACES_HEADERS, &own)?,
        (None, Some(general)) => headers::parse(HEADERS, &general)?,
        (None, None) => reqwest::header::HeaderMap::new(),
    };
    Ok(Some(DestinationSettings {
        name: NAME,
        kind: Kind::Otlp(OtlpSettings { url, headers }),
        resource: vec![(names::SERVICE_NAME, service_name.to_owned())],
        view: View::default(),
    }))
}
