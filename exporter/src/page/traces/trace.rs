//! One request, whole: its spans with their attributes, as curl and as OTLP JSON.

use std::fmt::Write as _;

use opentelemetry_proto::tonic::{
    common::v1::{AnyValue, KeyValue, any_value::Value as Any},
    trace::v1::{Span, span::SpanKind, status::StatusCode},
};
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;
use weir_event::{
    EventId,
    v1::{Api, TraceEvent},
};

use super::row::hex;
use crate::{
    bus::payload,
    spans::{self, ExportProfile, resource::Attributes},
};

/// Headers of APIs that callers must send beside what all send.
const NEEDED: [(&[Api], &str); 1] =
    [(&[Api::AnthropicMessages, Api::AnthropicCountTokens], "anthropic-version: 2023-06-01")];

/// A span's kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = SpanKind)]
enum Kind {
    Server,
    Client,
    Internal,
}

/// A span as the page shows it.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Span)]
pub(in crate::page) struct Shown {
    id: String,
    parent: String,
    name: String,
    kind: Kind,
    /// Milliseconds after the first span began.
    start_ms: f64,
    duration_ms: f64,
    failed: bool,
    #[schema(required)]
    error: Option<String>,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
    events: Vec<Event>,
}

/// A span's event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SpanEvent)]
struct Event {
    name: String,
    at_ms: f64,
    #[schema(value_type = Object)]
    attributes: Map<String, Value>,
}

/// The event in these bytes.
pub(in crate::page) fn event(bytes: &[u8]) -> Option<(EventId, TraceEvent)> {
    let event = payload::decode(bytes)?;
    Some((EventId::of(&event)?, event))
}

/// Its spans in the order in which they began, children after their parents.
pub(in crate::page) fn spans(id: EventId, event: &TraceEvent, profile: &ExportProfile) -> Vec<Shown> {
    let spans = spans::of(id, event, profile);
    let start = spans.iter().map(|span| span.start_time_unix_nano).min().unwrap_or_default();
    spans.iter().map(|span| shown(span, start)).collect()
}

fn shown(span: &Span, start: u64) -> Shown {
    let ms = |ns: u64| ns as f64 / 1e6;
    let status = span.status.as_ref();
    let failed = status.is_some_and(|status| status.code() == StatusCode::Error);
    let said = status.map(|status| status.message.clone()).filter(|message| !message.is_empty());
    Shown {
        id: hex(&span.span_id),
        parent: hex(&span.parent_span_id),
        name: span.name.clone(),
        kind: match span.kind() {
            SpanKind::Server => Kind::Server,
            SpanKind::Client => Kind::Client,
            _ => Kind::Internal,
        },
        start_ms: ms(span.start_time_unix_nano.saturating_sub(start)),
        duration_ms: ms(span.end_time_unix_nano.saturating_sub(span.start_time_unix_nano)),
        failed,
        error: said.filter(|_| failed),
        attributes: attributes(&span.attributes),
        events: span
            .events
            .iter()
            .map(|event| Event {
                name: event.name.clone(),
                at_ms: ms(event.time_unix_nano.saturating_sub(start)),
                attributes: attributes(&event.attributes),
            })
            .collect(),
    }
}

fn attributes(list: &[KeyValue]) -> Map<String, Value> {
    list.iter().map(|pair| (pair.key.clone(), pair.value.as_ref().map_or(Value::Null, value))).collect()
}

fn value(any: &AnyValue) -> Value {
    match &any.value {
        Some(Any::StringValue(text)) => text.as_str().into(),
        Some(Any::BoolValue(truth)) => (*truth).into(),
        Some(Any::IntValue(number)) => (*number).into(),
        Some(Any::DoubleValue(number)) => (*number).into(),
        Some(Any::ArrayValue(array)) => array.values.iter().map(value).collect(),
        Some(Any::KvlistValue(list)) => Value::Object(attributes(&list.values)),
        Some(Any::BytesValue(bytes)) => hex(bytes).into(),
        _ => Value::Null,
    }
}

/// The request as a curl command with a variable in place of the key, and why its body is not the whole one,
/// if it is not.
pub(in crate::page) fn curl(event: &TraceEvent) -> (String, Option<&'static str>) {
    let request = event.request.clone().unwrap_or_default();
    let scheme = if request.scheme.is_empty() { "http" } else { &request.scheme };
    let url = format!("{scheme}://{}{}", request.authority, request.path);
    let stream = if request.stream { " -N" } else { "" };
    let mut line = format!("curl{stream} -X {} {}", quoted(&request.method), quoted(&url));
    let content = event.content.as_ref();
    let body = content.map(|content| content.request.as_ref()).filter(|body| !body.is_empty());
    let is_form = !request.files.is_empty();
    if request.method != "GET" && !is_form {
        line.push_str(" \\\n  -H 'content-type: application/json'");
    }
    if event.caller.as_ref().is_some_and(|caller| !caller.key_name.is_empty()) {
        line.push_str(" \\\n  -H \"authorization: Bearer $WEIR_KEY\"");
    }
    for (_, header) in NEEDED.iter().filter(|(apis, _)| apis.contains(&request.api())) {
        let _ = write!(line, " \\\n  -H {}", quoted(header));
    }
    let note = match body {
        Some(body) => {
            let _ = write!(line, " \\\n  -d {}", quoted(&String::from_utf8_lossy(body)));
            content.filter(|content| content.request_shortened).map(|_| "the captured body was shortened")
        }
        None if request.method == "GET" => None,
        None => {
            if !is_form {
                let mut body = Map::new();
                if !request.model.is_empty() {
                    body.insert("model".to_owned(), request.model.as_str().into());
                }
                if request.stream {
                    body.insert("stream".to_owned(), true.into());
                }
                let _ = write!(line, " \\\n  -d {}", quoted(&Value::Object(body).to_string()));
            }
            Some("the body was not captured, so the messages are missing")
        }
    };
    (line, note)
}

/// A text as a shell reads it as one word.
fn quoted(text: &str) -> String {
    let plain =
        !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_./:".contains(&byte));
    if plain { text.to_owned() } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

/// The spans as one OTLP/JSON request.
pub(in crate::page) fn otlp(
    id: EventId,
    event: &TraceEvent,
    profile: &ExportProfile,
    resource: &Attributes,
) -> Option<Vec<u8>> {
    let resource: Vec<(&str, String)> =
        resource.iter().map(|(name, value)| (name.as_str(), value.clone())).collect();
    serde_json::to_vec_pretty(&spans::request(&resource, spans::of(id, event, profile))).ok()
}

/// Everything that the page shows of an event in these bytes, as JSON.
#[cfg(test)]
pub(crate) fn all_shown(bytes: &[u8]) -> String {
    let (id, event) = event(bytes).unwrap();
    let (line, note) = curl(&event);
    let profile = ExportProfile::default();
    let otlp = otlp(id, &event, &profile, &event.resource).unwrap();
    serde_json::json!({
        "row": super::row::of(&event, 1), "spans": spans(id, &event, &profile), "curl": [line, note.unwrap_or_default()],
        "otlp": String::from_utf8(otlp).unwrap(),
    })
    .to_string()
}

#[cfg(test)]
mod tests {
    use weir_event::v1::{Caller, Content};

    use super::*;
    use crate::spans::fixture::{ID, streamed};

    #[test]
    fn spans_are_told_from_the_first_on_with_their_attributes() {
        let shown = spans(ID, &streamed(), &ExportProfile::default());
        let root = &shown[0];
        assert_eq!((root.kind, root.start_ms, root.duration_ms), (Kind::Server, 0.0, 800.0));
        assert!(shown.iter().skip(1).all(|span| shown.iter().any(|other| other.id == span.parent)));
        let chat = shown.iter().find(|span| span.name == "chat smart").unwrap();
        assert_eq!(chat.attributes["gen_ai.usage.input_tokens"], 12);
        assert_eq!(chat.attributes["gen_ai.response.finish_reasons"], serde_json::json!(["stop"]));
    }

    #[test]
    fn curl_carries_the_body_that_was_kept_and_a_variable_in_place_of_the_key() {
        let mut event = streamed();
        event.caller = Some(Caller { key_name: "team-a".to_owned(), ..Caller::default() });
        let body = br#"{"model":"smart","messages":[{"role":"user","content":"it's $HOME `id`"}]}"#;
        event.content = Some(Content { request: body.to_vec().into(), ..Content::default() });
        let (line, note) = curl(&event);
        assert!(line.starts_with("curl -N -X POST http://gateway:8080/v1/chat/completions \\\n"), "{line}");
        assert!(line.contains("\"authorization: Bearer $WEIR_KEY\"") && !line.contains("team-a"), "{line}");
        assert!(line.ends_with(r#"it'\''s $HOME `id`"}]}'"#) && note.is_none(), "{line}");
        let words = std::process::Command::new("sh")
            .arg("-c")
            .arg(format!("curl() {{ for a; do :; done; printf %s \"$a\"; }}\n{line}"))
            .output()
            .unwrap();
        assert_eq!(words.stdout, body);
    }

    #[test]
    fn without_content_curl_says_so() {
        let (line, note) = curl(&streamed());
        assert!(line.ends_with(r#"-d '{"model":"smart","stream":true}'"#), "{line}");
        assert!(note.unwrap().contains("not captured"));
    }

    #[test]
    fn otlp_json_has_the_ids_in_hex() {
        let json: Value = serde_json::from_slice(
            &otlp(ID, &streamed(), &ExportProfile::default(), &Attributes::new()).unwrap(),
        )
        .unwrap();
        let spans = &json["resourceSpans"][0]["scopeSpans"][0]["spans"];
        assert_eq!(spans[0]["traceId"], "0102030405060708090a0b0c0d0e0f10");
        assert_eq!(spans.as_array().unwrap().len(), 5);
    }
}
