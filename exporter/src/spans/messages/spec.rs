//! What an API is like, for everything that differs by API: each family has one of these for each of its APIs.

use serde_json::Value;

use super::{
    conversation::Conversation,
    part::{Message, Part},
    value::Object,
};

/// OpenInference's kind of a span that is a link between others.
pub(in crate::spans) const CHAIN: &str = "CHAIN";

/// An API.
#[derive(Debug)]
pub(in crate::spans) struct ApiSpec {
    /// Whose API it is, by OpenInference's `llm.system`; empty where it is unknown.
    pub(in crate::spans) family: &'static str,
    /// `gen_ai.operation.name`, where the event has none.
    pub(in crate::spans) operation: &'static str,
    /// `gen_ai.output.type`, where the API has one only; else empty.
    pub(in crate::spans) output_type: &'static str,
    /// `openai.api.type`; empty where it has none.
    pub(in crate::spans) openai_type: &'static str,
    /// OpenInference's kind of the operation's span.
    pub(in crate::spans) openinference: &'static str,
    /// TrueFoundry's type of request; empty where its documentation has no word for it.
    pub(in crate::spans) tfy: &'static str,
    /// Whether a model responds in a conversation, and may do so in pieces.
    pub(in crate::spans) is_chat: bool,
    /// Whether responses never say why they ended.
    pub(in crate::spans) is_without_reasons: bool,
    /// Reads a request.
    pub(in crate::spans) request: fn(Object) -> Conversation,
    /// Reads a response; vectors, sound and counts are no messages.
    pub(in crate::spans) response: fn(Object) -> Vec<Message>,
    /// Reads a part of a stream that the event holds as the API writes it, by its type.
    pub(in crate::spans) part: fn(&str, Value) -> Vec<Part>,
}
