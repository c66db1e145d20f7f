//! Checks the fields of a gateway.yaml by themselves and beside each other.
//!
//! Where requests are only observed, the listener, its TLS, the ways to the providers and their keys are those of
//! the proxy that the filter is put into. What the plugin itself refuses, its own types say.

use weir_filter::balancing::TargetIds;
use weir_filter::config::Config;
use weir_settings::ConfigError;

use super::access_log::AccessLog;
use super::provider::{Secret, check_absolute};
use super::wire::{Gateway, TOKEN_FIELD};

/// Checks a gateway.yaml field by field.
pub(crate) fn check(gateway: &Gateway) -> Result<(), ConfigError> {
    if gateway.observes() {
        observed(gateway)?;
    } else if gateway.listen.is_none() {
        return Err(ConfigError::at(
            "listen",
            "is missing; give an address and a port, such as 0.0.0.0:8080",
        ));
    } else if gateway.providers.is_empty() {
        return Err(ConfigError::at("providers", "name no provider, and so nowhere to route to; name one"));
    }
    Config::new(&gateway.plugin()?, &mut TargetIds::default())?;
    if let Some(jwt) = &gateway.jwt {
        jwt.jwks_endpoint()?;
    }
    for (name, provider) in &gateway.providers {
        provider.check(&format!("providers.{name}"))?;
    }
    if let Some(tls) = &gateway.tls {
        check_absolute("tls.certificate", &tls.certificate)?;
        check_absolute("tls.private_key", &tls.private_key)?;
        tls.client_ca.as_deref().map_or(Ok(()), |ca| check_absolute("tls.client_ca", ca))?;
    }
    gateway.access_log.check()?;
    if let Some(variable) = gateway.hash_key() {
        Secret::Env(variable.to_owned()).check("redaction.hash_key")?;
    }
    match gateway.exporter.as_ref().and_then(|exporter| exporter.token.as_ref()) {
        Some(token) => token.check(TOKEN_FIELD),
        None => Ok(()),
    }
}

/// Refuses what nothing would come of, by field.
fn observed(gateway: &Gateway) -> Result<(), ConfigError> {
    let proxys = "is that of the proxy that `mode: observe` is put into; leave it out";
    let refuse = |path: String, message: &str| Err(ConfigError::at(path, message));
    let given = [
        ("listen", gateway.listen.is_some()),
        ("tls", gateway.tls.is_some()),
        ("admin", gateway.admin.is_some()),
        ("access_log", gateway.access_log != AccessLog::Off),
        ("jwt", gateway.jwt.is_some()),
    ];
    if let Some((field, _)) = given.into_iter().find(|(_, is_given)| *is_given) {
        return refuse(field.to_owned(), proxys);
    }
    for (name, provider) in &gateway.providers {
        if provider.key.is_some() {
            let message = "is put in where requests are routed; with `mode: observe` callers bring their own; leave it out";
            return refuse(format!("providers.{name}.key"), message);
        }
        for (field, is_given) in [("tls", provider.tls.is_some()), ("proxy", provider.proxy.is_some())] {
            if is_given {
                return refuse(format!("providers.{name}.{field}"), proxys);
            }
        }
    }
    match gateway.exporter.as_ref().and_then(|exporter| exporter.token.as_ref()) {
        Some(Secret::File(_)) => {
            let message = "cannot be read by the filter, which sends the token itself with `mode: observe`; give { env: VARIABLE }";
            refuse(format!("{TOKEN_FIELD}.file"), message)
        }
        _ => Ok(()),
    }
}
