//! The texts of captured content: taken out to be searched, and put back with what was found replaced. Pure.

use bytes::Bytes;
use serde_json::Value;
use weir_event::{
    v1::{Content, Output, Part, ToolCall},
    words,
};

/// Members that say what their object is, where they hold a plain word.
const LABELS: [&str; 7] = ["finish_reason", "model", "object", "role", "status", "stop_reason", "type"];

/// Texts in order.
pub(super) fn of(content: &mut Content) -> Vec<String> {
    let mut texts = Vec::new();
    each(content, &mut |text| texts.push(text.clone()));
    texts
}

/// Puts texts back, of which there are as many as were taken out.
pub(super) fn put_back(content: &mut Content, texts: Vec<String>) {
    let mut texts = texts.into_iter();
    each(content, &mut |text| *text = texts.next().unwrap_or_default());
}

fn each(content: &mut Content, visit: &mut dyn FnMut(&mut String)) {
    let Content {
        capture: _,
        request,
        response,
        outputs,
        error_message,
        request_shortened: _,
        response_shortened: _,
    } = content;
    for body in [request, response] {
        let mut text = String::from_utf8_lossy(body).into_owned();
        json(&mut text, visit);
        *body = Bytes::from(text);
    }
    for Output { index: _, text, refusal, reasoning, tool_calls, parts } in outputs {
        for text in [text, refusal, reasoning] {
            visit(text);
        }
        for ToolCall { index: _, id: _, name, arguments, r#type: _ } in tool_calls {
            visit(name);
            json(arguments, visit);
        }
        for Part { r#type: _, json: part } in parts {
            json(part, visit);
        }
    }
    visit(error_message);
}

/// The strings of a JSON text; a text that is none is one itself.
fn json(text: &mut String, visit: &mut dyn FnMut(&mut String)) {
    match serde_json::from_str::<Value>(text) {
        Ok(mut value @ (Value::Object(_) | Value::Array(_))) => {
            strings("", &mut value, visit);
            *text = value.to_string();
        }
        _ => visit(text),
    }
}

/// The strings within a value, which serde_json keeps to 128 levels.
fn strings(key: &str, value: &mut Value, visit: &mut dyn FnMut(&mut String)) {
    match value {
        Value::String(text) if is_label(key, text) => {}
        // JSON within a string, as the arguments of tools are.
        Value::String(text) if text.starts_with(['{', '[']) => json(text, visit),
        Value::String(text) => visit(text),
        Value::Array(elements) => elements.iter_mut().for_each(|element| strings(key, element, visit)),
        Value::Object(members) => members.iter_mut().for_each(|(key, value)| strings(key, value, visit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether a member says what its object is, or which: what reads the content later needs it.
fn is_label(key: &str, text: &str) -> bool {
    let is_plain = words::is_word(text) && !text.bytes().any(|byte| byte.is_ascii_uppercase());
    let is_id = (key == "id" || key.ends_with("_id")) && words::is_id(text);
    LABELS.contains(&key) && is_plain || is_id && text.bytes().any(|byte| byte.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_text_is_taken_out_and_put_back_where_it_was() {
        let request = r#"{"messages":[{"content":[{"text":"I am Ann","type":"text"}],"role":"user"},
            {"tool_calls":[{"function":{"arguments":"{\"to\":\"Ann\\n\"}"},"id":"call_1"}]}],"model":"m","n":1}"#;
        let call = ToolCall {
            name: "f".to_owned(),
            arguments: r#"{"city":"Łódź \u00e9"}"#.to_owned(),
            ..ToolCall::default()
        };
        let part = Part { json: r#"{"type":"image_url","alt":"Ann"}"#.to_owned(), ..Part::default() };
        let output = Output {
            text: "t".to_owned(),
            refusal: "r".to_owned(),
            reasoning: "w".to_owned(),
            tool_calls: vec![call],
            parts: vec![part],
            ..Output::default()
        };
        let mut content = Content {
            request: request.as_bytes().to_vec().into(),
            response: "no JSON".as_bytes().to_vec().into(),
            outputs: vec![output],
            error_message: "e".to_owned(),
            ..Content::default()
        };
        let texts = of(&mut content);
        let expected = ["I am Ann", "Ann\n", "no JSON", "t", "r", "w", "f", "Łódź é", "Ann", "e"];
        assert_eq!(texts, expected);
        put_back(&mut content, texts.iter().map(|text| format!("<{text}>")).collect());
        let request: Value = serde_json::from_slice(&content.request).unwrap();
        assert_eq!(request["messages"][0]["content"][0]["text"], "<I am Ann>");
        assert_eq!(request["messages"][0]["role"], "user");
        assert_eq!(request["messages"][1]["tool_calls"][0]["function"]["arguments"], r#"{"to":"<Ann\n>"}"#);
        assert_eq!(content.response, "<no JSON>");
        assert_eq!(content.outputs[0].tool_calls[0].arguments, r#"{"city":"<Łódź é>"}"#);
        assert_eq!(content.error_message, "<e>");
    }
}
