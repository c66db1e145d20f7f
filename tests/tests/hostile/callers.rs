//! Callers that keep to no rule.

use futures_util::future::join_all;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    time::{Duration, Instant, timeout},
};
use weir_tests::{callers::client, stack::question, system::wait};

use crate::setting::{Hostile, request, status, with_headers};

/// How many callers do it at once.
const CROWD: usize = 24;
/// A body as large as no limit allows.
const HUGE: usize = 64 << 20;
/// How deep nested JSON is.
const DEEP: usize = 100_000;

#[tokio::test(flavor = "multi_thread")]
async fn storms_of_headers_and_bodies_do_no_harm() {
    let hostile = Hostile::start("{ request_body: 1MiB }").await;
    let body = question().to_string();
    let (good, address) = (body.as_bytes(), hostile.address());
    // Each beyond what Envoy takes of headers, by count or by bytes; and as many as it takes.
    let many = (0..500).map(|n| format!("x-{n}: {n}\r\n")).collect::<String>();
    let large = format!("x-large: {}\r\n", "x".repeat(100 << 10));
    let allowed = (0..80).map(|n| format!("x-{n}: {}\r\n", "x".repeat(500))).collect::<String>();
    for (what, lines, expected) in
        [("500 headers", &many, 431), ("100 KiB of headers", &large, 431), ("80 headers", &allowed, 200)]
    {
        hostile
            .withstands(what, || async {
                let storm = join_all((0..CROWD).map(|_| async {
                    status(&client::raw(address, &with_headers(lines.as_bytes(), good)).await)
                }));
                assert_eq!(storm.await, [expected; CROWD], "{what}");
            })
            .await;
    }
    // Every header that the filter reads, as long as it may get here.
    let long = "é".repeat(10 << 10);
    for name in [
        "authorization",
        "x-weir-metadata",
        "x-tfy-metadata",
        "traceparent",
        "tracestate",
        "baggage",
        "x-weir-user",
    ] {
        let lines = format!("{name}: {long}\r\n");
        let answer = status(&client::raw(address, &with_headers(lines.as_bytes(), good)).await);
        assert!(matches!(answer, 200 | 400), "{name}: {answer}");
    }
    hostile
        .withstands("bodies of 900 KiB at once", || async {
            let mut large = question();
            large["messages"][0]["content"] = json!("x y ".repeat(225 << 10));
            let storm = join_all((0..CROWD).map(|_| hostile.stack.send(large.to_string())));
            assert!(storm.await.iter().all(|answered| answered.status == 200));
        })
        .await;
    hostile.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_of_64_mib_is_refused_or_served_as_the_limit_says() {
    let small = Hostile::start("{ request_body: 1MiB }").await;
    let mut body = question();
    body["messages"][0]["content"] = json!("x".repeat(HUGE));
    let body = bytes::Bytes::from(body.to_string());
    small.withstands("64 MiB over the limit", || small.is_refused(body.to_vec(), 413)).await;
    small.ledgers_agree().await;
    drop(small);

    let large = Hostile::start("{ request_body: 80MiB }").await;
    large
        .withstands("64 MiB within the limit", || async {
            assert_eq!(large.stack.send(body.clone()).await.status, 200);
        })
        .await;
    let received = large.stack.provider.take();
    assert_eq!(received.iter().filter(|received| received.body.len() > HUGE).count(), 3);
    large.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn json_that_nobody_should_read_is_refused_or_passed_on_and_never_harmful() {
    let hostile = Hostile::start("{}").await;
    let within = |value: &[u8]| [&br#"{"model":"gpt-4o","messages":[],"x":"#[..], value, b"}"].concat();
    let deep = ["[".repeat(DEEP), "]".repeat(DEEP)].concat();
    let open = "{\"a\":".repeat(DEEP);
    let escaped = (0..10).fold(r#"{"a":"jo@example.com"}"#.to_owned(), |text, _| json!(text).to_string());
    let keys = (0..20_000).map(|n| format!("\"k{n}\":{n}")).collect::<Vec<_>>().join(",");
    let cases: Vec<(&str, Vec<u8>, u16)> = vec![
        ("100 000 arrays deep", within(deep.as_bytes()), 400),
        ("100 000 objects open", within(open.as_bytes()), 400),
        ("a body of brackets", "[".repeat(DEEP).into_bytes(), 400),
        ("invalid UTF-8", within(b"\"\xff\xfe\xc0\x80\xed\xa0\x80\""), 400),
        ("NULs", within(b"\"\0\0\0\""), 400),
        ("nothing but NULs", vec![0; 10_000], 400),
        ("escaped NULs", within(br#""\u0000\u0000""#), 200),
        ("lone surrogates", within(br#""\ud800 \udfff\ud83d""#), 200),
        ("a lone surrogate as a key", within(br#"{"\ud800":1}"#), 200),
        ("a long number", within("9".repeat(50_000).as_bytes()), 200),
        ("a huge exponent", within(b"1e999999999"), 200),
        ("many strings in strings", within(escaped.as_bytes()), 200),
        ("20 000 keys", within(format!("{{{keys}}}").as_bytes()), 200),
    ];
    hostile
        .withstands("JSON", || async {
            for (what, body, expected) in &cases {
                let answered = hostile.stack.send(body.clone()).await;
                assert_eq!(answered.status, *expected, "{what}: {answered:?}");
            }
        })
        .await;
    hostile.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_that_are_no_text_in_the_path_the_headers_or_the_framing_do_no_harm() {
    let hostile = Hostile::start("{}").await;
    let (body, address) = (question().to_string(), hostile.address());
    let mut requests: Vec<Vec<u8>> = Vec::new();
    for bytes in [
        &b"\xff\xfe"[..],
        b"\0",
        b"%00",
        b"%ff%fe",
        b"%c0%af..%c0%af",
        b"/..;/",
        b"\xed\xa0\x80",
        b"?key=%ff",
        b"?key=\xff",
    ] {
        for path in ["/v1/chat/completions", "/v1beta/models/m", "/openai/deployments/m"] {
            let start =
                [b"POST ", path.as_bytes(), bytes, b" HTTP/1.1\r\nhost: weir\r\nconnection: close\r\n"]
                    .concat();
            requests.push([&start[..], b"content-length: 2\r\n\r\n{}"].concat());
        }
        for name in [
            "authorization",
            "x-api-key",
            "api-key",
            "x-goog-api-key",
            "x-weir-metadata",
            "x-tfy-metadata",
            "x-weir-user",
            "x-weir-conversation-id",
            "x-weir-timeout-ms",
            "x-weir-content",
            "x-tfy-logging-config",
            "content-type",
            "content-encoding",
            "traceparent",
            "tracestate",
            "baggage",
            "user-agent",
            "x-forwarded-for",
            "x-request-id",
            "host",
            ":path",
        ] {
            let line = [name.as_bytes(), b": ", bytes, b"\r\n"].concat();
            requests.push(with_headers(&line, body.as_bytes()));
        }
    }
    let length = body.len();
    for lines in [
        format!("content-length: {}\r\n", length + 1),
        "content-length: -1\r\n".to_owned(),
        "content-length: 99999999999999999999\r\n".to_owned(),
        "transfer-encoding: chunked\r\n".to_owned(),
        "transfer-encoding: gzip, chunked\r\n".to_owned(),
        "expect: 100-continue\r\n".to_owned(),
        "expect: nonsense\r\n".to_owned(),
        "upgrade: websocket\r\nconnection: upgrade\r\n".to_owned(),
        " folded\r\n".to_owned(),
        "no colon\r\n".to_owned(),
        ": no name\r\n".to_owned(),
    ] {
        requests.push(with_headers(lines.as_bytes(), body.as_bytes()));
    }
    hostile
        .withstands("bytes", || async {
            for chunk in requests.chunks(CROWD) {
                // Any answer will do, and none; some of these wait for more, so the connection is closed.
                join_all(chunk.iter().map(|request| half_closed(&hostile, request))).await;
            }
        })
        .await;
    let leaked = hostile.stack.provider.received();
    assert!(
        leaked.iter().all(|received| received.path == "/v1/chat/completions"),
        "only what is in the table goes on"
    );
    let answer = client::raw(address, &request(&body)).await;
    assert_eq!(status(&answer), 200);
    hostile.ledgers_agree().await;
}

/// Sends these bytes and no more, and takes what comes.
async fn half_closed(hostile: &Hostile, bytes: &[u8]) {
    let mut connection = TcpStream::connect(hostile.address()).await.expect("a connection");
    let _ = connection.write_all(bytes).await;
    let _ = connection.shutdown().await;
    let mut answer = Vec::new();
    let read = timeout(wait::DEADLINE, connection.read_to_end(&mut answer)).await;
    assert!(read.is_ok(), "the connection stays open behind {}", String::from_utf8_lossy(bytes));
}

#[tokio::test(flavor = "multi_thread")]
async fn pipelined_requests_are_answered_in_order_up_to_the_first_bad_one() {
    let hostile = Hostile::start("{}").await;
    let body = question().to_string();
    let good = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    let bad = "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\ncontent-length: 1\r\n\r\n{";
    let last = good.replacen("host: weir", "host: weir\r\nconnection: close", 1);
    // Envoy closes the connection behind a refusal, so what follows one goes nowhere.
    for (what, all, expected) in [
        ("40 pipelined requests", good.repeat(39) + &last, vec!["200"; 40]),
        (
            "a bad one among them",
            [&good.repeat(20), bad, &good.repeat(20), &last].concat(),
            [vec!["200"; 20], vec!["400"]].concat(),
        ),
    ] {
        hostile
            .withstands(what, || async {
                let answer = client::raw(hostile.address(), all.as_bytes()).await;
                let text = String::from_utf8_lossy(&answer);
                let statuses: Vec<&str> =
                    text.split("HTTP/1.1 ").skip(1).map(|rest| rest.get(..3).expect("a status")).collect();
                assert_eq!(statuses, expected);
            })
            .await;
    }
    hostile.ledgers_agree().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn callers_that_drip_are_cut_or_waited_for_and_keep_nobody_else_waiting() {
    let hostile = Hostile::start("{}").await;
    let body = question().to_string();
    let head =
        format!("POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\ncontent-length: {}\r\n\r\n", body.len());
    let mut connections = Vec::new();
    for n in 0..100 {
        let mut connection = TcpStream::connect(hostile.address()).await.expect("a connection");
        // Half of them stop within the head, the others within the body.
        let sent = if n % 2 == 0 { head.get(..30).expect("a start") } else { head.as_str() };
        connection.write_all(sent.as_bytes()).await.expect("written");
        connections.push(connection);
    }
    for _ in 0..10 {
        hostile.stack.chat().await;
        for (n, connection) in connections.iter_mut().enumerate() {
            let at = if n % 2 == 0 { "x" } else { " " };
            connection.write_all(at.as_bytes()).await.expect("it is waited for");
        }
    }
    let under_way =
        wait::poll(wait::DEADLINE, || async { (hostile.gauge("weir.streams").await? == 50).then_some(()) });
    assert!(under_way.await.is_some(), "those whose head is here are under way");
    // Envoy gives a head ten seconds, from its first byte to its last.
    let cut = Instant::now();
    for connection in connections.iter_mut().step_by(2) {
        let mut answer = Vec::new();
        let _ = timeout(wait::DEADLINE, connection.read_to_end(&mut answer)).await.expect("cut");
        assert!(matches!(status(&answer), 0 | 408), "{}", String::from_utf8_lossy(&answer));
    }
    assert!(cut.elapsed() < Duration::from_secs(25), "{:?}", cut.elapsed());
    hostile.stack.chat().await;
    drop(connections);
    hostile.withstands("dripping", || async {}).await;
    hostile.ledgers_agree().await;
}
