//! Middleware: a tenant and a key are enough.
//!
//! The key goes raw into `Authorization`, no scheme before it. The header `X-Trace-Source` and the
//! attributes that go with it are not set here yet.

use reqwest::{
    Url,
    header::{AUTHORIZATION, HeaderMap},
};

use super::{
    DestinationError, DestinationSettings, Kind, OtlpSettings, TRACES_PATH, endpoint, sensitive, with_path,
};
use crate::{
    env::{Env, variable},
    secret::Secret,
    spans::{Overlays, View, names},
};

const KEY: &str = "MW_API_KEY";
const TENANT: &str = "MW_TENANT";
const TARGET: &str = "MW_TARGET";

/// A DNS label's length (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;

pub(super) fn from_env(
    service_name: &str,
    env: Env<'_>,
) -> Result<Option<DestinationSettings>, DestinationError> {
    let (key, tenant, target) = (variable(env, KEY)?, variable(env, TENANT)?, variable(env, TARGET)?);
    let Some(key) = key.map(Secret::new) else {
        let Some(present) = tenant.map(|_| TENANT).or(target.map(|_| TARGET)) else { return Ok(None) };
        return Err(DestinationError::Missing { present, missing: KEY, why: "it authorizes what is sent" });
    };
    let base = match (target, tenant) {
        (Some(target), _) => endpoint(TARGET, &target)?,
        (None, Some(tenant)) => tenants_url(&tenant)?,
        (None, None) => {
            let why = "it says where to send (or set MW_TARGET)";
            return Err(DestinationError::Missing { present: KEY, missing: TENANT, why });
        }
    };
    let mut headers = HeaderMap::new();
    headers.insert(AUTHORIZATION, sensitive(KEY, &key)?);
    Ok(Some(DestinationSettings {
        name: "middleware",
        kind: Kind::Otlp(OtlpSettings { url: with_path(base, TRACES_PATH), headers }),
        resource: vec![
            (names::SERVICE_NAME, service_name.to_owned()),
            (names::PROJECT_NAME, service_name.to_owned()),
            (names::MW_APP_LANG, "rust".to_owned()),
        ],
        view: View {
            overlays: Overlays { openinference: true, ..Overlays::default() },
            middleware_service: Some(service_name.to_owned()),
            ..View::default()
        },
    }))
}

fn tenants_url(tenant: &str) -> Result<Url, DestinationError> {
    let fits = tenant.len() <= MAX_LABEL
        && tenant.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        && !tenant.starts_with('-')
        && !tenant.ends_with('-');
    if !fits {
        return Err(DestinationError::Tenant);
    }
    endpoint(TENANT, &format!("https://{tenant}.middleware.io:443"))
}
