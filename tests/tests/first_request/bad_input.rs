//! Bad input: refused in OpenAI's error shape, traced, and without harm to whoever comes next.

use bytes::Bytes;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use weir_tests::{
    callers::client::{self, Trace},
    stack::{Answered, Options, Stack, question},
    telemetry::spans,
};

/// Checks the status and the error's shape, and gives the error.
fn error_of(answered: &Answered, status: u16) -> Value {
    assert_eq!(answered.status, status, "{answered:?}");
    assert_eq!(answered.headers["content-type"], "application/json", "{answered:?}");
    error_in(&answered.body)
}

fn error_in(body: &[u8]) -> Value {
    let body: Value = serde_json::from_slice(body)
        .unwrap_or_else(|_| panic!("not JSON: {}", String::from_utf8_lossy(body)));
    let error = &body["error"];
    let keys: Vec<&str> = error.as_object().expect("an error object").keys().map(String::as_str).collect();
    assert_eq!(keys.len(), 4, "message, type, param and code in {body}");
    assert!(error["message"].as_str().is_some_and(|message| !message.is_empty()), "{body}");
    assert!(error["type"].is_string(), "{body}");
    for key in ["param", "code"] {
        assert!(error[key].is_string() || error[key].is_null(), "{body}");
    }
    error.clone()
}

/// Checks that the request was traced with the status that its caller saw, and that the gateway is
/// as it was.
async fn is_traced_and_harmless(stack: &Stack, answered: &Answered) {
    let trace = stack.otlp.wait_for(&answered.trace).await;
    let server = spans::only(&trace, "the SERVER span", |span| span.kind == SpanKind::Server);
    assert_eq!(server.attribute("http.response.status_code"), answered.status);
    assert_eq!(server.parent_id, answered.trace.span_id);
    stack.chat().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_is_no_chat_request_is_refused_with_400_and_the_field_named() {
    let stack = Stack::start().await;
    let nested = format!(r#"{{"model":"gpt-4o","messages":{}{}}}"#, "[".repeat(200), "]".repeat(200));
    let nested_objects =
        format!(r#"{{"model":"gpt-4o","messages":[],"x":{}1{}}}"#, "{\"a\":".repeat(200), "}".repeat(200));
    let bodies: Vec<(&str, Bytes, Option<&str>)> = vec![
        ("not JSON", "model=gpt-4o".into(), None),
        ("cut off", r#"{"model":"gpt-4o","messages":["#.into(), None),
        ("something after the end", r#"{"model":"gpt-4o","messages":[]} {}"#.into(), None),
        ("not an object", r#"["gpt-4o"]"#.into(), None),
        ("empty", "".into(), None),
        ("200 arrays deep", nested.into(), None),
        ("200 objects deep", nested_objects.into(), None),
        ("invalid UTF-8", Bytes::from_static(b"{\"model\":\"gpt-4o\",\"messages\":[\"\xff\xfe\"]}"), None),
        ("no model", r#"{"messages":[]}"#.into(), Some("model")),
        ("a model that is a number", r#"{"model":4,"messages":[]}"#.into(), Some("model")),
        ("a model that is null", r#"{"model":null,"messages":[]}"#.into(), Some("model")),
        ("messages that are a string", r#"{"model":"gpt-4o","messages":"hi"}"#.into(), Some("messages")),
        ("no messages", r#"{"model":"gpt-4o"}"#.into(), Some("messages")),
        ("stream as a string", r#"{"model":"gpt-4o","messages":[],"stream":"yes"}"#.into(), Some("stream")),
        ("CR LF in the model", r#"{"model":"gpt-4o\r\nx-evil: 1","messages":[]}"#.into(), Some("model")),
        ("two models", r#"{"model":"gpt-4o","messages":[],"model":"gpt-4o"}"#.into(), Some("model")),
        ("two spellings", r#"{"model":"gpt-4o","messages":[],"Model":"gpt-4o"}"#.into(), Some("model")),
        (
            "two spellings of another",
            r#"{"model":"gpt-4o","messages":[],"Messages":[]}"#.into(),
            Some("messages"),
        ),
    ];
    for (what, body, param) in bodies {
        let answered = stack.send(body).await;
        println!("{what}: {}", String::from_utf8_lossy(&answered.body));
        let error = error_of(&answered, 400);
        assert_eq!(error["type"], "invalid_request_error", "{what}: {error}");
        if let Some(param) = param {
            let named = [&error["param"], &error["message"]].map(|text| text.as_str().unwrap_or_default());
            assert!(named.iter().any(|text| text.to_lowercase().contains(param)), "{what}: {error}");
        }
        assert!(!answered.headers.contains_key("x-evil"), "{what}");
        is_traced_and_harmless(&stack, &answered).await;
    }
    assert!(stack.provider.received().iter().all(|received| received.header("x-evil").is_none()));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_nobody_has_is_not_found() {
    let stack = Stack::start().await;
    let answered = stack.send(r#"{"model":"gpt-9","messages":[]}"#).await;
    let error = error_of(&answered, 404);
    assert_eq!(error["code"], "model_not_found");
    assert!(error["message"].as_str().is_some_and(|message| message.contains("gpt-9")), "{error}");
    is_traced_and_harmless(&stack, &answered).await;
    assert!(stack.provider.received().iter().all(|received| !received.body.is_empty()));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_is_refused_with_413_and_the_limit_named() {
    let stack = Options::default().limits("{ request_body: 64KiB }").start().await;
    let mut body = question();
    // Well over, a little over (declared), and a little over without a declared length.
    for content in ["x".repeat(8 << 20), "x".repeat(65 << 10)] {
        body["messages"][0]["content"] = content.into();
        let answered = stack.send(body.to_string()).await;
        println!("{}", String::from_utf8_lossy(&answered.body));
        let error = error_of(&answered, 413);
        let message = error["message"].as_str().unwrap_or_default();
        assert!(message.contains("64 KiB") || message.contains("65536"), "{error}");
        is_traced_and_harmless(&stack, &answered).await;
    }
    let chunked = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\r\n\
         {:x}\r\n{}\r\n0\r\n\r\n",
        body.to_string().len(),
        body,
    );
    let answer = client::raw(stack.address(), chunked.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 413 "), "{}", String::from_utf8_lossy(&answer));
    stack.chat().await;
    stack.assert_vm_is_well().await;
}

/// Sends a body in chunks of a size, whatever becomes of it, and gives what comes back.
async fn in_chunks(stack: &Stack, path: &str, body: &[u8], size: usize) -> String {
    let stream = TcpStream::connect(stack.address()).await.expect("a connection");
    let (mut from, mut to) = stream.into_split();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: weir\r\ncontent-type: application/json\r\nconnection: close\r\n\
         transfer-encoding: chunked\r\n\r\n"
    );
    let mut request = head.into_bytes();
    for chunk in body.chunks(size) {
        request.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    // The answer may come, and the connection go, before all of it is written. Its end stays open: to Envoy a
    // caller that closes one has gone away.
    let sending = tokio::spawn(async move {
        let _ = to.write_all(&request).await;
        to
    });
    let mut answer = Vec::new();
    let _ = from.read_to_end(&mut answer).await;
    sending.await.expect("the sender ends");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_over_the_limit_in_chunks_gets_the_apis_413_every_time_in_whatever_pieces_it_comes() {
    let stack = Stack::start().await;
    let mut body = question();
    body["messages"][0]["content"] = "x".repeat(12 << 20).into();
    let body = body.to_string().into_bytes();
    let paths = [
        ("/v1/chat/completions", "\"code\":\"request_too_large\""),
        ("/v1/messages", "\"type\":\"error\""),
        ("/v1beta/models/m:generateContent", "\"status\":"),
        ("/v2/chat", "\"message\":"),
    ];
    for size in [1000, 16 << 10, 64 << 10, 1 << 20, 4 << 20, 16 << 20] {
        for (path, shape) in paths {
            let answer = in_chunks(&stack, path, &body, size).await;
            assert!(answer.starts_with("HTTP/1.1 413 "), "{path} in chunks of {size}: {answer}");
            for part in ["application/json", "x-weir-trace-id", "10 MiB (limits.request_body)", shape] {
                assert!(answer.contains(part), "{part} of {path} in chunks of {size}: {answer}");
            }
        }
    }
    // What is no more than the limit passes in chunks as well.
    let mut body = question();
    body["messages"][0]["content"] = "x".repeat(9 << 20).into();
    let answer = in_chunks(&stack, "/v1/chat/completions", body.to_string().as_bytes(), 1 << 20).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_in_another_encoding_is_refused_with_415() {
    let stack = Stack::start().await;
    for (encoding, status) in [("gzip", 415), ("br", 415), ("identity", 200)] {
        let trace = Trace::new();
        let request = stack.request(&trace, question().to_string()).header("content-encoding", encoding);
        let response = request.send().await.expect("an answer");
        let (headers, status_seen) = (response.headers().clone(), response.status().as_u16());
        let body = response.bytes().await.expect("a body");
        let answered = Answered { trace, status: status_seen, headers, body };
        if status == 200 {
            assert_eq!(answered.status, 200, "{answered:?}");
        } else {
            error_of(&answered, status);
        }
        is_traced_and_harmless(&stack, &answered).await;
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_paths_and_methods_are_refused_in_the_apis_shape() {
    let stack = Stack::start().await;
    let http = client::http();
    let chat = stack.url("/v1/chat/completions");
    for (request, status) in [
        (http.get(stack.url("/")), 404),
        (http.get(stack.url("/v1/files")), 404),
        (http.post(stack.url("/v1/unknown")).body("{}"), 404),
        (http.get(&chat), 405),
        (http.put(&chat).body("{}"), 405),
        (http.delete(&chat), 405),
        (http.post(stack.url("/v1/models")).body("{}"), 405),
    ] {
        let request = request.build().expect("a request");
        let what = format!("{} {}", request.method(), request.url().path());
        let response = http.execute(request).await.expect("an answer");
        assert_eq!(response.status().as_u16(), status, "{what}");
        if status == 405 {
            assert!(response.headers().contains_key("allow"), "{what} says what is allowed");
        }
        error_in(&response.bytes().await.expect("a body"));
    }
    assert!(stack.provider.received().is_empty());
    stack.chat().await;
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn header_values_that_are_not_utf_8_do_no_harm() {
    let stack = Stack::start().await;
    let body = question().to_string();
    for name in
        ["x-anything", "user-agent", "authorization", "traceparent", "tracestate", "content-type", "accept"]
    {
        let mut request = format!(
            "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ncontent-length: {}\r\n{name}: ",
            body.len(),
        )
        .into_bytes();
        request.extend(b"\xff\xfe\x80");
        request.extend(b"\r\n\r\n");
        request.extend(body.as_bytes());
        let answer = client::raw(stack.address(), &request).await;
        assert!(answer.starts_with(b"HTTP/1.1 200 "), "{name}: {}", String::from_utf8_lossy(&answer));
    }
    // In the path and in the host too, where any answer will do.
    for (path, host) in [(&b"/v1/\xff"[..], &b"weir"[..]), (b"/v1/models", b"\xff\xfe")] {
        let request =
            [b"GET ", path, b" HTTP/1.1\r\nhost: ", host, b"\r\nconnection: close\r\n\r\n"].concat();
        assert!(client::raw(stack.address(), &request).await.starts_with(b"HTTP/1.1 "));
    }
    let (_, spans) = stack.traced_chat().await;
    assert_eq!(spans.len(), 4, "{}", spans::outline(&spans));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn request_trailers_end_the_body() {
    let stack = Stack::start().await;
    let body = question().to_string();
    let (first, rest) = body.split_at(10);
    let request = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: weir\r\nconnection: close\r\ntransfer-encoding: chunked\r\n\
         trailer: x-checksum\r\n\r\n{:x}\r\n{first}\r\n{:x}\r\n{rest}\r\n0\r\nx-checksum: abc\r\n\r\n",
        first.len(),
        rest.len(),
    );
    let answer = client::raw(stack.address(), request.as_bytes()).await;
    assert!(answer.starts_with(b"HTTP/1.1 200 "), "{}", String::from_utf8_lossy(&answer));

    let trace = Trace::new();
    assert_eq!(over_http2_with_trailers(&stack, &trace, body).await, 200);
    stack.otlp.wait_for(&trace).await;
    let received = stack.provider.last().await;
    assert!(received.body.starts_with(br#"{"messages""#) || received.body.starts_with(br#"{"model""#));
    assert_eq!(serde_json::from_slice::<Value>(&received.body).expect("JSON")["model"], "gpt-4o-2024-11-20");
    // Over HTTP/2 an invalid request with trailers is refused as any other.
    assert_eq!(over_http2_with_trailers(&stack, &Trace::new(), "{".to_owned()).await, 400);
    stack.assert_vm_is_well().await;
}

async fn over_http2_with_trailers(stack: &Stack, trace: &Trace, body: String) -> u16 {
    let exchange = async {
        let stream = tokio::net::TcpStream::connect(stack.address()).await.expect("a connection");
        let (mut client, connection) = h2::client::handshake(stream).await.expect("HTTP/2");
        tokio::spawn(connection);
        let request = http::Request::post(stack.url("/v1/chat/completions"))
            .header("content-type", "application/json")
            .header("traceparent", trace.parent())
            .body(())
            .expect("a request");
        let (response, mut sender) = client.send_request(request, false).expect("a stream");
        sender.send_data(body.into(), false).expect("the body");
        let trailers = http::HeaderMap::from_iter([(
            http::HeaderName::from_static("x-checksum"),
            http::HeaderValue::from_static("abc"),
        )]);
        sender.send_trailers(trailers).expect("the trailers");
        response.await.expect("an answer").status().as_u16()
    };
    tokio::time::timeout(weir_tests::system::wait::DEADLINE, exchange).await.expect("an answer in time")
}
