//! Server-sent events, read as they come (WHATWG HTML, "Interpreting an event stream").
//!
//! Bytes may be split anywhere, also inside a character or between CR and LF. Only data is handed
//! out: ids, retry times and all names of events but "error" carry nothing that is needed here. An event that lies
//! whole in one piece is handed out from there; what is held of others is bounded ([`Pieces`]).
//! Beyond the standard, an object that stands bare in the stream is handed out at its end: Gemini
//! reports an error so that comes after the first event. llama.cpp reports one in a field of its own. And the last
//! event counts without the empty line behind it, where it is whole.

use crate::json::pieces::{Pieces, RAW_MAX};
use crate::json::scan::Object;
use crate::json::truncate::Limits;
use crate::response::framing::cut::Data;

/// The byte order mark that a stream may begin with.
const MARK: &[u8] = b"\xef\xbb\xbf";
/// The field that is read.
const FIELD: &[u8] = b"data";
/// llama.cpp's field, whose object counts as data.
const ERROR: &[u8] = b"error:";
/// The lines that name an event an error.
const EVENT_ERROR: [&[u8]; 2] = [b"event: error", b"event:error"];
/// How many bytes of a line tell what it is: more than a byte order mark and the longest of those above have.
const TELLS: usize = MARK.len() + b"event: error".len() + 1;

/// The state between two pieces of a stream.
#[derive(Debug, Default)]
pub struct Parser {
    line: Line,
    /// The data lines of the event so far, with a line feed between two.
    data: Pieces,
    /// Whether the event has a data line.
    has_data: bool,
    /// Whether the event is named an error.
    is_error: bool,
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
    pub fn finish(&mut self, mut on_data: impl FnMut(&[u8])) {
        if let Line::Bare = self.line {
            self.line = Line::default();
            if !self.data.take(on_data) {
                self.skipped = self.skipped.saturating_add(1);
            }
            return;
        }
        self.end_line(&mut on_data);
        if std::mem::take(&mut self.has_data) {
            let is_error = std::mem::take(&mut self.is_error);
            let is_cut = self.data.is_unfinished();
            self.data.take(|data| {
                if !is_cut && (Data::of(data) == Data::Done || Object::parse(data).is_ok()) {
                    hand_out(data, is_error, &mut on_data);
                }
            });
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
            return hand_out(value, std::mem::take(&mut self.is_error), on_data);
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

    /// A line that is no data: only an error's name and the first line of a bare object are of interest.
    fn other_line(&mut self, line: &[u8]) {
        self.is_error |= EVENT_ERROR.contains(&line);
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
        let is_error = std::mem::take(&mut self.is_error);
        if std::mem::take(&mut self.has_data) && !self.data.take(|data| hand_out(data, is_error, on_data)) {
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

/// Hands out the data of an event. One that is named an error and says so nowhere else becomes an error as OpenAI
/// writes it.
fn hand_out(data: &[u8], is_error: bool, on_data: &mut impl FnMut(&[u8])) {
    let instead = is_error.then(|| as_error(data)).flatten();
    on_data(instead.as_ref().map_or(data, String::as_bytes));
}

fn as_error(data: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(data).ok()?.trim_ascii();
    let error = match Object::parse(text.as_bytes()) {
        Ok(object) if object.get("error").is_some() || object.text("type") == "error" => return None,
        Ok(_) => text.to_owned(),
        Err(_) if serde_json::from_str::<String>(text).is_ok() => text.to_owned(),
        Err(_) => serde_json::Value::from(text).to_string(),
    };
    Some(format!("{{\"type\":\"error\",\"error\":{error}}}"))
}

/// The value of a data line; `None` for another line.
fn data_of(line: &[u8]) -> Option<&[u8]> {
    if let Some(value) = line.strip_prefix(ERROR) {
        let value = value.strip_prefix(b" ").unwrap_or(value);
        return value.starts_with(b"{").then_some(value);
    }
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

    #[test]
    fn an_event_that_is_named_an_error_is_one_however_it_is_cut() {
        let stream = "event: error\ndata: {\"reason\":\"late\"}\n\nevent:error\ndata: no \"luck\"\n\nevent: errors\ndata: {}\n\nevent: error\ndata: {\"error\":{}}\n\nerror: {\"code\":500}\n\nerror: text\n\nevent: error\n\ndata: {}\n\n";
        let expected = [
            r#"{"type":"error","error":{"reason":"late"}}"#,
            r#"{"type":"error","error":"no \"luck\""}"#,
            "{}",
            r#"{"error":{}}"#,
            r#"{"code":500}"#,
            "{}",
        ];
        for size in 1..=stream.len() {
            assert_eq!(read(stream.as_bytes().chunks(size)), expected, "pieces of {size}");
        }
    }

    #[test]
    fn the_last_event_needs_no_line_behind_it_where_it_is_whole() {
        let ended = |stream: &str, size: usize| {
            let (mut parser, mut events) = (Parser::default(), Vec::new());
            let mut on_data = |data: &[u8]| events.push(String::from_utf8(data.to_vec()).unwrap());
            for piece in stream.as_bytes().chunks(size) {
                parser.feed(piece, &mut on_data);
            }
            parser.finish(&mut on_data);
            assert_eq!((parser.skipped(), parser.held()), (0, 0), "{stream}");
            events
        };
        let long = format!("{{\"a\":\"{}\"", "x ".repeat(RAW_MAX));
        for (last, is_whole) in [
            ("data: {\"a\":1}", true),
            ("data: {\"a\":1}\n", true),
            ("data: {\"a\":1}\r", true),
            ("data: [DONE]", true),
            ("data: [DO", false),
            ("data: {\"a\":", false),
            ("data: {\"a\":1", false),
            ("data", false),
            ("data: ", false),
            (&format!("data: {long}}}"), true),
            (&format!("data: {long}"), false),
        ] {
            for size in [1, 7, last.len()] {
                let events = ended(&format!("data: {{}}\n\n{last}"), size);
                assert_eq!(events.len(), 1 + usize::from(is_whole), "{last:.40} in pieces of {size}");
            }
        }
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
