//! One text of a stream that comes in pieces: what of it can leave, and the event that brings the rest.

use std::sync::Arc;

use crate::redact::{
    Channel as Kind, Counts, Detectors, Replacement, Restorer, Set, StreamRedactor, StreamRestorer,
};

/// A text so far.
#[derive(Debug)]
pub(crate) struct Channel {
    redactor: Option<StreamRedactor<Replacement>>,
    restorer: StreamRestorer,
}

impl Channel {
    /// A text of a kind, at its beginning, in which these detectors run.
    pub fn new(detectors: &Arc<Detectors>, set: Set, replacement: Replacement, kind: Kind) -> Self {
        let redactor = || StreamRedactor::new(Arc::clone(detectors), set, replacement, kind);
        Self { redactor: (!set.is_empty()).then(redactor), restorer: StreamRestorer::default() }
    }

    /// Takes in a piece, and gives what can leave; all that is left where it is the `last`.
    pub fn pass(
        &mut self,
        piece: &str,
        last: bool,
        restorer: Option<&Restorer>,
        restored: &mut Counts,
    ) -> String {
        let mut text = match &mut self.redactor {
            Some(redactor) => redactor.feed(piece),
            None => piece.to_owned(),
        };
        if last && let Some(redactor) = &mut self.redactor {
            text.push_str(&redactor.finish());
        }
        let Some(restorer) = restorer else { return text };
        let mut text = self.restorer.feed(restorer, &text, restored);
        if last {
            text.push_str(&self.restorer.finish());
        }
        text
    }

    /// How often each detector has matched so far.
    pub fn counts(&self) -> Counts {
        self.redactor.as_ref().map(|redactor| redactor.counts().clone()).unwrap_or_default()
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        self.redactor.as_ref().map_or(0, StreamRedactor::allocated) + self.restorer.allocated()
    }

    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.redactor.as_ref().map_or(0, StreamRedactor::held) + self.restorer.held()
    }
}
