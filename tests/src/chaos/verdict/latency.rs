//! How long requests took while telemetry was broken, and while nothing was. Figures, not judged: a machine that
//! does other things too has noise of its own, which stands beside them.

use std::{
    fmt::Write as _,
    time::{Duration, Instant},
};

use crate::{
    chaos::rig::{apply::Happened, observed::Observed},
    load::caller::{Ask, Outcome, Record},
    measure::statistics::quantile,
};

/// What happened so long before or after a request may still bear upon it.
const NEAR: Duration = Duration::from_secs(2);

/// The first requests find everything cold.
const COLD: Duration = Duration::from_secs(3);

/// Two states of the world.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum World {
    Healthy,
    TelemetryBroken,
}

fn world(record: &Record, happened: &[Happened]) -> Option<World> {
    let near = |one: &&Happened| one.touches(record.due, record.ended, NEAR);
    if happened.iter().any(|one| near(&one) && one.fault.part.carries_requests()) {
        return None;
    }
    if happened.iter().any(|one| one.touches(record.due, record.ended, Duration::ZERO)) {
        return Some(World::TelemetryBroken);
    }
    (!happened.iter().any(|one| near(&one))).then_some(World::Healthy)
}

/// Milliseconds of the requests of a kind in a world, with when they were due.
fn times(observed: &Observed, ask: Ask, wanted: World) -> Vec<(Instant, f64)> {
    let good = Outcome::Answered { status: 200, whole: true };
    let warm = observed.records.iter().map(|record| record.due).min().map(|first| first + COLD);
    let of = |record: &&Record| {
        record.ask == ask
            && record.outcome == good
            && warm.is_some_and(|warm| record.due > warm)
            && world(record, &observed.happened) == Some(wanted)
    };
    let until = |record: &Record| {
        if ask == Ask::Stream { record.first.unwrap_or(record.ended) } else { record.ended }
    };
    let took = |record: &Record| until(record).saturating_duration_since(record.due).as_secs_f64() * 1e3;
    observed.records.iter().filter(of).map(|record| (record.due, took(record))).collect()
}

/// The table.
pub(super) fn table(observed: &Observed) -> String {
    let mut text =
        format!("{:28} {:>8} {:>9} {:>9} {:>9}\n", "time until", "requests", "p50 ms", "p90 ms", "p99 ms");
    for (ask, what) in [(Ask::Chat, "the whole answer"), (Ask::Stream, "the first byte of a stream")] {
        let (healthy, broken) =
            (times(observed, ask, World::Healthy), times(observed, ask, World::TelemetryBroken));
        let _ = writeln!(text, "{what}");
        let (one, other) = (figures(&healthy), figures(&broken));
        for (name, count, [p50, p90, p99]) in
            [("  nothing broken", healthy.len(), one), ("  telemetry broken", broken.len(), other)]
        {
            let _ = writeln!(text, "{name:28} {count:8} {p50:9.1} {p90:9.1} {p99:9.1}");
        }
        if healthy.is_empty() || broken.is_empty() {
            continue;
        }
        let [p50, p90, p99] = [0, 1, 2].map(|place| other[place] / one[place]);
        let _ = writeln!(text, "{:28} {:8} {p50:9.2} {p90:9.2} {p99:9.2}", "  ratio", "");
        let [p50, p90, p99] = noise(&healthy);
        let _ = writeln!(text, "{:28} {:8} {p50:9.2} {p90:9.2} {p99:9.2}", "  ratio of healthy halves", "");
    }
    text
}

fn figures(times: &[(Instant, f64)]) -> [f64; 3] {
    let mut times: Vec<f64> = times.iter().map(|(_, took)| *took).collect();
    [0.5, 0.9, 0.99].map(|part| quantile(&mut times, part))
}

/// The worse half of the healthy times over the better one, cut in two by stretches of ten seconds.
fn noise(times: &[(Instant, f64)]) -> [f64; 3] {
    let Some(first) = times.iter().map(|(due, _)| *due).min() else { return [f64::NAN; 3] };
    let (even, odd): (Vec<_>, Vec<_>) =
        times.iter().partition(|(due, _)| (due.duration_since(first).as_secs() / 10).is_multiple_of(2));
    let (even, odd) = (figures(&even), figures(&odd));
    [0, 1, 2].map(|place| even[place].max(odd[place]) / even[place].min(odd[place]))
}
