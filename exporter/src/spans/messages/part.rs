//! Messages and their parts, as the GenAI conventions' JSON schemas name them (v1.41,
//! `gen-ai-input-messages.json` and `gen-ai-output-messages.json`).
//!
//! What no schema has a part for stays whole as a part of its own type, so nothing that was said is lost.
//! Binary data is never in a part: its media type, size and digest stand in its place.

use serde::Serialize;
use serde_json::{Map, Value};

use super::value::is_blank;

/// What starts a reference to data that the gateway took out.
const REFERENCE: &str = "weir-blob:";

/// One message.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub(in crate::spans) struct Message {
    pub role: String,
    pub parts: Vec<Part>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Why it ended; only of what a model said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
}

impl Message {
    /// A message of those parts that say something.
    pub(in crate::spans) fn new(role: impl Into<String>, mut parts: Vec<Part>) -> Self {
        parts.retain(|part| !part.is_blank());
        Self { role: role.into(), parts, ..Self::default() }
    }

    /// The same as the pieces of a stream are put together: what was thought, said and refused as one each, then
    /// the calls of tools, those of the provider's own tools, and all else, each in its order.
    #[must_use]
    pub(in crate::spans) fn put_together(self) -> Self {
        let (mut thought, mut said, mut refused) = (String::new(), String::new(), String::new());
        let mut rest = Vec::new();
        for part in self.parts {
            match part {
                Part::Reasoning { content } => thought.push_str(&content),
                Part::Text { content } => said.push_str(&content),
                part => match part.refused() {
                    Some(content) => refused.push_str(content),
                    None => rest.push(part),
                },
            }
        }
        let mut parts =
            vec![Part::Reasoning { content: thought }, Part::Text { content: said }, Part::refusal(refused)];
        parts.retain(|part| !part.is_blank());
        rest.sort_by_key(Part::place);
        parts.extend(rest);
        Self { parts, ..self }
    }

    /// All text of the message, one part a line.
    pub(in crate::spans) fn text(&self) -> String {
        let texts: Vec<_> = self.parts.iter().filter_map(Part::said).collect();
        texts.join("\n")
    }
}

/// One part of a message.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(in crate::spans) enum Part {
    Text {
        content: String,
    },
    Reasoning {
        content: String,
    },
    ToolCall {
        #[serde(skip_serializing_if = "String::is_empty")]
        id: String,
        name: String,
        #[serde(skip_serializing_if = "Value::is_null")]
        arguments: Value,
    },
    ToolCallResponse {
        #[serde(skip_serializing_if = "String::is_empty")]
        id: String,
        response: Value,
        /// Whether the tool failed, where that was said.
        #[serde(skip_serializing_if = "is_false")]
        is_error: bool,
    },
    /// A tool that the provider runs itself.
    ServerToolCall {
        #[serde(skip_serializing_if = "String::is_empty")]
        id: String,
        name: String,
        server_tool_call: Value,
    },
    ServerToolCallResponse {
        #[serde(skip_serializing_if = "String::is_empty")]
        id: String,
        server_tool_call_response: Value,
    },
    Uri {
        modality: &'static str,
        #[serde(skip_serializing_if = "String::is_empty")]
        mime_type: String,
        uri: String,
    },
    File {
        modality: &'static str,
        #[serde(skip_serializing_if = "String::is_empty")]
        mime_type: String,
        file_id: String,
    },
    /// Data that was sent along, without the data.
    Blob {
        modality: &'static str,
        #[serde(skip_serializing_if = "String::is_empty")]
        mime_type: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        bytes: Option<u64>,
        #[serde(skip_serializing_if = "String::is_empty")]
        sha256: String,
    },
    #[serde(untagged)]
    Other(Map<String, Value>),
}

#[allow(clippy::trivially_copy_pass_by_ref)] // serde asks for a reference.
fn is_false(flag: &bool) -> bool {
    !flag
}

impl Part {
    /// Whether it says nothing: what a server wrote out although it is empty. Every builder of messages has its
    /// parts looked through by this.
    pub(in crate::spans) fn is_blank(&self) -> bool {
        let only_typed = |members: &Map<String, Value>| {
            members.iter().all(|(key, value)| matches!(key.as_str(), "type" | "index") || is_blank(value))
        };
        let details = |value: &Value| value.as_object().map_or(is_blank(value), only_typed);
        match self {
            Self::Text { content } | Self::Reasoning { content } => content.is_empty(),
            Self::ToolCall { id, name, arguments } => id.is_empty() && name.is_empty() && is_blank(arguments),
            Self::ToolCallResponse { id, response, .. } => id.is_empty() && is_blank(response),
            Self::ServerToolCall { id, server_tool_call, .. } => id.is_empty() && details(server_tool_call),
            Self::ServerToolCallResponse { id, server_tool_call_response } => {
                id.is_empty() && details(server_tool_call_response)
            }
            Self::Uri { uri, .. } => uri.is_empty(),
            Self::File { file_id, .. } => file_id.is_empty(),
            Self::Blob { bytes, .. } => *bytes == Some(0),
            Self::Other(members) => only_typed(members),
        }
    }

    /// Where it stands behind what was said.
    fn place(&self) -> u8 {
        match self {
            Self::ToolCall { .. } => 0,
            Self::ServerToolCall { .. } => 1,
            _ => 2,
        }
    }

    /// A call of a tool by the provider's word for its kind: of the caller's, or of the provider's own.
    pub(in crate::spans) fn call(kind: &str, id: String, name: String, arguments: Value) -> Self {
        match kind {
            "" | "function" | "tool_use" | "function_call" | "custom" | "custom_tool_call" => {
                Self::ToolCall { id, name, arguments }
            }
            kind => {
                let name = if name.is_empty() { tool_name(kind).to_owned() } else { name };
                Self::ServerToolCall { id, name, server_tool_call: typed(kind, "arguments", arguments) }
            }
        }
    }

    /// The result of a tool of the provider's own.
    pub(in crate::spans) fn server_result(kind: &str, id: String, content: Value) -> Self {
        Self::ServerToolCallResponse { id, server_tool_call_response: typed(kind, "content", content) }
    }

    /// The result of a tool.
    pub(in crate::spans) fn tool_response(id: String, response: Value) -> Self {
        Self::ToolCallResponse { id, response, is_error: false }
    }

    /// A text, or the data that stood where a text might.
    pub(in crate::spans) fn text(content: String) -> Self {
        match reference(&content, "", DOCUMENT) {
            Some(blob) => blob,
            None => Self::Text { content },
        }
    }

    /// What the model would not do.
    pub(in crate::spans) fn refusal(content: String) -> Self {
        Self::typed("refusal", Value::String(content))
    }

    /// A part of a type of its own.
    pub(in crate::spans) fn typed(kind: &str, content: Value) -> Self {
        let mut part = Map::new();
        part.insert("type".to_owned(), kind.into());
        part.insert("content".to_owned(), content);
        Self::Other(part)
    }

    /// Anything, unchanged.
    pub(in crate::spans) fn other(value: Value) -> Self {
        match value {
            Value::Object(map) if map.get("type").is_some_and(Value::is_string) => Self::Other(map),
            value => Self::typed("unknown", value),
        }
    }

    /// What is behind a URL, or the data that was in it.
    pub(in crate::spans) fn at(url: String, mime_type: &str, modality: &'static str) -> Self {
        reference(&url, mime_type, modality).unwrap_or_else(|| {
            let mime_type = mime_type.to_owned();
            Self::Uri { modality: modality_of(&mime_type).unwrap_or(modality), mime_type, uri: url }
        })
    }

    /// Data in base64: its reference, or, where it is still there, that there was some.
    pub(in crate::spans) fn data(data: &str, mime_type: &str, modality: &'static str) -> Self {
        reference(data, mime_type, modality).unwrap_or_else(|| {
            let mime_type = mime_type.to_owned();
            let modality = modality_of(&mime_type).unwrap_or(modality);
            let bytes = data.is_empty().then_some(0);
            Self::Blob { modality, mime_type, bytes, sha256: String::new() }
        })
    }

    /// A file that the provider has.
    pub(in crate::spans) fn file(file_id: String, mime_type: String, modality: &'static str) -> Self {
        Self::File { modality: modality_of(&mime_type).unwrap_or(modality), mime_type, file_id }
    }

    /// The part's text, where it is one.
    pub(in crate::spans) fn said(&self) -> Option<&str> {
        match self {
            Self::Text { content } => Some(content),
            other => other.refused(),
        }
    }

    /// The text of a refusal, where it is one.
    fn refused(&self) -> Option<&str> {
        match self {
            Self::Other(part) if part.get("type").and_then(Value::as_str) == Some("refusal") => {
                part.get("content").and_then(Value::as_str)
            }
            _ => None,
        }
    }
}

/// The name of a tool that has none but its kind, such as `web_search_call` (GenAI's schema asks for one).
fn tool_name(kind: &str) -> &str {
    match kind {
        "executable_code" => "code_execution",
        kind => kind.strip_suffix("_call").unwrap_or(kind),
    }
}

/// An object of a type with one member, left out where it is null.
fn typed(kind: &str, member: &str, value: Value) -> Value {
    let mut object = Map::new();
    object.insert("type".to_owned(), kind.into());
    if !value.is_null() {
        object.insert(member.to_owned(), value);
    }
    Value::Object(object)
}

/// The modality of what is neither picture nor sound nor film.
pub(in crate::spans) const DOCUMENT: &str = "document";

fn modality_of(mime_type: &str) -> Option<&'static str> {
    match mime_type.split_once('/')?.0 {
        "image" => Some("image"),
        "audio" => Some("audio"),
        "video" => Some("video"),
        "application" | "text" => Some(DOCUMENT),
        _ => None,
    }
}

/// `weir-blob:<media type>;bytes=N;sha256=…`, as the event's contract defines it.
fn reference(text: &str, beside: &str, modality: &'static str) -> Option<Part> {
    let mut fields = text.strip_prefix(REFERENCE)?.rsplitn(3, ';');
    let sha256 = fields.next()?.strip_prefix("sha256=")?.to_owned();
    let bytes = fields.next()?.strip_prefix("bytes=")?.parse().ok()?;
    let mime_type = fields.next().filter(|named| !named.is_empty()).unwrap_or(beside).to_owned();
    let modality = modality_of(&mime_type).unwrap_or(modality);
    Some(Part::Blob { modality, mime_type, bytes: Some(bytes), sha256 })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn shown(part: Part) -> Value {
        serde_json::to_value(part).unwrap()
    }

    #[test]
    fn a_reference_becomes_a_blob_by_its_own_media_type_or_the_one_beside_it() {
        let own = Part::at("weir-blob:image/png;bytes=70;sha256=00aa".to_owned(), "", DOCUMENT);
        let expected = json!({"type": "blob", "modality": "image", "mime_type": "image/png", "bytes": 70, "sha256": "00aa"});
        assert_eq!(shown(own), expected);
        let beside = Part::data("weir-blob:;bytes=9;sha256=bb", "audio/wav;rate=8000", DOCUMENT);
        let expected = json!({"type": "blob", "modality": "audio", "mime_type": "audio/wav;rate=8000", "bytes": 9, "sha256": "bb"});
        assert_eq!(shown(beside), expected);
    }

    #[test]
    fn what_only_looks_like_a_reference_stays_what_it_is() {
        for text in ["weir-blob:", "weir-blob:image/png;bytes=x;sha256=1", "weir-blob:;sha256=1;bytes=1"] {
            assert_eq!(Part::text(text.to_owned()), Part::Text { content: text.to_owned() });
        }
    }

    #[test]
    fn data_that_was_not_taken_out_is_not_told() {
        let part = shown(Part::data("aGVsbG8=", "image/png", "image"));
        assert_eq!(part, json!({"type": "blob", "modality": "image", "mime_type": "image/png"}));
    }

    #[test]
    fn anything_else_is_kept_as_a_part() {
        assert_eq!(shown(Part::other(json!({"type": "new", "a": 1}))), json!({"type": "new", "a": 1}));
        assert_eq!(shown(Part::other(json!([1]))), json!({"type": "unknown", "content": [1]}));
        assert_eq!(
            shown(Part::other(json!({"type": 5}))),
            json!({"type": "unknown", "content": {"type": 5}})
        );
    }
}
