//! OpenAI's chat completions, and what is compatible with them (OpenAI API reference, "Chat Completions", "Streaming
//! events").
//!
//! A whole message and the delta of a stream have the same members, so they are read alike. Servers say the same
//! under several names at once, so of the names of one thing only the first that says something is read.

use crate::api::family::operation::{Dialect, ErrorEvent};
use crate::api::family::reading::error;
use crate::api::family::reading::notes::Notes;
use crate::api::openai::chat_stream::{find_texts, identity, write_text};
use crate::capture::calls::{Begins, Piece, Slot};
use crate::capture::transcript::{CallPart, Channel};
use crate::json::scan::{Kind, Object, Value};
use crate::json::values::{objects, says_something};

/// The names under which providers give a model's reasoning as a text: DeepSeek's and others', and that of vLLM,
/// OpenRouter and Groq.
const REASONING: [&str; 4] = ["reasoning_content", "reasoning", "reasoning_text", "thinking"];
/// The lists that hold it in parts: OpenRouter's, and LiteLLM's; and where the parts have it.
const REASONING_PARTS: [&str; 2] = ["reasoning_details", "thinking_blocks"];
const REASONING_PART_TEXTS: [&str; 3] = ["text", "thinking", "summary"];
/// Members of a message that hold no content.
const NO_TOKEN: [&str; 5] = ["role", "type", "object", "status", "name"];

/// How chat completions are written.
pub(crate) const DIALECT: Dialect = Dialect {
    read: |object, notes| {
        read(object, false, notes, read_choice);
    },
    read_event: |object, notes| read(object, true, notes, read_choice),
    find_texts,
    write_text,
    identity,
    has_identity_per_event: false,
    error_event: ErrorEvent::Body(None),
    done: Some("[DONE]"),
};

/// Reads a choice: its place, the choice, and whether it is of an event. Returns whether it brought a token.
type ReadChoice = fn(u64, &Object<'_>, bool, &mut Notes<'_>) -> bool;

/// Reads a response in one piece, or the data of one event. Returns whether it brought a token: content,
/// refusal, reasoning or a tool call; the first chunk, which only names the role, does not.
pub(crate) fn read(
    object: &Object<'_>,
    is_event: bool,
    notes: &mut Notes<'_>,
    read_choice: ReadChoice,
) -> bool {
    notes.common(object);
    // Groq reports an error in a stream in a member of its own.
    if let Some(found) = object.get("x_groq").and_then(|own| error::member(&own.as_object()?)) {
        notes.error(&found);
    }
    let (mut token, mut has_choices) = (false, false);
    for (place, choice) in objects(object.get("choices")).enumerate() {
        has_choices = true;
        let index = choice.get("index").and_then(|index| index.as_u64()).unwrap_or(place as u64);
        if let Some(found) = error::member(&choice) {
            notes.error(&found);
        }
        notes.last_of_choice(index, &choice, "finish_reason");
        // Moonshot reports the usage of a stream within its last choice.
        notes.usage.read_members(&choice);
        token |= read_choice(index, &choice, is_event, notes);
    }
    // Cloudflare's own form, which may also stand beside equal choices.
    if let Some(text) = object.get("response").filter(|_| !has_choices) {
        token |= notes.transcript.text(0, Channel::Text, &text);
    }
    token
}

/// Reads the delta or the message of a choice, and never both.
pub(crate) fn read_choice(index: u64, choice: &Object<'_>, is_event: bool, notes: &mut Notes<'_>) -> bool {
    let member = |key| choice.get(key).filter(says_something);
    let begins = if is_event { Begins::IfNew } else { Begins::Always };
    let (delta, message) = (member("delta"), member("message"));
    let said = if is_event {
        let is_first = !notes.seen.has_begun;
        notes.seen.has_begun |= delta.is_some();
        delta.or_else(|| message.filter(|_| is_first))
    } else {
        message.or(delta)
    };
    said.and_then(|said| said.as_object()).is_some_and(|said| read_message(index, &said, begins, notes))
}

fn read_message(choice: u64, message: &Object<'_>, begins: Begins, notes: &mut Notes<'_>) -> bool {
    let member = |key| message.get(key).filter(says_something);
    let thought = REASONING.iter().find_map(|key| member(key).filter(|value| value.kind == Kind::String));
    let refusal = member("refusal").filter(|refusal| refusal.kind == Kind::String);
    let mut said = Said { text: false, refusal: refusal.is_some(), reasoning: thought.is_some() };
    if let Some(content) = member("content") {
        read_content(choice, content, &mut said, notes);
    }
    if let Some(refusal) = refusal {
        notes.transcript.text(choice, Channel::Refusal, &refusal);
    }
    if let Some(thought) = thought {
        notes.transcript.text(choice, Channel::Reasoning, &thought);
    }
    if !said.reasoning {
        let lists = REASONING_PARTS.iter().find_map(|key| member(key));
        for part in objects(lists) {
            let text = REASONING_PART_TEXTS.iter().find_map(|key| part.get(key).filter(says_something));
            if let Some(text) = text {
                notes.transcript.text(choice, Channel::Reasoning, &text);
            }
        }
    }
    if let Some(audio) = member("audio").and_then(|audio| audio.as_object()) {
        read_audio(choice, &audio, &said, notes);
    }
    for image in member("images").and_then(|images| images.as_array()).unwrap_or_default() {
        let kind = image.as_object().unwrap_or_default();
        let kind = kind.text_of("type").unwrap_or("image_url".into());
        notes.transcript.part(choice, &kind, &image);
    }
    match (member("tool_calls"), member("function_call").and_then(|call| call.as_object())) {
        (Some(calls), _) => {
            for (place, call) in objects(Some(calls)).enumerate() {
                read_tool_call(choice, place as u64, &call, begins, notes);
            }
        }
        (None, Some(function)) => {
            read_call(choice, &Object::default(), &function, Slot::Place(0), begins, notes);
        }
        (None, None) => {}
    }
    // What is not known may be anything that the caller waits for.
    message.iter().any(|(key, value)| !NO_TOKEN.contains(&key) && says_something(&value))
}

/// What of a message was read, so that it is not read again under another name.
struct Said {
    text: bool,
    refusal: bool,
    reasoning: bool,
}

/// Content is a text, or a list of parts that have one.
fn read_content(choice: u64, content: Value<'_>, said: &mut Said, notes: &mut Notes<'_>) {
    if content.kind == Kind::String {
        said.text |= notes.transcript.text(choice, Channel::Text, &content);
        return;
    }
    let (has_refusal, has_reasoning) = (said.refusal, said.reasoning);
    for part in objects(Some(content)) {
        if let Some(text) = part.get("text") {
            said.text |= notes.transcript.text(choice, Channel::Text, &text);
        }
        if let Some(refusal) = part.get("refusal").filter(|_| !has_refusal) {
            said.refusal |= notes.transcript.text(choice, Channel::Refusal, &refusal);
        }
        // Mistral's reasoning models think in a part of its own, and so do Anthropic's behind Databricks.
        let thoughts = ["thinking", "summary"].iter().find_map(|key| part.get(key).filter(says_something));
        for thought in objects(thoughts.filter(|_| !has_reasoning)) {
            if let Some(text) = thought.get("text") {
                said.reasoning |= notes.transcript.text(choice, Channel::Reasoning, &text);
            }
        }
    }
}

/// What the model spoke: its words, unless they are written too, and that there is sound, which comes in pieces.
fn read_audio(choice: u64, audio: &Object<'_>, said: &Said, notes: &mut Notes<'_>) {
    if let Some(transcript) = audio.get("transcript").filter(|_| !said.text) {
        notes.transcript.text(choice, Channel::Text, &transcript);
    }
    if let Some(id) = audio.get("id").filter(says_something)
        && !notes.transcript.has_part(choice, AUDIO)
    {
        let json = format!("{{\"id\":{}}}", id.raw);
        notes.transcript.part(choice, AUDIO, &Value { raw: &json, kind: Kind::Object, start: 0 });
    }
}

/// The type of the part that stands for a choice's sound.
const AUDIO: &str = "audio";

fn read_tool_call(choice: u64, place: u64, call: &Object<'_>, begins: Begins, notes: &mut Notes<'_>) {
    let function = ["function", "custom"].iter().find_map(|holder| call.get(holder)?.as_object());
    let index = call.get("index").and_then(|index| index.as_u64());
    let slot = index.map_or(Slot::Place(place), Slot::Index);
    let says = |key| call.get(key).is_some_and(|value| says_something(&value));
    if ["id", "function", "custom"].into_iter().any(says) {
        read_call(choice, call, &function.unwrap_or_default(), slot, begins, notes);
    }
}

fn read_call(
    choice: u64,
    call: &Object<'_>,
    function: &Object<'_>,
    slot: Slot,
    begins: Begins,
    notes: &mut Notes<'_>,
) {
    let arguments =
        ["arguments", "input"].iter().find_map(|key| function.get(key).filter(|it| it.kind != Kind::Null));
    let piece = Piece {
        id: &call.text("id"),
        item: "",
        name: &function.text("name"),
        slot,
        has_arguments: arguments.is_some_and(|arguments| says_something(&arguments)),
        begins,
    };
    let at = notes.transcript.call(choice, &piece);
    let kind = call.get("type").filter(|kind| kind.raw != "\"function\"");
    for (part, value) in
        [(CallPart::Id, call.get("id")), (CallPart::Type, kind), (CallPart::Name, function.get("name"))]
    {
        if let Some(value) = value {
            notes.transcript.call_part(at, part, &value);
        }
    }
    match arguments {
        Some(text) if text.kind == Kind::String => {
            notes.transcript.call_part(at, CallPart::Arguments, &text);
        }
        // Some servers give them as JSON, and then whole.
        Some(json) => {
            notes.transcript.call_arguments(at, &json);
        }
        None => {}
    }
}
