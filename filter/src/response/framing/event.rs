//! One message of a stream, framed and parsed once for everybody who reads or rewrites it.

use crate::json::scan::Object;

/// The data of the last event of OpenAI's streams, and as some servers write it, as a JSON string.
const DONE: [&[u8]; 2] = [b"[DONE]", b"\"[DONE]\""];

/// What the data of an event is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Data {
    /// Nothing: it keeps the connection open.
    #[default]
    Nothing,
    /// The end of OpenAI's streams.
    Done,
    /// A message, which should be JSON.
    Message,
}

impl Data {
    /// Classifies data without white space around it.
    fn of(data: &[u8]) -> Self {
        match data {
            b"" | b"null" => Self::Nothing,
            data if DONE.contains(&data) => Self::Done,
            _ => Self::Message,
        }
    }
}

/// An event's fields beside its data; nothing for an element of an array.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// It has a name.
    pub is_named: bool,
    /// Its name is `error`.
    pub is_error: bool,
    /// Its data stands in llama.cpp's `error` field.
    pub in_error_field: bool,
}

/// A message of a stream: a server-sent event, an element of an array, or an object that stands bare.
#[derive(Debug, Default)]
pub struct Event<'e> {
    /// Its bytes in the stream, with the empty line that ends it.
    pub bytes: &'e [u8],
    /// Its data, without white space around it.
    pub data: &'e [u8],
    /// Where the data stands in `bytes`; `None` where it stands there in several pieces.
    pub data_at: Option<usize>,
    /// What the data is.
    pub kind: Data,
    /// The data parsed; `None` where it is no JSON object.
    pub object: Option<Object<'e>>,
    /// Its fields.
    pub fields: Fields,
    /// It is an object without a field name or an array around it.
    pub is_bare: bool,
    /// Only the end of the stream ended it, or nothing may follow it.
    pub is_last: bool,
}

impl<'e> Event<'e> {
    /// The event with this data and nothing else.
    pub fn of(data: &'e [u8]) -> Self {
        let data = data.trim_ascii();
        let kind = Data::of(data);
        let object = if kind == Data::Message { Object::parse(data).ok() } else { None };
        Self { bytes: data, data, data_at: Some(0), kind, object, ..Self::default() }
    }

    /// Whether it counts: one that the stream ends in must be whole.
    pub fn is_whole(&self) -> bool {
        !self.is_last || self.is_bare || self.kind == Data::Done || self.object.is_some()
    }

    /// The error that an event is which is named one and says so nowhere else, as OpenAI writes it.
    pub fn as_error(&self) -> Option<String> {
        let has_data = self.data_at.is_some() || !self.data.is_empty();
        if !self.fields.is_error || !has_data {
            return None;
        }
        let text = std::str::from_utf8(self.data).ok()?;
        let error = match &self.object {
            Some(object) if object.get("error").is_some() || object.text("type") == "error" => return None,
            Some(_) => text.to_owned(),
            None if serde_json::from_str::<String>(text).is_ok() => text.to_owned(),
            None => serde_json::Value::from(text).to_string(),
        };
        Some(format!("{{\"type\":\"error\",\"error\":{error}}}"))
    }
}

/// A part of a stream. All parts together are its bytes, in order.
#[derive(Debug)]
pub enum Part<'p> {
    /// A message.
    Event(&'p Event<'p>),
    /// A piece of a message that is too large to be held.
    Piece(&'p [u8]),
    /// That message, made short to be read: its bytes are in its pieces.
    Short(&'p Event<'p>),
    /// White space, the opening bracket, or a comma.
    Between(&'p [u8]),
    /// The closing bracket.
    Close(&'p [u8]),
    /// What cannot stand in an array of messages.
    Odd(&'p [u8]),
}
