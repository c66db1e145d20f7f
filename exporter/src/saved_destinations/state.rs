//! How a destination is, in a sentence that says what is wrong and what to do.

use std::collections::BTreeMap;

use serde::Serialize;
use utoipa::{ToSchema, openapi::Object};

use super::{SavedDestinations, running::Wanted};
use crate::{
    bus::policy::Policy, config::ConfigError, http::schema::one_of, otlp::advice, ship::fleet::Report,
};

/// A destination's state and, where it runs, what is reported of it.
#[derive(Clone, Debug, Serialize, ToSchema)]
#[schema(as = DestinationState)]
pub struct State {
    /// By one word: ok, retrying, refusing, off, starting.
    #[schema(schema_with = health)]
    pub health: &'static str,
    /// In a sentence.
    pub message: String,
    /// Events that wait for it.
    pub backlog: u64,
    /// Its ledger and the rest, where it runs.
    #[serde(flatten)]
    #[schema(ignore)]
    pub report: Option<Report>,
}

fn health() -> Object {
    one_of(["ok", "retrying", "refusing", "off", "starting"])
}

/// What is saved, for `status`.
#[derive(Clone, Debug, Serialize)]
pub struct Summary {
    /// Whether there are settings that are made on the page at all.
    enabled: bool,
    /// How many destinations are saved.
    saved: usize,
    /// The revision that this process runs by.
    revision: u64,
    /// The capture policy: keep, exclude, or unknown.
    content: &'static str,
    /// Why what is saved is not followed.
    wrong: Option<String>,
    /// Destinations that are configured or saved and do not run here, and why.
    off: BTreeMap<String, String>,
}

impl SavedDestinations {
    /// What is saved and how it is followed.
    pub fn summary(&self) -> Summary {
        let (configured, seen) = (self.configured(), self.seen());
        let off = self.wanted().into_iter().filter_map(|(name, wanted)| match wanted {
            Wanted::Runs => None,
            Wanted::Waits => Some((name, "it was not started yet".to_owned())),
            Wanted::Refused(why) => Some((name, why)),
        });
        let content = match *self.shared.policy.borrow() {
            Policy::Unknown => "unknown",
            policy if policy.excludes() => "exclude",
            Policy::Known { .. } => "keep",
        };
        Summary {
            enabled: configured.enabled,
            saved: seen.destinations.len(),
            revision: *self.shared.applied.borrow(),
            content,
            wrong: self.wrong().filter(|_| configured.enabled),
            off: off.collect(),
        }
    }

    /// The state of a destination, from the reports of those that run.
    pub(super) fn state(&self, name: &str, reports: &[Report], refused: Option<&ConfigError>) -> State {
        let off = |message: String| State { health: "off", message, backlog: 0, report: None };
        if let Some(error) = refused {
            let field = if error.path == "." { String::new() } else { format!("{}: ", error.path) };
            return off(format!("It does not run: {field}{}.", error.message));
        }
        if !self.shared.ships {
            return off("This exporter only takes events in; others ship them.".to_owned());
        }
        let Some(report) = reports.iter().find(|report| report.name == name) else {
            let message = "It is being started.".to_owned();
            return State { health: "starting", message, backlog: 0, report: None };
        };
        let (health, message) = described(report, self.shared.bus.state());
        State { health, message, backlog: report.backlog, report: Some(report.clone()) }
    }
}

fn described(report: &Report, bus: Result<(), String>) -> (&'static str, String) {
    let waiting = match report.backlog {
        0 => "Nothing waits.".to_owned(),
        1 => "1 event waits and is kept.".to_owned(),
        waiting => format!("{waiting} events wait and are kept."),
    };
    if let Err(why) = bus {
        return ("starting", format!("NATS: {why}."));
    }
    let reason = report.reason.as_deref().unwrap_or("no reason was given");
    match report.condition {
        "well" if report.ledger.delivered == 0 && report.backlog == 0 => {
            ("ok", "Nothing was sent yet.".to_owned())
        }
        "well" => ("ok", format!("It takes what it gets. {waiting}")),
        "retrying" => ("retrying", format!("It does not take events now: {reason}. Trying again. {waiting}")),
        "misconfigured" => ("refusing", format!("It refuses: {reason}. {} {waiting}", advice(reason))),
        _ => (
            "refusing",
            format!(
                "It refuses every single event: {reason}. Check that it is an OTLP endpoint for traces of this protocol. \
                 {waiting}"
            ),
        ),
    }
}
