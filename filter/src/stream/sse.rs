//! Server-sent events, read as they come (WHATWG HTML, "Interpreting an event stream").
//!
//! Bytes may be split anywhere, also inside a character or between CR and LF. Only data is handed
//! out: event names, ids and retry times carry nothing that is needed here. An event that lies
//! whole in one piece is handed out from there; what is held of others is bounded ([`Pieces`]).
//! Beyond the standard, an object that stands bare in the stream is handed out at its end: Gemini
//! tells an error so that comes after the first event.

use crate::content::abridge::Limits;
use crate::stream::pieces::{Pieces, RAW_MAX};

/// The byte order mark that a stream may begin with.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The field that is read.
const FIELD: &[u8] = b"data";
/// How many bytes of a line tell its field, byte order mark and space included.
const TELLS: usize = MARK.len() + FIELD.len() + 2;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub struct Parser {
    line: Line,
    /// The data lines of the event so far, with a line feed between two.
    data: Pieces,
    /// Whether the event has a data line.
    has_data: bool,
    /// The last byte was CR: a LF now belongs to it.
    after_cr: bool,
    /// The first line has begun, so a byte order mark is no longer one.
    begun: bool,
    /// Events that were too large to be held and no JSON.
    skipped: u32,
}

/// The line whose end has not come.
#[derive(Debug)]
enum Line {
    /// Its start, too short yet to tell its field.
    Start(Vec<u8>),
    /// A data line, of which the value so far is among the data.
    Data,
    /// Another one.
    Other,
    /// The first of an object that stands bare: all that follows belongs to it.
    Bare,
}

impl Default for Line {
    fn default() -> Self {
        Self::Start(Vec::new())
    }
}

impl Parser {
    /// A parser that keeps so much of a long event that comes in pieces.
    pub fn new(limits: Limits) -> Self {
        Self { data: Pieces::new(RAW_MAX, limits), ..Self::default() }
    }

    /// Takes the next bytes and calls `on_data` with the data of each event that they complete.
    pub fn feed(&mut self, mut bytes: &[u8], mut on_data: impl FnMut(&[u8])) {
        if !bytes.is_empty() && std::mem::take(&mut self.after_cr) && bytes.first() == Some(&b'\n') {
            bytes = bytes.get(1..).unwrap_or_default();
        }
        while !matches!(self.line, Line::Bare)
            && let Some(end) = memchr::memchr2(b'\n', b'\r', bytes)
        {
            let (piece, rest) = bytes.split_at_checked(end).unwrap_or((bytes, &[]));
            self.after_cr = rest == b"\r";
            let length = if rest.starts_with(b"\r\n") { 2 } else { 1 };
            let (line_end, after) = rest.split_at_checked(length).unwrap_or((rest, &[]));
            bytes = after;
            match &self.line {
                Line::Start(start) if start.is_empty() => self.whole_line(piece, bytes, &mut on_data),
                _ => {
                    self.part(piece);
                    self.end_line(&mut on_data);
                }
            }
            if matches!(self.line, Line::Bare) {
                // Its line ends are the object's own.
                self.after_cr = false;
                self.data.push(line_end);
            }
        }
        self.part(bytes);
    }

    /// The stream has come to its end.
    pub fn finish(&mut self, on_data: impl FnMut(&[u8])) {
        if let Line::Bare = std::mem::take(&mut self.line)
            && !self.data.take(on_data)
        {
            self.skipped = self.skipped.saturating_add(1);
        }
    }

    /// Events of which nothing could be read because they were too large and no JSON.
    pub fn skipped(&self) -> u32 {
        self.skipped
    }

    /// How many bytes are held.
    pub fn held(&self) -> usize {
        self.data.held() + if let Line::Start(start) = &self.line { start.len() } else { 0 }
    }

    fn whole_line(&mut self, line: &[u8], after: &[u8], on_data: &mut impl FnMut(&[u8])) {
        let line = self.without_mark(line);
        if line.is_empty() {
            return self.dispatch(on_data);
        }
        let Some(value) = data_of(line) else { return self.other_line(line) };
        let ends_event = matches!(after.first(), Some(b'\n' | b'\r'));
        if ends_event && !self.has_data {
            // The blank line behind it finds nothing to hand out.
            return on_data(value);
        }
        self.begin_value();
        self.data.push(value);
    }

    /// A part of a line whose end has not come, or the rest of one that was held.
    fn part(&mut self, piece: &[u8]) {
        match &mut self.line {
            Line::Other => {}
            Line::Data | Line::Bare => self.data.push(piece),
            Line::Start(start) => {
                let room = TELLS.saturating_sub(start.len());
                let (head, tail) = piece.split_at_checked(room).unwrap_or((piece, &[]));
                start.extend_from_slice(head);
                if start.len() == TELLS {
                    let start = std::mem::take(start);
                    self.begin_line(&start);
                    self.part(tail);
                }
            }
        }
    }

    /// Tells the field of a line by its start.
    fn begin_line(&mut self, start: &[u8]) {
        let start = self.without_mark(start);
        self.line = Line::Other;
        match data_of(start) {
            Some(value) => {
                self.begin_value();
                self.data.push(value);
                self.line = Line::Data;
            }
            None => self.other_line(start),
        }
    }

    /// A line that is no data: only the first of a bare object is of interest.
    fn other_line(&mut self, line: &[u8]) {
        if line.first() == Some(&b'{') && !self.has_data {
            self.data.push(line);
            self.line = Line::Bare;
        }
    }

    fn end_line(&mut self, on_data: &mut impl FnMut(&[u8])) {
        if let Line::Bare = self.line {
            return;
        }
        if let Line::Start(start) = std::mem::take(&mut self.line) {
            let line = self.without_mark(&start);
            if line.is_empty() {
                return self.dispatch(on_data);
            }
            match data_of(line) {
                Some(value) => {
                    self.begin_value();
                    self.data.push(value);
                }
                None => self.other_line(line),
            }
        }
    }

    fn begin_value(&mut self) {
        if std::mem::replace(&mut self.has_data, true) {
            self.data.push(b"\n");
        }
    }

    fn dispatch(&mut self, on_data: &mut impl FnMut(&[u8])) {
        if std::mem::take(&mut self.has_data) && !self.data.take(on_data) {
            self.skipped = self.skipped.saturating_add(1);
        }
    }

    fn without_mark<'l>(&mut self, line: &'l [u8]) -> &'l [u8] {
        if std::mem::replace(&mut self.begun, true) {
            return line;
        }
        line.strip_prefix(MARK).unwrap_or(line)
    }
}

/// The value of a data line; `None` for another line.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    match line.strip_prefix(FIELD)? {
        [b':', b' ', value @ ..] | [b':', value @ ..] => Some(value),
        [] => Some(&[]),
        _ => None,
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
        assert_eq!(read([&b"\xef\xbb\xbfdata:x\n\n"[..]]), ["x"]);
        assert_eq!(read([&b"data\n\ndata:\n\n"[..]]), ["", ""], "an event may be empty");
    }

    #[test]
    fn an_object_that_stands_bare_is_handed_out_at_the_end() {
        let stream = "data: 1\n\n\n{\n  \"error\": {\r\n\"data:\": 7}\n}\n";
        for size in 1..=stream.len() {
            let (mut parser, mut events) = (Parser::default(), Vec::new());
            for piece in stream.as_bytes().chunks(size) {
                parser.feed(piece, |data| events.push(String::from_utf8(data.to_vec()).unwrap()));
            }
            parser.finish(|data| events.push(String::from_utf8(data.to_vec()).unwrap()));
            assert_eq!(events.len(), 2, "pieces of {size}");
            let value: serde_json::Value = serde_json::from_str(&events[1]).unwrap();
            assert_eq!(value["error"]["data:"], 7);
        }
    }

    #[test]
    fn a_bare_object_is_the_same_with_its_line_ends_however_it_is_cut() {
        for stream in ["{\n\"a\":1,\r\n\"b\":2\r}", "{\"a\":[{}]}\n,{\r\n", "{\r", "\n{\r\n\r\n}"] {
            for size in 1..=stream.len() {
                let (mut parser, mut events) = (Parser::default(), Vec::new());
                for piece in stream.as_bytes().chunks(size) {
                    parser.feed(piece, |data| events.push(data.to_vec()));
                }
                parser.finish(|data| events.push(data.to_vec()));
                assert_eq!(events, [stream.trim_start().as_bytes()], "pieces of {size}");
            }
        }
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
    fn of_a_long_event_in_pieces_the_small_members_are_read_and_little_is_held() {
        let text = "é".repeat(100 << 10);
        let stream = format!("data: {{\"text\":\"{text}\",\"usage\":{{\"n\":7}}}}\n\ndata: next\n\n");
        for size in [1000, 5000] {
            let (mut parser, mut events) = (Parser::default(), Vec::new());
            for piece in stream.as_bytes().chunks(size) {
                parser.feed(piece, |data| events.push(String::from_utf8(data.to_vec()).unwrap()));
                assert!(parser.held() <= 2 * RAW_MAX, "{}", parser.held());
            }
            assert!(events[0].ends_with("…\",\"usage\":{\"n\":7}}"), "{}", events[0].len());
            assert_eq!((events.len(), events[1].as_str(), parser.skipped()), (2, "next", 0));
        }
        assert_eq!(read([stream.as_bytes()])[0].len(), stream.len() - 20, "in one piece it is whole");
    }

    #[test]
    fn a_long_event_that_is_no_json_is_counted_and_the_next_one_read() {
        let stream = format!(": {0}\ndata: {0}\ndata: {0}\n\ndata: next\n\n", "x ".repeat(RAW_MAX));
        let (mut parser, mut events) = (Parser::default(), Vec::new());
        for piece in stream.as_bytes().chunks(1000) {
            parser.feed(piece, |data| events.push(data.to_vec()));
        }
        assert_eq!((events.as_slice(), parser.skipped()), ([b"next".to_vec()].as_slice(), 1));
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces_give_the_same(bytes in prop::collection::vec(prop_oneof![
            Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), any::<u8>()], 0..80), size in 1usize..9) {
            let bytes = String::from_utf8_lossy(&bytes).replace('d', "data").into_bytes();
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
