use proptest::prelude::*;

use super::*;
use crate::api::openai;
use crate::json::scan::parsed;
use crate::response::framing::strip_usage::HELD_MAX;
use crate::response::parser::ResponseParser;

/// The body of a stream that usage is taken out of.
fn body() -> ResponseBody {
    let parser = ResponseParser::new(openai::CHAT, Transcript::counting());
    let reading = Reading::Stream(Box::new((parser, LONG)));
    let mut body = ResponseBody { reading, strips_usage: true, ..ResponseBody::default() };
    body.frame(Form::Events);
    body
}

fn cut(body: &mut ResponseBody, piece: &[u8], is_end: bool) -> Option<Vec<u8>> {
    body.cut(piece, is_end, &mut v1::Response::default()).instead
}

fn pass_bytes(stream: &[u8], size: usize) -> Vec<u8> {
    let (mut body, mut out) = (body(), Vec::new());
    let count = stream.chunks(size).count();
    for (place, piece) in stream.chunks(size).enumerate() {
        match cut(&mut body, piece, place + 1 == count) {
            Some(instead) => out.extend(instead),
            None => out.extend_from_slice(piece),
        }
    }
    assert_eq!(body.withheld(), 0);
    out
}

fn pass(stream: &str, size: usize) -> String {
    String::from_utf8(pass_bytes(stream.as_bytes(), size)).unwrap()
}

#[test]
fn an_event_that_is_read_and_freed_of_usage_is_parsed_once() {
    let stream = "data: {\"usage\":null,\"choices\":[]}\n\n";
    let before = parsed();
    assert_eq!(pass(stream, 7), "data: {\"choices\":[]}\n\n");
    assert_eq!(parsed() - before, 1);
}

const WITH: &str = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a \\\"usage\\\":null é\"}}],\"usage\":null}\n\n\
     : a comment\n\n\
     data: {\"usage\" : null , \"choices\":[{\"index\":0}]}\r\n\r\n\
     data: {\"choices\":[],\"usage\":{\"prompt_tokens\":1}}\n\n\
     data: {\"choices\":null,\"usage\":{\"prompt_tokens\":1}}\n\n\
     data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";
const WITHOUT: &str = "data: {\"id\":\"c\",\"choices\":[{\"delta\":{\"content\":\"a \\\"usage\\\":null é\"}}]}\n\n\
     : a comment\n\n\
     data: { \"choices\":[{\"index\":0}]}\r\n\r\n\
     data: {\"choices\":[{\"delta\":{}}],\"usage\":{\"prompt_tokens\":1}}\n\ndata: [DONE]\n\n";

#[test]
fn what_was_not_asked_for_is_gone_and_nothing_else_however_the_stream_is_cut() {
    for size in 1..=WITH.len() {
        assert_eq!(pass(WITH, size), WITHOUT, "pieces of {size}");
    }
}

#[test]
fn a_stream_without_it_is_passed_on_piece_by_piece_and_unchanged() {
    let mut body = body();
    for event in WITHOUT.split_inclusive("\n\n") {
        assert_eq!(cut(&mut body, event.as_bytes(), false), None, "{event}");
    }
}

#[test]
fn an_event_too_large_to_be_held_goes_on_as_it_is_and_the_next_one_is_read_again() {
    let large = format!("data: {{\"t\":\"{}\",\"usage\":null}}\n\n", "x".repeat(2 * HELD_MAX));
    let stream = format!("{large}data: {{\"a\":1,\"usage\":null}}\n\n");
    let passed = pass(&stream, 1000);
    assert_eq!(passed.strip_prefix(&large), Some("data: {\"a\":1}\n\n"));
}

#[test]
fn what_the_provider_never_ended_comes_out_at_the_end() {
    assert_eq!(pass("data: {\"usage\":null,\"a", 3), "data: {\"usage\":null,\"a");
}

proptest! {
    #[test]
    fn any_bytes_without_usage_are_the_same_behind_it(
        bytes in prop::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'd'), any::<u8>()], 0..100),
        size in 1usize..12,
    ) {
        prop_assert_eq!(pass_bytes(&bytes, size), bytes);
    }
}
