use proptest::prelude::*;

use super::event::Part;
use super::form::Form;
use super::framer::Framer;
use crate::json::scan::parsed;
use crate::json::truncate::pieces::{LONG, RAW_MAX};

fn framer(form: Form) -> Framer {
    Framer::new(form, LONG).unwrap()
}

/// The data of each event in these pieces, and what is held at most.
fn read_by<'a>(
    mut framer: Framer,
    pieces: impl IntoIterator<Item = &'a [u8]>,
    ends: bool,
) -> (Vec<String>, usize) {
    let (mut events, mut most, mut whole, mut parts) = (Vec::new(), 0, Vec::new(), Vec::new());
    for piece in pieces {
        whole.extend_from_slice(piece);
        framer.feed(piece, false, |part| note(&part, &mut events, &mut parts));
        most = most.max(framer.held());
    }
    if ends {
        framer.feed(&[], true, |part| note(&part, &mut events, &mut parts));
        assert_eq!(framer.held(), 0);
        assert_eq!(parts, whole, "not a byte is lost");
    } else {
        assert!(whole.starts_with(&parts));
    }
    assert_eq!(framer.skipped(), 0);
    (events, most)
}

fn note(part: &Part<'_>, events: &mut Vec<String>, parts: &mut Vec<u8>) {
    match part {
        Part::Event(event) | Part::Short(event) => {
            let has_data = event.data_at.is_some() || !event.data.is_empty();
            if event.is_whole() && has_data {
                let data =
                    event.as_error().unwrap_or_else(|| String::from_utf8_lossy(event.data).into_owned());
                events.push(data);
            }
            if let Some(at) = event.data_at.filter(|_| !event.bytes.is_empty()) {
                assert!(event.bytes[at..].starts_with(event.data));
            }
            parts.extend_from_slice(event.bytes);
        }
        Part::Piece(bytes) | Part::Between(bytes) | Part::Close(bytes) | Part::Odd(bytes) => {
            parts.extend_from_slice(bytes);
        }
    }
}

fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    read_by(framer(Form::Events), pieces, false).0
}

fn read_to_end<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<String> {
    read_by(framer(Form::Events), pieces, true).0
}

fn elements(text: &str, size: usize) -> Vec<String> {
    read_by(framer(Form::Elements), text.as_bytes().chunks(size), false).0
}

#[test]
fn each_event_is_parsed_once() {
    let stream = "data: {\"a\":1}\n\n: nothing\n\ndata: {\ndata: \"b\":2}\n\ndata: [DONE]\n\n";
    for size in [1, 7, stream.len()] {
        let before = parsed();
        assert_eq!(read(stream.as_bytes().chunks(size)).len(), 3);
        assert_eq!(parsed() - before, 2, "pieces of {size}");
    }
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
        let events = read_to_end(stream.as_bytes().chunks(size));
        assert_eq!(events.len(), 2, "pieces of {size}");
        let value: serde_json::Value = serde_json::from_str(&events[1]).unwrap();
        assert_eq!(value["error"]["data:"], 7);
    }
}

#[test]
fn a_bare_object_is_the_same_with_its_line_ends_however_it_is_cut() {
    for stream in ["{\n\"a\":1,\r\n\"b\":2\r}", "{\"a\":[{}]}\n,{\r\n", "{\r", "\n{\r\n\r\n}"] {
        for size in 1..=stream.len() {
            let events = read_to_end(stream.as_bytes().chunks(size));
            assert_eq!(events, [stream.trim()], "pieces of {size}");
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
        let (events, most) = read_by(framer(Form::Events), stream.as_bytes().chunks(size), true);
        assert!(most <= 2 * RAW_MAX, "{most}");
        assert!(events[0].ends_with("…\",\"usage\":{\"n\":7}}"), "{}", events[0].len());
        assert_eq!((events.len(), events[1].as_str()), (2, "next"));
    }
    assert_eq!(read([stream.as_bytes()])[0].len(), stream.len() - 20, "in one piece it is whole");
}

#[test]
fn a_long_event_that_is_no_json_is_counted_and_the_next_one_read() {
    let stream = format!(": {0}\ndata: {0}\ndata: {0}\n\ndata: next\n\n", "x ".repeat(RAW_MAX));
    let (mut framer, mut events) = (framer(Form::Events), Vec::new());
    for piece in stream.as_bytes().chunks(1000) {
        framer.read(piece, false, |event| events.push(event.data.to_vec()));
    }
    assert_eq!((events.as_slice(), framer.skipped()), ([b"next".to_vec()].as_slice(), 1));
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
            let stream = format!("data: {{}}\n\n{last}");
            let events = read_to_end(stream.as_bytes().chunks(size));
            assert_eq!(events.len(), 1 + usize::from(is_whole), "{last:.40} in pieces of {size}");
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_in_any_pieces_give_the_same(bytes in prop::collection::vec(prop_oneof![
        Just(b'\n'), Just(b'\r'), Just(b':'), Just(b' '), Just(b'd'), any::<u8>()], 0..80), size in 1usize..9) {
        let bytes = String::from_utf8_lossy(&bytes).replace('d', "data").into_bytes();
        let one = read_to_end([bytes.as_slice()]);
        let many = read_to_end(bytes.chunks(size));
        prop_assert_eq!(one, many);
    }
}

#[test]
fn elements_are_found_however_the_array_is_cut() {
    let text = "[{\"a\": [1, {\"b\": \"]}\\\"\\\\\"}]}\n,\r\n{\"é\": {}}, 7, [{}], \"{\", {}\n]\n";
    let whole = elements(text, text.len());
    assert_eq!(whole, ["{\"a\": [1, {\"b\": \"]}\\\"\\\\\"}]}", "{\"é\": {}}", "{}"]);
    for size in 1..text.len() {
        assert_eq!(elements(text, size), whole, "pieces of {size}");
    }
}

#[test]
fn an_object_alone_is_one_element() {
    assert_eq!(elements("{\"error\": {\"code\": 400}}\n", 5), ["{\"error\": {\"code\": 400}}"]);
}

#[test]
fn of_a_long_element_the_small_members_are_read_and_little_is_held() {
    let text = format!("[{{\"t\":\"{}\",\"n\":7}},{{\"n\":8}}]", "x y".repeat(RAW_MAX));
    let (elements, most) = read_by(framer(Form::Elements), text.as_bytes().chunks(999), true);
    assert!(most <= 2 * RAW_MAX, "{most}");
    assert!(elements[0].ends_with("…\",\"n\":7}"));
    assert_eq!(elements[1], "{\"n\":8}");
}

proptest! {
    #[test]
    fn nothing_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..20) {
        read_by(framer(Form::Elements), bytes.chunks(size), true);
    }
}
