//! Streams of events that keep to no rule, as providers send them.

use bytes::Bytes;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weir_tests::fakes::fixtures;

use crate::{
    raw_provider::Says,
    setting::{Hostile, raw_question, request, status},
};

const CHUNK: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"word \"}}]}\n\n";

/// What came behind the head of an answer that ends with its connection, its chunks put together.
fn body_of(answer: &[u8]) -> Vec<u8> {
    let head = answer.windows(4).position(|window| window == b"\r\n\r\n").expect("a head") + 4;
    let (mut rest, mut body) = (&answer[head..], Vec::new());
    while let Some(end) = rest.windows(2).position(|window| window == b"\r\n") {
        let size =
            std::str::from_utf8(&rest[..end]).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
        let size = size.expect("a chunk's size");
        if size == 0 {
            break;
        }
        body.extend_from_slice(&rest[end + 2..end + 2 + size]);
        rest = &rest[end + 2 + size + 2..];
    }
    body
}

#[tokio::test(flavor = "multi_thread")]
async fn events_arrive_whole_however_they_are_cut_and_whatever_stands_in_them() {
    let hostile = Hostile::start("{}").await;
    let fixture = fixtures::bytes("openai/chat_stream_plain.sse");
    let mut odd = Vec::new();
    for text in [&b"\xff\xfe\x80"[..], b"\0\0", br"\ud800", br"\u0000", b"\xed\xa0\x80", b"\xf0\x9f"] {
        odd.extend(
            [&b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\""[..], text, b"\"}}]}\n\n"]
                .concat(),
        );
    }
    odd.extend(b"data: [[[[\n\ndata\n\n: \xff\n\nevent: \0\n\nid: \xff\nretry: x\n\ndata: null\n\n\r\r\r\n\n{\"error\":");
    let deep = format!("data: {}\n\ndata: {}1\n\n", "[".repeat(100_000), "{\"a\":".repeat(100_000));
    let tiny = CHUNK.repeat(10_000);
    let cases: Vec<(&str, Vec<u8>, usize)> = vec![
        ("events split at every byte", fixture.to_vec(), 1),
        ("10 000 tiny chunks", tiny.into_bytes(), CHUNK.len()),
        ("no text in events", odd, 7),
        ("100 000 levels in an event", deep.into_bytes(), 900),
        ("nothing but line ends", b"\r\n\n\r".repeat(20_000), 501),
        ("nothing but NULs", vec![0; 100_000], 999),
    ];
    for (what, body, size) in cases {
        let body = Bytes::from(body);
        let pieces = (0..body.len()).step_by(size).map(|at| body.slice(at..(at + size).min(body.len())));
        hostile.raw.says(Says::events(pieces));
        hostile
            .withstands_within(what, 24 << 20, || async {
                let answer = hostile.ask_raw(true).await;
                assert_eq!(status(&answer), 200, "{what}");
                assert!(body_of(&answer) == body, "{what}: not every byte arrived");
            })
            .await;
    }
    hostile.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_line_that_never_ends_is_passed_on_and_not_kept() {
    let hostile = Hostile::start("{}").await;
    let piece = Bytes::from("x".repeat(64 << 10));
    for start in ["data: ", ": ", "data: {\"choices\":[{\"delta\":{\"content\":\"", "{\"error\":\"", "event"]
    {
        hostile.raw.says(Says::events([Bytes::from(start), piece.clone()]).repeating(256));
        let what = format!("16 MiB behind {start:?}");
        hostile
            .withstands_within(&what, 80 << 20, || async {
                let answer = hostile.ask_raw(true).await;
                assert_eq!(body_of(&answer).len(), start.len() + (16 << 20));
            })
            .await;
    }
    // And one whose caller goes away in the middle of it.
    hostile
        .withstands_within("gone from a line without an end", 80 << 20, || async {
            let mut connection = TcpStream::connect(hostile.address()).await.expect("a connection");
            connection.write_all(&request(&raw_question(true))).await.expect("written");
            let mut some = vec![0; 100 << 10];
            connection.read_exact(&mut some).await.expect("the beginning");
        })
        .await;
    hostile.ledgers_agree().await;
}
