//! Where the events of a stream end, and where their data stands, without a byte being lost (WHATWG
//! HTML, "Interpreting an event stream").

/// The data of the last event of OpenAI's streams, and as some servers write it, as a JSON string.
const DONE: [&[u8]; 2] = [b"[DONE]", b"\"[DONE]\""];
/// The byte order mark that a stream may begin with.
const MARK: &[u8] = b"\xef\xbb\xbf";

/// What the data of an event is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Data {
    /// Nothing: it keeps the connection open.
    Nothing,
    /// The end of OpenAI's streams.
    Done,
    /// A message, which should be JSON.
    Message,
}

impl Data {
    /// What this is.
    pub fn of(data: &[u8]) -> Self {
        match data.trim_ascii() {
            b"" | b"null" => Self::Nothing,
            data if DONE.contains(&data) => Self::Done,
            _ => Self::Message,
        }
    }
}

/// The search for an event's end in what is held of a stream.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scan {
    /// How much was looked at.
    at: usize,
    /// Where the line that is open began.
    line: usize,
}

impl Scan {
    /// The end of the event that is open, behind its empty line. Goes on to the next one.
    pub fn event_end(&mut self, held: &[u8], is_end: bool) -> Option<usize> {
        loop {
            let rest = held.get(self.at..)?;
            let Some(found) = memchr::memchr2(b'\n', b'\r', rest) else {
                self.at = held.len();
                return None;
            };
            let at = self.at + found;
            let next = match (held.get(at), held.get(at + 1)) {
                (Some(b'\r'), Some(b'\n')) => at + 2,
                // A line feed may be on its way that belongs to it.
                (Some(b'\r'), None) if !is_end => {
                    self.at = at;
                    return None;
                }
                _ => at + 1,
            };
            let is_empty = at == self.line;
            *self = Self { at: next, line: next };
            if is_empty {
                return Some(next);
            }
        }
    }

    /// So many bytes are no longer held.
    pub fn forget(&mut self, bytes: usize) {
        self.at = self.at.saturating_sub(bytes);
        // A line that began in what has gone is not empty.
        self.line = self.line.checked_sub(bytes).unwrap_or(usize::MAX);
    }
}

/// The lines of an event, without their ends, each with the place where it begins.
pub fn lines(event: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    event.split(|byte| matches!(byte, b'\n' | b'\r')).map(move |line| {
        let start = at;
        at += line.len() + 1;
        match line.strip_prefix(MARK).filter(|_| start == 0) {
            Some(line) => (MARK.len(), line),
            None => (start, line),
        }
    })
}

/// The value of a data line; `None` for another line.
pub fn data(line: &[u8]) -> Option<&[u8]> {
    let value = match line.strip_prefix(b"data")? {
        [] => &[],
        [b':', value @ ..] => value,
        _ => return None,
    };
    Some(value.strip_prefix(b" ").unwrap_or(value))
}
