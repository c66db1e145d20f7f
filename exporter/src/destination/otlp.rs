//! Any OTLP endpoint.
//!
//! One without an endpoint of its own is described by the variables of the OpenTelemetry specification
//! ("OpenTelemetry Protocol Exporter"), the signal's own before the general one. One with an endpoint takes
//! nothing from them: a key that was meant for another place must not be sent there.

use std::time::Duration;

use reqwest::Url;

use super::{
    headers,
    settings::{Context, METRICS_PATH, OtlpSettings, TIMEOUT, TRACES_PATH, endpoint, with_path},
    tls::ClientTls,
};
use crate::{
    config::{
        ConfigError,
        wire::{self, Compression, Metrics, Protocol},
    },
    process::env::Env,
};

/// The name of the destination that the environment describes.
pub(super) const NAME: &str = "otlp";

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";

/// The variables of a signal: its own, and with them the general ones.
pub(super) struct Variables {
    /// Where the signal goes, used as it is.
    endpoint: &'static str,
    /// What is appended to the general endpoint.
    path: &'static str,
    protocol: [&'static str; 2],
    headers: [&'static str; 2],
    timeout: [&'static str; 2],
    compression: [&'static str; 2],
    certificate: [&'static str; 2],
    client_certificate: [&'static str; 2],
    client_key: [&'static str; 2],
}

/// A signal's own variable and the general one.
macro_rules! both {
    ($signal:literal, $name:literal) => {
        [concat!("OTEL_EXPORTER_OTLP_", $signal, "_", $name), concat!("OTEL_EXPORTER_OTLP_", $name)]
    };
}

macro_rules! variables {
    ($signal:literal, $path:expr) => {
        Variables {
            endpoint: concat!("OTEL_EXPORTER_OTLP_", $signal, "_ENDPOINT"),
            path: $path,
            protocol: both!($signal, "PROTOCOL"),
            headers: both!($signal, "HEADERS"),
            timeout: both!($signal, "TIMEOUT"),
            compression: both!($signal, "COMPRESSION"),
            certificate: both!($signal, "CERTIFICATE"),
            client_certificate: both!($signal, "CLIENT_CERTIFICATE"),
            client_key: both!($signal, "CLIENT_KEY"),
        }
    };
}

const TRACES: Variables = variables!("TRACES", TRACES_PATH);
pub(super) const METRICS: Variables = variables!("METRICS", METRICS_PATH);

/// Whether the environment names an OTLP endpoint for spans.
pub(super) fn is_in(env: &Env) -> Result<bool, ConfigError> {
    Ok(env.first(&[TRACES.endpoint, ENDPOINT])?.is_some())
}

pub(super) fn settings(
    path: &str,
    one: &wire::Destination,
    context: &Context<'_>,
) -> Result<OtlpSettings, ConfigError> {
    let Some(url) = &one.endpoint else {
        return named(&TRACES, path, one, context)?.ok_or_else(|| {
            let message = format!("must be set, or {ENDPOINT}: it says where to send");
            ConfigError::at(format!("{path}.endpoint"), message)
        });
    };
    let url = endpoint(&format!("{path}.endpoint"), url)?;
    Ok(OtlpSettings {
        headers: headers::configured(&format!("{path}.headers"), &one.headers, context.env)?,
        tls: tls(path, one)?,
        ..shared(url, one.protocol.unwrap_or_default(), one, context)
    })
}

/// Where a destination's metrics go: where it says, else beside its traces, by whatever describes those.
pub(super) fn metrics(
    path: &str,
    one: &wire::Destination,
    context: &Context<'_>,
    traces: &OtlpSettings,
) -> Result<Option<OtlpSettings>, ConfigError> {
    match &one.metrics {
        Some(Metrics::Off(_)) => Ok(None),
        Some(Metrics::Url(url)) => {
            let url = endpoint(&format!("{path}.metrics"), url)?;
            Ok(Some(OtlpSettings { url, ..traces.clone() }))
        }
        None if one.kind == wire::Kind::Otlp && one.endpoint.is_none() => named(&METRICS, path, one, context),
        None => Ok(beside(traces)),
    }
}

/// The endpoint for metrics that belongs to one for traces; none where that one's path does not show where.
fn beside(traces: &OtlpSettings) -> Option<OtlpSettings> {
    let mut url = traces.url.clone();
    if traces.protocol != Protocol::Grpc {
        let base = url.path().strip_suffix(TRACES_PATH)?.strip_suffix('/')?.to_owned();
        url.set_path(&base);
        url = with_path(url, METRICS_PATH);
    }
    Some(OtlpSettings { url, ..traces.clone() })
}

/// What the environment says of a signal; `None` where it names no endpoint for it.
pub(super) fn named(
    variables: &Variables,
    path: &str,
    one: &wire::Destination,
    context: &Context<'_>,
) -> Result<Option<OtlpSettings>, ConfigError> {
    let env = context.env;
    let protocol = match one.protocol {
        Some(protocol) => protocol,
        None => protocol_of(variables, env)?.unwrap_or_default(),
    };
    let url = match (env.get(variables.endpoint)?, env.get(ENDPOINT)?) {
        (Some(whole), _) => endpoint(variables.endpoint, &whole)?,
        (None, Some(base)) if protocol == Protocol::Grpc => endpoint(ENDPOINT, &base)?,
        (None, Some(base)) => with_path(endpoint(ENDPOINT, &base)?, variables.path),
        (None, None) => return Ok(None),
    };
    let mut settings = shared(url, protocol, one, context);
    if let Some((name, list)) = env.first(&variables.headers)? {
        settings.headers = headers::parse(name, &list)?;
    }
    settings.headers.extend(headers::configured(&format!("{path}.headers"), &one.headers, env)?);
    settings.tls = if one.tls.is_some() { tls(path, one)? } else { tls_of(variables, env)? };
    if one.timeout.is_none() {
        settings.timeout = timeout_of(variables, env)?.unwrap_or(TIMEOUT);
    }
    if one.compression.is_none() {
        settings.compression = compression_of(variables, env)?.unwrap_or_default();
    }
    Ok(Some(settings))
}

/// What every destination that posts has.
pub(super) fn shared(
    url: Url,
    protocol: Protocol,
    one: &wire::Destination,
    context: &Context<'_>,
) -> OtlpSettings {
    OtlpSettings {
        url,
        protocol,
        headers: reqwest::header::HeaderMap::new(),
        compression: one.compression.unwrap_or_default(),
        timeout: one.timeout.map_or(TIMEOUT, |time| time.0).max(Duration::from_millis(1)),
        tls: ClientTls::default(),
        proxy: one.proxy_from_environment.unwrap_or(context.proxy),
        retry_server_errors: one.retry.server_errors.or(context.retry.server_errors).unwrap_or(true),
        guard: context.guard,
    }
}

pub(super) fn tls(path: &str, one: &wire::Destination) -> Result<ClientTls, ConfigError> {
    let written = one.tls.clone().unwrap_or_default();
    ClientTls::read(&format!("{path}.tls"), &written)
}

fn protocol_of(variables: &Variables, env: &Env) -> Result<Option<Protocol>, ConfigError> {
    let Some((name, value)) = env.first(&variables.protocol)? else { return Ok(None) };
    match value.as_str() {
        "http/protobuf" => Ok(Some(Protocol::HttpProtobuf)),
        "http/json" => Ok(Some(Protocol::HttpJson)),
        "grpc" => Ok(Some(Protocol::Grpc)),
        _ => Err(ConfigError::at(name, "must be http/protobuf, http/json or grpc")),
    }
}

fn timeout_of(variables: &Variables, env: &Env) -> Result<Option<Duration>, ConfigError> {
    let Some((name, value)) = env.first(&variables.timeout)? else { return Ok(None) };
    let ms = value.trim().parse().ok().filter(|ms| *ms > 0);
    ms.map(|ms| Some(Duration::from_millis(ms)))
        .ok_or_else(|| ConfigError::at(name, "must be a number of milliseconds"))
}

fn compression_of(variables: &Variables, env: &Env) -> Result<Option<Compression>, ConfigError> {
    let Some((name, value)) = env.first(&variables.compression)? else { return Ok(None) };
    match value.as_str() {
        "gzip" => Ok(Some(Compression::Gzip)),
        "none" => Ok(Some(Compression::None)),
        _ => Err(ConfigError::at(name, "must be gzip or none")),
    }
}

fn tls_of(variables: &Variables, env: &Env) -> Result<ClientTls, ConfigError> {
    let file = |names: &[&'static str]| Ok(env.first(names)?.map(|(_, file)| file.into()));
    let written = wire::ClientTls {
        ca: file(&variables.certificate)?,
        certificate: file(&variables.client_certificate)?,
        key: file(&variables.client_key)?,
    };
    ClientTls::read("OTEL_EXPORTER_OTLP_CERTIFICATE and _CLIENT_*", &written)
}
