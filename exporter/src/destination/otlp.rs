//! Any OTLP endpoint.
//!
//! One without an endpoint of its own is described by the variables of the OpenTelemetry specification
//! ("OpenTelemetry Protocol Exporter"), the signal's own before the general one. One with an endpoint takes
//! nothing from them: a key that was meant for another place must not be sent there.

use std::time::Duration;

use reqwest::Url;

use super::{ClientTls, Context, OtlpSettings, TIMEOUT, endpoint, headers, with_traces_path};
use crate::{
    config::{
        ConfigError,
        wire::{self, Compression, Protocol},
    },
    env::Env,
};

const ENDPOINT: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
const TRACES_ENDPOINT: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";

/// A signal's own variable and the general one.
macro_rules! variables {
    ($name:literal) => {
        &[concat!("OTEL_EXPORTER_OTLP_TRACES_", $name), concat!("OTEL_EXPORTER_OTLP_", $name)]
    };
}

/// Whether the environment names an OTLP endpoint.
pub(super) fn is_in(env: &Env) -> Result<bool, ConfigError> {
    Ok(env.first(&[TRACES_ENDPOINT, ENDPOINT])?.is_some())
}

pub(super) fn settings(
    path: &str,
    one: &wire::Destination,
    context: &Context<'_>,
) -> Result<OtlpSettings, ConfigError> {
    let own = headers::configured(&format!("{path}.headers"), &one.headers, context.env)?;
    let (url, protocol, general, tls_of_env) = match &one.endpoint {
        Some(url) => {
            let url = endpoint(&format!("{path}.endpoint"), url)?;
            (url, one.protocol.unwrap_or_default(), None, None)
        }
        None => {
            let protocol = match one.protocol {
                Some(protocol) => protocol,
                None => protocol_of(context.env)?.unwrap_or_default(),
            };
            let url = url_of(path, context.env, protocol)?;
            let list = context.env.first(variables!("HEADERS"))?;
            let list = list.map(|(name, list)| headers::parse(name, &list)).transpose()?;
            (url, protocol, list, Some(tls_of(context.env)?))
        }
    };
    let mut settings = shared(url, protocol, one, context);
    settings.headers = general.unwrap_or_default();
    settings.headers.extend(own);
    settings.tls = match (&one.tls, tls_of_env) {
        (None, Some(tls)) => tls,
        _ => tls(path, one)?,
    };
    if one.endpoint.is_none() {
        if one.timeout.is_none() {
            settings.timeout = timeout_of(context.env)?.unwrap_or(TIMEOUT);
        }
        if one.compression.is_none() {
            settings.compression = compression_of(context.env)?.unwrap_or_default();
        }
    }
    Ok(settings)
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
        proxy: one.proxy_from_environment.unwrap_or(true),
        retry_server_errors: one.retry.server_errors.or(context.retry.server_errors).unwrap_or(true),
    }
}

pub(super) fn tls(path: &str, one: &wire::Destination) -> Result<ClientTls, ConfigError> {
    let written = one.tls.clone().unwrap_or_default();
    ClientTls::read(&format!("{path}.tls"), &written)
}

fn url_of(path: &str, env: &Env, protocol: Protocol) -> Result<Url, ConfigError> {
    match (env.get(TRACES_ENDPOINT)?, env.get(ENDPOINT)?) {
        (Some(whole), _) => endpoint(TRACES_ENDPOINT, &whole),
        (None, Some(base)) if protocol == Protocol::Grpc => endpoint(ENDPOINT, &base),
        (None, Some(base)) => Ok(with_traces_path(endpoint(ENDPOINT, &base)?)),
        (None, None) => {
            let message = format!("must be set, or {ENDPOINT}: it says where to send");
            Err(ConfigError::at(format!("{path}.endpoint"), message))
        }
    }
}

fn protocol_of(env: &Env) -> Result<Option<Protocol>, ConfigError> {
    let Some((name, value)) = env.first(variables!("PROTOCOL"))? else { return Ok(None) };
    match value.as_str() {
        "http/protobuf" => Ok(Some(Protocol::HttpProtobuf)),
        "http/json" => Ok(Some(Protocol::HttpJson)),
        "grpc" => Ok(Some(Protocol::Grpc)),
        _ => Err(ConfigError::at(name, "must be http/protobuf, http/json or grpc")),
    }
}

fn timeout_of(env: &Env) -> Result<Option<Duration>, ConfigError> {
    let Some((name, value)) = env.first(variables!("TIMEOUT"))? else { return Ok(None) };
    let ms = value.trim().parse().ok().filter(|ms| *ms > 0);
    ms.map(|ms| Some(Duration::from_millis(ms)))
        .ok_or_else(|| ConfigError::at(name, "must be a number of milliseconds"))
}

fn compression_of(env: &Env) -> Result<Option<Compression>, ConfigError> {
    let Some((name, value)) = env.first(variables!("COMPRESSION"))? else { return Ok(None) };
    match value.as_str() {
        "gzip" => Ok(Some(Compression::Gzip)),
        "none" => Ok(Some(Compression::None)),
        _ => Err(ConfigError::at(name, "must be gzip or none")),
    }
}

fn tls_of(env: &Env) -> Result<ClientTls, ConfigError> {
    let file = |names: &[&'static str]| Ok(env.first(names)?.map(|(_, file)| file.into()));
    let written = wire::ClientTls {
        ca: file(variables!("CERTIFICATE"))?,
        certificate: file(variables!("CLIENT_CERTIFICATE"))?,
        key: file(variables!("CLIENT_KEY"))?,
    };
    ClientTls::read("OTEL_EXPORTER_OTLP_CERTIFICATE and _CLIENT_*", &written)
}
