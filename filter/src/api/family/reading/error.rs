//! Errors within a response, in the shapes that servers give them.
//!
//! | shape | whose |
//! |---|---|
//! | `{"error": {"message", "type", "code", "status"}}` | OpenAI, Anthropic, Gemini, OpenRouter |
//! | `{"error": "text", "error_type": "…"}`, `{"error": ["text"]}`, `{"error": true, "message": "…"}` | TGI, Ollama, Together |
//! | `{"object": "error", "message", "type", "code"}`, `{"type": "error", "message"}` | vLLM, Mistral, OpenAI's events |
//! | `{"errors": [{"code", "message"}]}` | Cloudflare |
//! | `{"base_resp": {"status_code", "status_msg"}}` | MiniMax |
//! | `{"message": "…"}`, `{"detail": …}`, `{"error_code", "error_msg"}` | proxies, FastAPI, Baidu |
//! | `{"type": "about:blank", "title", "status", "detail"}`, `{"Message": "…"}` | RFC 9457, AWS |
//!
//! Only members of the response itself are looked at, and those of the last two rows only where it holds no content:
//! what a model writes is never taken for an error.

use std::borrow::Cow;

use crate::json::scan::{Kind, Object, Value};
use crate::json::values::{objects, says_something, word};

/// Members that make an object a response that succeeded, whatever the API.
const CONTENT: [&str; 16] = [
    "choices",
    "output",
    "candidates",
    "content",
    "data",
    "result",
    "results",
    "embedding",
    "embeddings",
    "text",
    "response",
    "delta",
    "item",
    "part",
    "promptFeedback",
    "usageMetadata",
];
/// Where an error has its name, as a word and as a number.
const NAMES: [&str; 7] = ["code", "type", "status", "error_type", "error_code", "errorCode", "__type"];
const NUMBERS: [&str; 5] = ["code", "status", "error_code", "status_code", "statusCode"];
/// Names that only mean "error"; "about:blank" is RFC 9457's.
const NAMELESS: [&str; 3] = ["", "error", "about:blank"];
/// Where an error has its message.
const MESSAGES: [&str; 11] = [
    "message",
    "msg",
    "error_msg",
    "error_message",
    "errorMessage",
    "error_description",
    "status_msg",
    "detail",
    "details",
    "Message",
    "title",
];
/// Members that make an object without content an error.
const BARE: [&str; 8] =
    ["message", "msg", "error_msg", "error_message", "errorMessage", "detail", "Message", "title"];
/// Most entries of a list of errors whose messages are read.
const LIST_MAX: usize = 8;

/// An error that was found.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Found<'a> {
    /// Its name, by the provider's word or number; empty where it has none.
    pub(crate) name: String,
    /// Its message.
    pub(crate) message: Option<Cow<'a, str>>,
}

/// The error that a response, or an event of one, reports; `None` where there is none.
pub(crate) fn of<'a>(object: &Object<'a>) -> Option<Found<'a>> {
    member(object)
        .or_else(|| object.get("base_resp").and_then(|state| failed_state(&state)))
        .or_else(|| is_error(object).then(|| itself(object)))
        .or_else(|| {
            let is_bare = !holds_content(object, says_something);
            is_bare.then(|| listed(object).or_else(|| bare(object))).flatten()
        })
}

/// The error that stands in a member `error` of a response, an event or a choice.
pub(crate) fn member<'a>(object: &Object<'a>) -> Option<Found<'a>> {
    let error = object.get("error")?;
    match error.kind {
        Kind::Object => {
            let inner = error.as_object()?;
            let found = itself(&inner);
            (says_something(&error) || !found.name.is_empty()).then_some(found)
        }
        Kind::String if says_something(&error) => {
            let mut name = name(object);
            if name.is_empty() {
                name = word(&error);
            }
            Some(Found { name, message: error.as_str() })
        }
        Kind::Array if says_something(&error) => Some(Found { name: name(object), message: message(&error) }),
        Kind::Bool if error.as_bool() == Some(true) => Some(itself(object)),
        _ => None,
    }
}

/// Whether an object has a member that makes it a response that succeeded; `counts` says which values of it count.
pub(crate) fn holds_content(object: &Object<'_>, counts: impl Fn(&Value<'_>) -> bool) -> bool {
    let is_content = |(key, value): (&str, Value<'_>)| match key {
        // A message that is an object is a response's, and a text is an error's.
        "message" => value.kind == Kind::Object,
        _ => CONTENT.contains(&key) && counts(&value),
    };
    object.iter().any(is_content)
}

/// Whether an object calls itself an error.
fn is_error(object: &Object<'_>) -> bool {
    ["object", "type"].into_iter().any(|key| object.text(key) == "error")
}

/// An object that is an error.
fn itself<'a>(object: &Object<'a>) -> Found<'a> {
    let message = MESSAGES.iter().find_map(|key| message(&object.get(key)?));
    Found { name: name(object), message }
}

/// MiniMax' state, which is 0 where all is well.
fn failed_state<'a>(state: &Value<'a>) -> Option<Found<'a>> {
    let state = state.as_object()?;
    let code = state.get("status_code")?.as_u64()?;
    (code != 0).then(|| itself(&state))
}

/// The first of a list of errors.
fn listed<'a>(object: &Object<'a>) -> Option<Found<'a>> {
    let errors = object.get("errors").filter(says_something)?;
    let first = objects(Some(errors)).next();
    Some(
        first.map_or_else(|| Found { message: message(&errors), ..Found::default() }, |first| itself(&first)),
    )
}

/// An object that holds nothing but what an error says.
fn bare<'a>(object: &Object<'a>) -> Option<Found<'a>> {
    let says = |key: &&str| object.get(key).is_some_and(|value| says_something(&value));
    BARE.iter().any(says).then(|| {
        let mut found = itself(object);
        if found.name.is_empty() {
            // FastAPI names each of the faults that it finds.
            let detail = objects(object.get("detail")).next();
            found.name = detail.map(|detail| name(&detail)).unwrap_or_default();
        }
        found
    })
}

/// The name of an error: a word, else a number.
fn name(error: &Object<'_>) -> String {
    let words = NAMES.iter().filter_map(|key| Some(word(&error.get(key)?)));
    let named = words.into_iter().find(|name| !NAMELESS.contains(&name.as_str()));
    let number = || NUMBERS.iter().find_map(|key| error.get(key)?.as_u64()).filter(|number| *number > 0);
    named.or_else(|| number().map(|number| number.to_string())).unwrap_or_default()
}

/// A message: a text, the messages of a list of faults, or an object as it is written.
fn message<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    if !says_something(value) {
        return None;
    }
    match value.kind {
        Kind::String => value.as_str(),
        Kind::Array => {
            let texts: Vec<_> = value.as_array()?.iter().take(LIST_MAX).filter_map(fault).collect();
            Some(Cow::Owned(texts.join("; ")))
        }
        Kind::Object => {
            let inner = value.as_object()?;
            let said = MESSAGES.iter().find_map(|key| inner.text_of(key));
            said.or(Some(Cow::Borrowed(value.raw)))
        }
        Kind::Number | Kind::Bool | Kind::Null => None,
    }
}

/// One fault of a list, such as FastAPI's `{"loc": ["body", "model"], "msg": "Field required"}`.
fn fault<'a>(value: &Value<'a>) -> Option<Cow<'a, str>> {
    let Some(fault) = value.as_object() else { return value.as_str() };
    let said = MESSAGES.iter().find_map(|key| fault.text_of(key)).unwrap_or(Cow::Borrowed(value.raw));
    let place = fault.get("loc").and_then(|place| place.as_array()).unwrap_or_default();
    let place: Vec<_> =
        place.iter().take(LIST_MAX).map(|step| step.as_str().unwrap_or(Cow::Borrowed(step.raw))).collect();
    Some(if place.is_empty() { said } else { Cow::Owned(format!("{}: {said}", place.join("."))) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(json: &str) -> Option<(String, String)> {
        let object = Object::parse(json.as_bytes()).unwrap();
        of(&object).map(|found| (found.name, found.message.unwrap_or_default().into_owned()))
    }

    #[test]
    fn an_error_is_found_in_every_shape() {
        for (json, name, message) in [
            (r#"{"error":{"message":"Busy","type":"server_error","code":null}}"#, "server_error", "Busy"),
            (r#"{"error":{"message":"Busy","type":"x","code":"slow_down"}}"#, "slow_down", "Busy"),
            (r#"{"error":{"code":503,"message":"Busy","status":"UNAVAILABLE"}}"#, "UNAVAILABLE", "Busy"),
            (r#"{"error":{"code":429,"message":"Busy"}}"#, "429", "Busy"),
            (r#"{"error":{"code":429}}"#, "429", ""),
            (
                r#"{"type":"error","error":{"type":"overloaded_error","message":"Busy"}}"#,
                "overloaded_error",
                "Busy",
            ),
            (
                r#"{"error":"model is overloaded","error_type":"overloaded"}"#,
                "overloaded",
                "model is overloaded",
            ),
            (r#"{"error":"model is overloaded"}"#, "", "model is overloaded"),
            (r#"{"error":"over_capacity"}"#, "over_capacity", "over_capacity"),
            (r#"{"error":true,"message":"Busy"}"#, "", "Busy"),
            (
                r#"{"object":"error","message":"Busy","type":"InternalServerError","code":500}"#,
                "InternalServerError",
                "Busy",
            ),
            (r#"{"object":"error","message":"Busy","code":500}"#, "500", "Busy"),
            (r#"{"type":"error","code":null,"message":"Busy","param":null}"#, "", "Busy"),
            (r#"{"success":false,"errors":[{"code":7003,"message":"Busy"}],"result":null}"#, "7003", "Busy"),
            (r#"{"errors":["Busy"]}"#, "", "Busy"),
            (r#"{"base_resp":{"status_code":1004,"status_msg":"Busy"},"choices":null}"#, "1004", "Busy"),
            (r#"{"message":"Busy"}"#, "", "Busy"),
            (r#"{"message":"Busy","code":"Throttled","choices":[]}"#, "Throttled", "Busy"),
            (r#"{"error_code":336003,"error_msg":"Busy"}"#, "336003", "Busy"),
            (r#"{"detail":"Busy"}"#, "", "Busy"),
            (r#"{"detail":{"message":"Busy"}}"#, "", "Busy"),
            (
                r#"{"detail":[{"loc":["body","messages",0],"msg":"Field required","type":"missing"}]}"#,
                "missing",
                "body.messages.0: Field required",
            ),
            (r#"{"error":["Busy","too long"],"error_type":"validation"}"#, "validation", "Busy; too long"),
            (r#"{"error":[{"message":"Busy"}]}"#, "", "Busy"),
            (r#"{"type":"about:blank","title":"Too Many","status":429,"detail":"Busy"}"#, "429", "Busy"),
            (r#"{"title":"Busy","status":503}"#, "503", "Busy"),
            (r#"{"Message":"Busy"}"#, "", "Busy"),
            (r#"{"error":{"message":{"why":"Busy"}}}"#, "", r#"{"why":"Busy"}"#),
        ] {
            assert_eq!(found(json), Some((name.to_owned(), message.to_owned())), "{json}");
        }
    }

    #[test]
    fn what_an_answer_holds_is_no_error() {
        for json in [
            r#"{"choices":[{"message":{"content":"{\"error\":\"x\"}"}}],"error":null}"#,
            r#"{"choices":[{"text":"x"}],"message":"by the way","detail":"low"}"#,
            r#"{"error":"","choices":[]}"#,
            r#"{"error":{},"errors":[],"output":[]}"#,
            r#"{"error":{"message":"","code":0}}"#,
            r#"{"error":false}"#,
            r#"{"error":[],"choices":[]}"#,
            r#"{"error":[null,""]}"#,
            r#"{"title":"Tides","choices":[{"index":0,"message":{"content":"x"}}]}"#,
            r#"{"base_resp":{"status_code":0,"status_msg":"success"}}"#,
            r#"{"type":"message_start","message":{"content":[]}}"#,
            r#"{"text":"Where?","message":"x"}"#,
            r#"{"choices":[],"usage":{"prompt_tokens":1}}"#,
            r#"{}"#,
        ] {
            assert_eq!(found(json), None, "{json}");
        }
    }

    #[test]
    fn a_name_is_a_word_and_never_a_sentence() {
        let said = r#"{"error":{"type":"The card 4111 1111 1111 1111 was refused","message":"Busy"}}"#;
        assert_eq!(found(said), Some((String::new(), "Busy".to_owned())));
    }
}
