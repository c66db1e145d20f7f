//! A canary in every text of the event's protobuf, and what comes out at every end.
//!
//! The fields are found by reflection over the proto file, so a field that is added is planted and looked for without a
//! change here: until somebody names it below, it may come out nowhere where content may not.

use std::{
    collections::{BTreeMap, BTreeSet},
    io::{Read as _, Write},
    path::Path,
    sync::{Arc, LazyLock, Mutex},
    time::{Duration, SystemTime},
};

use bytes::Bytes;
use flate2::read::GzDecoder;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use prost::Message as _;
use prost_reflect::{
    DescriptorPool, DynamicMessage, FieldDescriptor, Kind, MapKey, MessageDescriptor, Value,
};
use weir_event::{
    EventId,
    fixtures::apis,
    v1::{Api, Capture, TraceEvent},
};

use crate::{
    bus::payload,
    config::wire::Compression,
    ingest::stored_of,
    metrics::{
        Metrics,
        genai::otlp::{self, Period},
    },
    page,
    ship::{
        console::Console,
        encode::{Encoder, Format, Fragments},
    },
    spans::{
        self, ExportProfile, Overlays,
        resource::{Attributes, Resource},
    },
};

/// The operator's and the gateway's own words, which no caller or provider chooses.
const OWN: [&str; 12] = [
    "attempts.host",
    "attempts.provider",
    "attempts.provider_kind",
    "attempts.scheme",
    "caller.key_name",
    "redactions.detector",
    "request.operation",
    "request.route",
    "resolution.strategy",
    "resource",
    "resource.key",
    "sampling.kept_for",
];

/// What a caller says about a request so that it is reported.
const SAID: [&str; 5] =
    ["caller.conversation_id", "caller.metadata", "caller.metadata.key", "caller.team", "caller.user"];

/// Labels of metrics, of those above.
const LABELS: [&str; 3] = ["attempts.host", "attempts.provider_kind", "request.operation"];

/// JSON in which the readers of each API find texts.
const BODY: &str = r#"{"messages":[{"role":"user","content":"C"}],"input":"C","prompt":"C","query":"C",
    "contents":[{"parts":[{"text":"C"}]}],"content":[{"type":"text","text":"C"}],
    "choices":[{"message":{"role":"assistant","content":"C"},"text":"C"}],
    "output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"C"}]}],
    "candidates":[{"content":{"role":"model","parts":[{"text":"C"}]}}],"text":"C"}"#;

/// The marks that were planted, by the path of their field.
type Marks = BTreeMap<String, String>;

/// Plants a mark in every text of a message.
struct Planter {
    marks: Marks,
    /// What follows a mark: the rest of a sentence, or nothing, where it is to be a word.
    rest: &'static str,
    number: u64,
}

impl Planter {
    fn mark(&mut self, path: &str) -> String {
        // Ends in a letter, so that none is the beginning of another.
        let mark = format!("c4n4ry{}x", self.marks.len());
        let mark = self.marks.entry(path.to_owned()).or_insert(mark);
        format!("{mark}{}", self.rest)
    }

    fn message(&mut self, of: &MessageDescriptor, path: &str) -> DynamicMessage {
        let mut message = DynamicMessage::new(of.clone());
        for field in of.fields() {
            let path =
                if path.is_empty() { field.name().to_owned() } else { format!("{path}.{}", field.name()) };
            let value = if field.is_map() {
                self.map(&field, &path)
            } else if field.is_list() {
                Value::List(vec![self.value(field.kind(), &path)])
            } else {
                self.value(field.kind(), &path)
            };
            message.set_field(&field, value);
        }
        message
    }

    fn map(&mut self, field: &FieldDescriptor, path: &str) -> Value {
        let Kind::Message(entry) = field.kind() else { panic!("{path}: a map's entry is a message") };
        let key = match entry.map_entry_key_field().kind() {
            Kind::String => MapKey::String(self.mark(&format!("{path}.key"))),
            other => panic!("{path}: a key that is {other:?}"),
        };
        Value::Map([(key, self.value(entry.map_entry_value_field().kind(), path))].into())
    }

    fn value(&mut self, kind: Kind, path: &str) -> Value {
        // Times run forward in the order of their fields.
        self.number += 1;
        match kind {
            Kind::String => Value::String(self.mark(path)),
            Kind::Bytes => Value::Bytes(BODY.replace('C', &self.mark(path)).into_bytes().into()),
            Kind::Message(of) => Value::Message(self.message(&of, path)),
            Kind::Enum(_) => Value::EnumNumber(1),
            Kind::Bool => Value::Bool(true),
            Kind::Double => Value::F64(1.0),
            Kind::Float => Value::F32(1.0),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => Value::I32(1),
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => Value::I64(1),
            Kind::Uint32 | Kind::Fixed32 => Value::U32(1),
            Kind::Uint64 => Value::U64(1),
            Kind::Fixed64 => Value::U64(self.number * 1_000_000_000),
        }
    }
}

static EVENT: LazyLock<MessageDescriptor> = LazyLock::new(|| {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../event/proto");
    let files = protox::compile(["weir/event/v1/event.proto"], [root]).unwrap();
    let pool = DescriptorPool::from_file_descriptor_set(files).unwrap();
    pool.get_message_by_name("weir.event.v1.TraceEvent").unwrap()
});

/// An event with a mark in every text, and the marks.
fn planted(rest: &'static str, api: Api, status: u32, capture: Capture) -> (TraceEvent, Marks) {
    let mut planter = Planter { marks: Marks::new(), rest, number: 0 };
    let message = planter.message(&EVENT, "");
    let mut event = TraceEvent::decode(message.encode_to_vec().as_slice()).unwrap();
    event.source = Bytes::from_static(&[7; 16]);
    event.request.as_mut().unwrap().api = api.into();
    event.response.as_mut().unwrap().status = status;
    event.attempts[0].status = status;
    // The attempt's times stand before the others in the event.
    event.attempts[0].ended_ns = event.timing.unwrap().done_ns;
    event.content.as_mut().unwrap().capture = capture.into();
    // The redactions of each scope are shown by another span.
    for scope in 2..=4 {
        let other = weir_event::v1::Redaction { scope, ..event.redactions[0].clone() };
        event.redactions.push(other);
    }
    (event, planter.marks)
}

/// The fields whose marks are in these bytes.
fn found<'m>(marks: &'m Marks, bytes: &[u8]) -> BTreeSet<&'m str> {
    let text = String::from_utf8_lossy(bytes);
    marks.iter().filter(|(_, mark)| text.contains(mark.as_str())).map(|(path, _)| path.as_str()).collect()
}

/// What is written of an event for a destination, by how it is written.
fn exported(event: &TraceEvent, exclude_content: bool) -> Vec<(String, Vec<u8>)> {
    let profile = ExportProfile {
        exclude_content,
        overlays: Overlays { openinference: true, tfy: true },
        middleware_service: Some("svc".to_owned()),
        ..ExportProfile::default()
    };
    let id = EventId::of(event).unwrap();
    let resource: Resource = Attributes::from([("service.name".to_owned(), "svc".to_owned())]).into();
    let formats = [Format::Protobuf, Format::Json, Format::JsonLine, Format::Text(Console::stdout())];
    let mut all = Vec::new();
    for format in formats {
        for compression in [Compression::None, Compression::Gzip] {
            let encoder = Encoder::new(format, &resource).unwrap();
            let mut fragments = Fragments::default();
            encoder.add(&mut fragments, &spans::of(id, event, &profile), &event.resource).unwrap();
            let body = encoder.body(&fragments.seal(), &(0..1)).compress(compression).unwrap();
            let mut bytes = Vec::new();
            match compression {
                Compression::Gzip => _ = GzDecoder::new(&*body).read_to_end(&mut bytes).unwrap(),
                Compression::None => bytes.extend_from_slice(&body),
            }
            all.push((format!("{format:?} {compression:?}"), bytes));
        }
    }
    all
}

/// What is counted of an event, at `/metrics` and as OTLP.
fn counted(event: &TraceEvent) -> Vec<u8> {
    let metrics = Metrics::default();
    metrics.gen_ai.count(event);
    let text = metrics.render().unwrap();
    assert!(text.contains("gen_ai_client_operation_duration_seconds_count"), "{text}");
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(9);
    let period =
        Period { start: SystemTime::UNIX_EPOCH, end: now, temporality: AggregationTemporality::Cumulative };
    let pushed = otlp::request(&Attributes::new(), &metrics.gen_ai.snapshot(), period);
    [text.into_bytes(), pushed.encode_to_vec()].concat()
}

/// What was logged meanwhile.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Sends an event through ingest and to every end. Of each end, the fields that came out, by its name.
async fn ends(
    (event, marks): &(TraceEvent, Marks),
    policy_excludes: bool,
    destination_excludes: bool,
) -> Vec<(String, BTreeSet<String>)> {
    let log = Log::default();
    let (writer, mut all) = (log.clone(), Vec::new());
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_writer(move || writer.clone())
        .finish();
    let guard = tracing::subscriber::set_default(subscriber);
    tracing::info!("logging begins");
    let stored = stored_of(event, policy_excludes).await;
    // Dead letters are the stored messages as they are.
    all.push(("stored".to_owned(), stored.to_vec()));
    let read = payload::decode(stored.clone()).unwrap();
    all.extend(exported(&read, destination_excludes));
    all.push(("page".to_owned(), page::all_shown(&stored).into_bytes()));
    all.push(("metrics".to_owned(), counted(&read)));
    drop(guard);
    let logged = log.0.lock().unwrap().clone();
    assert!(!logged.is_empty());
    all.push(("log".to_owned(), logged));
    let owned = |bytes: &[u8]| found(marks, bytes).into_iter().map(str::to_owned).collect();
    all.iter().map(|(end, bytes)| (end.clone(), owned(bytes))).collect()
}

fn only(found: &BTreeSet<String>, allowed: &[&str], what: &str) {
    let more: Vec<_> = found.iter().filter(|path| !allowed.contains(&path.as_str())).collect();
    assert!(more.is_empty(), "{what}: {more:?}");
}

/// The ends at which content must not appear, where a mode is without it.
async fn without_content(sentences: &(TraceEvent, Marks), policy: bool, destination: bool, mode: &str) {
    let allowed: Vec<_> = OWN.into_iter().chain(SAID).collect();
    for (end, found) in ends(sentences, policy, destination).await {
        let what = format!("{mode}, {end}");
        // A destination that excludes content says nothing of what is stored for others, and shown on the page.
        let whole = destination && matches!(end.as_str(), "stored" | "page");
        match end.as_str() {
            "log" => only(&found, &[], &what),
            "metrics" => only(&found, &LABELS, &what),
            _ if whole => {}
            _ => {
                only(&found, &allowed, &what);
                let is_for_people = end.starts_with("Text");
                assert!(is_for_people || found.contains("caller.user"), "{what}: nothing at all");
            }
        }
    }
}

const SENTENCE: &str = " is my patient, jane.doe@acme.io, 4111 1111 1111 1111";

#[tokio::test]
async fn a_sentence_in_any_field_comes_out_at_no_end_of_a_mode_without_content() {
    // Every API has readers of its own; what takes content away before them knows none.
    for (api, status) in
        apis().zip([200, 500].into_iter().cycle()).filter(|(api, _)| *api != Api::Passthrough)
    {
        let sentences = planted(SENTENCE, api, status, Capture::Kept);
        without_content(&sentences, false, true, &format!("{api:?} {status} excluded by a destination"))
            .await;
    }
    for status in [200, 500] {
        for capture in [Capture::Excluded, Capture::NoRoom, Capture::Unspecified] {
            let sentences = planted(SENTENCE, Api::OpenaiChat, status, capture);
            without_content(&sentences, false, false, &format!("{status} {capture:?}")).await;
        }
        for capture in [Capture::Kept, Capture::Redacted] {
            let sentences = planted(SENTENCE, Api::OpenaiChat, status, capture);
            without_content(&sentences, true, false, &format!("{status} excluded by the policy")).await;
            without_content(&sentences, false, true, &format!("{status} excluded by a destination")).await;
        }
    }
}

#[tokio::test]
async fn words_of_a_known_form_come_out_without_content_and_no_label_is_a_providers_word() {
    let words = planted("", Api::OpenaiChat, 500, Capture::Excluded);
    for (end, found) in ends(&words, false, false).await {
        match end.as_str() {
            "log" => only(&found, &[], &end),
            "metrics" => only(&found, &[&LABELS[..], &["request.model"]].concat(), &end),
            "stored" => {
                for path in ["response.error_type", "response.id", "request.path", "response.finish_reasons"]
                {
                    assert!(found.contains(path), "{end}: no {path}");
                }
                assert!(found.iter().all(|path| !path.starts_with("content.")), "{found:?}");
                assert!(!found.contains("request.parameters.stop_sequences"), "{found:?}");
            }
            end if end.starts_with("Text") => {}
            _ => {
                for path in ["response.error_type", "response.id", "response.model", "request.model"] {
                    assert!(found.contains(path), "{end}: no {path}");
                }
                assert!(found.iter().all(|path| !path.starts_with("content.")), "{end}: {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn with_content_it_comes_out_at_destinations_and_on_the_page_and_nowhere_else() {
    for capture in [Capture::Kept, Capture::Redacted] {
        let sentences = planted(SENTENCE, Api::OpenaiChat, 500, capture);
        for (end, found) in ends(&sentences, false, false).await {
            match end.as_str() {
                "log" => only(&found, &[], &end),
                "metrics" => only(&found, &LABELS, &end),
                "stored" => assert!(found.contains("content.outputs.parts.json"), "{end}: {found:?}"),
                _ => {
                    let answered = ["content.response", "content.outputs.text"];
                    assert!(answered.iter().any(|path| found.contains(*path)), "{end}: {found:?}");
                    if !end.starts_with("Text") {
                        assert!(found.contains("content.request"), "{end}: {found:?}");
                        assert!(found.contains("content.error_message"), "{end}: {found:?}");
                    }
                }
            }
        }
    }
}

#[test]
fn every_text_of_the_event_is_planted_and_the_lists_name_fields_that_there_are() {
    let (event, marks) = planted("", Api::OpenaiChat, 200, Capture::Kept);
    let bytes = event.encode_to_vec();
    let there = found(&marks, &bytes);
    let gone: Vec<_> = marks.keys().filter(|path| !there.contains(path.as_str())).collect();
    // The source must be one.
    assert_eq!(gone, ["source"]);
    for path in OWN.iter().chain(&SAID) {
        assert!(marks.contains_key(*path), "{path}");
    }
    assert!(marks.len() > 60, "{}", marks.len());
}
