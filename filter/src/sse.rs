//! Server-sent events, read as they come (WHATWG HTML, "Interpreting an event stream").
//!
//! Bytes may be split anywhere, also inside a character or between CR and LF. Only data is handed
//! out: event names, ids and retry times carry nothing that is needed here. What is held between
//! two calls is bounded by [`MAX_EVENT`]; a larger event is skipped and counted.

/// Most bytes of one event's data, and of one line, that are held.
pub const MAX_EVENT: usize = 64 << 10;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub struct Parser {
    /// The beginning of a line whose end has not come.
    line: Vec<u8>,
    /// The data lines of the event so far, each with a line feed behind it.
    data: Vec<u8>,
    /// The last byte was CR: a LF now belongs to it.
    after_cr: bool,
    /// The first line has begun, so a byte order mark is no longer one.
    begun: bool,
    /// The line or event was too large; nothing is kept until it ends.
    line_over: bool,
    data_over: bool,
    /// Events that were too large.
    skipped: u32,
}

impl Parser {
    /// Takes the next bytes and calls `on_data` with the data of each event that they complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut on_data: impl FnMut(&[u8])) {
        if std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
            bytes = bytes.get(1..).unwrap_or_default();
        }
        while let Some(end) = memchr::memchr2(b'\n', b'\r', bytes) {
            let (piece, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            if self.line.is_empty() && !self.line_over {
                self.take_line(piece, &mut on_data);
            } else {
                self.hold(piece);
                let line = std::mem::take(&mut self.line);
                if std::mem::take(&mut self.line_over) {
                    self.data_over = true;
                } else {
                    self.take_line(&line, &mut on_data);
                }
                self.line = line;
                self.line.clear();
            }
            bytes = match rest {
                [b'\r', b'\n', after @ ..] | [b'\n', after @ ..] => after,
                [b'\r'] => {
                    self.after_cr = true;
                    &[]
                }
                [_, after @ ..] => after,
                [] => &[],
            };
        }
        self.hold(bytes);
    }

    /// Events that were larger than [`MAX_EVENT`].
    pub fn skipped(&self) -> u32 {
        self.skipped
    }

    fn hold(&mut self, piece: &[u8]) {
        if self.line_over || self.line.len() + piece.len() > MAX_EVENT {
            self.line_over = true;
            self.line.clear();
        } else {
            self.line.extend_from_slice(piece);
        }
    }

    fn take_line(&mut self, mut line: &[u8], on_data: &mut impl FnMut(&[u8])) {
        if !std::mem::replace(&mut self.begun, true) {
            line = line.strip_prefix(b"\xef\xbb\xbf").unwrap_or(line);
        }
        if line.is_empty() {
            if std::mem::take(&mut self.data_over) {
                self.skipped = self.skipped.saturating_add(1);
            } else if let Some((_, data)) = self.data.split_last() {
                on_data(data);
            }
            self.data.clear();
            return;
        }
        let Some(value) = line.strip_prefix(b"data") else { return };
        let value = match value {
            [] => value,
            [b':', b' ', value @ ..] | [b':', value @ ..] => value,
            _ => return,
        };
        if self.data_over || self.data.len() + value.len() + 1 > MAX_EVENT {
            self.data_over = true;
        } else {
            self.data.extend_from_slice(value);
            self.data.push(b'\n');
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
        let mut parser = Parser::default();
        let mut events = Vec::new();
        for piece in pieces {
            parser.feed(piece, |data| events.push(String::from_utf8(data.to_vec()).unwrap()));
        }
        events
    }

    const STREAM: &str = "\u{feff}: comment\r\ndata: {\"a\":\"ä\"}\r\n\r\nevent: x\ndata:no space\ndata\ndata:  two\n\ndata: cr\r\rid: 7\n\ndatas: not\n\ndata: [DONE]\n\ndata: cut";

    #[test]
    fn the_rules_of_the_standard_hold() {
        assert_eq!(read([STREAM.as_bytes()]), ["{\"a\":\"ä\"}", "no space\n\n two", "cr", "[DONE]"]);
    }

    #[test]
    fn a_split_at_any_offset_changes_nothing() {
        let whole = read([STREAM.as_bytes()]);
        for at in 0..STREAM.len() {
            let (a, b) = STREAM.as_bytes().split_at(at);
            assert_eq!(read([a, b]), whole, "split at {at}");
        }
        assert_eq!(read(STREAM.as_bytes().chunks(1)), whole, "byte by byte");
    }

    #[test]
    fn an_event_over_the_cap_is_skipped_and_counted_and_the_next_one_read() {
        let line = "x".repeat(MAX_EVENT);
        for huge in [format!("data: {line}x\n\n"), format!("data: {line}\ndata: {line}\n\n")] {
            let stream = format!("{huge}data: next\n\n");
            for size in [1000, usize::MAX] {
                let mut parser = Parser::default();
                let mut events = Vec::new();
                for piece in stream.as_bytes().chunks(size.min(stream.len())) {
                    parser.feed(piece, |data| events.push(data.to_vec()));
                }
                assert_eq!(events, [b"next"]);
                assert_eq!(parser.skipped(), 1);
                assert!(parser.line.capacity() + parser.data.capacity() <= 4 * MAX_EVENT);
            }
        }
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same(bytes in prop::collection::vec(prop_oneof![
            Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), any::<u8>()], 0..80), size in 1usize..9) {
            let mut one = Vec::new();
            Parser::default().feed(&bytes, |data| one.push(data.to_vec()));
            let mut parser = Parser::default();
            let mut many = Vec::new();
            for piece in bytes.chunks(size) {
                parser.feed(piece, |data| many.push(data.to_vec()));
            }
            prop_assert_eq!(one, many);
        }
    }
}
