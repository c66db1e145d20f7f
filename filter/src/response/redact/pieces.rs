//! Where the texts of a stream stand in one of its events, as each API streams them, and which texts an
//! event ends.
//!
//! A text is known by its group (the choice, block, item or candidate that it belongs to) and by how
//! its member is written; written so again, with what was held back, it makes an event of its own.
//! Strings that no text is made of are none of these: they are searched whole.

use std::collections::HashSet;
use std::ops::Range;

use serde_json::Value as Json;

use crate::api::{Api, Family};
use crate::json::scan::{Kind, Object, Value};
use crate::redact::Channel;

/// The group of what belongs to none.
const NO_GROUP: u64 = u64::MAX;
/// Longest member of an event that is repeated in one with what was held back, in bytes.
const REPEATED_MAX: usize = 256;
/// The same of usage.
const USAGE_MAX: usize = 2 << 10;
/// Members that say which answer this is.
const OPENAI_IDENTITY: [&str; 6] = ["id", "object", "created", "model", "system_fingerprint", "service_tier"];
const GEMINI_IDENTITY: [&str; 2] = ["modelVersion", "responseId"];

/// Which text of a stream.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Text {
    /// What it belongs to.
    pub group: u64,
    /// How its member is written, up to its value.
    open: String,
    /// And behind it.
    close: &'static str,
    /// The name of its events, where the API names them.
    pub event: Option<String>,
}

/// A piece of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Piece {
    /// Which text.
    pub text: Text,
    /// What the text is.
    pub kind: Channel,
    /// Where the string stands, quotes included.
    pub range: Range<usize>,
}

/// What an event holds of the texts of its stream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pieces {
    /// In the order in which they stand.
    pub pieces: Vec<Piece>,
    /// Strings that are neither texts nor searched, such as sound.
    pub untouched: Vec<Range<usize>>,
    /// What ends with this event.
    pub ends: Ends,
    /// The event's number, where it has one.
    pub sequence: Option<u64>,
}

/// Which texts end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ends {
    /// Those of these groups, of which an event may end as many as it has bytes for.
    Groups(HashSet<u64>),
    /// All.
    All,
}

impl Default for Ends {
    fn default() -> Self {
        Self::Groups(HashSet::new())
    }
}

impl Ends {
    /// Whether the texts of a group are among them.
    pub fn has(&self, group: u64) -> bool {
        match self {
            Self::All => true,
            Self::Groups(groups) => groups.contains(&group),
        }
    }

    fn add(&mut self, group: u64) {
        if let Self::Groups(groups) = self {
            groups.insert(group);
        }
    }
}

impl Text {
    /// The data of an event that brings more of this text, `json` being a string of JSON. `identity`
    /// says which answer it is ([`identity`]).
    pub fn event(&self, api: Api, identity: &str, json: &str, sequence: Option<u64>) -> String {
        let Self { group, open, close, .. } = self;
        let member = format!("{open}{json}{close}");
        match (api, api.family()) {
            (Api::OpenAiChat | Api::OpenAiCompletions, _) => {
                let comma = if identity.is_empty() { "" } else { "," };
                format!(
                    "{{{identity}{comma}\"choices\":[{{\"index\":{group},{member},\"finish_reason\":null}}]}}"
                )
            }
            (_, Family::OpenAi) => match sequence {
                Some(number) => format!("{{{member},\"sequence_number\":{number}}}"),
                None => format!("{{{member}}}"),
            },
            (_, Family::Anthropic) => {
                format!("{{\"type\":\"content_block_delta\",\"index\":{group},\"delta\":{{{member}}}}}")
            }
            (_, Family::Gemini) => {
                let comma = if identity.is_empty() { "" } else { "," };
                format!(
                    "{{\"candidates\":[{{\"content\":{{\"parts\":[{{{member}}}],\"role\":\"model\"}},\"index\":{group}}}]{comma}{identity}}}"
                )
            }
            (_, Family::Cohere) => format!("{{{member}}}"),
        }
    }
}

/// The members of an event that say which answer it is of, as they are written, and what it has cost so
/// far where every event tells it.
pub fn identity(api: Api, object: &Object<'_>) -> String {
    match (api, api.family()) {
        (Api::OpenAiChat | Api::OpenAiCompletions, _) => copied(object, &OPENAI_IDENTITY),
        (_, Family::Gemini) => {
            let mut identity = copied(object, &GEMINI_IDENTITY);
            // Clients take the usage of the last piece for that of all.
            if let Some(usage) = object.get("usageMetadata").filter(|usage| usage.raw.len() <= USAGE_MAX) {
                let comma = if identity.is_empty() { "" } else { "," };
                identity.push_str(&format!("{comma}\"usageMetadata\":{}", usage.raw));
            }
            identity
        }
        _ => String::new(),
    }
}

/// Members as they are written, with commas between.
fn copied(object: &Object<'_>, keys: &[&str]) -> String {
    let members = keys.iter().filter_map(|key| {
        let value = object.get(key)?;
        let is_short = !matches!(value.kind, Kind::Object | Kind::Array) && value.raw.len() <= REPEATED_MAX;
        is_short.then(|| format!("\"{key}\":{}", value.raw))
    });
    members.collect::<Vec<_>>().join(",")
}

/// Finds the texts in an event, whose members are those of `object`.
pub fn find(api: Api, event: &str, object: &Object<'_>) -> Pieces {
    let mut finder = Finder { event, found: Pieces::default() };
    if object.get("error").is_some_and(|error| error.kind != Kind::Null) {
        finder.found.ends = Ends::All;
    }
    match (api, api.family()) {
        (Api::OpenAiChat | Api::OpenAiCompletions, _) => finder.openai(object),
        (_, Family::OpenAi) => finder.responses(object),
        (_, Family::Anthropic) => finder.anthropic(object),
        (_, Family::Gemini) => finder.gemini(object),
        (_, Family::Cohere) => finder.cohere(object),
    }
    finder.found.pieces.sort_by_key(|piece| piece.range.start);
    finder.found
}

struct Finder<'e> {
    event: &'e str,
    found: Pieces,
}

impl Finder<'_> {
    /// Where a value stands in the event that it is a part of.
    fn range(&self, value: &Value<'_>) -> Range<usize> {
        let start = (value.raw.as_ptr() as usize).saturating_sub(self.event.as_ptr() as usize);
        start..start + value.raw.len()
    }

    fn piece(&mut self, group: u64, open: String, close: &'static str, kind: Channel, value: &Value<'_>) {
        self.named(None, group, open, close, kind, value);
    }

    fn named(
        &mut self,
        event: Option<&str>,
        group: u64,
        open: String,
        close: &'static str,
        kind: Channel,
        value: &Value<'_>,
    ) {
        if value.kind == Kind::String {
            let (range, event) = (self.range(value), event.map(str::to_owned));
            let text = Text { group, open, close, event };
            self.found.pieces.push(Piece { text, kind, range });
        }
    }

    /// OpenAI API reference, "Chat Completions", "Streaming events"; "Completions".
    fn openai(&mut self, object: &Object<'_>) {
        for (place, choice) in objects(object.get("choices")).enumerate() {
            let index = number(&choice, "index").unwrap_or(place as u64);
            if choice.get("finish_reason").is_some_and(|reason| reason.kind == Kind::String) {
                self.found.ends.add(index);
            }
            if let Some(text) = choice.get("text") {
                self.piece(index, "\"text\":".to_owned(), "", Channel::Text, &text);
            }
            let delta = choice.get("delta").and_then(|delta| delta.as_object()).unwrap_or_default();
            for (key, value) in delta.iter() {
                self.openai_member(index, key, &value);
            }
        }
    }

    fn openai_member(&mut self, choice: u64, key: &str, value: &Value<'_>) {
        let text = Channel::Text;
        match (key, value.kind) {
            ("role", _) => {}
            ("content", Kind::Array) => {
                for part in objects(Some(*value)) {
                    if let Some(said) = part.get("text") {
                        let open = "\"delta\":{\"content\":[{\"type\":\"text\",\"text\":".to_owned();
                        self.piece(choice, open, "}]}", text, &said);
                    }
                    for thought in objects(part.get("thinking")) {
                        if let Some(said) = thought.get("text") {
                            let open = "\"delta\":{\"content\":[{\"type\":\"thinking\",\"thinking\":[{\"type\":\"text\",\"text\":";
                            self.piece(choice, open.to_owned(), "}]}]}", text, &said);
                        }
                    }
                }
            }
            ("tool_calls", Kind::Array) => {
                for (place, call) in objects(Some(*value)).enumerate() {
                    let index = number(&call, "index").unwrap_or(place as u64);
                    for (holder, member, kind) in
                        [("function", "arguments", Channel::Json), ("custom", "input", text)]
                    {
                        let held = call.get(holder).and_then(|held| held.as_object());
                        if let Some(said) = held.and_then(|held| held.get(member)) {
                            let open = format!(
                                "\"delta\":{{\"tool_calls\":[{{\"index\":{index},\"{holder}\":{{\"{member}\":"
                            );
                            self.piece(choice, open, "}}]}", kind, &said);
                        }
                    }
                }
            }
            ("function_call", Kind::Object) => {
                if let Some(said) = value.as_object().and_then(|call| call.get("arguments")) {
                    let open = "\"delta\":{\"function_call\":{\"arguments\":".to_owned();
                    self.piece(choice, open, "}}", Channel::Json, &said);
                }
            }
            ("audio", Kind::Object) => {
                if let Some(said) = value.as_object().and_then(|audio| audio.get("transcript")) {
                    self.piece(choice, "\"delta\":{\"audio\":{\"transcript\":".to_owned(), "}}", text, &said);
                }
            }
            // OpenRouter's form of reasoning.
            ("reasoning_details", Kind::Array) => {
                for detail in objects(Some(*value)) {
                    for member in ["text", "summary"] {
                        if let Some(said) = detail.get(member) {
                            let kind = copied(&detail, &["type", "index", "format"]);
                            let comma = if kind.is_empty() { "" } else { "," };
                            let open =
                                format!("\"delta\":{{\"reasoning_details\":[{{{kind}{comma}\"{member}\":");
                            self.piece(choice, open, "}]}", text, &said);
                        }
                    }
                }
            }
            // Reasoning by its various names, a refusal, and what is not known: likely a text.
            (_, Kind::String) => {
                let open = format!("\"delta\":{{{}:", Json::from(key));
                self.piece(choice, open, "}", text, value);
            }
            _ => {}
        }
    }

    /// OpenAI API reference, "Responses", "Streaming events", and the streams of images, speech and
    /// transcription, which have the same form.
    fn responses(&mut self, object: &Object<'_>) {
        const SOUND: [&str; 2] = ["response.audio.delta", "response.output_audio.delta"];
        const ARGUMENTS: [&str; 2] =
            ["response.function_call_arguments.delta", "response.mcp_call_arguments.delta"];
        const LAST: [&str; 5] =
            ["response.completed", "response.failed", "response.incomplete", "error", "transcript.text.done"];
        let kind = object.text("type");
        let group = number(object, "output_index");
        self.found.sequence = number(object, "sequence_number");
        if LAST.contains(&kind.as_ref()) {
            self.found.ends = Ends::All;
        } else if kind.ends_with(".done") {
            match group {
                Some(group) => self.found.ends.add(group),
                None => self.found.ends = Ends::All,
            }
        }
        let (Some(named), Some(delta)) = (object.get("type"), object.get("delta")) else { return };
        if !kind.ends_with(".delta") {
            return;
        }
        if SOUND.contains(&kind.as_ref()) {
            let range = self.range(&delta);
            self.found.untouched.push(range);
            return;
        }
        let places = copied(object, &["item_id", "output_index", "content_index", "summary_index"]);
        let comma = if places.is_empty() { "" } else { "," };
        let open = format!("\"type\":{},{places}{comma}\"delta\":", named.raw);
        let close = if kind == "response.output_text.delta" { ",\"logprobs\":[]" } else { "" };
        let channel = if ARGUMENTS.contains(&kind.as_ref()) { Channel::Json } else { Channel::Text };
        self.named(Some(&kind), group.unwrap_or(NO_GROUP), open, close, channel, &delta);
    }

    /// Anthropic Messages API, "Streaming messages".
    fn anthropic(&mut self, object: &Object<'_>) {
        let index = number(object, "index").unwrap_or(0);
        let event = Some("content_block_delta");
        match object.text("type").as_ref() {
            "content_block_start" => {
                let block = object.get("content_block").and_then(|block| block.as_object());
                for (key, open) in [
                    ("text", "\"type\":\"text_delta\",\"text\":"),
                    ("thinking", "\"type\":\"thinking_delta\",\"thinking\":"),
                ] {
                    if let Some(said) = block.as_ref().and_then(|block| block.get(key)) {
                        self.named(event, index, open.to_owned(), "", Channel::Text, &said);
                    }
                }
            }
            "content_block_delta" => {
                let delta = object.get("delta").and_then(|delta| delta.as_object()).unwrap_or_default();
                let kind = delta.get("type").map_or("\"text_delta\"", |kind| kind.raw);
                for (key, value) in delta.iter().filter(|(key, _)| !matches!(*key, "type" | "signature")) {
                    let open = format!("\"type\":{kind},{}:", Json::from(key));
                    let channel = if key == "partial_json" { Channel::Json } else { Channel::Text };
                    self.named(event, index, open, "", channel, &value);
                }
            }
            "content_block_stop" => self.found.ends.add(index),
            "message_delta" | "message_stop" | "error" => self.found.ends = Ends::All,
            _ => {}
        }
    }

    /// Gemini API, "GenerateContentResponse".
    fn gemini(&mut self, object: &Object<'_>) {
        for (place, candidate) in objects(object.get("candidates")).enumerate() {
            let index = number(&candidate, "index").unwrap_or(place as u64);
            if candidate.get("finishReason").is_some_and(|reason| reason.kind == Kind::String) {
                self.found.ends.add(index);
            }
            let content = candidate.get("content").and_then(|content| content.as_object());
            for part in objects(content.and_then(|content| content.get("parts"))) {
                let is_thought = part.get("thought").and_then(|value| value.as_bool()) == Some(true);
                if let Some(said) = part.get("text") {
                    let open = if is_thought { "\"thought\":true,\"text\":" } else { "\"text\":" };
                    self.piece(index, open.to_owned(), "", Channel::Text, &said);
                }
                let call = part.get("functionCall").and_then(|call| call.as_object()).unwrap_or_default();
                for argument in objects(call.get("partialArgs")) {
                    if let Some(said) = argument.get("stringValue") {
                        let path = argument.get("jsonPath").map_or("\"$\"", |path| path.raw);
                        let open = format!(
                            "\"functionCall\":{{\"partialArgs\":[{{\"jsonPath\":{path},\"stringValue\":"
                        );
                        self.piece(index, open, "}]}", Channel::Text, &said);
                    }
                }
            }
        }
    }

    /// Cohere API v2, "Chat with Streaming".
    fn cohere(&mut self, object: &Object<'_>) {
        let index = number(object, "index");
        let group = index.unwrap_or(NO_GROUP);
        match object.text("type").as_ref() {
            "content-end" | "tool-call-end" => self.found.ends.add(group),
            "message-end" => self.found.ends = Ends::All,
            _ => {}
        }
        let delta = object.get("delta").and_then(|delta| delta.as_object());
        let message = delta.and_then(|delta| delta.get("message")?.as_object()).unwrap_or_default();
        let at = index.map(|index| format!("\"index\":{index},")).unwrap_or_default();
        let content = message.get("content").and_then(|content| content.as_object()).unwrap_or_default();
        for key in ["text", "thinking"] {
            if let Some(said) = content.get(key) {
                let open = format!(
                    "\"type\":\"content-delta\",{at}\"delta\":{{\"message\":{{\"content\":{{\"{key}\":"
                );
                self.named(Some("content-delta"), group, open, "}}}", Channel::Text, &said);
            }
        }
        if let Some(said) = message.get("tool_plan") {
            let open = "\"type\":\"tool-plan-delta\",\"delta\":{\"message\":{\"tool_plan\":".to_owned();
            self.named(Some("tool-plan-delta"), NO_GROUP, open, "}}", Channel::Text, &said);
        }
        let call = message.get("tool_calls").and_then(|call| call.as_object());
        let function = call.and_then(|call| call.get("function")?.as_object()).unwrap_or_default();
        if let Some(said) = function.get("arguments") {
            let open = format!(
                "\"type\":\"tool-call-delta\",{at}\"delta\":{{\"message\":{{\"tool_calls\":{{\"function\":{{\"arguments\":"
            );
            self.named(Some("tool-call-delta"), group, open, "}}}}", Channel::Json, &said);
        }
    }
}

fn number(object: &Object<'_>, key: &str) -> Option<u64> {
    object.get(key)?.as_u64()
}

/// The objects of a list.
fn objects<'a>(value: Option<Value<'a>>) -> impl Iterator<Item = Object<'a>> + use<'a> {
    let elements = value.filter(|value| value.kind == Kind::Array).and_then(|value| value.as_array());
    elements.unwrap_or_default().into_iter().filter_map(|element| element.as_object())
}
