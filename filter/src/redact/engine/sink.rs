//! Matches found so far, and the offset from which they may still change.

use std::ops::Range;

use crate::redact::detectors::names::DetectorId;
use crate::redact::text::view::View;

/// A match of one detector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub start: usize,
    pub end: usize,
    pub detector: DetectorId,
}

impl Found {
    /// Matches are in the order of their starts, the longest and most specific first.
    pub fn key(&self) -> (usize, usize, u8) {
        (self.start, usize::MAX - self.end, self.detector.rank())
    }
}

/// The result of a scan.
#[derive(Debug)]
pub(crate) struct Sink {
    pub found: Vec<Found>,
    /// How many of them are in order.
    ordered: usize,
    /// Replacements that the text already contains: nothing within them is a match.
    pub replaced: Vec<Range<usize>>,
    /// Start of the first open candidate.
    pub open: usize,
    /// The furthest end of a match.
    pub reached: usize,
}

impl Default for Sink {
    fn default() -> Self {
        Self { found: Vec::new(), ordered: 0, replaced: Vec::new(), open: usize::MAX, reached: 0 }
    }
}

impl Sink {
    /// Brings the matches of the part that was just searched into order. They begin near those of the part
    /// before, so few are moved.
    pub fn order(&mut self) {
        let Some(first) = self.found.get(self.ordered..).unwrap_or_default().iter().map(Found::key).min()
        else {
            return;
        };
        let known = self.found.get(..self.ordered).unwrap_or_default();
        let from = known.partition_point(|found| found.key() <= first);
        if let Some(unordered) = self.found.get_mut(from..) {
            unordered.sort_unstable_by_key(Found::key);
        }
        self.ordered = self.found.len();
    }

    /// Records a validator's verdict on the candidate at `start`; `end` is the end of a match. Returns whether
    /// it is a match.
    pub fn take(&mut self, view: &View<'_>, start: usize, detector: DetectorId, end: Option<usize>) -> bool {
        if start < view.from || view.is_paused() {
            return false;
        }
        if view.is_open() {
            self.open = self.open.min(start);
        }
        if let Some(end) = end.filter(|end| *end > start) {
            self.reached = self.reached.max(end);
            self.found.push(Found { start, end, detector });
        }
        end.is_some()
    }
}
