//! Where spans go: Middleware, any OTLP/HTTP endpoint, the console; several at once.
//!
//! Each destination has its own durable consumer and so its own backlog: one that is away holds back
//! neither the others nor the gateway. Settings come from the environment and are checked before the start.

pub(crate) mod headers;
mod middleware;
pub(crate) mod otlp;

use std::fmt;

use reqwest::{
    Url,
    header::{HeaderMap, HeaderValue},
};

use crate::{
    env::{Env, NotUtf8},
    secret::Secret,
    spans::View,
};

/// Path of OTLP/HTTP for traces (OpenTelemetry Protocol specification, "OTLP/HTTP Request").
const TRACES_PATH: &str = "v1/traces";

/// Why a destination was refused.
#[derive(Debug, thiserror::Error)]
pub enum DestinationError {
    /// One variable is of no use without another.
    #[error("{present} is set but {missing} is not: {why}")]
    Missing {
        /// The variable that is set.
        present: &'static str,
        /// The variable that is missing.
        missing: &'static str,
        /// What the missing one is for.
        why: &'static str,
    },
    /// The tenant is not a host name's label.
    #[error("MW_TENANT must be the first part of your Middleware address: letters, digits and dashes")]
    Tenant,
    /// An endpoint is not a URL that can be posted to.
    #[error("{variable} must be an http:// or https:// URL without user, password or fragment")]
    Url {
        /// The variable.
        variable: &'static str,
    },
    /// A value cannot be sent as a header.
    #[error("{variable} holds a character that a header may not carry (a line end, perhaps)")]
    HeaderValue {
        /// The variable.
        variable: &'static str,
    },
    /// An entry of a header list is not `key=value`.
    #[error("{variable}: entry {position} must be key=value, percent-encoded, separated by commas")]
    HeaderEntry {
        /// The variable.
        variable: &'static str,
        /// Which entry, from 1.
        position: usize,
    },
    /// A header that the exporter sets itself.
    #[error("{variable} may not set the header {name}: the exporter sets it")]
    HeaderReserved {
        /// The variable.
        variable: &'static str,
        /// The header.
        name: String,
    },
    /// A variable could not be read.
    #[error(transparent)]
    Variable(#[from] NotUtf8),
}

/// An OTLP/HTTP endpoint and what goes with every POST to it.
#[derive(Clone)]
pub struct OtlpSettings {
    /// Where spans are posted, whole.
    pub url: Url,
    /// Sent with every POST; marked sensitive.
    pub headers: HeaderMap,
}

impl fmt::Debug for OtlpSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Header values are marked sensitive, but a query may carry a key too.
        let names: Vec<_> = self.headers.keys().collect();
        f.debug_struct("OtlpSettings").field("url", &shown(&self.url)).field("headers", &names).finish()
    }
}

/// What a destination does with spans.
#[derive(Clone, Debug)]
pub enum Kind {
    /// Posts them.
    Otlp(OtlpSettings),
    /// Prints them.
    Console,
}

/// A destination as configured.
#[derive(Clone, Debug)]
pub struct DestinationSettings {
    /// Its name: part of its consumer's name and the metrics' label.
    pub name: &'static str,
    /// What it does.
    pub kind: Kind,
    /// Attributes of the resource that its spans belong to.
    pub resource: Vec<(&'static str, String)>,
    /// What its spans hold.
    pub view: View,
}

/// The destinations that the environment names; the console where there is none, or where it is asked for.
///
/// # Errors
///
/// [`DestinationError`], naming the variable that does not fit.
pub fn from_env(
    console: bool,
    service_name: &str,
    env: Env<'_>,
) -> Result<Vec<DestinationSettings>, DestinationError> {
    let mut destinations = Vec::new();
    destinations.extend(middleware::from_env(service_name, env)?);
    destinations.extend(otlp::from_env(service_name, env)?);
    if console || destinations.is_empty() {
        let resource = vec![(crate::spans::names::SERVICE_NAME, service_name.to_owned())];
        let view = View::default();
        destinations.push(DestinationSettings { name: "console", kind: Kind::Console, resource, view });
    }
    Ok(destinations)
}

/// A URL for logs: scheme, host, port and path.
pub fn shown(url: &Url) -> String {
    let mut url = url.clone();
    url.set_query(None);
    url.to_string()
}

pub(crate) fn endpoint(variable: &'static str, value: &str) -> Result<Url, DestinationError> {
    let refused = DestinationError::Url { variable };
    let Ok(url) = Url::parse(value.trim()) else { return Err(refused) };
    let plain = url.username().is_empty() && url.password().is_none() && url.fragment().is_none();
    let http = matches!(url.scheme(), "http" | "https") && url.has_host();
    if plain && http { Ok(url) } else { Err(refused) }
}

/// Appends a signal's path to a base URL's.
pub(crate) fn with_path(mut url: Url, path: &str) -> Url {
    let path = format!("{}/{path}", url.path().trim_end_matches('/'));
    url.set_path(&path);
    url
}

fn sensitive(variable: &'static str, value: &Secret) -> Result<HeaderValue, DestinationError> {
    let printable = value.expose().bytes().all(|byte| byte >= 0x20 && byte != 0x7f);
    let mut header = HeaderValue::from_str(value.expose())
        .ok()
        .filter(|_| printable)
        .ok_or(DestinationError::HeaderValue { variable })?;
    header.set_sensitive(true);
    Ok(header)
}

/// Whether what is sent to this URL can be read on the way.
pub fn travels_in_the_clear(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(url::Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        Some(url::Host::Ipv4(ip)) => ip.is_loopback(),
        Some(url::Host::Ipv6(ip)) => ip.is_loopback(),
        None => false,
    };
    url.scheme() == "http" && !loopback
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;

    fn destinations(variables: &[(&str, &str)]) -> Result<Vec<DestinationSettings>, DestinationError> {
        from_env(false, "svc", &|name| {
            variables.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(value))
        })
    }

    fn otlp(destination: &DestinationSettings) -> &OtlpSettings {
        match &destination.kind {
            Kind::Otlp(settings) => settings,
            Kind::Console => panic!("{} posts nothing", destination.name),
        }
    }

    #[test]
    fn without_any_destination_the_console_prints() {
        let found = destinations(&[]).unwrap();
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].name, "console");
        let empty = destinations(&[("MW_API_KEY", ""), ("OTEL_EXPORTER_OTLP_ENDPOINT", "")]).unwrap();
        assert_eq!(empty[0].name, "console");
    }

    #[test]
    fn middleware_needs_only_tenant_and_key() {
        let found = destinations(&[("MW_API_KEY", "k3y"), ("MW_TENANT", "acme")]).unwrap();
        let settings = otlp(&found[0]);
        assert_eq!(found[0].name, "middleware");
        assert_eq!(settings.url.as_str(), "https://acme.middleware.io/v1/traces");
        assert_eq!(settings.headers["authorization"], "k3y");
        assert!(settings.headers["authorization"].is_sensitive());
        assert!(found[0].resource.contains(&("project.name", "svc".to_owned())));
    }

    #[test]
    fn a_target_replaces_the_tenants_url() {
        let found = destinations(&[("MW_API_KEY", "k"), ("MW_TARGET", "http://127.0.0.1:1234/")]).unwrap();
        assert_eq!(otlp(&found[0]).url.as_str(), "http://127.0.0.1:1234/v1/traces");
    }

    #[test]
    fn half_of_middlewares_settings_is_refused_by_the_missing_name() {
        for (present, missing) in
            [("MW_API_KEY", "MW_TENANT"), ("MW_TENANT", "MW_API_KEY"), ("MW_TARGET", "MW_API_KEY")]
        {
            let refused = destinations(&[(present, "http://s3cret")]).unwrap_err().to_string();
            assert!(refused.contains(&format!("{missing} is not")), "{refused}");
            assert!(!refused.contains("s3cret"), "{refused}");
        }
    }

    #[test]
    fn a_tenant_cannot_lead_elsewhere() {
        for tenant in ["evil.com/", "a#", "a@b", "-a", "a b", "é"] {
            assert!(
                matches!(
                    destinations(&[("MW_API_KEY", "k"), ("MW_TENANT", tenant)]),
                    Err(DestinationError::Tenant)
                ),
                "{tenant}"
            );
        }
    }

    #[test]
    fn a_key_with_a_line_end_is_refused_without_being_shown() {
        for key in ["k3y\n", "k3y\r\nX-Evil: 1", "\tk3y", "k3y\u{7f}"] {
            let refused =
                destinations(&[("MW_API_KEY", key), ("MW_TENANT", "acme")]).unwrap_err().to_string();
            assert!(refused.contains("MW_API_KEY") && !refused.contains("k3y"), "{refused}");
        }
    }

    #[test]
    fn an_otlp_endpoint_gets_the_path_and_a_traces_endpoint_is_used_as_it_is() {
        let base = destinations(&[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318/otel/")]).unwrap();
        assert_eq!(base[0].name, "otlp");
        assert_eq!(otlp(&base[0]).url.as_str(), "http://127.0.0.1:4318/otel/v1/traces");
        let whole = destinations(&[
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://h/custom"),
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://ignored"),
        ])
        .unwrap();
        assert_eq!(otlp(&whole[0]).url.as_str(), "https://h/custom");
    }

    #[test]
    fn an_endpoint_that_is_no_http_url_is_refused_without_being_shown() {
        for url in ["127.0.0.1:4318", "grpc://h:4317", "http://user:s3cret@h", "http://"] {
            let refused = destinations(&[("OTEL_EXPORTER_OTLP_ENDPOINT", url)]).unwrap_err().to_string();
            assert!(
                refused.contains("OTEL_EXPORTER_OTLP_ENDPOINT") && !refused.contains("s3cret"),
                "{refused}"
            );
        }
    }

    #[test]
    fn several_destinations_stand_side_by_side() {
        let found = from_env(true, "svc", &|name| {
            let value = match name {
                "MW_API_KEY" => "k",
                "MW_TENANT" => "acme",
                "OTEL_EXPORTER_OTLP_ENDPOINT" => "http://127.0.0.1:4318",
                _ => return None,
            };
            Some(OsString::from(value))
        })
        .unwrap();
        assert_eq!(found.iter().map(|d| d.name).collect::<Vec<_>>(), ["middleware", "otlp", "console"]);
    }

    #[test]
    fn only_plain_http_beyond_loopback_travels_in_the_clear() {
        let clear = |url: &str| travels_in_the_clear(&Url::parse(url).unwrap());
        assert!(clear("http://collector:4318"));
        for url in ["https://collector", "http://127.0.0.1:1", "http://localhost:1", "http://[::1]:1"] {
            assert!(!clear(url), "{url}");
        }
    }
}
