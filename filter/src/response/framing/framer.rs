//! Cuts a stream into its parts, once for all who read or rewrite it, without losing a byte.
//!
//! Bytes may be split anywhere. An event that lies whole in one piece is handed out from there; what is
//! held of others is bounded: the bytes of one that grows larger are handed out as they come, and its data
//! is made short ([`crate::json::truncate`]), so that its small members, such as usage, are read all the
//! same.

use std::borrow::Cow;

use crate::json::truncate::pieces::RAW_MAX;
use crate::json::truncate::{Abridger, Limits};
use crate::response::framing::elements;
use crate::response::framing::elements::Inside;
use crate::response::framing::event::{Event, Fields, Part};
use crate::response::framing::form::Form;
use crate::response::framing::sse;

/// The state between two pieces of a stream.
#[derive(Debug)]
pub struct Framer {
    scan: Scan,
    /// What has come of the part that is not whole yet.
    held: Vec<u8>,
    /// Most bytes of an event that are held.
    held_max: usize,
    /// What is retained of a larger one.
    limits: Limits,
    large: Option<Box<Large>>,
    skipped: u32,
}

#[derive(Debug)]
enum Scan {
    Events(sse::Scan),
    Elements(elements::Scan),
}

/// A message that is too large to be held.
#[derive(Debug)]
enum Large {
    Event(sse::Long),
    Element(Abridger),
    /// It is none.
    Odd,
}

impl Framer {
    /// The framer of a response that comes in this form; `None` for one in one piece. `limits` say how much
    /// is kept of an event that is too large to be held.
    pub fn new(form: Form, limits: Limits) -> Option<Self> {
        let scan = match form {
            Form::Events => Scan::Events(sse::Scan::default()),
            Form::Elements => Scan::Elements(elements::Scan::default()),
            Form::Json | Form::Text | Form::Unknown => return None,
        };
        Some(Self { scan, held: Vec::new(), held_max: RAW_MAX, limits, large: None, skipped: 0 })
    }

    /// Holds events of so many bytes, if more than before.
    #[must_use]
    pub fn holding(self, bytes: usize) -> Self {
        Self { held_max: self.held_max.max(bytes), ..self }
    }

    /// Takes the next bytes and calls `on_part` with each part that they complete. At the end of the stream
    /// nothing is held back.
    pub fn feed(&mut self, piece: &[u8], is_end: bool, mut on_part: impl FnMut(Part<'_>)) {
        let mut held = std::mem::take(&mut self.held);
        let was_empty = held.is_empty();
        if !was_empty {
            grow(&mut held, piece.len());
            held.extend_from_slice(piece);
        }
        let buffer = if was_empty { piece } else { held.as_slice() };
        let mut done = 0;
        while let Some(end) = self.next(buffer, done, is_end, &mut on_part) {
            done = end;
        }
        let open = buffer.get(done..).unwrap_or_default();
        if self.large.is_some() && !open.is_empty() || open.len() > self.held_max {
            self.pass_large(open, done);
            on_part(Part::Piece(open));
            done = buffer.len();
        }
        if was_empty {
            held.extend_from_slice(piece.get(done..).unwrap_or_default());
        } else {
            held.drain(..done);
        }
        // A large event must not keep its memory for the rest of the stream.
        if held.capacity() > 2 * RAW_MAX && held.len() < held.capacity() / 2 {
            held.shrink_to_fit();
        }
        self.held = held;
        self.forget(done);
    }

    /// So many bytes are no longer held.
    fn forget(&mut self, bytes: usize) {
        match &mut self.scan {
            Scan::Events(scan) => scan.forget(bytes),
            Scan::Elements(scan) => scan.forget(bytes),
        }
    }

    /// Takes the next bytes and calls `on_event` with each event that they complete, for those who only read.
    pub fn read(&mut self, bytes: &[u8], is_end: bool, mut on_event: impl FnMut(&Event<'_>)) {
        self.feed(bytes, is_end, |part| {
            if let Part::Event(event) | Part::Short(event) = part
                && event.is_whole()
            {
                on_event(event);
            }
        });
    }

    /// Most bytes that taking a piece of so many may allocate for what is held, until [`allocated`](Self::allocated)
    /// says how many that were.
    pub fn growth(&self, piece: usize) -> usize {
        let is_enough = self.held.capacity() - self.held.len() >= piece;
        if is_enough { 0 } else { self.held.len() + ahead(&self.held, piece) }
    }

    /// Bytes allocated.
    pub fn allocated(&self) -> usize {
        let large = match self.large.as_deref() {
            Some(Large::Event(long)) => long.short.allocated(),
            Some(Large::Element(short)) => short.allocated(),
            Some(Large::Odd) | None => 0,
        };
        self.held.capacity() + large
    }

    /// Holds no more from here on than reading needs. An event of which more is held is made short; what was
    /// held of it is not handed out.
    pub fn hold_less(&mut self) {
        self.held_max = RAW_MAX;
        if self.held.len() <= RAW_MAX {
            return;
        }
        let held = std::mem::take(&mut self.held);
        self.pass_large(&held, 0);
        self.forget(held.len());
    }

    /// Takes out what is held, to go on as it is. Nothing is read of it.
    pub fn take_held(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.held)
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        let large = match self.large.as_deref() {
            Some(Large::Event(long)) => long.short.held(),
            Some(Large::Element(short)) => short.held(),
            Some(Large::Odd) | None => 0,
        };
        self.held.len() + large
    }

    /// Events of which nothing could be read because they were too large and no JSON.
    pub fn skipped(&self) -> u32 {
        self.skipped
    }

    /// Hands out the next part of `buffer` from `from` on, and gives where it ends; `None` where more of it
    /// has to come.
    fn next(
        &mut self,
        buffer: &[u8],
        from: usize,
        is_end: bool,
        on_part: &mut impl FnMut(Part<'_>),
    ) -> Option<usize> {
        let rest = buffer.get(from..).filter(|rest| !rest.is_empty() || self.large.is_some())?;
        let (end, found) = match &mut self.scan {
            Scan::Elements(_) => return self.next_element(buffer, from, is_end, on_part),
            Scan::Events(scan) => match scan.event_end(buffer, is_end) {
                Some((end, found)) => (end, Some(found)),
                None if is_end => (buffer.len(), None),
                None => return None,
            },
        };
        let bytes = buffer.get(from..end).unwrap_or_default();
        if let Some(large) = self.large.take() {
            let (is_last, fields) = (found.is_none(), found.map(|found| found.fields).unwrap_or_default());
            self.end_large(*large, bytes, is_last, fields, on_part);
            return (!rest.is_empty()).then_some(end);
        }
        let is_last = found.is_none();
        let found = match (found, &mut self.scan) {
            (Some(found), _) => found,
            (None, Scan::Events(scan)) => scan.finish(buffer),
            (None, Scan::Elements(_)) => sse::Found::default(),
        };
        let (data, data_at) = match (found.bare, found.data) {
            (Some(bare), _) => (Cow::Borrowed(buffer.get(bare..end).unwrap_or_default()), Some(bare)),
            (None, None) => (Cow::Borrowed(&[][..]), None),
            (None, Some(_)) if found.has_more_data => (sse::joined_data(bytes), None),
            (None, Some(at)) => {
                let start = at.start;
                (Cow::Borrowed(buffer.get(at).unwrap_or_default()), Some(start))
            }
        };
        let space = data.len() - data.trim_ascii_start().len();
        let event = Event {
            bytes,
            data_at: data_at.map(|at| at + space - from),
            fields: found.fields,
            is_bare: found.bare.is_some(),
            is_last,
            ..Event::of(&data)
        };
        on_part(Part::Event(&event));
        Some(end)
    }

    fn next_element(
        &mut self,
        buffer: &[u8],
        from: usize,
        is_end: bool,
        on_part: &mut impl FnMut(Part<'_>),
    ) -> Option<usize> {
        use elements::Found::{Bare, Between, Close, Element, Odd};
        let Scan::Elements(scan) = &mut self.scan else { return None };
        let found = match scan.next(buffer, from) {
            Some(found) => found,
            // What has begun goes on as it is.
            None if is_end && from < buffer.len() => Odd(buffer.len()),
            None => return None,
        };
        let (Element(end) | Bare(end) | Between(end) | Close(end) | Odd(end)) = found;
        let bytes = buffer.get(from..end).unwrap_or_default();
        if let Some(large) = self.large.take() {
            self.end_large(*large, bytes, false, Fields::default(), on_part);
            return Some(end);
        }
        match found {
            Element(_) => on_part(Part::Event(&Event::of(bytes))),
            Bare(_) => {
                on_part(Part::Event(&Event { is_bare: true, is_last: true, ..Event::of(bytes) }));
            }
            Between(_) => on_part(Part::Between(bytes)),
            Close(_) => on_part(Part::Close(bytes)),
            Odd(_) => on_part(Part::Odd(bytes)),
        }
        Some(end)
    }

    /// Takes bytes of a message that is too large to be held; the first of them stand at `start` in what was
    /// scanned.
    fn pass_large(&mut self, bytes: &[u8], start: usize) {
        let mut data = bytes;
        let large = match &mut self.large {
            Some(large) => large,
            None => {
                let short = Abridger::new(self.limits);
                let large = match &self.scan {
                    Scan::Events(scan) => {
                        // What stands on lines before a bare object is not its data.
                        let bare = scan.bare_at();
                        data = bytes.get(bare.map_or(0, |bare| bare - start)..).unwrap_or_default();
                        Large::Event(sse::Long::new(short, bare.is_some()))
                    }
                    Scan::Elements(scan) if scan.inside() == Inside::Object => Large::Element(short),
                    Scan::Elements(_) => Large::Odd,
                };
                self.large.insert(Box::new(large))
            }
        };
        large.feed(data);
    }

    /// Hands out the last bytes of a message that was too large to be held, and what was made of it.
    fn end_large(
        &mut self,
        mut large: Large,
        bytes: &[u8],
        is_last: bool,
        fields: Fields,
        on_part: &mut impl FnMut(Part<'_>),
    ) {
        large.feed(bytes);
        on_part(Part::Piece(bytes));
        let (short, is_bare) = match large {
            Large::Event(mut long) => {
                long.end_line();
                if !long.has_data {
                    return;
                }
                let is_bare = long.is_bare();
                (long.short, is_bare)
            }
            Large::Element(short) => (short, false),
            Large::Odd => return,
        };
        if is_last && !is_bare && short.is_unfinished() {
            return;
        }
        match short.finish() {
            Some(short) => {
                let event = Event { bytes: &[], fields, is_bare, is_last, ..Event::of(&short.json) };
                on_part(Part::Short(&event));
            }
            None if is_last && !is_bare => {}
            None => self.skipped = self.skipped.saturating_add(1),
        }
    }
}

/// Makes place for so many bytes more. A buffer grows by a quarter of what it holds, not to twice of that: it may
/// hold an event of the largest size allowed.
fn grow(held: &mut Vec<u8>, bytes: usize) {
    if held.capacity() - held.len() < bytes {
        held.reserve_exact(ahead(held, bytes));
    }
}

/// For how many bytes beside those that it holds a buffer is made that takes so many more.
fn ahead(held: &[u8], bytes: usize) -> usize {
    bytes.saturating_add(held.len() / 4)
}

impl Large {
    fn feed(&mut self, bytes: &[u8]) {
        match self {
            Self::Event(long) => long.feed(bytes),
            Self::Element(short) => short.feed(bytes),
            Self::Odd => {}
        }
    }
}
