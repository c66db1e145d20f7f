//! Streams, as events and as an array's elements: however the bytes are cut the same messages come
//! out, what is held is bounded, not a byte is lost, and what was not asked for is taken out alike.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_event::v1;
use weir_filter::api::openai;
use weir_filter::capture::transcript::Transcript;
use weir_filter::headers::Headers;
use weir_filter::json::truncate::pieces::{LONG, Pieces, RAW_MAX};
use weir_filter::response::body::ResponseBody;
use weir_filter::response::framing::event::Part;
use weir_filter::response::framing::form::Form;
use weir_filter::response::framing::framer::Framer;
use weir_filter::response::reader::Destination;
use weir_fuzz::{controls, pieces};

fuzz_target!(|data: &[u8]| {
    let ([seed], stream) = controls(data);
    let cut = pieces(stream, seed);
    for form in [Form::Events, Form::Elements] {
        let (whole, parted) = (messages(form, &[stream]), messages(form, &cut));
        // A longer one is made short where it comes in pieces.
        assert!(stream.len() > RAW_MAX || whole == parted);
    }
    let (whole_passed, parted_passed) = (passed(&[stream]), passed(&cut));
    // A longer one goes on as it is where it cannot be held.
    assert!(stream.len() > RAW_MAX || whole_passed == parted_passed);
    assert!(whole_passed.len() <= stream.len() && is_part(&whole_passed, stream));
    assert!(parted_passed.len() <= stream.len() && is_part(&parted_passed, stream));
    if stream.windows(7).all(|window| window != b"\"usage\"") {
        assert_eq!(whole_passed, stream);
        assert_eq!(parted_passed, stream);
    }
});

fn messages(form: Form, pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut framer, mut out, mut parts) = (Framer::new(form, LONG).unwrap(), Vec::new(), Vec::new());
    let end = [&[][..]];
    for (place, piece) in pieces.iter().chain(&end).enumerate() {
        framer.feed(piece, place == pieces.len(), |part| match part {
            Part::Event(event) | Part::Short(event) => {
                parts.extend_from_slice(event.bytes);
                if event.is_whole() {
                    out.push(event.data.to_vec());
                }
            }
            Part::Piece(bytes) | Part::Between(bytes) | Part::Close(bytes) | Part::Odd(bytes) => {
                parts.extend_from_slice(bytes);
            }
        });
        assert!(framer.held() <= 2 * RAW_MAX + piece.len());
    }
    assert_eq!(parts, pieces.concat());
    out
}

fn passed(pieces: &[&[u8]]) -> Vec<u8> {
    let headers = Headers(vec![("content-type".to_owned(), b"text/event-stream".to_vec())]);
    let destination =
        Destination { transcript: Transcript::counting(), whole: Pieces::default(), long_messages: LONG };
    let body = ResponseBody::default().stripping_usage(true);
    let mut body = body.read(&headers, openai::CHAT, destination);
    let (mut held, mut out) = (Vec::new(), Vec::new());
    let end = [&[][..]];
    for (place, piece) in pieces.iter().chain(&end).enumerate() {
        let is_end = place == pieces.len();
        held.extend_from_slice(piece);
        if body.open(&held, is_end) {
            let held = std::mem::take(&mut held);
            let passed = body.cut(&held, is_end, &mut v1::Response::default());
            out.extend(passed.instead.unwrap_or(held));
        }
    }
    out
}

/// Whether one is the other with bytes removed.
fn is_part(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|byte| rest.any(|other| other == byte))
}
