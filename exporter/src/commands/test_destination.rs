//! `test-destination NAME`: sends one labelled trace, past the stream, and says what came back.

use std::time::Instant;

use anyhow::{Context as _, bail};

use super::output::say;
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
pub async fn test_destination(settings: &Settings, name: &str) -> anyhow::Result<()> {
    let names: Vec<&str> = settings.destinations.iter().map(|one| &*one.name).collect();
    let one = settings.destinations.iter().find(|one| &*one.name == name);
    let one = one.with_context(|| format!("no destination named {name}; there are: {}", names.join(", ")))?;
    let sink = Sink::new(one).with_context(|| format!("destinations.{name}"))?;
    let LabelledTrace { body, id: trace_id } = LabelledTrace::new(one, &sink)?;
    say(&format!("Sending one trace to {name}, {}", one.target()));
    let start = Instant::now();
    let outcome = sink.send(body).await;
    let report = report(&outcome, start.elapsed());
    if matches!(outcome, Outcome::Delivered { rejected: 0 }) {
        say(&format!("{report}\nLook there for trace {trace_id}, service {}, model {MODEL}.", service(one)));
        return Ok(());
    }
    bail!(report)
}

fn service(one: &DestinationSettings) -> &str {
    one.resource.service()
}
