//! Test: one labelled trace to an endpoint, past the stream, and what came back in words.

use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::time::timeout;
use utoipa::ToSchema;

use super::{
    SavedDestinations,
    change::{Draft, Refused, reachable},
    record,
};
use crate::{
    config::ConfigError,
    destination::{DestinationSettings, Guard, Kind},
    otlp::{Heard, Outcome},
    ship::{
        probe::{LabelledTrace, report},
        sink::Sink,
    },
};

/// The most bytes of an endpoint's response that are shown.
const MAX_SAID: usize = 512;

/// How long a test may take, whatever the destination's own timeout.
const DEADLINE: Duration = Duration::from_secs(15);

/// What came back.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Tested {
    /// Whether it was taken.
    pub ok: bool,
    /// The HTTP status, where one came.
    #[schema(required)]
    pub status: Option<u16>,
    /// How long it took.
    pub latency_ms: f64,
    /// In a sentence.
    pub words: String,
    /// What the endpoint said, at most 512 bytes of it.
    #[schema(required)]
    pub said: Option<String>,
    /// The field that is at fault, where one is.
    #[schema(required)]
    pub field: Option<String>,
    /// The trace to look for there.
    #[schema(required)]
    pub trace_id: Option<String>,
}

impl SavedDestinations {
    /// Tests what is not saved yet, with the secrets that were saved for the same place where it keeps them.
    ///
    /// # Errors
    ///
    /// [`Refused`] where it could not be saved either.
    pub async fn test(&self, name: &str, draft: &Draft) -> Result<Tested, Refused> {
        let (configured, seen) = (self.configured(), self.seen());
        let before = seen.destinations.get(name).and_then(|saved| saved.record.as_ref().ok());
        let secrets = self.secrets(name, draft, before)?;
        let settings = record::checked(name, &draft.settings, &secrets, &configured.general)?;
        let mut tested = test(settings).await?;
        if tested.field.as_deref() == Some("endpoint") {
            tested.field = Some(record::place(&draft.settings).to_owned());
        }
        Ok(tested)
    }

    /// Tests a destination that runs, as it is.
    ///
    /// # Errors
    ///
    /// [`Refused`] where none does.
    pub async fn test_running(&self, name: &str) -> Result<Tested, Refused> {
        let running = self.shared.fleet.settings(name);
        Ok(test(running.ok_or_else(|| Refused::Unknown(name.to_owned()))?).await?)
    }
}

async fn test(mut settings: DestinationSettings) -> Result<Tested, ConfigError> {
    let Kind::Otlp(otlp) = &mut settings.kind else {
        return Err(ConfigError::at("type", "posts nothing, so there is nothing to test"));
    };
    // What the configuration names may be on this machine, whoever has the page.
    let guard = otlp.guard.unwrap_or(Guard { loopback: true });
    otlp.guard = Some(guard);
    otlp.timeout = otlp.timeout.min(DEADLINE);
    guard.allows_url(&otlp.url).map_err(|why| ConfigError::at("endpoint", why.to_string()))?;
    if let Some(warning) = reachable(&settings).await? {
        let words = format!("{}.", warning.message.split(':').next().unwrap_or_default());
        return Ok(Tested {
            ok: false,
            status: None,
            latency_ms: 0.0,
            words,
            said: None,
            field: Some(warning.path),
            trace_id: None,
        });
    }
    let at = |error: anyhow::Error| ConfigError::at(".", format!("{error:#}"));
    let sink = Sink::new(&settings).map_err(|error| at(error.into()))?;
    let trace = LabelledTrace::new(&settings, &sink).map_err(|error| at(error.into()))?;
    let start = Instant::now();
    let heard = timeout(DEADLINE, sink.probe(trace.body, MAX_SAID)).await;
    let took = start.elapsed();
    let Heard { outcome, status, said } = heard.unwrap_or_else(|_| Heard {
        outcome: Outcome::Retry { after: None, reason: "no answer in time".to_owned() },
        status: None,
        said: None,
    });
    let ok = matches!(outcome, Outcome::Delivered { rejected: 0 });
    Ok(Tested {
        ok,
        status,
        latency_ms: took.as_secs_f64() * 1000.0,
        words: report(&outcome, took),
        said: said.filter(|said| !said.is_empty()),
        field: field(&settings, &outcome, status),
        trace_id: Some(trace.id),
    })
}

/// The field that a response points to.
fn field(settings: &DestinationSettings, outcome: &Outcome, status: Option<u16>) -> Option<String> {
    let is_middleware = settings.profile.middleware_service.is_some();
    match (outcome, status) {
        (Outcome::Delivered { rejected: 0 }, _) => None,
        (_, Some(401 | 403)) => Some(if is_middleware { "key" } else { "headers" }.to_owned()),
        (Outcome::Misconfigured { reason }, None)
            if reason.contains("Unauthenticated") || reason.contains("PermissionDenied") =>
        {
            Some("headers".to_owned())
        }
        (_, Some(415)) => Some("protocol".to_owned()),
        _ => Some("endpoint".to_owned()),
    }
}
