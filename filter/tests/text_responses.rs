//! Responses that are plain text, or called so: what is returned of them is searched as what it is, or not returned.

#![cfg(not(target_arch = "wasm32"))]
// Helpers here are test code too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]

mod host;

use host::Stream;

const EMAIL: &str = "ann.canary@example.com";

const CONFIG: &str = r#"{
    "providers": {"up": {"api": "openai", "url": "http://10.0.0.1/v1"}},
    "models": {"m": {"targets": [{"provider": "up"}]}},
    "redaction": {"exported": {"content": "exclude"}, "returned": {"action": "ACTION", "detectors": ["email"]}},
    "exporter": {"cluster": "weir.exporter", "authority": "exporter"}
}"#;

const TRANSCRIPTION: &str = "/v1/audio/transcriptions";

/// What the caller receives of a response of this type to a call of this path.
fn returned(action: &str, path: &str, content_type: &str, body: &str, size: usize) -> String {
    let (media_type, request) = if path == TRANSCRIPTION {
        let field = |name: &str, value: &str| {
            format!("--b\r\nContent-Disposition: form-data; {name}\r\n\r\n{value}\r\n")
        };
        let file = field("name=\"file\"; filename=\"a.mp3\"", "x");
        ("multipart/form-data; boundary=b", format!("{file}{}--b--\r\n", field("name=\"model\"", "m")))
    } else {
        (
            "application/json",
            r#"{"model":"m","input":"x","messages":[{"role":"user","content":"x"}]}"#.to_owned(),
        )
    };
    let headers = [(":path", path), ("content-type", media_type)];
    let mut stream = Stream::with(&CONFIG.replace("ACTION", action), &headers, request.as_bytes());
    stream.arrive();
    assert!(stream.host.answered.borrow().is_none(), "{path}: {:?}", stream.host.answered.borrow());
    let mut attempt = stream.attempt();
    let mut answer = vec![(":status", "200")];
    answer.extend((!content_type.is_empty()).then_some(("content-type", content_type)));
    stream.host.set_response(&answer);
    weir_filter::roles::Role::on_response_headers(&mut attempt, &stream.host, false);
    String::from_utf8(stream.receive(&answer, body.as_bytes(), &[size])).unwrap()
}

/// Types that a text may have, one of its own or none.
const TYPES: [&str; 9] = [
    "text/plain; charset=utf-8",
    "text/srt",
    "text/vtt",
    "text/csv",
    "text/markdown",
    "application/x-subrip",
    "application/octet-stream",
    "audio/mpeg",
    "",
];

#[test]
fn a_text_of_any_type_is_searched_or_not_returned() {
    let texts = [
        ("plain", format!("Write to {EMAIL}, please.\n")),
        ("srt", format!("1\n00:00:00,000 --> 00:00:02,000\nWrite to {EMAIL}\n\n")),
        ("vtt", format!("WEBVTT\n\n00:00.000 --> 00:02.000\n<v Ann>{EMAIL}\n")),
        ("csv", format!("name,mail\nAnn,\"{EMAIL}\"\n")),
        (
            "json",
            format!(
                "{{\"text\":\"{}\",\"segments\":[{{\"text\":\"{EMAIL}\"}}]}}",
                EMAIL.replace('@', "\\u0040")
            ),
        ),
        ("array", format!("[{{\"text\":\"{}\"}}]", EMAIL.replace('@', "\\u0040"))),
        ("lines", format!("{{\"text\":\"x\"}}\n{{\"text\":\"{}\"}}\n", EMAIL.replace('@', "\\u0040"))),
        (
            "events",
            format!(
                "data: {{\"type\":\"transcript.text.delta\",\"delta\":\"{}\"}}\n\n",
                EMAIL.replace('@', "\\u0040")
            ),
        ),
        ("marked", format!("\u{feff}{{\"text\":\"{}\"}}", EMAIL.replace('@', "\\u0040"))),
    ];
    let paths = [TRANSCRIPTION, "/v1/chat/completions", "/v1/responses", "/v1/embeddings", "/v1/moderations"];
    for path in paths {
        for content_type in TYPES {
            for (form, text) in &texts {
                for (action, size) in [("mask", 1), ("mask", text.len()), ("block", 7)] {
                    let told = returned(action, path, content_type, text, size);
                    let hidden = [EMAIL.to_owned(), EMAIL.replace('@', "\\u0040")];
                    assert!(
                        hidden.iter().all(|hidden| !told.contains(hidden)),
                        "{path}, {form} as {content_type:?}, {action} in pieces of {size}: {told}"
                    );
                }
            }
        }
    }
}

#[test]
fn a_transcription_as_text_or_subtitles_is_masked_and_otherwise_stays_as_it_was() {
    for content_type in ["text/plain", "text/srt", "text/vtt; charset=utf-8", "text/csv"] {
        for size in [1, 5, 1000] {
            let sent = format!("WEBVTT\n\n00:00.000 --> 00:02.000\nWrite to {EMAIL}, é\n");
            let told = returned("mask", TRANSCRIPTION, content_type, &sent, size);
            assert_eq!(told, sent.replace(EMAIL, "[EMAIL]"), "{content_type} in pieces of {size}");
        }
    }
}
