//! A stream cut into its messages, without a byte being lost: what stands between them is handed out
//! too.

use crate::response::framing::cut::Scan;

/// A part of what is held, by where it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// An event, or an element of the array.
    Message(usize),
    /// An object that stands alone and not in an array, or an event that only the end of all ends: no
    /// other message follows.
    Alone(usize),
    /// White space, the opening bracket, or a comma.
    Between(usize),
    /// The closing bracket.
    Close(usize),
    /// What cannot stand there.
    Odd,
}

/// How messages are told apart.
#[derive(Debug)]
pub(crate) enum Cutter {
    Events(Events),
    Elements(Elements),
}

/// Server-sent events.
#[derive(Debug, Default)]
pub(crate) struct Events {
    scan: Scan,
    /// The stream goes on with an object that stands bare, which its end completes.
    bare: bool,
}

/// The elements of a JSON array.
#[derive(Debug, Default)]
pub(crate) struct Elements {
    at: usize,
    /// How many brackets are open, that of the array included.
    depth: usize,
    in_element: bool,
    alone: bool,
    in_string: bool,
    escaped: bool,
}

impl Cutter {
    /// The next part of what is held from `from` on; `None` where more of it has to come.
    pub fn next(&mut self, held: &[u8], from: usize, is_end: bool) -> Option<Cut> {
        match self {
            Self::Events(events) => events.next(held, from, is_end),
            Self::Elements(elements) => elements.next(held, from),
        }
    }

    /// So many bytes are no longer held.
    pub fn forget(&mut self, bytes: usize) {
        match self {
            Self::Events(events) => events.scan.forget(bytes),
            Self::Elements(elements) => elements.at = elements.at.saturating_sub(bytes),
        }
    }
}

impl Events {
    fn next(&mut self, held: &[u8], from: usize, is_end: bool) -> Option<Cut> {
        let rest = held.get(from..).filter(|rest| !rest.is_empty())?;
        self.bare |= rest.first() == Some(&b'{');
        if !self.bare
            && let Some(end) = self.scan.event_end(held, is_end)
        {
            return Some(Cut::Message(end));
        }
        is_end.then_some(Cut::Alone(held.len()))
    }
}

impl Elements {
    fn next(&mut self, held: &[u8], from: usize) -> Option<Cut> {
        self.at = self.at.max(from);
        while let Some(byte) = held.get(self.at) {
            if self.in_string {
                let rest = held.get(self.at..).unwrap_or_default();
                if std::mem::take(&mut self.escaped) {
                    self.at += 1;
                    continue;
                }
                let Some(found) = memchr::memchr2(b'"', b'\\', rest) else {
                    self.at = held.len();
                    return None;
                };
                match rest.get(found) {
                    Some(b'"') => self.in_string = false,
                    _ => self.escaped = true,
                }
                self.at += found + 1;
                continue;
            }
            self.at += 1;
            match (byte, self.in_element) {
                (b'"', true) => self.in_string = true,
                (b'{' | b'[', true) => self.depth += 1,
                (b'}' | b']', true) => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == usize::from(!self.alone) {
                        self.in_element = false;
                        let cut = if self.alone { Cut::Alone } else { Cut::Message };
                        return Some(cut(self.at));
                    }
                }
                (_, true) => {}
                (b'{', false) => {
                    self.alone = self.depth == 0;
                    self.in_element = true;
                    self.depth += 1;
                }
                (b'[', false) if self.depth == 0 => {
                    self.depth = 1;
                    return Some(Cut::Between(self.at));
                }
                (b']', false) if self.depth == 1 => {
                    self.depth = 0;
                    return Some(Cut::Close(self.at));
                }
                (b',', false) if self.depth == 1 => return Some(Cut::Between(self.at)),
                (b' ' | b'\t' | b'\r' | b'\n', false) => return Some(Cut::Between(self.at)),
                _ => return Some(Cut::Odd),
            }
        }
        None
    }
}
