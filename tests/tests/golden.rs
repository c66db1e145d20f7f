//! From the provider's bytes to the span: every fixture is read as the gateway reads it, and the
//! operation's span is what the golden file of its provider says.
//!
//! `WEIR_UPDATE=1 cargo test -p weir-tests --test golden` writes the files anew; without it a
//! difference fails.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

use std::{collections::BTreeMap, env, fs, path::Path, rc::Rc};

use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use serde_json::{Value, json};
use weir_event::{EventId, v1};
use weir_exporter::spans::{ExportProfile, of, request};
use weir_filter::api::Api;
use weir_filter::api::call::Call;
use weir_filter::balancing::TargetIds;
use weir_filter::capture::budget::Budget;
use weir_filter::config::{Capture, Config, PluginConfig};
use weir_filter::event::content::Content;
use weir_filter::headers::Headers;
use weir_filter::redact::now;
use weir_filter::redaction::Export;
use weir_filter::response::framing::form::Form;
use weir_filter::response::framing::framer::Framer;
use weir_filter::response::parser::ResponseParser;
use weir_filter::response::reader::{Destination, Read};
use weir_tests::{fakes::fixtures, telemetry::spans};

const ID: EventId = EventId { source: [0xab; 16], sequence: 7 };
const CAPTURE: Capture = Capture { limit: 64 << 10, budget: 1 << 20 };
/// Unix nanoseconds of the request.
const AT: u64 = 1_760_000_000_000_000_000;

/// What was asked, for a call of this API.
fn asked(api: Api) -> Value {
    const QUESTION: &str = "What is a weir?";
    match api.operation.event {
        v1::Api::AnthropicMessages | v1::Api::AnthropicCountTokens => {
            json!({ "system": "Be brief.", "messages": [{ "role": "user", "content": QUESTION }] })
        }
        v1::Api::GeminiGenerate | v1::Api::GeminiStream | v1::Api::GeminiCountTokens => json!({
            "systemInstruction": { "parts": [{ "text": "Be brief." }] },
            "contents": [{ "role": "user", "parts": [{ "text": QUESTION }] }],
        }),
        v1::Api::GeminiEmbed => json!({ "content": { "parts": [{ "text": QUESTION }] } }),
        v1::Api::OpenaiResponses => json!({ "instructions": "Be brief.", "input": QUESTION }),
        v1::Api::OpenaiEmbeddings | v1::Api::OpenaiModerations | v1::Api::OpenaiSpeech => {
            json!({ "input": QUESTION })
        }
        v1::Api::OpenaiCompletions | v1::Api::OpenaiImages => json!({ "prompt": QUESTION }),
        v1::Api::CohereRerank => json!({ "query": QUESTION, "documents": ["A low dam.", "A wire."] }),
        _ => json!({ "messages": [
            { "role": "system", "content": "Be brief." },
            { "role": "user", "content": QUESTION },
        ] }),
    }
}

/// Content as it is.
fn keeping(api: Api) -> Export {
    let plugin = PluginConfig::from_json(br#"{"redaction": {"exported": {"content": "keep"}}}"#);
    let config = Config::new(&plugin.expect("JSON"), &mut TargetIds::default()).expect("a configuration");
    let redaction = config.redaction.expect("a redaction");
    let policies = redaction.policies("", "", &Headers::default());
    Export::new(Some(&redaction), policies.exported, api.family()).expect("content that is kept")
}

fn event(name: &str, expected: &Value) -> v1::TraceEvent {
    let path =
        expected["path"].as_str().expect("a path").replace("{model}", "m").replace("{deployment}", "m");
    let call = Call::of(b"POST", &path).expect("a path that is served");
    let budget = Rc::new(Budget::default());
    budget.set(CAPTURE.budget);
    let body = serde_json::to_vec(&asked(call.api)).expect("JSON");
    let content = Content::begin(&CAPTURE, Some(keeping(call.api)), &budget, body, 0);
    let media_type = expected["content_type"].as_str().expect("a type");
    let headers = Headers(vec![("content-type".to_owned(), media_type.into())]);
    let status = u32::try_from(expected["status"].as_u64().expect("a status")).expect("a status");
    let mut response = v1::Response { status, ..Default::default() };
    let bytes = fixtures::bytes(name);
    let Destination { transcript, long_messages, .. } = content.destination(&budget);
    let mut answer = ResponseParser::new(call.api, transcript);
    let mut kept = None;
    if let Some(mut framer) = Framer::new(Form::of(call.api, &headers), long_messages) {
        response.streamed = true;
        framer.read(&bytes, true, |event| {
            answer.read_message(event, &mut response);
        });
    } else if media_type.contains("json") {
        answer = ResponseParser::new(call.api, content.destination(&budget).transcript.without_outputs());
        answer.read(&bytes, &mut response);
        kept = Some((bytes.to_vec(), false));
    }
    let whole = expected["usage_source"] != "partial";
    let transcript = answer.finish(0, whole, &mut response);
    let mut event = v1::TraceEvent {
        source: ID.source.to_vec().into(),
        sequence: ID.sequence,
        request: Some(v1::Request {
            api: call.api.operation.event.into(),
            operation: call.api.operation.name.to_owned(),
            method: "POST".to_owned(),
            route: call.route.to_owned(),
            path,
            model: "m".to_owned(),
            stream: response.streamed,
            ..Default::default()
        }),
        attempts: vec![v1::Attempt {
            number: 1,
            provider: "p".to_owned(),
            model: "m".to_owned(),
            status,
            started_ns: AT + 1_000_000,
            ended_ns: AT + 9_000_000,
            ..Default::default()
        }],
        timing: Some(v1::Timing {
            received_ns: AT,
            resolved_ns: AT + 1_000_000,
            first_byte_ns: AT + 2_000_000,
            done_ns: AT + 9_000_000,
            ..Default::default()
        }),
        response: Some(response),
        ending: if whole { v1::Ending::Completed } else { v1::Ending::UpstreamReset }.into(),
        ..Default::default()
    };
    now(content.finish(Read { transcript, body: kept, is_cut: false }, &mut event));
    event
}

/// The operation's span, as a reader wants it: JSON within attributes as JSON.
fn operation_span(event: &v1::TraceEvent) -> Value {
    let all = spans::flatten(&request::<&str>(&[], of(ID, event, &ExportProfile::default())));
    let span =
        spans::only(&all, "the operation", |span| span.attributes.contains_key("gen_ai.operation.name"));
    let attributes: BTreeMap<&String, Value> = span
        .attributes
        .iter()
        // Prices have a file and tests of their own, and change.
        .filter(|(key, _)| !key.starts_with("weir.cost"))
        .map(|(key, value)| (key, opened(value)))
        .collect();
    let status = match span.status {
        StatusCode::Error => "error",
        StatusCode::Ok | StatusCode::Unset => "unset",
    };
    json!({ "name": span.name, "status": status, "attributes": attributes })
}

fn opened(value: &Value) -> Value {
    let text = value.as_str().filter(|text| text.starts_with(['{', '[']));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or_else(|| value.clone())
}

/// Streams, and the responses in one piece that say the same.
const TWINS: [(&str, &str); 24] = [
    ("openai/chat_stream_tools.sse", "openai/chat_tools.json"),
    ("openai/chat_stream_tools_plain.sse", "openai/chat_tools.json"),
    ("openai/chat_stream_tools_parallel.sse", "openai/chat_tools_parallel.json"),
    ("openai/chat_stream_n2.sse", "openai/chat_n2.json"),
    ("openai/azure_chat_stream.sse", "openai/azure_chat.json"),
    ("openai/chat_stream_reasoning_content.sse", "openai/chat_reasoning_content.json"),
    ("openai/chat_stream_refusal.sse", "openai/chat_refusal.json"),
    ("openai/chat_stream_audio.sse", "openai/chat_audio.json"),
    ("openai/completions_stream.sse", "openai/completions.json"),
    ("openai/responses_stream_tools.sse", "openai/responses_tools.json"),
    ("openai/responses_stream_refusal.sse", "openai/responses_refusal.json"),
    ("openai/responses_stream_incomplete.sse", "openai/responses_incomplete.json"),
    ("openai/transcription_stream.sse", "openai/transcription.json"),
    ("anthropic/message_stream.sse", "anthropic/message.json"),
    ("anthropic/message_stream_tools.sse", "anthropic/message_tools.json"),
    ("gemini/stream.sse", "gemini/generate.json"),
    ("gemini/stream.json", "gemini/generate.json"),
    ("gemini/stream_thoughts.sse", "gemini/generate_thoughts.json"),
    ("gemini/stream_tools.sse", "gemini/generate_tools.json"),
    ("gemini/stream_tools.json", "gemini/generate_tools.json"),
    ("gemini/stream_blocked.sse", "gemini/generate_blocked.json"),
    ("cohere/chat_stream.sse", "cohere/chat.json"),
    ("cohere/chat_stream_tools.sse", "cohere/chat_tools.json"),
    ("cohere/chat_stream_thinking.sse", "cohere/chat_thinking.json"),
];

/// What a span says of a response, whichever way it came: messages, reasons and what the other one tells too of usage.
fn said(name: &str, other: &Value) -> Value {
    let expected = fixtures::expected();
    let mut said = operation_span(&event(name, &expected[name]))["attributes"].take();
    let attributes = said.as_object_mut().expect("attributes");
    // Some count as 0 in a stream what they leave out of a response in one piece.
    let is_counted = |key: &str| other["attributes"].get(key).is_some_and(|count| count != 0);
    attributes.retain(|key, value| match key.as_str() {
        "gen_ai.output.messages" | "gen_ai.response.finish_reasons" => true,
        // A plain stream does not tell its usage.
        _ if name.contains("_plain") => false,
        key => key.starts_with("gen_ai.usage.") && (is_counted(key) || *value != 0),
    });
    // Of the sound that a stream brings in pieces no digest is kept.
    for message in said["gen_ai.output.messages"].as_array_mut().into_iter().flatten() {
        message["parts"].as_array_mut().expect("parts").retain(|part| part["modality"] != "audio");
    }
    said
}

#[test]
fn a_stream_and_the_same_response_in_one_piece_become_the_same_span() {
    let expected = fixtures::expected();
    for (stream, whole) in TWINS {
        let [of_stream, of_whole] = [stream, whole].map(|name| operation_span(&event(name, &expected[name])));
        let (streamed, whole_said) = (said(stream, &of_whole), said(whole, &of_stream));
        assert!(streamed.get("gen_ai.output.messages").is_some(), "{stream}");
        for (key, value) in streamed.as_object().expect("attributes") {
            assert_eq!(Some(value), whole_said.get(key), "{key} of {stream} and {whole}");
        }
    }
}

#[test]
fn every_fixture_becomes_the_span_that_its_golden_file_has() {
    let mut by_provider: BTreeMap<String, BTreeMap<String, Value>> = BTreeMap::new();
    for (name, expected) in fixtures::expected() {
        let (provider, file) = name.split_once('/').expect("a provider and a file");
        let told = operation_span(&event(&name, &expected));
        by_provider.entry(provider.to_owned()).or_default().insert(file.to_owned(), told);
    }
    assert_eq!(by_provider.len(), 4);
    for (provider, told) in by_provider {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("golden/{provider}.json"));
        let fresh = serde_json::to_string_pretty(&told).expect("JSON") + "\n";
        if env::var_os("WEIR_UPDATE").is_some() {
            fs::create_dir_all(file.parent().expect("a directory")).expect("a directory");
            fs::write(&file, &fresh).expect("a file that can be written");
        }
        let kept: BTreeMap<String, Value> =
            serde_json::from_slice(&fs::read(&file).unwrap_or_default()).unwrap_or_default();
        for (name, span) in &told {
            assert_eq!(kept.get(name), Some(span), "{provider}/{name}; WEIR_UPDATE=1 writes it anew");
        }
        assert_eq!(kept.len(), told.len(), "{provider}: spans of fixtures that are gone");
    }
}
