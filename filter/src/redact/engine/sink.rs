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

/// The result of a scan.
#[derive(Debug)]
pub(crate) struct Sink {
    pub found: Vec<Found>,
    /// Replacements that the text already contains: nothing within them is a match.
    pub replaced: Vec<Range<usize>>,
    /// Start of the first open candidate.
    pub open: usize,
}

impl Default for Sink {
    fn default() -> Self {
        Self { found: Vec::new(), replaced: Vec::new(), open: usize::MAX }
    }
}

impl Sink {
    /// Records a validator's verdict on the candidate at `start`; `end` is the end of a match. Returns whether
    /// it is a match.
    pub fn take(&mut self, view: &View<'_>, start: usize, detector: DetectorId, end: Option<usize>) -> bool {
        if start < view.from {
            return false;
        }
        if view.is_open() {
            self.open = self.open.min(start);
        }
        if let Some(end) = end.filter(|end| *end > start) {
            self.found.push(Found { start, end, detector });
        }
        end.is_some()
    }
}
