//! Destinations and the capture policy as the page lists them, without secrets.

use std::sync::PoisonError;

use serde::Serialize;
use serde_json::{Value, json};
use utoipa::{ToSchema, openapi::Object};

use super::{
    SavedDestinations, changed::Changed, contents::Seen, record::Record, state::State as Condition,
    static_config::Origin,
};
use crate::{
    bus::policy::{Policy, Switch},
    config::ConfigError,
    http::schema::one_of,
    ship::fleet::Report,
};

/// A destination as it is listed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Destination)]
pub(crate) struct Listed {
    name: String,
    #[serde(rename = "type")]
    #[schema(schema_with = kind)]
    kind: String,
    source: Origin,
    locked: bool,
    /// Of what is saved; `null` for one of the configuration.
    #[schema(required)]
    revision: Option<u64>,
    /// As in exporter.yaml (see exporter.schema.json), without its secrets.
    #[schema(value_type = Object)]
    settings: Value,
    /// Who saved it last.
    #[schema(required)]
    changed: Option<Changed>,
    state: Condition,
}

fn kind() -> Object {
    one_of(["middleware", "otlp", "console", "file"])
}

/// The capture policy as it is shown.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Policy)]
pub(crate) struct PolicyShown {
    /// Of the switch; 0 before it was ever changed.
    pub(crate) revision: u64,
    #[schema(schema_with = content)]
    content: &'static str,
    /// What content follows from, in a sentence.
    why: &'static str,
    switch: Switch,
}

fn content() -> Object {
    one_of(["keep", "exclude"])
}

impl SavedDestinations {
    pub(crate) fn listed(&self, seen: &Seen) -> Vec<Listed> {
        let (configured, reports) = (self.configured(), self.shared.fleet.reports());
        let refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut all: Vec<Listed> = configured
            .locked
            .iter()
            .map(|one| Listed {
                name: one.name.clone(),
                kind: one.kind.clone(),
                source: one.origin,
                locked: true,
                revision: None,
                settings: one.settings.clone(),
                changed: None,
                state: self.state(&one.name, &reports, None),
            })
            .collect();
        if configured.enabled {
            for (name, saved) in &seen.destinations {
                // The configuration's own goes before it, and is what is shown by this name.
                if !all.iter().any(|one| one.name == *name) {
                    all.push(self.saved(name, seen, &reports, refused.get(name)));
                } else {
                    tracing::debug!(
                        destination = name,
                        revision = saved.revision,
                        "hidden by the configuration"
                    );
                }
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        all
    }

    fn saved(&self, name: &str, seen: &Seen, reports: &[Report], refused: Option<&ConfigError>) -> Listed {
        let saved = seen.destinations.get(name);
        let record = saved.and_then(|saved| saved.record.as_ref().ok());
        Listed {
            name: name.to_owned(),
            kind: record.and_then(Record::kind).unwrap_or("otlp").to_owned(),
            source: Origin::Page,
            locked: false,
            revision: saved.map(|saved| saved.revision),
            settings: record.map_or_else(|| json!({}), Record::shown),
            changed: record.map(|record| record.changed.clone()),
            state: self.state(name, reports, refused),
        }
    }

    pub(crate) fn current(&self, name: &str) -> Option<Listed> {
        let seen = self.seen();
        if !seen.destinations.contains_key(name) {
            return None;
        }
        let refused = self.shared.refused.lock().unwrap_or_else(PoisonError::into_inner).get(name).cloned();
        let reports = self.shared.fleet.reports();
        Some(self.saved(name, &seen, &reports, refused.as_ref()))
    }

    pub(crate) fn policy_shown(&self) -> PolicyShown {
        let seen = self.seen();
        let (switch, revision) = seen.switch.unwrap_or_default();
        let (all_exclude, _) = seen.exclusion.unwrap_or_default();
        let known = *self.shared.policy.borrow();
        let why = match (known, switch, all_exclude) {
            (Policy::Unknown, ..) => "NATS is not there yet, so nothing is stored.",
            (Policy::Known { revision: 0, excludes: true }, ..) => {
                "What is set cannot be read from NATS, so content is left out to be safe."
            }
            (_, Switch::Exclude, _) => "Exclude Request Data is switched on for all requests.",
            (_, Switch::Off, true) => "Every destination excludes request data, so none leaves the gateway.",
            (_, Switch::Off, false) => {
                "The gateway's own configuration decides what is captured of requests."
            }
        };
        let content = if known.excludes() || known == Policy::Unknown { "exclude" } else { "keep" };
        PolicyShown { revision, content, why, switch }
    }
}
