//! What a search has found so far, and from where on that may still change.

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

/// What a scan has found.
#[derive(Debug)]
pub(crate) struct Sink {
    pub found: Vec<Found>,
    /// Replacements that stand in the text already: nothing within them is a match.
    pub replaced: Vec<Range<usize>>,
    /// Where the first candidate begins that is open; no other begins before it.
    pub open: usize,
}

impl Default for Sink {
    fn default() -> Self {
        Self { found: Vec::new(), replaced: Vec::new(), open: usize::MAX }
    }
}

impl Sink {
    /// Takes in what a validator said of the candidate that starts at `start`, and where it ended.
    /// Returns whether there is a match.
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
