//! What was said in one request and its response.

use serde_json::Value;

use super::part::{Message, Part};

/// A conversation as one request held it and one response went on with it.
#[derive(Clone, Debug, Default, PartialEq)]
pub(in crate::spans) struct Conversation {
    /// The system prompt, apart from the messages.
    pub system: Vec<Part>,
    pub input: Vec<Message>,
    /// One for each choice.
    pub output: Vec<Message>,
    /// Definitions of tools.
    pub tools: Vec<Value>,
}
