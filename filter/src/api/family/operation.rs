//! What is known of an operation before it is called, and how its responses are written.

use weir_event::v1;

use crate::api::family::error_details::ErrorDetails;
use crate::api::family::reading::notes::Notes;
use crate::api::family::texts::{Finder, Text};
use crate::json::scan::Object;

/// An operation of a provider's API.
#[derive(Debug)]
pub struct Operation {
    /// The API as events name it.
    pub event: v1::Api,
    /// The `gen_ai.operation.name` (OpenTelemetry GenAI conventions v1.41): a well-known value where one applies.
    pub name: &'static str,
    /// Whether a response in one piece is always a JSON object that holds what a model says, and may come as a stream
    /// instead.
    pub may_stream: bool,
    /// Whether the response is a stream, where the path says so; `None` where the body does.
    pub streams: Option<bool>,
    /// Whether its streams end with an explicit last event.
    pub says_end: bool,
    /// Whether its response is JSON, or events of it, whatever was asked for.
    pub responds_in_json: bool,
    /// What of a caller's query goes on, its question mark included; nothing else does.
    pub query: &'static str,
    /// Whether a body must have a list `messages`.
    pub needs_messages: bool,
    /// Whether the usage of a stream has to be asked for (`stream_options.include_usage`).
    pub asks_for_usage: bool,
    /// Where a body holds whole requests, which name a model of their own.
    pub nested: &'static [&'static str],
    /// Reads the parameters of a form, where the body is one (multipart/form-data) and not JSON.
    pub(crate) form: Option<FormParameters>,
    /// How its responses are written, where not as the others of its family.
    pub(crate) dialect: Option<&'static Dialect>,
}

/// Reads the parameters of a form, whose fields it asks for by name.
pub type FormParameters = for<'f> fn(&dyn Fn(&'static str) -> Option<&'f str>) -> v1::Parameters;

impl Operation {
    /// An operation of this name that is JSON in one piece both ways.
    pub const fn new(event: v1::Api, name: &'static str) -> Self {
        Self {
            event,
            name,
            may_stream: false,
            streams: None,
            says_end: false,
            responds_in_json: true,
            query: "",
            needs_messages: false,
            asks_for_usage: false,
            nested: &[],
            form: None,
            dialect: None,
        }
    }

    /// Whether responses are text that a model writes.
    pub fn generates_text(&self) -> bool {
        matches!(self.name, "chat" | "text_completion" | "generate_content")
    }

    /// Whether responses are a count of tokens, and nothing that was used.
    pub fn counts_tokens(&self) -> bool {
        self.name == "count_tokens"
    }
}

/// What is passed through: nothing is known of it.
pub static PASSTHROUGH: Operation =
    Operation { responds_in_json: false, ..Operation::new(v1::Api::Passthrough, "") };

/// How responses are written, whole and as a stream.
#[derive(Debug)]
pub struct Dialect {
    /// Reads a response in one piece.
    pub(crate) read: fn(&Object<'_>, &mut Notes<'_>),
    /// Reads the data of one event. Returns whether it brought a token.
    pub(crate) read_event: fn(&Object<'_>, &mut Notes<'_>) -> bool,
    /// Finds the texts in the data of one event, and which end with it.
    pub(crate) find_texts: fn(&Object<'_>, &mut Finder<'_>),
    /// Writes the data of an event that brings more of a text.
    pub(crate) write_text: fn(&Text, &Continuation<'_>) -> String,
    /// The members of an event that identify its response, as they are written.
    pub(crate) identity: fn(&Object<'_>) -> String,
    /// Whether every event has an identity of its own, so that the last one counts.
    pub(crate) has_identity_per_event: bool,
    /// The event of the error that ends a stream.
    pub(crate) error_event: ErrorEvent,
    /// The data that ends a stream behind its last event, where the API has such.
    pub(crate) done: Option<&'static str>,
}

/// The event of an error within a stream.
#[derive(Debug)]
pub enum ErrorEvent {
    /// The error as a response of its own would be, in an event of this name, where the API names events.
    Body(Option<&'static str>),
    /// An event of another form. Takes the number of the last event, where events have one, and gives the name and the
    /// data.
    Own(fn(&ErrorDetails<'_>, Option<u64>) -> (Option<&'static str>, String)),
}

/// How a text goes on, in an event of its own.
#[derive(Debug)]
pub struct Continuation<'c> {
    /// What identifies its response ([`Dialect::identity`]).
    pub identity: &'c str,
    /// More of the text, as a string of JSON.
    pub json: &'c str,
    /// The event's number, where events have one.
    pub sequence: Option<u64>,
}
