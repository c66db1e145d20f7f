//! gateway.yaml where requests are only observed: what has no place in it.
//!
//! The listener, its TLS, the ways to the providers and their keys are then those of the proxy that the
//! filter is put into. What the plugin itself refuses, its own types say.

use weir_settings::ConfigError;

use crate::access_log::AccessLog;
use crate::gateway::{Gateway, TOKEN_FIELD};
use crate::provider::Secret;

/// Refuses what nothing would come of, by field.
pub(crate) fn check(gateway: &Gateway) -> Result<(), ConfigError> {
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
