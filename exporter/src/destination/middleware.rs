//! Middleware: a tenant and a key are enough.
//!
//! The key goes raw into `Authorization`, no scheme before it; `X-Trace-Source` says by whose names the spans
//! are to be read. What the configuration leaves out comes from MW_TENANT, MW_API_KEY and MW_TARGET.

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderName},
};

use super::{
    headers,
    otlp::{shared, tls},
    settings::{Context, OtlpSettings, TRACES_PATH, endpoint, with_path},
};
use crate::{
    config::{
        ConfigError,
        wire::{self, Protocol},
    },
    process::env::Env,
    secret::Secret,
};

const KEY: &str = "MW_API_KEY";
const TENANT: &str = "MW_TENANT";
const TARGET: &str = "MW_TARGET";

/// Says by whose names the spans are to be read.
const TRACE_SOURCE: HeaderName = HeaderName::from_static("x-trace-source");

/// What it says where the configuration does not.
const DEFAULT_SOURCE: &str = "openinference";

/// A DNS label's length (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

/// Whether the environment names a Middleware destination, or a part of one.
pub(super) fn is_in(env: &Env) -> Result<bool, ConfigError> {
    Ok(env.first(&[KEY, TENANT, TARGET])?.is_some())
}

/// The settings, and whether its spans are to carry OpenInference's names.
pub(super) fn settings(
    path: &str,
    one: &wire::Destination,
    context: &Context<'_>,
) -> Result<(OtlpSettings, bool), ConfigError> {
    let env = context.env;
    let missing = |variable: &str, field: &str, why: &str| {
        ConfigError::at(format!("{path}.{field}"), format!("must be set, or {variable}: {why}"))
    };
    let (key, key_path) = match &one.key {
        Some(place) => (Secret::find(&format!("{path}.key"), place, env)?, format!("{path}.key")),
        None => {
            let found = env.get(KEY)?.map(Secret::new);
            (found.ok_or_else(|| missing(KEY, "key", "it authorizes what is sent"))?, KEY.to_owned())
        }
    };
    let base = match (&one.endpoint, &one.tenant) {
        (Some(base), _) => endpoint(&format!("{path}.endpoint"), base)?,
        (None, Some(tenant)) => tenants_url(&format!("{path}.tenant"), tenant)?,
        (None, None) => match (env.get(TARGET)?, env.get(TENANT)?) {
            (Some(target), _) => endpoint(TARGET, &target)?,
            (None, Some(tenant)) => tenants_url(TENANT, &tenant)?,
            (None, None) => {
                return Err(missing(TENANT, "tenant", "it says where to send (or set MW_TARGET)"));
            }
        },
    };
    let mut all = headers::configured(&format!("{path}.headers"), &one.headers, env)?;
    let source = one.trace_source.as_deref().unwrap_or(DEFAULT_SOURCE);
    let source_path = format!("{path}.trace_source");
    all.insert(TRACE_SOURCE, headers::sensitive(&source_path, &Secret::new(source))?);
    all.insert(AUTHORIZATION, headers::sensitive(&key_path, &key)?);
    let settings = OtlpSettings {
        headers: all,
        tls: tls(path, one)?,
        ..shared(with_path(base, TRACES_PATH), Protocol::HttpProtobuf, one, context)
    };
    Ok((settings, source == DEFAULT_SOURCE))
}

fn tenants_url(path: &str, tenant: &str) -> Result<Url, ConfigError> {
    let fits = (1..=MAX_LABEL).contains(&tenant.len())
        && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !tenant.starts_with('-')
        && !tenant.ends_with('-');
    if !fits {
        let message = "must be the first part of your Middleware address: letters, digits and dashes";
        return Err(ConfigError::at(path, message));
    }
    endpoint(path, &format!("https://{tenant}.middleware.io:443"))
}
