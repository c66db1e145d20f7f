//! Redaction of a text that comes in pieces.
//!
//! Only what may still become a match is held back, [`HELD_MAX`] bytes at most and a few more while
//! a piece is taken in; all before it leaves at once. However a text is split, what leaves is what
//! the whole would have become. A match that is longer than may be held is kept by its beginning
//! and its latest end, between which nothing can change what it is.

use std::fmt;
use std::sync::Arc;

use crate::redact::detectors::label::REACH;
use crate::redact::detectors::names::Set;
use crate::redact::engine::compiled::{Detectors, Hit, Part};
use crate::redact::engine::counts::Counts;
use crate::redact::engine::replace::{PartialHash, Replace};
use crate::redact::text::fold::{Reading, last};
use crate::redact::text::view::{BASE64, is};

/// Most bytes that are held back between two pieces.
pub const HELD_MAX: usize = 4096;
/// How much is kept of the beginning, and of the end, of a match that is longer.
const KEPT: usize = 1024;
/// How much of what has left is kept as context, in bytes as they are read: a character that is folded may
/// have four for one, and an escape as many.
const CONTEXT: usize = REACH;
const CONTEXT_FOLDED: usize = 4 * REACH;
/// What is held is searched anew when so great a part of it has come, so that pieces of single bytes do not
/// cost as much as all that is held.
const HELD_PARTS: usize = 8;
/// Fewest characters of base64 that stand on one line of a key.
const LINE: usize = 16;

/// What a channel of a response carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Channel {
    /// Text for people: content, reasoning, a refusal.
    Text,
    /// The text of a JSON value: the arguments of a tool call.
    Json,
}

/// Redacts one channel of a stream.
pub struct StreamRedactor<R> {
    detectors: Arc<Detectors>,
    set: Set,
    replace: R,
    channel: Channel,
    /// Context, then what is held.
    window: String,
    /// Where what is held begins.
    from: usize,
    /// Where the last match ended.
    barrier: usize,
    /// How much has come since the last search, and how much was held then.
    pending: usize,
    open: usize,
    /// Whether the match that begins at `from` has lost its middle.
    long: Option<Long>,
    lexer: Lexer,
    counts: Counts,
}

/// A match without its middle.
struct Long {
    hash: Option<PartialHash>,
    /// Up to where the window went into the hash.
    hashed: usize,
}

impl<R> fmt::Debug for StreamRedactor<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamRedactor").field("held", &self.held()).finish_non_exhaustive()
    }
}

impl<R> StreamRedactor<R> {
    /// How many bytes are held back.
    pub fn held(&self) -> usize {
        self.window.len().saturating_sub(self.from)
    }

    /// How often each detector has matched so far.
    pub fn counts(&self) -> &Counts {
        &self.counts
    }
}

impl<R: Replace> StreamRedactor<R> {
    /// A redactor for one channel, at its beginning.
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

    /// Takes in a piece, and gives what can leave.
    pub fn feed(&mut self, piece: &str) -> String {
        self.window.push_str(piece);
        self.pending += piece.len();
        if self.pending * HELD_PARTS < self.open && self.held() <= HELD_MAX {
            return String::new();
        }
        self.pass(false)
    }

    /// Gives what is left when nothing more comes.
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
            // Nothing that is no match yet is as long as this; better let go than grow.
            settled = self.window.floor_char_boundary(self.window.len() - KEPT);
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
        // A number of a JSON text becomes a string.
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

    /// Lets go of what no decision looks back at.
    fn forget(&mut self) {
        let left = self.window.get(..self.from).unwrap_or_default();
        let start = match self.channel {
            Channel::Text => last(left, CONTEXT, CONTEXT_FOLDED),
            Channel::Json => left.floor_char_boundary(left.len().saturating_sub(CONTEXT_FOLDED)),
        };
        // Moving what is kept is only worth it when there is more to let go of.
        if start > CONTEXT {
            self.window.drain(..start);
            self.from -= start;
            self.barrier = self.barrier.saturating_sub(start);
        }
    }

    /// Takes the middle out of the match that is held.
    fn shorten(&mut self) {
        let head = self.window.floor_char_boundary(self.from + KEPT);
        let bytes = self.window.as_bytes();
        // Within a line of a key, so that the parts of two lines make up one.
        let in_line = |end: &usize| {
            bytes.get(end - LINE..*end).is_some_and(|line| line.iter().all(|byte| is(*byte, BASE64)))
        };
        let head = (head - KEPT / 4..=head).rev().find(in_line).unwrap_or(head);
        let tail = self.window.floor_char_boundary(self.window.len() - KEPT);
        let long =
            self.long.get_or_insert_with(|| Long { hash: self.replace.begin_hash(), hashed: self.from });
        if let Some(hash) = &mut long.hash {
            hash.update(self.window.get(long.hashed..tail).unwrap_or_default());
        }
        long.hashed = head;
        self.window.drain(head..tail);
    }
}

/// Whether a JSON text stands within a string, as far as it was read.
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
