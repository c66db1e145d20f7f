//! What the gateway reads of a request's body, whatever the API.
//!
//! A body must be understood to be let through: what two servers could read differently is
//! refused, and so is what reaches beyond the request itself.

use std::ops::Range;

use weir_event::v1;

use crate::api::call::is_model_name;
use crate::api::{Api, Call};
use crate::json::{Kind, Object, Value};
use crate::parameters;
use crate::refusal::Refusal;

/// Members that refer to what a provider has stored, or name further models than the one that is
/// authorised.
const NOT_GRANTED: [&str; 3] = ["previous_response_id", "conversation", "models"];

/// A body that was understood.
#[derive(Debug)]
pub struct Body<'a> {
    /// Its members.
    pub object: Object<'a>,
    /// The model asked for.
    pub model: String,
    /// Where its name stands in the body, quotes included.
    pub model_at: Vec<Range<usize>>,
    /// Whether the caller asked for a stream.
    pub stream: bool,
    /// The parameters that concern no content.
    pub parameters: v1::Parameters,
}

impl<'a> Body<'a> {
    /// Reads the body of a call.
    pub fn read(call: &Call, bytes: &'a [u8]) -> Result<Self, Refusal> {
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
            None => model_of(&object)?,
        };
        for key in NOT_GRANTED {
            if object.get(key).is_some_and(|value| value.kind != Kind::Null) {
                return Err(Refusal::not_granted(key));
            }
        }
        if call.api == Api::OpenAiChat {
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
        let stream = match (call.api.streams(), object.get("stream")) {
            (Some(by_path), _) => by_path,
            (None, Some(value)) if value.kind != Kind::Null => {
                expect("stream", value, Kind::Bool)?;
                value.as_bool().unwrap_or(false)
            }
            (None, _) => false,
        };
        let parameters = parameters::of(call.api, &object);
        let model_at = named.iter().map(Value::range).collect();
        Ok(Self { object, model, model_at, stream, parameters })
    }
}

/// The model that a body names.
fn model_of(object: &Object<'_>) -> Result<String, Refusal> {
    let value = object.get("model").ok_or_else(|| {
        Refusal::invalid_field("model", "model: missing; name one of the models of GET /v1/models.")
    })?;
    expect("model", value, Kind::String)?;
    let model = value
        .as_str()
        .ok_or_else(|| Refusal::invalid_field("model", "model: holds an escape that is no character."))?;
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
    use super::*;

    fn read(body: &[u8]) -> Result<Body<'_>, Refusal> {
        Body::read(&Call::of(b"POST", "/v1/chat/completions").unwrap(), body)
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
        assert_eq!(
            refusal(br#"{"model":"\ud800","messages":[]}"#),
            "model: holds an escape that is no character."
        );
        assert_eq!(
            refusal(br#"{"model":"a","Model":"b","messages":[]}"#),
            "The top-level keys \"Model\" and \"model\" count as the same, so one of them must go."
        );
        assert!(refusal(br#"{"model":"","messages":[]}"#).starts_with("model: is empty"));
    }

    #[test]
    fn what_reaches_beyond_the_request_is_refused() {
        for body in [
            r#"{"model":"m","messages":[],"previous_response_id":"resp_1"}"#,
            r#"{"model":"m","messages":[],"models":["other"]}"#,
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err().code, "not_granted");
        }
        assert!(read(br#"{"model":"m","messages":[],"previous_response_id":null}"#).is_ok());
    }

    #[test]
    fn a_path_and_a_body_that_disagree_about_the_model_are_refused() {
        let call = Call::of(b"POST", "/v1beta/models/gemini-a:generateContent").unwrap();
        assert_eq!(Body::read(&call, br#"{"contents":[]}"#).unwrap().model, "gemini-a");
        assert_eq!(Body::read(&call, br#"{"model":"models/gemini-b"}"#).unwrap_err().code, "invalid_model");
    }
}
