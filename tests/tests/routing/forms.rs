//! Forms: the audio and image APIs that take multipart/form-data, as every attempt sees them.

use serde_json::json;
use weir_tests::{
    callers::client::Trace,
    fakes::provider::Answer,
    stack::{Answered, CALLER_KEY, Options, Stack, Upstream},
};

use crate::setting::{attempts, server};

const BOUNDARY: &str = "----weir-test-4f1c";

/// A form with a file of these bytes between two fields.
fn form(fields: &[(&str, &str)], file: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut part = |head: &str, value: &[u8]| {
        body.extend(format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n").bytes());
        body.extend(value);
        body.extend(b"\r\n");
    };
    part("name=\"file\"; filename=\"canary-of-a-file.wav\"\r\nContent-Type: audio/wav", file);
    for (name, value) in fields {
        part(&format!("name=\"{name}\""), value.as_bytes());
    }
    body.extend(format!("--{BOUNDARY}--\r\n").bytes());
    body
}

/// Bytes that look like parts of a form, and are none.
fn noise(len: usize) -> Vec<u8> {
    let text = format!("\r\n\r\nname=\"model\"\r\n--{BOUNDARY} in a line--{BOUNDARY}--\0\u{fe}")
        .replace("\r\n--", "--");
    text.bytes().cycle().take(len).collect()
}

async fn stack() -> Stack {
    let upstreams = [
        Upstream::openai("oa", "/base/v1"),
        Upstream::new("az", "azure-openai", "").settings("api_version: \"2024-10-21\""),
        Upstream::new("an", "anthropic", ""),
    ];
    let models = "{ whisper: { targets: [{ provider: az, model: my-whisper }, { provider: oa, model: whisper-1 }], \
                               health: { failures: 16, within: 1ms } }, \
                    image: { targets: [{ provider: oa, model: gpt-image-1, params: { n: 1 } }] }, \
                    claude: { targets: [{ provider: an }] } }";
    Options::default().upstreams(upstreams).models(models).limits("{ request_body: 3MiB }").start().await
}

async fn send(stack: &Stack, path: &str, body: Vec<u8>) -> Answered {
    let trace = Trace::new();
    let request = weir_tests::callers::client::http()
        .post(stack.url(path))
        .header("content-type", format!("multipart/form-data; boundary={BOUNDARY}"))
        .header("traceparent", trace.parent())
        .bearer_auth(CALLER_KEY)
        .body(body);
    Answered::to(trace, request).await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_reaches_each_attempt_with_its_targets_model_and_every_other_byte() {
    let stack = stack().await;
    let (oa, az) = (&stack.provider, stack.other("az"));
    oa.answers(Answer::text(r#"{"text":"Voilà"}"#));
    let file = noise(2 << 20);
    let of = |model: &str| form(&[("language", "fr"), ("model", model), ("response_format", "json")], &file);
    az.answers_once(Answer::error(503));
    let answered = send(&stack, "/v1/audio/transcriptions", of("whisper")).await;
    assert_eq!((answered.status, answered.header("x-weir-attempts")), (200, "2"), "{answered:?}");
    let (first, second) = (az.last().await, oa.last().await);
    assert_eq!(first.path, "/openai/deployments/my-whisper/audio/transcriptions?api-version=2024-10-21");
    assert_eq!(second.path, "/base/v1/audio/transcriptions");
    for (received, model) in [(&first, "my-whisper"), (&second, "whisper-1")] {
        assert!(received.body == of(model), "{model}: {} bytes", received.body.len());
        let content_type = format!("multipart/form-data; boundary={BOUNDARY}");
        assert_eq!(received.header("content-type"), Some(content_type.as_str()));
        assert_eq!(received.header("content-length"), Some(of(model).len().to_string().as_str()));
    }
    let all = stack.otlp.wait_for(&answered.trace).await;
    assert_eq!(attempts(&all).len(), 2);
    assert_eq!(server(&all).attribute("http.route"), "/v1/audio/transcriptions");

    // Azure's own form names the model in the path, and a provider that reads it in the form gets it there.
    az.answers_once(Answer::error(503));
    let without = form(&[("prompt", "x")], b"RIFF");
    let answered = send(&stack, "/openai/deployments/whisper/audio/translations", without.clone()).await;
    assert_eq!(answered.status, 200, "{answered:?}");
    assert_eq!(az.last().await.body, without);
    let sent = oa.last().await;
    assert_eq!(sent.path, "/base/v1/audio/translations");
    let head = format!("--{BOUNDARY}\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\nwhisper-1\r\n");
    assert_eq!(sent.body, [head.as_bytes(), &without].concat());

    // What a target sets is for JSON: a form keeps the caller's.
    for path in ["/v1/images/edits", "/v1/images/variations", "/openai/v1/images/edits"] {
        let body = |model| form(&[("n", "2"), ("model", model)], b"\x89PNG");
        assert_eq!(send(&stack, path, body("image")).await.status, 200, "{path}");
        let sent = oa.last().await;
        assert_eq!(sent.path, format!("/base/v1/images/{}", path.rsplit('/').next().unwrap_or_default()));
        assert_eq!(sent.body, body("gpt-image-1"));
    }
    for received in stack.otlp.received() {
        assert!(!String::from_utf8_lossy(&received.body).contains("canary-of-a-file"));
    }
    stack.assert_vm_is_well().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_could_be_read_in_two_ways_or_is_none_reaches_no_provider() {
    let stack = stack().await;
    let path = "/v1/audio/transcriptions";
    let good = form(&[("model", "whisper")], b"RIFF");
    let refused = async |path: &str, body: Vec<u8>, status: u16, code: &str| {
        let answered = send(&stack, path, body).await;
        assert_eq!(
            (answered.status, &answered.json()["error"]["code"]),
            (status, &json!(code)),
            "{answered:?}"
        );
    };
    for second in ["model", "Model", "mode\\l", "model[]", "x\"; name=\"model", "x\"; name*=\"utf-8''model"] {
        refused(path, form(&[("model", "whisper"), (second, "oa/gpt-4o")], b"RIFF"), 400, "invalid_body")
            .await;
        refused(path, form(&[(second, "oa/gpt-4o"), ("model", "whisper")], b"RIFF"), 400, "invalid_body")
            .await;
    }
    refused(path, form(&[], b"RIFF"), 400, "invalid_value").await;
    refused(path, good[..good.len() - 5].to_vec(), 400, "invalid_body").await;
    refused(path, Vec::new(), 400, "invalid_body").await;
    refused(path, form(&[("model", "nope")], b"RIFF"), 404, "model_not_found").await;
    refused(path, form(&[("model", "claude")], b"RIFF"), 400, "no_target").await;
    refused(path, form(&[("model", &format!("oa/--{BOUNDARY}"))], b"RIFF"), 400, "no_target").await;
    refused(path, form(&[("model", "whisper")], &noise(3 << 20)), 413, "request_too_large").await;
    let azure = "/openai/deployments/whisper/audio/transcriptions";
    refused(azure, form(&[("model", "image")], b"RIFF"), 400, "invalid_model").await;
    refused("/v1/chat/completions", good.clone(), 415, "unsupported_media_type").await;
    let answered = Answered::to(
        Trace::new(),
        stack.post(path, &Trace::new(), r#"{"model":"whisper"}"#).bearer_auth(CALLER_KEY),
    )
    .await;
    assert_eq!((answered.status, &answered.json()["error"]["code"]), (415, &json!("unsupported_media_type")));
    assert_eq!((stack.provider.count(), stack.other("az").count(), stack.other("an").count()), (0, 0, 0));
    stack.assert_vm_is_well().await;
}
