//! Any OTLP/HTTP endpoint, by the variables of the OpenTelemetry specification ("OpenTelemetry Protocol
//! Exporter"): the signal's own variable goes before the general one.

use super::{DestinationError, DestinationSettings, Kind, OtlpSettings, endpoint, headers, with_traces_path};
use crate::{
    env::{Env, variable},
    spans::{View, names},
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
const HEADERS: &str = "OTEL_EXPORTER_OTLP_HEADERS";
const TRACES_HEADERS: &str = "OTEL_EXPORTER_OTLP_TRACES_HEADERS";

pub(super) fn from_env(
    service_name: &str,
    env: Env<'_>,
) -> Result<Option<DestinationSettings>, DestinationError> {
    let url = match (variable(env, TRACES_ENDPOINT)?, variable(env, ENDPOINT)?) {
        (Some(whole), _) => endpoint(TRACES_ENDPOINT, &whole)?,
        (None, Some(base)) => with_traces_path(endpoint(ENDPOINT, &base)?),
        (None, None) => return Ok(None),
    };
    let headers = match (variable(env, TRACES_HEADERS)?, variable(env, HEADERS)?) {
        (Some(own), _) => headers::parse(TRACES_HEADERS, &own)?,
        (None, Some(general)) => headers::parse(HEADERS, &general)?,
        (None, None) => reqwest::header::HeaderMap::new(),
    };
    Ok(Some(DestinationSettings {
        name: "otlp",
        kind: Kind::Otlp(OtlpSettings { url, headers }),
        resource: vec![(names::SERVICE_NAME, service_name.to_owned())],
        view: View::default(),
    }))
}
