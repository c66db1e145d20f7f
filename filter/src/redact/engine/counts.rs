//! How often each detector matched: all that is reported of matches.

use crate::redact::detectors::names::DetectorId;
use crate::redact::engine::compiled::Detectors;

/// Number of matches by detector.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Counts(Vec<(DetectorId, u64)>);

impl Counts {
    /// Counts one match.
    pub(crate) fn add(&mut self, id: DetectorId) {
        self.add_many(id, 1);
    }

    fn add_many(&mut self, id: DetectorId, count: u64) {
        match self.0.iter_mut().find(|(known, _)| *known == id) {
            Some((_, known)) => *known = known.saturating_add(count),
            None => self.0.push((id, count)),
        }
    }

    /// Adds other counts.
    pub fn merge(&mut self, other: &Self) {
        for (id, count) in &other.0 {
            self.add_many(*id, *count);
        }
    }

    /// The detectors that matched, with their counts, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (DetectorId, u64)> {
        self.0.iter().copied()
    }

    /// The counts by name, sorted by name.
    pub fn by_name<'d>(&self, detectors: &'d Detectors) -> Vec<(&'d str, u64)> {
        let mut named: Vec<_> = self.iter().map(|(id, count)| (detectors.name(id).0, count)).collect();
        named.sort_unstable();
        named
    }

    /// Whether nothing matched.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
