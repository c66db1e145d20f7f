//! The ledger, event by event: what was reported to endpoints against what callers sent and providers saw, and both against
//! the filter's and the exporters' own figures.
//!
//! A request belongs to the Envoy that lived when it was sent, and an Envoy's workers are its sources. What an Envoy
//! that was killed had not sent yet is unknown; everything else must be reported, or counted.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant},
};

use super::check::Check;
use crate::{
    chaos::rig::{
        observed::{Id, Observed},
        plant::DESTINATIONS,
    },
    fakes::otlp::Reported,
    load::{
        TraceId,
        caller::{Outcome, Record},
        figures::Gateway,
    },
};

/// The filter brings Envoy's stats up to date five times a second; a machine that is busy may be late with it.
const LAG: Duration = Duration::from_secs(2);

/// What was reported to the endpoints, put together, and who it is about.
struct Book<'a> {
    observed: &'a Observed,
    kills: Vec<Instant>,
    requests: HashMap<TraceId, &'a Record>,
    /// Every event that arrived anywhere.
    events: BTreeMap<Id, &'a Reported>,
    /// The traces that they are about.
    reported: BTreeMap<TraceId, Vec<Id>>,
}

impl<'a> Book<'a> {
    fn of(observed: &'a Observed) -> Self {
        let arrived = observed.endpoints.iter().flat_map(|endpoint| &endpoint.reported);
        let events: BTreeMap<Id, &Reported> = arrived.map(|(id, reported)| (*id, reported)).collect();
        let mut reported: BTreeMap<TraceId, Vec<Id>> = BTreeMap::new();
        for (id, event) in &events {
            reported.entry(event.trace).or_default().push(*id);
        }
        let requests = observed.records.iter().map(|record| (record.trace, record)).collect();
        Self { observed, kills: observed.kills(), requests, events, reported }
    }

    /// Which Envoy a request belongs to: how many were killed before it was sent.
    fn life(&self, record: &Record) -> usize {
        self.kills.partition_point(|kill| *kill <= record.sent)
    }

    /// The Envoy that lived when all was over.
    fn last_life(&self) -> usize {
        self.kills.len()
    }

    /// The requests that reached an Envoy and that no event tells of.
    fn unreported(&self, life: usize) -> impl Iterator<Item = &'a Record> {
        let reached = self.observed.records.iter().filter(|record| record.outcome != Outcome::Unsent);
        reached.filter(move |record| self.life(record) == life && !self.reported.contains_key(&record.trace))
    }

    /// The sources of each Envoy with the sequences that arrived of each.
    fn sources(&self) -> BTreeMap<u128, (BTreeSet<usize>, BTreeSet<u64>)> {
        let mut sources: BTreeMap<u128, (BTreeSet<usize>, BTreeSet<u64>)> = BTreeMap::new();
        for ((source, sequence), reported) in &self.events {
            let (lives, sequences) = sources.entry(*source).or_default();
            lives.extend(self.requests.get(&reported.trace).map(|record| self.life(record)));
            sequences.insert(*sequence);
        }
        sources
    }

    /// What Envoy's stats said last before an Envoy was killed, and when.
    fn last_look(&self, life: usize) -> Option<(Instant, Gateway)> {
        self.looks(life).last().copied()
    }

    fn looks(&self, life: usize) -> impl DoubleEndedIterator<Item = &'a (Instant, Gateway)> {
        let from = life.checked_sub(1).and_then(|before| self.kills.get(before)).copied();
        let to = self.kills.get(life).copied();
        let within = move |at: Instant| from.is_none_or(|from| at > from) && to.is_none_or(|to| at < to);
        self.observed.looks.iter().filter(move |(at, _)| within(*at))
    }
}

/// Everything that must hold of events.
pub(super) fn checks(observed: &Observed) -> Vec<Check> {
    let book = Book::of(observed);
    vec![
        once(&book),
        truthful(&book),
        attempts(&book),
        living(&book),
        killed(&book),
        gaps(&book),
        filter(&book),
        exporters(&book),
        endpoints(&book),
    ]
}

fn once(book: &Book<'_>) -> Check {
    let mut check =
        Check::new("every event tells of a request that was made, and no request is reported twice");
    for (trace, ids) in &book.reported {
        let made = book.requests.get(trace).is_some_and(|record| record.outcome != Outcome::Unsent);
        check.look((!made || ids.len() > 1).then(|| format!("{trace:032x} (made: {made}): {ids:x?}")));
    }
    check
}

fn truthful(book: &Book<'_>) -> Check {
    let mut check =
        Check::new("every event tells the status that its caller saw, and whether it got all of it");
    for event in book.events.values() {
        let Some(record) = book.requests.get(&event.trace) else { continue };
        let right = match record.outcome {
            Outcome::Answered { status: 200, whole: true } => {
                event.status == 200 && event.ending == "completed"
            }
            Outcome::Answered { status, .. } => event.status == status,
            Outcome::Left => event.status == 200,
            _ => true,
        };
        check.look(
            (!right).then(|| format!("{:032x}: reported {event:?}, seen {:?}", event.trace, record.outcome)),
        );
    }
    let changed: u64 = book.observed.endpoints.iter().map(|endpoint| endpoint.changed).sum();
    let repeated: Vec<String> =
        book.observed.endpoints.iter().map(|endpoint| endpoint.repeated.to_string()).collect();
    check.equal("events that reported something else when they came again", changed, 0);
    check.noting(format!("delivered again after a fault, and the same: {}", repeated.join(" and ")))
}

fn attempts(book: &Book<'_>) -> Check {
    let mut check = Check::new(
        "every attempt that a provider counted is reported, and none was answered that it did not count",
    );
    for event in book.events.values() {
        let seen = book.observed.seen(event.trace);
        let right = event.answered <= seen && seen <= event.attempts;
        let of = || format!("{:032x}: a provider saw {seen}, reported {event:?}", event.trace);
        check.look((!right).then(of));
    }
    check
}

fn living(book: &Book<'_>) -> Check {
    let mut check =
        Check::new("of the Envoy that was not killed every request is reported, or counted as dropped");
    let life = book.last_life();
    let unreported: Vec<&Record> = book.unreported(life).collect();
    let of = book.observed.records.iter().filter(|record| book.life(record) == life).count();
    let dropped = usize::try_from(book.observed.last_look.dropped).unwrap_or(usize::MAX);
    check.of = of;
    if unreported.len() != dropped {
        check
            .violations
            .push(format!("{} are not reported, {dropped} were counted as dropped", unreported.len()));
        check.violations.extend(unreported.iter().map(|record| shown(record)));
    }
    check
}

/// Of an Envoy that was killed only the tail may be unknown: what was over after the outbox was last seen empty, and
/// no more than had not been accepted when it was last looked at, and what came after that.
fn killed(book: &Book<'_>) -> Check {
    let mut check =
        Check::new("of an Envoy that was killed only the unsent tail is unknown, and it is bounded");
    let mut notes = Vec::new();
    for life in 0..book.last_life() {
        let unreported: Vec<&Record> = book.unreported(life).collect();
        let seen_empty = book.looks(life).rev().find(|(_, look)| look.pending() == 0).map(|(at, _)| *at);
        let tail = seen_empty.and_then(|at| at.checked_sub(LAG));
        for record in &unreported {
            let early = tail.is_some_and(|tail| record.ended < tail);
            check.look(early.then(|| format!("not of the tail: {}", shown(record))));
        }
        let events = book.events.values().filter_map(|event| book.requests.get(&event.trace));
        let reported = events.filter(|record| book.life(record) == life).count() as u64;
        let (at, look) =
            book.last_look(life).map_or((None, Gateway::default()), |(at, look)| (Some(at), look));
        let since = |record: &&Record| {
            let late = at.and_then(|at| at.checked_sub(LAG)).is_none_or(|at| record.ended >= at);
            book.life(record) == life && record.outcome != Outcome::Unsent && late
        };
        let after: Vec<&Record> = book.observed.records.iter().filter(since).collect();
        let bound = look.pending() + look.dropped + after.len() as u64;
        check.at_most(&format!("unknown of Envoy {life}"), unreported.len() as u64, bound);
        check.at_most(&format!("accepted of Envoy {life}, and reported"), look.accepted, reported);
        let at_provider = unreported.iter().filter(|record| book.observed.seen(record.trace) > 0).count();
        notes.push(format!(
            "Envoy {life}: {reported} reported, {} unknown (a provider counted {at_provider} of them), bound {bound}",
            unreported.len()
        ));
    }
    check.noting(notes.join("; "))
}

fn gaps(book: &Book<'_>) -> Check {
    let mut check =
        Check::new("the sequence of every source is without a gap, but for what was dropped or died with it");
    let mut missing: BTreeMap<usize, u64> = BTreeMap::new();
    for (source, (lives, sequences)) in book.sources() {
        let last = sequences.last().copied().unwrap_or_default();
        check
            .look((lives.len() > 1).then(|| format!("source {source:032x} is of several Envoys: {lives:?}")));
        *missing.entry(lives.first().copied().unwrap_or_default()).or_default() +=
            last - sequences.len() as u64;
    }
    for (life, missing) in &missing {
        let explained = if *life == book.last_life() {
            book.observed.last_look.dropped + book.observed.last_look.sampled_out
        } else {
            book.unreported(*life).count() as u64
        };
        check.at_most(&format!("gaps of Envoy {life}"), *missing, explained);
    }
    let total: u64 = missing.values().sum();
    check.noting(format!("{} sources, {total} gaps", book.sources().len()))
}

fn filter(book: &Book<'_>) -> Check {
    let mut check = Check::new("the filter's own ledger is balanced, and says what arrived");
    let look = book.observed.last_look;
    let life = book.last_life();
    let sources = book.sources();
    let of_life = sources.values().filter(|(lives, _)| lives.contains(&life));
    let arrived = of_life.map(|(_, all)| all.len() as u64).sum();
    check.equal("pending, and nothing", look.pending(), 0);
    check.equal("accepted, and arrived", look.accepted, arrived);
    check.noting(format!(
        "created {} = accepted {} + dropped {} + sampled out {} + pending {}",
        look.created,
        look.accepted,
        look.dropped,
        look.sampled_out,
        look.pending()
    ))
}

fn exporters(book: &Book<'_>) -> Check {
    let mut check = Check::new("each destination's ledger is balanced, and says what its endpoint has");
    let (mut notes, all) = (Vec::new(), book.events.len() as u64);
    for (place, name) in DESTINATIONS.into_iter().enumerate() {
        let has = book.observed.endpoints.get(place).map_or(0, |endpoint| endpoint.reported.len() as u64);
        for (number, ledgers) in book.observed.ledgers.iter().enumerate() {
            let Some(ledger) = ledgers.get(name) else {
                check.look(Some(format!("exporter {number} tells no ledger of {name}")));
                continue;
            };
            let what = |figure: &str| format!("{name} by exporter {number}: {figure}");
            check.equal(&what("stored, and the sum of what became of it"), ledger.stored, ledger.sum());
            check.equal(&what("delivered, and at the endpoint"), ledger.fate("delivered"), has);
            check.equal(&what("backlog, and nothing"), ledger.backlog, 0);
            // Nothing is evicted here, so what is stored has arrived somewhere, and is stored once.
            check.equal(&what("stored, and different events"), ledger.stored, all);
            if number == 0 {
                notes.push(format!(
                    "{name}: stored {} = {:?} + backlog {}",
                    ledger.stored, ledger.fates, ledger.backlog
                ));
            }
        }
    }
    check.noting(notes.join("; "))
}

fn endpoints(book: &Book<'_>) -> Check {
    let mut check = Check::new("every event is at both endpoints");
    for (id, event) in &book.events {
        let lacks = book.observed.endpoints.iter().position(|endpoint| !endpoint.reported.contains_key(id));
        check.look(lacks.map(|place| format!("{:032x} {id:x?} is not at endpoint {place}", event.trace)));
    }
    check
}

fn shown(record: &Record) -> String {
    format!("{:032x} {:?}: {:?}", record.trace, record.ask, record.outcome)
}
