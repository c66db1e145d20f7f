//! Providers that keep to no rule of HTTP.

use std::io::Write;

use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use weir_tests::callers::client;

use crate::{
    raw_provider::Says,
    setting::{Hostile, raw_question, status, with_headers},
};

const JSON: &str = "{\"id\":\"c\",\"choices\":[]}";

/// 256 MiB of zeros, in a quarter of a megabyte.
fn bomb() -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    for _ in 0..256 {
        encoder.write_all(&zeros).expect("written");
    }
    encoder.finish().expect("compressed").into()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_gzip_bomb_goes_on_as_it_is_and_is_not_unpacked() {
    let hostile = Hostile::start("{}").await;
    let bomb = bomb();
    for content_type in ["application/json", "text/event-stream"] {
        let lines = format!(
            "content-type: {content_type}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n",
            bomb.len()
        );
        hostile.raw.says(Says::answer(&lines, bomb.clone()));
        hostile
            .withstands("a gzip bomb", || async {
                let answer = hostile.ask_raw(true).await;
                assert_eq!(status(&answer), 200);
                assert!(answer.ends_with(&bomb));
            })
            .await;
    }
    let memory = hostile.gauge("weir.memory_bytes").await.expect("a gauge");
    assert!(memory < 32 << 20, "{memory}");
    hostile.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_that_break_the_rules_of_http_are_passed_on_or_become_an_error_of_the_gateways() {
    let hostile = Hostile::start("{}").await;
    let json = "content-type: application/json\r\n";
    let length = format!("content-length: {}\r\n", JSON.len());
    let ok = "HTTP/1.1 200 OK\r\nconnection: close\r\n";
    let many = (0..5000).map(|n| format!("x-{n}: {n}\r\n")).collect::<String>();
    let chunked = format!(
        "{ok}{json}transfer-encoding: chunked\r\ntrailer: x-t\r\n\r\n{:x}\r\n{JSON}\r\n0\r\nx-t: \u{e9}\u{1f600}\r\nx-weir-retry: 1\r\n\r\n",
        JSON.len()
    );
    let cases: Vec<(&str, Bytes, &[u16])> = vec![
        ("a good answer", format!("{ok}{json}{length}\r\n{JSON}").into(), &[200]),
        ("trailers", chunked.into(), &[200]),
        ("1xx answers first", format!("HTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\nHTTP/1.1 102 P\r\n\r\n{ok}{json}{length}\r\n{JSON}").into(), &[200]),
        ("100 Continue unasked", format!("HTTP/1.1 100 Continue\r\n\r\n{ok}{json}{length}\r\n{JSON}").into(), &[200]),
        ("two lengths", format!("{ok}{json}content-length: 5\r\n{length}\r\n{JSON}").into(), &[502, 503]),
        ("length and chunks", format!("{ok}{json}{length}transfer-encoding: chunked\r\n\r\n0\r\n\r\n").into(), &[200, 502, 503]),
        ("a length too long", format!("{ok}{json}content-length: 9999\r\n\r\n{JSON}").into(), &[200]),
        ("a negative length", format!("{ok}{json}content-length: -1\r\n\r\n{JSON}").into(), &[502, 503]),
        ("bad chunks", format!("{ok}{json}transfer-encoding: chunked\r\n\r\nzz\r\n{JSON}").into(), &[200, 502, 503]),
        ("5000 headers", format!("{ok}{json}{many}{length}\r\n{JSON}").into(), &[502, 503]),
        ("a header of 1 MiB", format!("{ok}x: {}\r\n{json}{length}\r\n{JSON}", "x".repeat(1 << 20)).into(), &[502, 503]),
        ("headers that are no text", [ok.as_bytes(), b"content-type: \xff\xfe\r\nx-\xc3: \xff\r\nretry-after: \xff\r\ncontent-encoding: \xff\r\n", length.as_bytes(), b"\r\n", JSON.as_bytes()].concat().into(), &[200, 502, 503]),
        ("values that are no text", [ok.as_bytes(), b"content-type: \xff\xfe\r\nx-h: \xff\r\nretry-after: \xff\r\ncontent-encoding: \xff\r\nset-cookie: \xff\r\n", length.as_bytes(), b"\r\n", JSON.as_bytes()].concat().into(), &[200]),
        ("a NUL in a header", format!("{ok}x: a\0b\r\n{json}{length}\r\n{JSON}").into(), &[502, 503]),
        ("status 999", format!("HTTP/1.1 999 X\r\nconnection: close\r\n{json}{length}\r\n{JSON}").into(), &[999, 502, 503]),
        ("status 0", format!("HTTP/1.1 000 X\r\nconnection: close\r\n{json}{length}\r\n{JSON}").into(), &[0, 502, 503]),
        ("204 with a body", format!("HTTP/1.1 204 No Content\r\nconnection: close\r\n{json}{length}\r\n{JSON}").into(), &[204, 502, 503]),
        ("switching protocols unasked", "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\nxx".into(), &[502]),
        ("switching protocols and nothing more", "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: upgrade\r\n\r\n".into(), &[502]),
        ("not HTTP at all", "SSH-2.0-OpenSSH_9.6\r\n".into(), &[502, 503]),
        ("HTTP/2 where 1.1 was asked", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".into(), &[502, 503]),
        ("nothing", "".into(), &[502, 503]),
    ];
    hostile
        .withstands("answers against the rules", || async {
            for (what, bytes, expected) in &cases {
                hostile.raw.says(Says::whole(bytes.clone()));
                for stream in [false, true] {
                    let answer = hostile.ask_raw(stream).await;
                    // What Envoy itself cannot pass on ends the connection without an answer.
                    let seen = status(&answer);
                    assert!(expected.contains(&seen), "{what}: {seen} {}", String::from_utf8_lossy(&answer));
                    if (500..600).contains(&seen) {
                        let text = String::from_utf8_lossy(&answer);
                        assert!(text.contains("\"error\""), "{what}: {text}");
                    }
                }
            }
        })
        .await;
    hostile.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_answers_before_the_request_is_complete_harms_nobody() {
    let hostile = Hostile::start("{}").await;
    let length = format!("content-type: application/json\r\ncontent-length: {}\r\n", JSON.len());
    let mut body: serde_json::Value = serde_json::from_str(&raw_question(false)).expect("JSON");
    // More than any socket takes at once.
    body["messages"][0]["content"] = "x y ".repeat(2 << 20).into();
    let body = body.to_string();
    for says in [
        Says::answer(&length, JSON).early(),
        Says::whole(format!("HTTP/1.1 429 Too Many\r\nconnection: close\r\n{length}\r\n{JSON}")).early(),
        Says::whole("HTTP/1.1 413 Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n").early(),
        Says::events([Bytes::from_static(b"data: {\"choices\":[]}\n\n")]).early(),
    ] {
        hostile.raw.says(says.clone());
        hostile
            .withstands("an early answer", || async {
                let answer = client::raw(hostile.address(), &with_headers(b"", body.as_bytes())).await;
                assert!(
                    matches!(status(&answer), 200 | 413 | 429 | 502 | 503),
                    "{says:?}: {}",
                    status(&answer)
                );
            })
            .await;
    }
    hostile.ledgers_agree().await;
}
