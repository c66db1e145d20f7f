//! The schedule: which fault happens to which component when, drawn whole from a seed before anything starts.
//!
//! Faults come one at a time or in pairs, between stretches of quiet, so that what is slow under a fault can be
//! held against what is slow without one. The same seed gives the same schedule, whatever the machine does.

use std::{fmt, time::Duration};

use fastrand::Rng;

use crate::load::weighted;

/// Exporters, providers and endpoints, of each.
pub const PAIR: usize = 2;

/// A component, or what lies between two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Part {
    /// Envoy with the filter.
    Envoy,
    /// One of the exporters.
    Exporter(usize),
    /// Both of them.
    Exporters,
    /// A node of NATS.
    Nats(usize),
    /// All of them.
    AllNats,
    /// One of the providers.
    Provider(usize),
    /// One of the OTLP endpoints.
    Endpoint(usize),
    /// Between Envoy and the exporters.
    ToIngest,
    /// Between an exporter and NATS.
    ToNats(usize),
    /// Between a node of NATS and all the others, exporters included.
    AroundNats(usize),
    /// Between Envoy and a provider.
    ToProvider(usize),
    /// Between the exporters and an endpoint.
    ToEndpoint(usize),
}

/// What happens to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Act {
    /// SIGKILL, and after that time it is started again; of a provider or endpoint: it is gone for so long.
    Kill,
    /// SIGSTOP, and after that time SIGCONT.
    Pause,
    /// Nothing passes.
    Stall,
    /// Every connection breaks.
    Cut,
    /// Everything comes later by so many milliseconds.
    Slow(u64),
    /// It answers with this status.
    Fail(u16),
    /// It takes requests and never answers.
    Hang,
    /// It takes what comes and breaks the connection instead of answering.
    Forget,
}

/// A fault of the schedule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// When it begins, since the start of the load.
    pub at: Duration,
    /// How long it lasts.
    pub lasts: Duration,
    /// What it happens to.
    pub part: Part,
    /// What happens.
    pub act: Act,
}

impl Part {
    /// Whether inference depends on it.
    pub fn carries_requests(self) -> bool {
        matches!(self, Self::Envoy | Self::Provider(_) | Self::ToProvider(_))
    }

    /// Two faults of parts that are kin do not happen at once: they would undo each other.
    fn is_kin(self, other: Self) -> bool {
        let group = |part| match part {
            Self::Envoy => (0, None),
            Self::Exporter(which) => (1, Some(which)),
            Self::Exporters => (1, None),
            Self::Nats(which) | Self::AroundNats(which) => (2, Some(which)),
            Self::AllNats => (2, None),
            // Isolating a node is done on the same links.
            Self::ToNats(_) => (2, None),
            Self::Provider(which) | Self::ToProvider(which) => (3, Some(which)),
            Self::Endpoint(which) | Self::ToEndpoint(which) => (4, Some(which)),
            Self::ToIngest => (5, None),
        };
        let ((kind, which), (other_kind, other_which)) = (group(self), group(other));
        kind == other_kind && (which.is_none() || other_which.is_none() || which == other_which)
    }
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let letter = |which: &usize| if *which == 0 { 'a' } else { 'b' };
        match self {
            Self::Envoy => write!(f, "envoy"),
            Self::Exporter(which) => write!(f, "exporter {which}"),
            Self::Exporters => write!(f, "both exporters"),
            Self::Nats(which) => write!(f, "nats {which}"),
            Self::AllNats => write!(f, "all of nats"),
            Self::Provider(which) => write!(f, "provider {}", letter(which)),
            Self::Endpoint(which) => write!(f, "endpoint {which}"),
            Self::ToIngest => write!(f, "envoy -> exporters"),
            Self::ToNats(which) => write!(f, "exporter {which} -> nats"),
            Self::AroundNats(which) => write!(f, "nats {which} <-> all others"),
            Self::ToProvider(which) => write!(f, "envoy -> provider {}", letter(which)),
            Self::ToEndpoint(which) => write!(f, "exporters -> endpoint {which}"),
        }
    }
}

impl fmt::Display for Act {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill => write!(f, "killed"),
            Self::Pause => write!(f, "paused"),
            Self::Stall => write!(f, "partitioned"),
            Self::Cut => write!(f, "cut"),
            Self::Slow(ms) => write!(f, "slowed by {ms} ms"),
            Self::Fail(status) => write!(f, "answers {status}"),
            Self::Hang => write!(f, "never answers"),
            Self::Forget => write!(f, "takes and does not say so"),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { at, lasts, part, act } = self;
        write!(f, "{:7.1} s  {part}: {act}, for {:.1} s", at.as_secs_f64(), lasts.as_secs_f64())
    }
}

/// Of each kind of fault: a part, an act, how long at least and at most (ms), and how often it comes among all.
fn kinds(nodes: usize) -> Vec<(Part, Act, u64, u64, u32)> {
    let mut kinds = vec![
        (Part::Envoy, Act::Kill, 200, 1000, 3),
        (Part::Envoy, Act::Pause, 200, 2000, 2),
        (Part::Exporters, Act::Kill, 500, 8000, 3),
        (Part::Exporters, Act::Pause, 1000, 12_000, 2),
        (Part::AllNats, Act::Kill, 500, 6000, 3),
        (Part::AllNats, Act::Pause, 1000, 8000, 2),
        (Part::ToIngest, Act::Stall, 1000, 12_000, 2),
        (Part::ToIngest, Act::Cut, 500, 8000, 2),
        (Part::ToIngest, Act::Slow(300), 1000, 8000, 2),
    ];
    for which in 0..PAIR {
        kinds.extend([
            (Part::Exporter(which), Act::Kill, 200, 6000, 2),
            (Part::Exporter(which), Act::Pause, 1000, 12_000, 1),
            (Part::ToNats(which), Act::Stall, 1000, 15_000, 1),
            (Part::ToNats(which), Act::Cut, 500, 6000, 1),
            (Part::ToNats(which), Act::Slow(200), 1000, 8000, 1),
            (Part::Provider(which), Act::Kill, 500, 4000, 1),
            (Part::Provider(which), Act::Fail(503), 500, 4000, 1),
            (Part::Provider(which), Act::Fail(429), 500, 4000, 1),
            (Part::Provider(which), Act::Slow(800), 500, 4000, 1),
            (Part::ToProvider(which), Act::Stall, 1000, 5000, 1),
            (Part::ToProvider(which), Act::Cut, 500, 3000, 1),
            (Part::Endpoint(which), Act::Kill, 500, 10_000, 1),
            (Part::Endpoint(which), Act::Fail(503), 500, 10_000, 1),
            (Part::Endpoint(which), Act::Hang, 1000, 10_000, 1),
            (Part::Endpoint(which), Act::Forget, 500, 4000, 1),
            (Part::ToEndpoint(which), Act::Stall, 1000, 12_000, 1),
            (Part::ToEndpoint(which), Act::Slow(500), 1000, 8000, 1),
        ]);
    }
    for which in (0..nodes).filter(|_| nodes > 1) {
        kinds.extend([
            (Part::Nats(which), Act::Kill, 500, 8000, 1),
            (Part::Nats(which), Act::Pause, 1000, 12_000, 1),
            (Part::AroundNats(which), Act::Stall, 1000, 12_000, 1),
        ]);
    }
    kinds
}

/// Of a run with so many nodes of NATS, everything that happens within so long a time, in order.
pub fn draw(seed: u64, nodes: usize, length: Duration) -> Vec<Fault> {
    let mut rng = Rng::with_seed(seed);
    let kinds = kinds(nodes);
    let (mut faults, mut at): (Vec<Fault>, _) = (Vec::new(), between(&mut rng, 2000, 4000));
    loop {
        let mut until = at;
        for place in 0..if rng.u32(0..4) == 0 { 2 } else { 1 } {
            let kind = weighted(&mut rng, &kinds, |kind| kind.4);
            let (part, act, least, most, _) = kind.unwrap_or((Part::Envoy, Act::Kill, 200, 200, 1));
            let at = at + between(&mut rng, 0, 800) * place;
            let fault = Fault { at, lasts: between(&mut rng, least, most), part, act };
            let alone =
                !faults.iter().any(|other| other.at + other.lasts > fault.at && other.part.is_kin(part));
            if alone && fault.at + fault.lasts < length {
                until = until.max(fault.at + fault.lasts);
                faults.push(fault);
            }
        }
        at = until + between(&mut rng, 4000, 8000);
        if at >= length {
            return faults;
        }
    }
}

fn between(rng: &mut Rng, least: u64, most: u64) -> Duration {
    Duration::from_millis(rng.u64(least..=most))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    const LONG: Duration = Duration::from_mins(60);

    #[test]
    fn the_same_seed_gives_the_same_schedule_and_another_another() {
        assert_eq!(draw(7, 3, LONG), draw(7, 3, LONG));
        assert_ne!(draw(7, 3, LONG), draw(8, 3, LONG));
    }

    #[test]
    fn in_an_hour_every_kind_of_fault_happens_and_ends_in_time() {
        for nodes in [1, 3] {
            let faults = draw(1, nodes, LONG);
            assert!(faults.iter().all(|fault| fault.at + fault.lasts < LONG));
            let seen: HashSet<String> =
                faults.iter().map(|fault| format!("{} {}", fault.part, fault.act)).collect();
            let kinds = kinds(nodes).into_iter().map(|(part, act, ..)| format!("{part} {act}"));
            let missing: Vec<String> = kinds.filter(|kind| !seen.contains(kind)).collect();
            assert!(missing.is_empty(), "{missing:?}");
        }
    }

    #[test]
    fn kin_are_never_in_trouble_at_once() {
        let faults = draw(3, 3, LONG);
        for (place, one) in faults.iter().enumerate() {
            for other in faults.iter().skip(place + 1) {
                let apart = one.at + one.lasts <= other.at || other.at + other.lasts <= one.at;
                assert!(apart || !one.part.is_kin(other.part), "{one} and {other}");
            }
        }
    }
}
