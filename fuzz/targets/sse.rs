//! Streams, as events and as array elements: however the bytes are split, the same messages come out, memory is
//! bounded, and the same unrequested usage is removed.
#![no_main]

use libfuzzer_sys::fuzz_target;
use weir_filter::response::framing::elements::Splitter;
use weir_filter::response::framing::pieces::RAW_MAX;
use weir_filter::response::framing::sse::Parser;
use weir_filter::response::strip_usage::Unasked;
use weir_fuzz::{controls, pieces};

fuzz_target!(|data: &[u8]| {
    let ([seed], stream) = controls(data);
    let cut = pieces(stream, seed);
    let (whole, parted) = (events(&[stream]), events(&cut));
    let (whole_elements, parted_elements) = (elements(&[stream]), elements(&cut));
    let (whole_passed, parted_passed) = (passed(&[stream]), passed(&cut));
    // A longer message is truncated if it arrives in pieces, and passes unchanged if it cannot be held.
    if stream.len() <= RAW_MAX {
        assert_eq!(whole, parted);
        assert_eq!(whole_elements, parted_elements);
        assert_eq!(whole_passed, parted_passed);
    }
    assert!(whole_passed.len() <= stream.len() && is_part(&whole_passed, stream));
    assert!(parted_passed.len() <= stream.len() && is_part(&parted_passed, stream));
    if stream.windows(7).all(|window| window != b"\"usage\"") {
        assert_eq!(whole_passed, stream);
        assert_eq!(parted_passed, stream);
    }
});

fn events(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut parser, mut out) = (Parser::default(), Vec::new());
    for piece in pieces {
        parser.feed(piece, |data| out.push(data.to_vec()));
        assert!(parser.held() <= 2 * RAW_MAX + piece.len());
    }
    parser.finish(|data| out.push(data.to_vec()));
    out
}

fn elements(pieces: &[&[u8]]) -> Vec<Vec<u8>> {
    let (mut splitter, mut out) = (Splitter::default(), Vec::new());
    for piece in pieces {
        splitter.feed(piece, |element| out.push(element.to_vec()));
        assert!(splitter.held() <= 2 * RAW_MAX + piece.len());
    }
    out
}

fn passed(pieces: &[&[u8]]) -> Vec<u8> {
    let (mut unasked, mut out) = (Unasked::default(), Vec::new());
    for piece in pieces {
        match unasked.pass(piece, false) {
            Some(instead) => out.extend(instead),
            None => out.extend_from_slice(piece),
        }
        assert!(unasked.held() <= 5 << 10);
    }
    out.extend(unasked.pass(&[], true).unwrap_or_default());
    assert_eq!(unasked.held(), 0);
    out
}

/// Whether one is the other with bytes removed.
fn is_part(part: &[u8], whole: &[u8]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|byte| rest.any(|other| other == byte))
}
