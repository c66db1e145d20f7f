//! Redaction of streamed text.
//!
//! Holds back only what may still become a match, [`HELD_MAX`] bytes at most (and the piece being processed),
//! and releases everything before it at once. However a text is split, the output equals that of the whole
//! text. Of a match longer than may be held, only the beginning and the latest end are retained: nothing in
//! between can change what it is.

use std::fmt;
use std::sync::Arc;

use crate::redact::detectors::label::REACH;
use crate::redact::detectors::names::Set;
use crate::redact::engine::compiled::{Detectors, Hit, Part};
use crate::redact::engine::counts::Counts;
use crate::redact::engine::replace::{PartialHash, Replace};
use crate::redact::text::fold::{Reading, last};
use crate::redact::text::view::{BASE64, is};

/// Most bytes held back between two pieces.
pub const HELD_MAX: usize = 4096;
/// Bytes for which memory stays allocated between two pieces, where less is held.
const WINDOW_MAX: usize = 2 * HELD_MAX;
/// Bytes retained of the beginning, and of the end, of a longer match.
const RETAINED: usize = 1024;
/// Bytes of released text retained as context, counted as folded: a folded character may take four bytes, and
/// so may an escape.
const CONTEXT: usize = REACH;
const CONTEXT_FOLDED: usize = 4 * REACH;
/// Held text is searched again once it has grown by this fraction, so that single-byte pieces do not each cost
/// a search of all of it.
const HELD_PARTS: usize = 8;
/// Fewest base64 characters in one line of a private key.
const LINE: usize = 16;

/// What a channel of a response carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Text for people: content, reasoning, a refusal.
    Text,
    /// The text of a JSON value: tool call arguments.
    Json,
}

/// Redacts one channel of a stream.
pub struct StreamRedactor<R> {
    detectors: Arc<Detectors>,
    set: Set,
    replace: R,
    channel: Channel,
    /// Context, followed by the held text.
    window: String,
    /// Start of the held text.
    from: usize,
    /// End of the last match.
    barrier: usize,
    /// Bytes received since the last search, and bytes held at that time.
    pending: usize,
    open: usize,
    /// Set if the match at `from` was shortened.
    long: Option<Long>,
    lexer: Lexer,
    counts: Counts,
}

/// A match whose middle was dropped.
struct Long {
    hash: Option<PartialHash>,
    /// End of the part of the window that was hashed.
    hashed: usize,
}

impl<R> fmt::Debug for StreamRedactor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRedactor").field("held", &self.held()).finish_non_exhaustive()
    }
}

impl<R> StreamRedactor<R> {
    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        size_of::<Self>() + self.window.capacity()
    }

    /// Number of bytes held back.
    pub fn held(&self) -> usize {
        self.window.len().saturating_sub(self.from)
    }

    /// Matches so far, by detector.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl<R: Replace> StreamRedactor<R> {
    /// Creates a redactor for one channel, at its beginning.
    pub fn new(detectors: Arc<Detectors>, set: Set, replace: R, channel: Channel) -> Self {
        Self {
            detectors,
            set,
            replace,
            channel,
            window: String::new(),
            from: 0,
            barrier: 0,
            pending: 0,
            open: 0,
            long: None,
            lexer: Lexer::default(),
            counts: Counts::default(),
        }
    }

    /// Takes the next piece and returns what can be released.
    pub fn feed(&mut self, piece: &str) -> String {
        self.window.push_str(piece);
        self.pending += piece.len();
        if self.pending * HELD_PARTS < self.open && self.held() <= HELD_MAX {
            return String::new();
        }
        self.pass(false)
    }

    /// Returns what is left at the end of the text.
    pub fn finish(&mut self) -> String {
        self.pass(true)
    }

    fn pass(&mut self, last: bool) -> String {
        let reading = match self.channel {
            Channel::Text => Reading::Plain,
            Channel::Json => Reading::Escaped,
        };
        let (from, barrier, form) = (self.from, self.barrier, self.replace.form());
        let part = Part { text: &self.window, reading, from, barrier, last, form };
        let found = self.detectors.find(self.set, &part);
        let mut settled = if last { self.window.len() } else { found.settled };
        let begins = |hit: &Hit| hit.range.start == settled && hit.range.end > settled;
        if !last && self.window.len() - settled > HELD_MAX && !found.hits.iter().any(begins) {
            // Nothing this long is an unfinished match: release it rather than grow.
            settled = self.window.floor_char_boundary(self.window.len() - RETAINED);
        }
        let mut out = String::with_capacity(settled.saturating_sub(self.from));
        let mut at = self.from;
        for hit in found.hits.into_iter().take_while(|hit| hit.range.end <= settled) {
            self.release(at, hit.range.start, &mut out);
            at = hit.range.end;
            self.barrier = at;
            self.replace(&hit, &mut out);
        }
        self.release(at, settled, &mut out);
        if settled > self.from {
            self.long = None;
        }
        self.from = settled;
        self.forget();
        if self.held() > HELD_MAX {
            self.shorten();
        }
        // A large piece must not keep its memory for the rest of the stream.
        self.window.shrink_to(WINDOW_MAX);
        (self.pending, self.open) = (0, self.held());
        out
    }

    fn release(&mut self, start: usize, end: usize, out: &mut String) {
        let text = self.window.get(start..end).unwrap_or_default();
        if self.channel == Channel::Json {
            self.lexer.read(text);
        }
        out.push_str(text);
    }

    fn replace(&mut self, hit: &Hit, out: &mut String) {
        self.counts.add(hit.detector);
        let label = self.detectors.label(hit.detector);
        // A number in JSON is replaced by a string.
        let quote = if self.channel == Channel::Json && !self.lexer.in_string { "\"" } else { "" };
        out.push_str(quote);
        match self.long.take() {
            Some(mut long) => {
                if let Some(hash) = &mut long.hash {
                    hash.update(self.window.get(long.hashed..hit.range.end).unwrap_or_default());
                }
                self.replace.replace_long(hit.detector, label, long.hash, out);
            }
            None => {
                let value = self.window.get(hit.range.clone()).unwrap_or_default();
                self.replace.replace(hit.detector, label, value, out);
            }
        }
        out.push_str(quote);
    }

    /// Drops released text that no decision looks back at.
    fn forget(&mut self) {
        let left = self.window.get(..self.from).unwrap_or_default();
        let start = match self.channel {
            Channel::Text => last(left, CONTEXT, CONTEXT_FOLDED),
            Channel::Json => left.floor_char_boundary(left.len().saturating_sub(CONTEXT_FOLDED)),
        };
        // Moving the rest is only worth it if more than the context can be dropped.
        if start > CONTEXT {
            self.window.drain(..start);
            self.from -= start;
            self.barrier = self.barrier.saturating_sub(start);
        }
    }

    /// Drops the middle of the held match.
    fn shorten(&mut self) {
        let head = self.window.floor_char_boundary(self.from + RETAINED);
        let bytes = self.window.as_bytes();
        // Cut within a line of the key, so that the two parts still form a line.
        let in_line = |end: &usize| {
            bytes.get(end - LINE..*end).is_some_and(|line| line.iter().all(|byte| is(*byte, BASE64)))
        };
        let head = (head - RETAINED / 4..=head).rev().find(in_line).unwrap_or(head);
        let tail = self.window.floor_char_boundary(self.window.len() - RETAINED);
        let long =
            self.long.get_or_insert_with(|| Long { hash: self.replace.begin_hash(), hashed: self.from });
        if let Some(hash) = &mut long.hash {
            hash.update(self.window.get(long.hashed..tail).unwrap_or_default());
        }
        long.hashed = head;
        self.window.drain(head..tail);
    }
}

/// Whether a JSON text, as far as it was read, is within a string.
#[derive(Debug, Default)]
struct Lexer {
    in_string: bool,
    escaped: bool,
}

impl Lexer {
    fn read(&mut self, text: &str) {
        for byte in text.bytes() {
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' => self.escaped = self.in_string,
                b'"' => self.in_string = !self.in_string,
                _ => {}
            }
        }
    }
}
