//! `test-destination NAME`: sends one labelled trace, past the stream, and says what came back.

use std::time::Instant;

use super::{
    error::{CheckError, CommandError},
    output::say,
};
use crate::{
    app::settings::Settings,
    destination::DestinationSettings,
    otlp::Outcome,
    ship::{
        probe::{LabelledTrace, MODEL, report},
        sink::Sink,
    },
};

/// Sends the trace. An error says why it was not taken and what to do.
pub async fn test_destination(settings: &Settings, name: &str) -> Result<(), CommandError> {
    let names: Vec<&str> = settings.destinations.iter().map(|one| &*one.name).collect();
    let one = settings.destinations.iter().find(|one| &*one.name == name);
    let one = one.ok_or_else(|| CommandError::NoDestination {
        name: name.to_owned(),
        hint: format!("; there are: {}", names.join(", ")),
    })?;
    let client = |source| CheckError::Client { name: name.to_owned(), source };
    let sink = Sink::new(one).map_err(client)?;
    let LabelledTrace { body, id: trace_id } = LabelledTrace::new(one, &sink).map_err(CheckError::from)?;
    say(&format!("Sending one trace to {name}, {}", one.target()));
    let start = Instant::now();
    let outcome = sink.send(body).await;
    let report = report(&outcome, start.elapsed());
    if matches!(outcome, Outcome::Delivered { rejected: 0 }) {
        say(&format!("{report}\nLook there for trace {trace_id}, service {}, model {MODEL}.", service(one)));
        return Ok(());
    }
    Err(CommandError::Undelivered(report))
}

fn service(one: &DestinationSettings) -> &str {
    one.resource.service()
}
