//! What the gateway reads of a request's body, whatever the API.
//!
//! A body must be understood to be let through: what two servers could read differently is
//! refused, and so is what reaches beyond the request itself.

use std::borrow::Cow;
use std::ops::Range;

use weir_event::v1;

use crate::api::Api;
use crate::api::call::Call;
use crate::api::call::is_model_name;
use crate::json::edit::{UsageEdit, same_key};
use crate::json::scan::{Kind, Object, Value};
use crate::refusal::Refusal;
use crate::request::multipart;
use crate::request::multipart::Form;
pub use crate::request::references::References;

/// A member that names further models than the one that is authorised.
const MODELS: &str = "models";

/// A body that was understood.
#[derive(Debug, Default)]
pub struct Body<'a> {
    /// Its members; none where it is a form.
    pub object: Object<'a>,
    /// The form, where it is one.
    pub form: Option<Form<'a>>,
    /// The model asked for.
    pub model: String,
    /// Where its name stands in the object, quotes included.
    pub model_at: Vec<Range<usize>>,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// The parameters that concern no content.
    pub parameters: v1::Parameters,
    /// What it names of that which is stored at a provider.
    pub references: References,
    /// The files of a form.
    pub files: Vec<v1::FormFile>,
}

impl<'a> Body<'a> {
    /// Reads the body of a call, which has this content-type.
    pub fn read(call: &Call, content_type: &'a [u8], bytes: &'a [u8]) -> Result<Self, Refusal> {
        match (call.api.operation.form.is_some(), multipart::is_form(content_type)) {
            (true, true) => return Self::read_form(call, content_type, bytes),
            (true, false) => return Err(Refusal::wrong_media_type("multipart/form-data with a boundary")),
            (false, true) => return Err(Refusal::wrong_media_type("application/json")),
            (false, false) => {}
        }
        if bytes.is_empty() {
            return Err(Refusal::invalid_body("The request body is empty; a JSON object is expected."));
        }
        let object = Object::parse(bytes)
            .map_err(|error| Refusal::invalid_body(format!("The request body is {error}.")))?;
        if let Some((one, other)) = object.ambiguous_keys() {
            return Err(Refusal::ambiguous_field(one, other));
        }
        let named = call.models_in_body(&object);
        if !call.path_agrees_with(&named) {
            return Err(Refusal::model_in_path("model: the path names one model and the body another."));
        }
        let model = match &call.model_in_path {
            Some(model) => model.clone(),
            None => {
                let value = object.get("model").ok_or_else(model_missing)?;
                expect("model", value, Kind::String)?;
                model_of(value.as_str())?
            }
        };
        let is_given =
            |key: &str| object.iter().any(|(name, value)| same_key(key, name) && value.kind != Kind::Null);
        if is_given(MODELS) {
            return Err(Refusal::not_granted(MODELS));
        }
        let references = References::of(call.api.family(), object.iter());
        if call.api.operation.needs_messages {
            match object.get("messages") {
                Some(messages) => expect("messages", messages, Kind::Array)?,
                None => {
                    return Err(Refusal::invalid_field(
                        "messages",
                        "messages: missing; an array is expected.",
                    ));
                }
            }
        }
        let stream = match (call.api.operation.streams, object.get("stream")) {
            (Some(by_path), _) => by_path,
            (None, Some(value)) if value.kind != Kind::Null => {
                expect("stream", value, Kind::Bool)?;
                value.as_bool().unwrap_or(false)
            }
            (None, _) => false,
        };
        let parameters = call.api.parameters(&object);
        let model_at = named.iter().map(Value::range).collect();
        Ok(Self { object, model, model_at, stream, parameters, references, ..Self::default() })
    }

    /// Reads a form. Of its files only field, type and size are known.
    fn read_form(call: &Call, content_type: &'a [u8], bytes: &'a [u8]) -> Result<Self, Refusal> {
        let form = Form::parse(content_type, bytes)
            .map_err(|error| Refusal::invalid_body(format!("The request body is no form: {error}.")))?;
        let named = form.has("model").then(|| form.text("model"));
        let model = match (&call.model_in_path, named) {
            (Some(in_path), Some(in_form)) if in_form != Some(in_path) => {
                return Err(Refusal::model_in_path("model: the path names one model and the form another."));
            }
            (Some(in_path), _) => in_path.clone(),
            (None, Some(text)) => model_of(text.map(Cow::Borrowed))?,
            (None, None) => return Err(model_missing()),
        };
        if form.has_like(MODELS) {
            return Err(Refusal::not_granted(MODELS));
        }
        let stream = match form.text("stream") {
            _ if !form.has("stream") => false,
            Some("true") => true,
            Some("false") => false,
            _ => return Err(Refusal::invalid_field("stream", "stream: must be true or false.")),
        };
        let (parameters, files) = (call.api.form_parameters(&|name| form.text(name)), form.files());
        Ok(Self { form: Some(form), model, stream, parameters, files, ..Self::default() })
    }
}

/// What is known of a request that is only observed: whatever can be read of its body.
#[derive(Debug, Default)]
pub struct BestEffortBody {
    /// The model asked for; empty where none can be found.
    pub model: String,
    /// Whether a stream was asked for.
    pub stream: bool,
    /// The parameters that concern no content.
    pub parameters: v1::Parameters,
    /// The files of a form.
    pub files: Vec<v1::FormFile>,
    /// How many characters its texts have.
    pub characters: u64,
    /// Whether it is JSON, and so can be part of an event.
    pub is_json: bool,
}

impl BestEffortBody {
    /// Reads what can be read, and refuses nothing: what is wrong with the body is for the provider to say.
    /// `object` holds the members of one that is JSON.
    pub fn read(call: &Call, content_type: &[u8], bytes: &[u8], object: Option<&Object<'_>>) -> Self {
        let model = |named: Option<Cow<'_, str>>| {
            let named = call.model_in_path.clone().or_else(|| named.map(Cow::into_owned));
            named.filter(|model| is_model_name(model)).unwrap_or_default()
        };
        if call.api.operation.form.is_some()
            && let Ok(form) = Form::parse(content_type, bytes)
        {
            return Self {
                model: model(form.text("model").map(Cow::Borrowed)),
                stream: form.text("stream") == Some("true"),
                parameters: call.api.form_parameters(&|name| form.text(name)),
                files: form.files(),
                ..Self::default()
            };
        }
        let Some(object) = object else {
            let stream = call.api.operation.streams.unwrap_or_default();
            return Self { model: model(None), stream, ..Self::default() };
        };
        let stream = || object.get("stream").and_then(|value| value.as_bool()).unwrap_or_default();
        Self {
            model: model(object.get("model").and_then(|value| value.as_str())),
            stream: call.api.operation.streams.unwrap_or_else(stream),
            parameters: call.api.parameters(object),
            files: Vec::new(),
            characters: object.text_bytes() as u64,
            is_json: true,
        }
    }
}

impl Body<'_> {
    /// What makes a stream tell its usage, where the caller did not ask for it and the API has to be asked
    /// (OpenAI API reference, "Chat Completions", `stream_options`).
    pub fn usage_edit(&self, api: Api) -> Option<UsageEdit> {
        const OPTIONS: &str = "stream_options";
        const MEMBER: &str = "include_usage";
        if !self.stream || !api.operation.asks_for_usage {
            return None;
        }
        // Another spelling by case is some server's too; what it says is between the caller and that one.
        if is_spelt_otherwise(&self.object, OPTIONS) {
            return None;
        }
        let Some(options) = self.object.get(OPTIONS).filter(|options| options.kind != Kind::Null) else {
            let text = format!("{{\"{MEMBER}\":true}}");
            return Some(match self.object.get(OPTIONS) {
                Some(null) => UsageEdit::Replace(null.range(), text),
                None => UsageEdit::Insert(format!("\"{OPTIONS}\":{text}")),
            });
        };
        // What is no object is the provider's to refuse.
        let members = options.as_object().filter(|members| !is_spelt_otherwise(members, MEMBER))?;
        match members.get(MEMBER) {
            Some(value) if value.as_bool() == Some(true) => None,
            Some(value) => {
                let place = value.range();
                let place = options.start + place.start..options.start + place.end;
                Some(UsageEdit::Replace(place, "true".to_owned()))
            }
            None => {
                let comma = if members.iter().next().is_some() { "," } else { "" };
                let behind = options.start + 1;
                Some(UsageEdit::Replace(behind..behind, format!("\"{MEMBER}\":true{comma}")))
            }
        }
    }
}

/// Whether an object has a key that differs from this one by case alone.
fn is_spelt_otherwise(object: &Object<'_>, key: &str) -> bool {
    object.iter().any(|(name, _)| name != key && same_key(name, key))
}

fn model_missing() -> Refusal {
    Refusal::invalid_field("model", "model: missing; name one of the models of GET /v1/models.")
}

/// The model that a body names by this text; `None` where it is no text.
fn model_of(text: Option<Cow<'_, str>>) -> Result<String, Refusal> {
    let model = text.ok_or_else(|| Refusal::invalid_field("model", "model: holds what is no character."))?;
    if model.is_empty() {
        return Err(Refusal::invalid_field(
            "model",
            "model: is empty; name one of the models of GET /v1/models.",
        ));
    }
    if model.chars().any(char::is_control) {
        return Err(Refusal::invalid_field("model", "model: holds a control character."));
    }
    if !is_model_name(&model) {
        return Err(Refusal::invalid_field(
            "model",
            "model: must be at most 256 bytes, without '.' or '..' as a part.",
        ));
    }
    Ok(model.into_owned())
}

fn expect(param: &'static str, value: Value<'_>, kind: Kind) -> Result<(), Refusal> {
    if value.kind == kind {
        return Ok(());
    }
    let message = format!("{param}: must be {}, and is {}.", kind.with_article(), value.kind.with_article());
    Err(Refusal::invalid_field(param, message))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::api::Feature;
    use crate::api::openai;
    use crate::json::edit::{BodyEdits, Edits};

    fn read(body: &[u8]) -> Result<Body<'_>, Refusal> {
        Body::read(&Call::of(b"POST", "/v1/chat/completions").unwrap(), b"application/json", body)
    }

    fn refusal(body: &[u8]) -> String {
        read(body).unwrap_err().message
    }

    #[test]
    fn a_request_is_read_without_its_content() {
        let body = br#"{ "messages": [{"role":"user","content":"model"}], "model" : "gpt-4o", "stream":true,
            "temperature": 0.2, "max_tokens": 5, "max_completion_tokens": 7, "stop": "secret", "n": "two",
            "response_format": {"type": "json_object"}}"#;
        let Body { model, model_at, stream, parameters, .. } = read(body).unwrap();
        assert_eq!((model.as_str(), stream), ("gpt-4o", true));
        assert_eq!(&body[model_at[0].clone()], b"\"gpt-4o\"");
        assert_eq!(
            (parameters.temperature, parameters.max_tokens, parameters.choice_count),
            (Some(0.2), Some(7), None)
        );
        assert_eq!(parameters.output_format, "json_object");
        assert!(parameters.stop_sequences.is_empty());
    }

    #[test]
    fn a_request_that_cannot_be_served_is_refused_by_field() {
        assert_eq!(refusal(b""), "The request body is empty; a JSON object is expected.");
        assert_eq!(refusal(b"hello"), "The request body is not valid JSON at byte 0: expected an object.");
        assert_eq!(
            refusal(br#"{"messages":[]}"#),
            "model: missing; name one of the models of GET /v1/models."
        );
        assert_eq!(refusal(br#"{"model":7,"messages":[]}"#), "model: must be a string, and is a number.");
        assert_eq!(
            refusal(br#"{"model":"m","messages":"hi"}"#),
            "messages: must be an array, and is a string."
        );
        assert_eq!(
            refusal(br#"{"model":"m","messages":[],"stream":"yes"}"#),
            "stream: must be a boolean, and is a string."
        );
        assert_eq!(refusal(br#"{"model":"m\r\nx: y","messages":[]}"#), "model: holds a control character.");
        assert_eq!(refusal(br#"{"model":"\ud800","messages":[]}"#), "model: holds what is no character.");
        assert_eq!(
            refusal(br#"{"model":"a","Model":"b","messages":[]}"#),
            "The top-level keys \"Model\" and \"model\" count as the same, so one of them must go."
        );
        assert!(refusal(br#"{"model":"","messages":[]}"#).starts_with("model: is empty"));
    }

    #[test]
    fn further_models_are_refused_and_what_is_stored_is_noticed() {
        for key in ["models", "Models"] {
            let body = format!(r#"{{"model":"m","messages":[],"{key}":["other"]}}"#);
            assert_eq!(read(body.as_bytes()).unwrap_err().code, "not_granted");
        }
        for (key, stored) in [
            (r#""previous_response_id":"r""#, Some(("previous_response_id", Feature::Stored))),
            (r#""Conversation":{"id":"c"}"#, Some(("conversation", Feature::Stored))),
            (r#""previous_response_id":null"#, None),
        ] {
            let body = format!(r#"{{"model":"m","messages":[],{key}}}"#);
            assert_eq!(read(body.as_bytes()).unwrap().references.missing(|_| false), stored);
        }
    }

    #[test]
    fn a_path_and_a_body_that_disagree_about_the_model_are_refused() {
        let call = Call::of(b"POST", "/v1beta/models/gemini-a:generateContent").unwrap();
        assert_eq!(Body::read(&call, b"", br#"{"contents":[]}"#).unwrap().model, "gemini-a");
        assert_eq!(
            Body::read(&call, b"", br#"{"model":"models/gemini-b"}"#).unwrap_err().code,
            "invalid_model"
        );
    }

    /// The body as it goes on with its own model, where usage is asked for on the caller's behalf.
    fn with_usage(text: &str) -> Option<String> {
        let body = read(text.as_bytes()).unwrap();
        let usage = body.usage_edit(openai::CHAT)?;
        let edits = Edits { model: None, params: None, usage: Some(&usage) };
        let edited = BodyEdits::new(text.as_bytes(), &body.object, &edits).rewrite(text.as_bytes()).unwrap();
        Some(String::from_utf8(edited).unwrap())
    }

    #[test]
    fn usage_is_not_asked_for_where_it_was_or_the_caller_spelt_it_in_its_own_way() {
        for options in [
            r#""stream_options":{"include_usage":true}"#,
            r#""Stream_Options":{}"#,
            r#""stream_options":{"Include_Usage":false}"#,
            r#""stream_options":[]"#,
        ] {
            let text = format!(r#"{{"model":"m","stream":true,"messages":[],{options}}}"#);
            assert_eq!(with_usage(&text), None, "{options}");
        }
        assert_eq!(with_usage(r#"{"model":"m","messages":[]}"#), None, "no stream");
    }

    proptest! {
        #[test]
        fn usage_is_asked_for_by_one_insertion_and_not_another_byte_changes(
            options in prop::sample::select(vec!["", "null", "{}", "{ }", "{ \"x\" : 1}", "{\"include_usage\" : false }"]),
            others in prop::collection::vec(("[a-z\"\\\\é]{1,8}", "\\PC{0,12}"), 0..5),
            space in "[ \n\t]{0,3}",
            at in 0usize..4,
        ) {
            let mut members = vec![
                "\"model\":\"m\"".to_owned(),
                format!("\"messages\"{space}:[{{\"stream_options\":null}}]"),
                format!("\"stream\":{space}true"),
            ];
            if !options.is_empty() {
                members.insert(at, format!("\"stream_options\"{space}:{options}"));
            }
            for (place, (key, value)) in others.iter().enumerate() {
                let key = serde_json::Value::from(format!("{place}{key}"));
                members.push(format!("{key}:{space}{}", serde_json::Value::from(value.as_str())));
            }
            let text = format!("{space}{{{space}{}}}", members.join(&format!(",{space}")));
            let edited = with_usage(&text).expect("it is asked for");
            let (before, after): (serde_json::Value, serde_json::Value) =
                (serde_json::from_str(&text).unwrap(), serde_json::from_str(&edited).unwrap());
            prop_assert_eq!(&after["stream_options"]["include_usage"], true);
            let without = |mut value: serde_json::Value| {
                value.as_object_mut().unwrap().remove("stream_options");
                value
            };
            prop_assert_eq!(without(before.clone()), without(after.clone()));
            prop_assert_eq!(&before["stream_options"]["x"], &after["stream_options"]["x"]);
            // What was there stands there still, before and behind the one place that changed.
            let head = text.bytes().zip(edited.bytes()).take_while(|(a, b)| a == b).count();
            let tail = text.bytes().rev().zip(edited.bytes().rev()).take_while(|(a, b)| a == b).count();
            let gone = text.len().saturating_sub(head + tail);
            prop_assert!(gone <= "false".len(), "{} became {}", text, edited);
        }
    }

    const FORM: &[u8] = b"multipart/form-data; boundary=b";

    fn form(path: &str, fields: &[(&str, &str)]) -> Result<(String, bool, v1::Parameters), String> {
        let field = |(name, value): &(&str, &str)| {
            format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
        };
        let body = format!("{}--b--\r\n", fields.iter().map(field).collect::<String>());
        let call = Call::of(b"POST", path).unwrap();
        let read = Body::read(&call, FORM, body.as_bytes()).map_err(|refusal| refusal.message)?;
        Ok((read.model, read.stream, read.parameters))
    }

    #[test]
    fn a_form_is_read_by_its_fields() {
        let fields =
            [("model", "whisper-1"), ("stream", "true"), ("temperature", "0.5"), ("response_format", "json")];
        let (model, stream, parameters) = form("/v1/audio/transcriptions", &fields).unwrap();
        assert_eq!((model.as_str(), stream), ("whisper-1", true));
        assert_eq!((parameters.temperature, parameters.output_format.as_str()), (Some(0.5), "json"));
        let azure = "/openai/deployments/a/audio/transcriptions";
        assert_eq!(form(azure, &[("prompt", "x")]).unwrap().0, "a");
        assert_eq!(form(azure, &[("model", "a")]).unwrap().0, "a");
    }

    #[test]
    fn a_form_that_cannot_be_served_is_refused_by_field() {
        let edits = |fields: &[(&str, &str)]| form("/v1/images/edits", fields).unwrap_err();
        assert!(edits(&[("n", "1")]).starts_with("model: missing"));
        assert!(edits(&[("model", "")]).starts_with("model: is empty"));
        assert_eq!(edits(&[("model", "a\nb")]), "model: holds a control character.");
        assert_eq!(edits(&[("model", "a"), ("stream", "1")]), "stream: must be true or false.");
        assert!(
            edits(&[("model", "a"), ("Model", "b")])
                .starts_with("The request body is no form: the field model")
        );
        assert!(edits(&[("model", "a"), ("Models[]", "b")]).starts_with("models: reaches beyond"));
        let azure = "/openai/deployments/a/audio/translations";
        assert!(form(azure, &[("model", "b")]).unwrap_err().contains("the form another"));
    }

    #[test]
    fn a_body_of_another_type_than_the_path_takes_is_refused_by_name() {
        let read = |path: &str, content_type: &[u8]| {
            let call = Call::of(b"POST", path).unwrap();
            let refusal = Body::read(&call, content_type, br#"{"model":"m","messages":[]}"#).unwrap_err();
            (refusal.status, refusal.message)
        };
        for content_type in [&b"application/json"[..], b""] {
            let (status, message) = read("/v1/audio/translations", content_type);
            assert!(status == 415 && message.contains("multipart/form-data"), "{message}");
        }
        let (status, message) = read("/v1/chat/completions", FORM);
        assert!(status == 415 && message.contains("application/json"), "{message}");
    }
}
