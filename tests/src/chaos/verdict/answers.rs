//! Whether every request was answered as it should be, given what happened to Envoy and the providers meanwhile.
//! What happened to telemetry excuses nothing.

use std::{collections::BTreeMap, fmt::Write as _, time::Duration};

use super::check::Check;
use crate::{
    chaos::rig::{
        apply::Happened,
        observed::Observed,
        schedule::{Act, PAIR, Part},
    },
    load::caller::{Ask, Outcome, Record},
};

/// A fault so near to a request may still, or already, have touched it.
const NEAR: Duration = Duration::from_secs(2);

/// Every request, held against what may become of it.
pub(super) fn check(observed: &Observed) -> Check {
    let mut check = Check::new("every request was answered as promised, by its caller's own record");
    for record in &observed.records {
        check.look(wrong(record, &observed.happened).map(|why| {
            let took = record.ended.saturating_duration_since(record.sent);
            format!("{:032x} {:?} after {:.1} s: {why}", record.trace, record.ask, took.as_secs_f64())
        }));
    }
    check
}

/// What came of the requests of each kind, as a table.
pub(super) fn outcomes(observed: &Observed) -> String {
    let mut kinds: BTreeMap<Ask, BTreeMap<String, usize>> = BTreeMap::new();
    for record in &observed.records {
        let word = match record.outcome {
            Outcome::Answered { status, whole: true } => status.to_string(),
            Outcome::Answered { status, whole: false } => format!("{status} in part"),
            Outcome::Left => "left on purpose".to_owned(),
            Outcome::Unsent => "no Envoy".to_owned(),
            Outcome::Broken => "died with Envoy".to_owned(),
            Outcome::Hung => "never answered".to_owned(),
        };
        *kinds.entry(record.ask).or_default().entry(word).or_default() += 1;
    }
    let mut text = format!("{} requests\n", observed.records.len());
    for (ask, words) in kinds {
        let words: Vec<String> = words.iter().map(|(word, count)| format!("{word}: {count}")).collect();
        let _ = writeln!(text, "  {:13} {}", format!("{ask:?}"), words.join("   "));
    }
    text
}

/// What happened to the providers while a request was under way.
#[derive(Debug, Default)]
struct Trouble {
    /// Each provider had some.
    any: [bool; PAIR],
    /// One could break off what it had begun.
    breaks: [bool; PAIR],
    /// One may have kept silent.
    silent: [bool; PAIR],
    /// Statuses that one answered with.
    statuses: [Vec<u16>; PAIR],
}

impl Trouble {
    fn of(record: &Record, happened: &[Happened]) -> Self {
        let mut trouble = Self::default();
        for one in happened.iter().filter(|one| one.touches(record.sent, record.ended, NEAR)) {
            let (Part::Provider(which) | Part::ToProvider(which)) = one.fault.part else { continue };
            let which = which % PAIR;
            trouble.any[which] = true;
            match one.fault.act {
                Act::Fail(status) => trouble.statuses[which].push(status),
                Act::Stall => {
                    trouble.silent[which] = true;
                    trouble.breaks[which] = true;
                }
                _ => trouble.breaks[which] = true,
            }
        }
        trouble
    }

    /// Whether an error with this status may reach the caller when the targets of these places have failed.
    fn allows(&self, status: u16, places: &[usize]) -> bool {
        let scripted = places.iter().any(|place| self.statuses[*place].contains(&status));
        let unreachable = places.iter().any(|place| self.breaks[*place]);
        scripted || (unreachable && matches!(status, 502 | 504))
    }
}

/// Why this should not have come of the request; `None` where it may.
fn wrong(record: &Record, happened: &[Happened]) -> Option<String> {
    let killed = happened.iter().any(|one| {
        (one.fault.part, one.fault.act) == (Part::Envoy, Act::Kill)
            && one.touches(record.sent, record.ended, NEAR)
    });
    let trouble = Trouble::of(record, happened);
    let broken = killed || trouble.breaks.contains(&true);
    let (status, whole) = match record.outcome {
        Outcome::Unsent | Outcome::Broken if killed => return None,
        Outcome::Unsent => return Some("Envoy took no connection".to_owned()),
        Outcome::Broken => return Some("the connection broke before an answer".to_owned()),
        Outcome::Hung => return Some("no answer".to_owned()),
        Outcome::Left if record.ask == Ask::Leaving => return None,
        Outcome::Left => return Some("its caller left".to_owned()),
        Outcome::Answered { status, whole } => (status, whole),
    };
    if let Some(refusal) = record.ask.refusal() {
        let right = status == refusal && (whole || killed);
        return (!right).then(|| format!("{status} (whole: {whole}) where it is refused with {refusal}"));
    }
    if status == 200 {
        return (!whole && !broken).then(|| "the answer broke off".to_owned());
    }
    let allowed = match record.ask {
        Ask::Alone => trouble.allows(status, &[0]),
        // Nothing tells a silent provider from a slow one but the end of the request's time.
        Ask::Chat if trouble.silent.contains(&true) && status == 504 => true,
        _ => trouble.any == [true; PAIR] && trouble.allows(status, &[0, 1]),
    };
    match (allowed, whole || killed) {
        (true, true) => None,
        (true, false) => Some(format!("{status} not in the shape of the API")),
        (false, _) => Some(format!("{status}, and {trouble:?}")),
    }
}
