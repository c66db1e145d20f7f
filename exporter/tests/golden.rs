//! What the spans of each API look like: an event for each file of `data`, its spans as a file of `golden`.
//!
//! A case holds what the gateway would put into an event. `WEIR_UPDATE=1 cargo test -p weir-exporter --test
//! golden` writes the golden files anew; without it a difference fails.

#![allow(clippy::panic, clippy::unwrap_used)]

use std::{collections::HashMap, env, fs, path::Path};

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, any_value::Value as Any},
    trace::v1::Span,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use weir_event::{
    EventId,
    v1::{
        Api, Attempt, Caller, Capture, Content, Ending, FormFile, Output, Parameters, Request, Resolution,
        Response, Timing, ToolCall, TraceContext, TraceEvent, Usage, UsageSource,
    },
};
use weir_exporter::spans::{self, ExportProfile, Overlays};

const ID: EventId = EventId { source: [0xab; 16], sequence: 7 };

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Case {
    api: String,
    route: String,
    path: String,
    operation: String,
    provider_kind: String,
    model: String,
    sent: String,
    stream: bool,
    status: u32,
    ending: String,
    parameters: WireParameters,
    files: Vec<WireFile>,
    request: Value,
    response: Value,
    outputs: Vec<WireOutput>,
    error_message: String,
    told: Told,
    caller: Option<WireCaller>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WireParameters {
    temperature: Option<f64>,
    top_p: Option<f64>,
    top_k: Option<f64>,
    frequency_penalty: Option<f64>,
    max_tokens: Option<u64>,
    seed: Option<i64>,
    choice_count: Option<u64>,
    stop_sequences: Vec<String>,
    reasoning_effort: String,
    output_format: String,
    service_tier: String,
    dimensions: Option<u64>,
    encoding_format: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireFile {
    field: String,
    media_type: String,
    bytes: u64,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WireOutput {
    index: u32,
    text: String,
    reasoning: String,
    tool_calls: Vec<WireCall>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WireCall {
    index: u32,
    id: String,
    name: String,
    arguments: String,
    r#type: String,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Told {
    id: String,
    model: String,
    finish_reasons: Vec<String>,
    service_tier: String,
    system_fingerprint: String,
    error_type: String,
    chunks: u32,
    unread: bool,
    usage: Option<WireUsage>,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct WireUsage {
    source: Option<i32>,
    input_tokens: Option<u64>,
    output_tokens: Option<u64>,
    cache_read_tokens: Option<u64>,
    cache_write_tokens: Option<u64>,
    reasoning_tokens: Option<u64>,
    figures: HashMap<String, u64>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct WireCaller {
    key_name: String,
    user: String,
    team: String,
    metadata: HashMap<String, String>,
    conversation_id: String,
}

fn at(milliseconds: u64) -> u64 {
    1_700_000_000_000_000_000 + milliseconds * 1_000_000
}

impl Case {
    fn event(self) -> TraceEvent {
        let api = Api::from_str_name(&self.api).unwrap_or_else(|| panic!("no API {}", self.api));
        let path = if self.path.is_empty() { self.route.clone() } else { self.path.clone() };
        let status = if self.status == 0 { 200 } else { self.status };
        let bytes = |body: &Value| if body.is_null() { Vec::new() } else { body.to_string().into_bytes() };
        let plain = api == Api::Passthrough;
        TraceEvent {
            source: ID.source.to_vec().into(),
            sequence: ID.sequence,
            trace: Some(TraceContext {
                trace_id: (1..=16).collect::<Vec<u8>>().into(),
                span_id: vec![0x21; 8].into(),
                flags: 1,
                ..TraceContext::default()
            }),
            request: Some(Request {
                api: api.into(),
                method: "POST".to_owned(),
                path,
                route: self.route,
                scheme: "https".to_owned(),
                authority: "gateway:8443".to_owned(),
                client_address: "192.0.2.7".to_owned(),
                user_agent: "golden/1".to_owned(),
                body_bytes: 100,
                model: self.model,
                stream: self.stream,
                operation: self.operation,
                parameters: Some(self.parameters.into()),
                files: self.files.into_iter().map(FormFile::from).collect(),
            }),
            resolution: Some(Resolution {
                rule: "models.golden".to_owned(),
                targets: 1,
                strategy: "priority".to_owned(),
            }),
            attempts: vec![Attempt {
                number: 1,
                span_id: vec![0x31; 8].into(),
                provider: "main".to_owned(),
                provider_kind: self.provider_kind,
                scheme: "https".to_owned(),
                host: "api.example.com".to_owned(),
                port: 443,
                path: "/upstream".to_owned(),
                model: self.sent,
                started_ns: at(3),
                response_headers_ns: at(50),
                ended_ns: at(1003),
                status,
                error: String::new(),
            }],
            response: Some(self.told.response(status, self.stream)),
            timing: Some(Timing {
                received_ns: at(0),
                body_received_ns: at(1),
                resolved_ns: at(2),
                first_byte_ns: at(60),
                first_token_ns: if self.stream { at(102) } else { 0 },
                last_token_ns: if self.stream { at(902) } else { 0 },
                done_ns: at(1004),
                ..Timing::default()
            }),
            ending: match self.ending.as_str() {
                "" => Ending::Completed,
                "upstream_reset" => Ending::UpstreamReset,
                other => panic!("no ending {other}"),
            }
            .into(),
            caller: self.caller.map(Caller::from),
            content: (!plain).then(|| Content {
                capture: Capture::Kept.into(),
                request: bytes(&self.request).into(),
                response: bytes(&self.response).into(),
                outputs: self.outputs.into_iter().map(Output::from).collect(),
                error_message: self.error_message,
                ..Content::default()
            }),
            ..TraceEvent::default()
        }
    }
}

impl Told {
    fn response(self, status: u32, streamed: bool) -> Response {
        Response {
            status,
            id: self.id,
            model: self.model,
            finish_reasons: self.finish_reasons,
            service_tier: self.service_tier,
            system_fingerprint: self.system_fingerprint,
            error_type: self.error_type,
            body_bytes: 200,
            streamed,
            chunks: self.chunks,
            unread: self.unread,
            usage: self.usage.map(|usage| Usage {
                source: usage.source.unwrap_or(UsageSource::Provider.into()),
                input_tokens: usage.input_tokens,
                output_tokens: usage.output_tokens,
                cache_read_tokens: usage.cache_read_tokens,
                cache_write_tokens: usage.cache_write_tokens,
                reasoning_tokens: usage.reasoning_tokens,
                figures: usage.figures.into_iter().collect(),
                ..Usage::default()
            }),
        }
    }
}

impl From<WireParameters> for Parameters {
    fn from(wire: WireParameters) -> Self {
        Self {
            temperature: wire.temperature,
            top_p: wire.top_p,
            top_k: wire.top_k,
            frequency_penalty: wire.frequency_penalty,
            max_tokens: wire.max_tokens,
            seed: wire.seed,
            choice_count: wire.choice_count,
            stop_sequences: wire.stop_sequences,
            reasoning_effort: wire.reasoning_effort,
            output_format: wire.output_format,
            service_tier: wire.service_tier,
            dimensions: wire.dimensions,
            encoding_format: wire.encoding_format,
            ..Self::default()
        }
    }
}

impl From<WireFile> for FormFile {
    fn from(wire: WireFile) -> Self {
        Self { field: wire.field, media_type: wire.media_type, bytes: wire.bytes }
    }
}

impl From<WireOutput> for Output {
    fn from(wire: WireOutput) -> Self {
        let call = |call: WireCall| ToolCall {
            index: call.index,
            id: call.id,
            name: call.name,
            arguments: call.arguments,
            r#type: call.r#type,
        };
        Self {
            index: wire.index,
            text: wire.text,
            reasoning: wire.reasoning,
            tool_calls: wire.tool_calls.into_iter().map(call).collect(),
            ..Self::default()
        }
    }
}

impl From<WireCaller> for Caller {
    fn from(wire: WireCaller) -> Self {
        Self {
            key_name: wire.key_name,
            user: wire.user,
            team: wire.team,
            metadata: wire.metadata.into_iter().collect(),
            conversation_id: wire.conversation_id,
        }
    }
}

/// Spans by the standard names, then what the overlays add to each.
fn shown(event: &TraceEvent) -> Value {
    let plain = spans::of(ID, event, &ExportProfile::default());
    let overlays = Overlays { openinference: true, tfy: true };
    let more = spans::of(ID, event, &ExportProfile { overlays, ..ExportProfile::default() });
    let parent = |span: &Span| {
        plain.iter().find(|other| other.span_id == span.parent_span_id).map(|other| other.name.clone())
    };
    let list = plain.iter().map(|span| {
        let status = span.status.as_ref().map(|status| json!([status.code().as_str_name(), status.message]));
        json!({
            "name": span.name,
            "kind": span.kind().as_str_name(),
            "parent": parent(span),
            "status": status,
            "attributes": attributes(span, |_| true),
        })
    });
    let spans: Vec<_> = list.collect();
    let overlays: Map<_, _> = more
        .iter()
        .zip(&plain)
        .map(|(span, plain)| {
            let known: Vec<_> = plain.attributes.iter().map(|attribute| attribute.key.as_str()).collect();
            (span.name.clone(), attributes(span, |key| !known.contains(&key)))
        })
        .collect();
    json!({ "spans": spans, "overlays": overlays })
}

fn attributes(span: &Span, wanted: impl Fn(&str) -> bool) -> Value {
    assert_eq!(span.dropped_attributes_count, 0, "{}", span.name);
    let pairs = span.attributes.iter().filter(|attribute| wanted(&attribute.key));
    Value::Object(
        pairs
            .map(|attribute| (attribute.key.clone(), value(&attribute.key, attribute.value.as_ref())))
            .collect(),
    )
}

/// The same with a word for each attribute that is a body as it came.
fn without(bodies: &[(String, &str)], shown: Value) -> Value {
    let same = |value: &Value| {
        let json = value.get("json")?.to_string();
        bodies.iter().find(|(body, _)| *body == json).map(|(_, word)| json!(word))
    };
    if let Some(word) = same(&shown) {
        return word;
    }
    match shown {
        Value::Object(members) => {
            Value::Object(members.into_iter().map(|(key, value)| (key, without(bodies, value))).collect())
        }
        Value::Array(items) => items.into_iter().map(|item| without(bodies, item)).collect(),
        other => other,
    }
}

/// A value; JSON in a string stands as JSON, so that it can be read and its order does not matter.
fn value(key: &str, any: Option<&AnyValue>) -> Value {
    match any.and_then(|any| any.value.as_ref()) {
        Some(Any::StringValue(text)) if text.starts_with(['{', '[']) => {
            match serde_json::from_str::<Value>(text) {
                Ok(json) => json!({ "json": json }),
                Err(_) => json!(text),
            }
        }
        Some(Any::StringValue(text)) => json!(text),
        Some(Any::IntValue(number)) => json!(number),
        Some(Any::DoubleValue(number)) => json!(number),
        Some(Any::BoolValue(truth)) => json!(truth),
        Some(Any::ArrayValue(array)) => array.values.iter().map(|item| value(key, Some(item))).collect(),
        other => panic!("{key}: {other:?}"),
    }
}

#[test]
fn the_spans_of_every_api_are_those_of_the_golden_files() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let mut names: Vec<_> = fs::read_dir(folder.join("data"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    assert!(names.len() > 20, "{names:?}");
    let mut drifted = Vec::new();
    for name in &names {
        let text = fs::read_to_string(folder.join("data").join(name)).unwrap();
        let case: Case = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        let bodies = [
            (case.request.to_string(), "<the request's body>"),
            (case.response.to_string(), "<the response's body>"),
        ];
        let shown = without(&bodies, shown(&case.event()));
        let golden = folder.join("golden").join(name);
        if env::var_os("WEIR_UPDATE").is_some() {
            fs::write(&golden, format!("{shown:#}\n")).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if serde_json::from_str::<Value>(&expected).ok().as_ref() != Some(&shown) {
            drifted.push(name);
            println!("{name} is now:\n{shown:#}");
        }
    }
    assert!(drifted.is_empty(), "not as in golden: {drifted:?}; WEIR_UPDATE=1 writes them anew");
    let golden = fs::read_dir(folder.join("golden")).unwrap().count();
    assert_eq!(golden, names.len(), "a golden file without its case");
}
