//! What the configuration says beside what is saved: the destinations that it names, which the page shows and may
//! not change, and what every destination is checked with.

use std::{collections::BTreeSet, fmt, sync::Arc};

use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::seal::SealingKeys;
use crate::{
    config::wire,
    destination::{Context, DestinationSettings, Guard, Kind, OtlpSettings},
    process::env::Env,
    spans::{prices::Prices, resource::Resource},
};

/// What the configuration says of settings that are made elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct StaticConfig {
    /// Whether there are any.
    pub enabled: bool,
    /// What secrets are sealed with.
    pub keys: SealingKeys,
    /// The destinations of the configuration.
    pub locked: Vec<Locked>,
    /// What destinations are checked with.
    pub(crate) general: General,
}

/// Where a destination's settings come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// exporter.yaml.
    File,
    /// The environment or a flag, or that neither names another destination.
    Environment,
    /// The page.
    Page,
}

/// A destination of the configuration, as it is shown.
#[derive(Clone, Debug, PartialEq)]
pub struct Locked {
    /// Its name.
    pub name: String,
    /// Its type.
    pub kind: String,
    /// Where its settings come from.
    pub origin: Origin,
    /// As exporter.yaml has one, without secrets.
    pub settings: Value,
    /// Whether it takes no content.
    pub excludes: bool,
}

/// What every destination is checked with, the page's too.
#[derive(Clone, PartialEq)]
pub struct General {
    pub(crate) env: Env,
    pub(crate) resource: Resource,
    pub(crate) batch: wire::Batch,
    pub(crate) retry: wire::Retry,
    pub(crate) prices: Arc<Prices>,
    pub(crate) value_limit: Option<u32>,
    /// Where metrics go that are no destination's.
    pub(crate) alone: Option<OtlpSettings>,
    /// What is not connected to where the page names it.
    pub(crate) guard: Guard,
    /// Whether what the page names is reached by the environment's proxy.
    pub(crate) proxy: bool,
}

impl fmt::Debug for General {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The environment holds secrets.
        f.debug_struct("General").field("resource", &self.resource).finish_non_exhaustive()
    }
}

impl Default for General {
    fn default() -> Self {
        Self {
            env: Env::default(),
            resource: Resource::default(),
            batch: wire::Batch::default(),
            retry: wire::Retry::default(),
            prices: Prices::built_in(),
            value_limit: None,
            alone: None,
            guard: Guard { loopback: true },
            proxy: false,
        }
    }
}

impl General {
    /// To check a destination of the page with, in this environment.
    pub(crate) fn of_the_page<'a>(&'a self, env: &'a Env) -> Context<'a> {
        Context { guard: Some(self.guard), proxy: self.proxy, ..self.context(env) }
    }

    /// To check a destination of the configuration with, in this environment.
    pub(crate) fn context<'a>(&'a self, env: &'a Env) -> Context<'a> {
        Context {
            env,
            resource: &self.resource,
            batch: &self.batch,
            retry: &self.retry,
            prices: &self.prices,
            value_limit: self.value_limit,
            guard: None,
            proxy: true,
        }
    }
}

/// The destinations of a configuration as they are shown: those that run here, and in a process that ships nothing
/// those that are written. `tree` is the configuration as it was written.
pub(crate) fn locked(
    running: &[DestinationSettings],
    tree: &Value,
    in_file: &BTreeSet<String>,
    ships: bool,
) -> Vec<Locked> {
    let written = tree.get("destinations").and_then(Value::as_object);
    let one = |name: &str, settings: Option<&DestinationSettings>| {
        let own = written.and_then(|all| all.get(name));
        let shown = match own {
            Some(own) => masked(own, settings),
            None => settings.map(described).unwrap_or_default(),
        };
        Locked {
            kind: shown.get("type").and_then(Value::as_str).unwrap_or("otlp").to_owned(),
            origin: if in_file.contains(name) { Origin::File } else { Origin::Environment },
            excludes: shown.get("exclude_request_data").and_then(Value::as_bool).unwrap_or(false),
            settings: shown,
            name: name.to_owned(),
        }
    };
    if ships {
        return running.iter().map(|settings| one(&settings.name, Some(settings))).collect();
    }
    written.into_iter().flat_map(Map::keys).map(|name| one(name, None)).collect()
}

/// Settings as they were written, without what may be secret.
fn masked(own: &Value, settings: Option<&DestinationSettings>) -> Value {
    let mut shown = own.clone();
    let headers = settings.and_then(headers);
    let last4 = |name: &str| headers.as_ref().and_then(|all| all.get(name)?.as_ref());
    if let Some(fields) = shown.as_object_mut() {
        if let Some(key) = fields.get_mut("key") {
            *key = secret(last4("authorization"));
        }
        if let Some(all) = fields.get_mut("headers").and_then(Value::as_object_mut) {
            for (name, value) in all.iter_mut() {
                *value = secret(last4(&name.to_ascii_lowercase()));
            }
        }
        for name in ["endpoint", "metrics"] {
            if let Some(Value::String(url)) = fields.get_mut(name)
                && let Some(query) = url.find('?')
            {
                url.truncate(query);
            }
        }
    }
    shown
}

/// Settings that come from the environment or a default, described by what they came to.
fn described(settings: &DestinationSettings) -> Value {
    let Kind::Otlp(otlp) = &settings.kind else {
        return json!({ "type": if matches!(settings.kind, Kind::Console) { "console" } else { "file" } });
    };
    let names = headers(settings).unwrap_or_default();
    if settings.profile.middleware_service.is_some() {
        let key = names.get("authorization").and_then(Option::as_ref);
        return json!({ "type": "middleware", "endpoint": settings.target(), "key": secret(key) });
    }
    let headers: Map<String, Value> =
        names.into_iter().map(|(name, last4)| (name, secret(last4.as_ref()))).collect();
    json!({ "type": "otlp", "endpoint": settings.target(), "protocol": otlp.protocol.name(), "headers": headers })
}

/// The names of a destination's headers, in lower case, and how their values end.
fn headers(settings: &DestinationSettings) -> Option<std::collections::BTreeMap<String, Option<String>>> {
    let Kind::Otlp(otlp) = &settings.kind else { return None };
    let end = |value: &reqwest::header::HeaderValue| {
        value.to_str().ok().and_then(|text| crate::secret::Secret::new(text).last4())
    };
    Some(otlp.headers.iter().map(|(name, value)| (name.as_str().to_owned(), end(value))).collect())
}

fn secret(last4: Option<&String>) -> Value {
    json!({ "set": true, "last4": last4 })
}
