//! What lies beyond the table of calls: passed through where provider and key both grant it, with its
//! method, path and body as they came, and under the provider's own key.

use bytes::Bytes;
use reqwest::Method;
use serde_json::{Value, json};
use tokio::{io::AsyncWriteExt, net::TcpStream};
use weir_tests::{
    callers::client::{self, Trace},
    fakes::provider::{Answer, Received},
    stack::{Answered, Options, Stack, Upstream},
    system::wait,
    telemetry::spans,
};

use crate::setting::{chat, digest, json_of, server};

const ALL: &str = "sk-all-canary-58b1";
const SOME: &str = "sk-some-canary-d0f3";
const NONE: &str = "sk-none-canary-7e26";

async fn stack() -> Stack {
    let keys = [
        format!("{{ name: all, sha256: \"{}\", grants: [stored, files, batches, paths] }}", digest(ALL)),
        format!(
            "{{ name: some, sha256: \"{}\", models: [\"oa/gpt-*\", both], grants: [stored, files] }}",
            digest(SOME)
        ),
        format!("{{ name: none, sha256: \"{}\" }}", digest(NONE)),
    ];
    let upstreams = [
        Upstream::openai("oa", "/base/v1").settings("grants: [stored, files, batches, paths]"),
        Upstream::openai("plain", "/v1"),
        Upstream::new("an", "anthropic", "").settings("grants: [batches]"),
        Upstream::openai("ob", "/v1").settings("grants: [batches]"),
    ];
    let models = "{ both: { targets: [{ provider: plain, model: of-plain }, { provider: oa, model: of-oa }] }, \
                    plain: { targets: [{ provider: plain }] } }";
    let keys = format!("keys: [{}]", keys.join(", "));
    Options::default().upstreams(upstreams).models(models).with(&keys).start().await
}

async fn ask(
    stack: &Stack,
    method: Method,
    path: &str,
    key: &str,
    headers: &[(&str, &str)],
    body: Bytes,
) -> Answered {
    let trace = Trace::new();
    let mut request = client::http()
        .request(method, stack.url(path))
        .bearer_auth(key)
        .header("traceparent", trace.parent())
        .body(body);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    Answered::to(trace, request).await
}

async fn get(stack: &Stack, path: &str, key: &str) -> Answered {
    ask(stack, Method::GET, path, key, &[], Bytes::new()).await
}

fn code(answered: &Answered) -> (u16, String) {
    (answered.status, answered.json()["error"]["code"].as_str().unwrap_or_default().to_owned())
}

/// Checks that a request carries its provider's key alone, and nothing else that is not for it.
fn is_clean(received: &Received, provider: &str) {
    let key = format!("sk-canary-of-{provider}-5b0e");
    let text = format!("{received:?}");
    assert!(text.contains(&key), "{text}");
    for other in [ALL, SOME, NONE, "x-weir-", "x-request-id", "x-forwarded", "x-envoy", "cookie"] {
        assert!(!text.contains(other), "{other}: {text}");
    }
    let keys = ["oa", "plain", "an", "ob"].iter().filter(|name| **name != provider);
    assert!(keys.into_iter().all(|name| !text.contains(&format!("sk-canary-of-{name}-"))), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_granted_request_keeps_method_path_query_and_body() {
    let stack = stack().await;
    let answer = Answer::text(r#"{"id":"file-1","object":"file"}"#);
    stack.provider.answers(answer);
    let form = "--b\r\nContent-Disposition: form-data; name=\"purpose\"\r\n\r\nbatch\r\n--b--\r\n";
    let content_type = "multipart/form-data; boundary=b";
    let headers = [("content-type", content_type), ("cookie", "c=1"), ("openai-beta", "b-1")];
    for (method, called, sent, headers, body) in [
        (Method::POST, "/v1/files", "/base/v1/files", headers.as_slice(), form),
        (Method::GET, "/v1/files?limit=2&after=a%2Fb", "/base/v1/files?limit=2&after=a%2Fb", &[], ""),
        (Method::DELETE, "/v1/files/file-1", "/base/v1/files/file-1", &[], ""),
        (Method::GET, "/v1/responses/resp_1/input_items", "/base/v1/responses/resp_1/input_items", &[], ""),
        (Method::POST, "/v1/responses/resp_1/cancel", "/base/v1/responses/resp_1/cancel", &[], ""),
        (Method::PATCH, "/v1/vector_stores/a%20b", "/base/v1/vector_stores/a%20b", &[], "{}"),
        (Method::HEAD, "/v1/uploads/u", "/base/v1/uploads/u", &[], ""),
    ] {
        let answered =
            ask(&stack, method.clone(), called, ALL, headers, Bytes::from_static(body.as_bytes())).await;
        assert_eq!(answered.status, 200, "{method} {called}: {answered:?}");
        let received = stack.provider.last().await;
        assert_eq!((received.method.clone(), received.path.as_str()), (method.clone(), sent));
        assert_eq!(received.body, body);
        is_clean(&received, "oa");
        if !headers.is_empty() {
            assert_eq!(received.header("content-type"), Some(content_type));
            assert_eq!(received.header("openai-beta"), Some("b-1"));
        }
        let all = stack.otlp.wait_for(&answered.trace).await;
        let span = server(&all);
        assert_eq!(span.attribute("http.request.method"), method.as_str());
        // Content is excluded, and an id that is no word may be some.
        let path = called.split('?').next().unwrap_or_default().replace("a%20b", "_");
        assert_eq!(span.attribute("url.path"), path.as_str());
        assert_eq!(span.attribute("http.request.body.size").as_u64().unwrap_or(0), body.len() as u64);
        assert_eq!(span.attribute("weir.ending"), "completed", "{}", spans::outline(&all));
    }
    // A key in the query opens the gateway and goes no further.
    let url = stack.url(&format!("/v1/files?limit=1&key={ALL}&order=asc"));
    assert_eq!(client::http().get(url).send().await.expect("an answer").status(), 200);
    let received = stack.provider.last().await;
    assert_eq!(received.path, "/base/v1/files?limit=1&order=asc");
    is_clean(&received, "oa");
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_above_every_limit_is_passed_on_and_its_answer_comes_as_it_is_sent() {
    let stack = stack().await;
    let body: Bytes = (0..24_u32 << 20).map(|at| (at.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let answered =
        ask(&stack, Method::POST, "/v1/uploads/u/parts", ALL, &[("content-type", "a/b")], body.clone()).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    let received = stack.provider.take().pop().expect("a request");
    assert_eq!(received.header("content-length"), Some(body.len().to_string().as_str()));
    assert!(received.body == body, "{} of {} bytes", received.body.len(), body.len());
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(server(&all).attribute("http.request.body.size"), body.len() as u64);

    // Without a length, in pieces.
    let pieces: Vec<Result<Bytes, std::io::Error>> =
        body.chunks(100_000).map(|piece| Ok(body.slice_ref(piece))).collect();
    let pieces = reqwest::Body::wrap_stream(futures_util::stream::iter(pieces));
    let request = client::http().put(stack.url("/v1/files/f")).bearer_auth(ALL).body(pieces);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
    let received = stack.provider.take().pop().expect("a request");
    assert!(received.body == body && received.header("content-length").is_none());

    stack.provider.answers(Answer::stream("openai/chat_stream.sse").holding_after(300));
    let mut response =
        client::http().get(stack.url("/v1/files/f/content")).bearer_auth(ALL).send().await.expect("headers");
    let mut read = Vec::new();
    while read.len() < 300 {
        read.extend(response.chunk().await.expect("a piece").expect("more"));
    }
    stack.provider.release();
    while let Some(piece) = response.chunk().await.expect("a piece") {
        read.extend(piece);
    }
    assert_eq!(read, weir_tests::fakes::fixtures::bytes("openai/chat_stream.sse"));
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_side_does_not_grant_reaches_no_provider() {
    let stack = stack().await;
    let not_granted = (404, "not_granted".to_owned());
    for path in ["/v1/files", "/v1/responses/resp_1", "/v1/batches", "/v1/anything"] {
        assert_eq!(code(&get(&stack, path, NONE).await), not_granted, "{path}");
    }
    assert_eq!(code(&get(&stack, "/v1/batches", SOME).await), not_granted);
    assert_eq!(code(&get(&stack, "/v1/files", SOME).await), (403, "model_not_allowed".to_owned()));
    assert_eq!(get(&stack, "/v1/files", "sk-wrong").await.status, 401);
    let named = |name| [("x-weir-provider", name)];
    for name in ["plain", "an", "nobody"] {
        let answered = ask(&stack, Method::GET, "/v1/files", ALL, &named(name), Bytes::new()).await;
        assert_eq!(code(&answered), not_granted, "{name}");
    }
    for path in
        ["/v2/datasets", "/v1/files/", "/v1/files/%2e%2e%2fmodels", "/v1/files/a%2Fb", "/v1/files/a%5Cb"]
    {
        assert_eq!(get(&stack, path, ALL).await.status, 404, "{path}");
    }
    let answered = get(&stack, "/v1/batches", ALL).await;
    assert_eq!(code(&answered), (400, "ambiguous_provider".to_owned()));
    assert!(
        answered.json()["error"]["message"].as_str().is_some_and(|text| text.contains("x-weir-provider"))
    );
    for (provider, count) in [(&stack.provider, 0), (stack.other("plain"), 0), (stack.other("an"), 0)] {
        assert_eq!(provider.count(), count);
    }
    // Each of these refusals is traced.
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(server(&all).attribute("http.response.status_code"), 400);

    let answered =
        ask(&stack, Method::POST, "/v1/batches", ALL, &named("ob"), Bytes::from_static(b"{}")).await;
    assert_eq!(answered.status, 200);
    is_clean(&stack.other("ob").last().await, "ob");
    let version = [("anthropic-version", "2023-06-01"), ("anthropic-beta", "b-2")];
    let answered =
        ask(&stack, Method::GET, "/v1/messages/batches?limit=1", ALL, &version, Bytes::new()).await;
    assert_eq!(answered.status, 200);
    let received = stack.other("an").last().await;
    assert_eq!(received.path, "/v1/messages/batches?limit=1");
    assert_eq!(received.header("anthropic-beta"), Some("b-2"));
    is_clean(&received, "an");
    assert_eq!(get(&stack, "/v1/responses/resp_1", SOME).await.status, 200);
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_body_that_refers_to_what_is_stored_skips_targets_that_do_not_grant_it() {
    let stack = stack().await;
    let send = async |model: &str, key: &str, member: (&str, Value)| {
        let mut body = json!({ "model": model, "input": "What is a weir?" });
        body[member.0] = member.1;
        let headers = [("content-type", "application/json")];
        ask(&stack, Method::POST, "/v1/responses", key, &headers, body.to_string().into()).await
    };
    let file = json!([{ "role": "user", "content": [{ "type": "input_file", "file_id": "file-1" }] }]);
    for member in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!({ "id": "conv_1" })),
        ("input", json!([{ "type": "item_reference", "id": "msg_1" }])),
        ("prompt", json!({ "id": "pmpt_1" })),
        ("tools", json!([{ "type": "file_search", "vector_store_ids": ["vs_1"] }])),
        ("input", file),
    ] {
        for key in [ALL, SOME] {
            assert_eq!(send("both", key, member.clone()).await.status, 200);
            let received = stack.provider.last().await;
            assert_eq!(
                (received.path.as_str(), json_of(&received)["model"].as_str()),
                ("/base/v1/responses", Some("of-oa"))
            );
        }
        let not_granted = (403, "not_granted".to_owned());
        assert_eq!(code(&send("plain", ALL, member.clone()).await), not_granted);
        assert_eq!(code(&send("both", NONE, member.clone()).await), not_granted);
        assert_eq!(code(&send("both", ALL, ("models", json!(["other"]))).await), not_granted);
    }
    assert_eq!(stack.other("plain").count(), 0);
    let request =
        stack.post("/v1/chat/completions", &Trace::new(), chat("plain").to_string()).bearer_auth(NONE);
    assert_eq!(request.send().await.expect("an answer").status(), 200);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_whose_caller_goes_away_is_told_as_that_and_leaves_nothing_behind() {
    let stack = stack().await;
    let mut traces = Vec::new();
    for sent in [0, 100, 300_000] {
        let trace = Trace::new();
        let head = format!(
            "POST /v1/files HTTP/1.1\r\nhost: weir\r\nauthorization: Bearer {ALL}\r\ntraceparent: {}\r\n\
             content-length: 1000000\r\n\r\n",
            trace.parent()
        );
        let mut connection = TcpStream::connect(stack.address()).await.expect("a connection");
        connection.write_all(head.as_bytes()).await.expect("written");
        connection.write_all(&vec![b'x'; sent]).await.expect("written");
        traces.push(trace);
        drop(connection);
    }
    for trace in &traces {
        let all = stack.otlp.wait_for(trace).await;
        assert_eq!(server(&all).attribute("weir.ending"), "client_disconnected", "{}", spans::outline(&all));
    }
    let gone = wait::poll(wait::DEADLINE, || async {
        let stats = stack.admin("/stats?filter=weir.streams").await;
        stats.trim().ends_with(": 0").then_some(())
    });
    assert!(gone.await.is_some(), "requests are still under way");
    assert_eq!(get(&stack, "/v1/files", ALL).await.status, 200);
    stack.assert_vm_is_well().await;
}
