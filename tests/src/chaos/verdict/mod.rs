//! The verdict: what callers, providers and endpoints know, held against each other and against what Weir says.
//!
//! Pure: it looks at what was observed and at nothing else, so it is itself tested with observations that are
//! wrong in one point.

#![allow(
    clippy::indexing_slicing,
    reason = "pairs are indexed by places below 2, and a run fails by panicking"
)]

mod answers;
mod check;
mod events;
mod latency;
#[cfg(test)]
mod tests;

use std::fmt::{self, Write as _};

pub use self::check::Check;
use super::rig::observed::Observed;

/// How many violations of one kind are shown.
const SHOWN: usize = 8;

/// All of them, and how long requests took.
#[derive(Clone, Debug)]
pub struct Verdict {
    /// What must hold.
    pub checks: Vec<Check>,
    /// How long requests took with telemetry healthy and broken: figures, not judged.
    pub latency: String,
    /// What came of the requests of each kind.
    pub outcomes: String,
}

impl Verdict {
    /// The verdict on what was observed.
    pub fn on(observed: &Observed) -> Self {
        let mut checks = vec![answers::check(observed)];
        checks.extend(events::checks(observed));
        Self { checks, latency: latency::table(observed), outcomes: answers::outcomes(observed) }
    }

    /// Whether all of it holds.
    pub fn is_good(&self) -> bool {
        self.checks.iter().all(|check| check.violations.is_empty())
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}\n{}", self.outcomes, self.latency)?;
        writeln!(f, "{:8} {:>8}  what must hold", "verdict", "looked at")?;
        for check in &self.checks {
            let word = if check.violations.is_empty() { "holds" } else { "BROKEN" };
            writeln!(f, "{word:8} {:9}  {}", check.of, check.name)?;
            let mut more = String::new();
            if !check.note.is_empty() {
                let _ = writeln!(more, "{:20}{}", "", check.note);
            }
            for violation in check.violations.iter().take(SHOWN) {
                let _ = writeln!(more, "{:20}! {violation}", "");
            }
            if check.violations.len() > SHOWN {
                let _ = writeln!(more, "{:20}! and {} more", "", check.violations.len() - SHOWN);
            }
            f.write_str(&more)?;
        }
        Ok(())
    }
}
