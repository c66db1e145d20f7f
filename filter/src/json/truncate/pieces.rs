//! A JSON message that comes in pieces, held until it is whole.
//!
//! A small one is held as it is; one that grows beyond a limit is made short while it comes
//! ([`crate::json::truncate`]), so that what is held is bounded and its small members, such as usage, are
//! read all the same.

use crate::json::truncate::{Abridger, Limits};

/// The byte order mark that a body may begin with.
pub(crate) const MARK: &[u8] = b"\xef\xbb\xbf";
/// Most bytes of one event of a stream that are held as they are.
pub const RAW_MAX: usize = 4 << 10;
/// What is kept of a longer one where its content is of no interest.
pub const LONG: Limits = Limits { string: 512, total: 1 << 10 };

/// A message so far.
#[derive(Clone, Debug)]
pub struct Pieces {
    raw: Vec<u8>,
    long: Option<Box<Abridger>>,
    raw_max: usize,
    limits: Limits,
}

impl Default for Pieces {
    fn default() -> Self {
        Self::new(RAW_MAX, LONG)
    }
}

impl Pieces {
    /// None so far. One of more than `raw_max` bytes is long, and of that so much is kept.
    pub fn new(raw_max: usize, limits: Limits) -> Self {
        Self { raw: Vec::new(), long: None, raw_max, limits }
    }

    /// Takes the next piece.
    pub fn push(&mut self, piece: &[u8]) {
        if let Some(long) = &mut self.long {
            return long.feed(piece);
        }
        if self.raw.len() + piece.len() <= self.raw_max {
            return self.raw.extend_from_slice(piece);
        }
        let mut long = Abridger::new(self.limits);
        long.feed(&self.raw);
        long.feed(piece);
        self.long = Some(Box::new(long));
        self.raw = Vec::new();
    }

    /// Takes the next piece of a body, without the white space and the byte order mark that it may begin with.
    pub fn push_body(&mut self, piece: &[u8]) {
        self.push(if self.is_empty() { body(piece) } else { piece });
    }

    /// Whether nothing is held.
    pub fn is_empty(&self) -> bool {
        self.raw.is_empty() && self.long.is_none()
    }

    /// Whether what has come is the beginning of JSON, and not all of it.
    pub fn is_unfinished(&self) -> bool {
        if let Some(long) = &self.long {
            return long.is_unfinished();
        }
        let mut raw = Abridger::new(LONG);
        raw.feed(&self.raw);
        raw.is_unfinished()
    }

    /// The message is whole: hands it out, and begins anew. `false` where it was a long one that is
    /// no JSON, of which nothing is left.
    pub fn take(&mut self, on_message: impl FnOnce(&[u8])) -> bool {
        match self.long.take() {
            Some(long) => long.finish().map(|short| on_message(&short.json)).is_some(),
            None => {
                on_message(&self.raw);
                self.raw.clear();
                true
            }
        }
    }

    /// The message is whole: what was kept of it, and whether something is missing. `None` as for
    /// [`take`](Self::take).
    pub fn finish(self) -> Option<(Vec<u8>, bool)> {
        match self.long {
            Some(long) => long.finish().map(|short| (short.json, short.shortened)),
            None => Some((self.raw, false)),
        }
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        self.raw.capacity() + self.long.as_ref().map_or(0, |long| long.allocated())
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.raw.len() + self.long.as_ref().map_or(0, |long| long.held())
    }
}

/// A body without the white space and the byte order mark that it may begin with.
pub fn body(bytes: &[u8]) -> &[u8] {
    let marked = bytes.trim_ascii_start();
    marked.strip_prefix(MARK).unwrap_or(marked).trim_ascii_start()
}
