//! What a family of APIs is described with. A family is constants and functions, so asking one costs a call through a
//! pointer and allocates nothing.

pub mod error_details;
pub mod feature;
pub mod operation;
pub mod parameters;
pub mod places;
pub mod provider;
pub mod reading;
pub mod texts;

use std::fmt;

use weir_event::v1;

use crate::api::family::error_details::ErrorDetails;
use crate::api::family::operation::{Dialect, ErrorEvent, Operation, PASSTHROUGH};
use crate::api::family::parameters::Members;
use crate::api::family::places::Place;
use crate::api::family::provider::Provider;
use crate::api::family::reading::usage::terms::Terms;
use crate::api::family::texts::{Finder, Pieces};
use crate::headers::name;
use crate::json::scan::Object;
use crate::redact::Fields;

/// A family: whose API it is, and all that follows from that.
pub struct Family {
    /// Its name, for tests and for people.
    pub name: &'static str,
    /// Every path that is served, by its `http.route`. A parameter is one whole name of a model.
    pub(crate) routes: &'static [(&'static str, Api)],
    /// Whether a path seems to be one of the family's, served or not.
    pub(crate) claims: fn(&str) -> bool,
    /// The kinds of providers that speak it. The first whose `route_prefix` fits is meant by a call alone.
    pub(crate) providers: &'static [&'static Provider],
    /// What precedes a model's name in a body.
    pub(crate) model_prefix: &'static str,
    /// The caller's headers that go on to a provider, beside those of every call.
    pub(crate) request_headers: &'static [&'static str],
    /// How the names of the provider's own response headers begin; they reach the caller.
    pub(crate) response_headers: &'static [&'static str],
    /// The fields of a request that carry no content.
    pub request_fields: Fields,
    /// Those of responses, and of the events of a stream.
    pub response_fields: Fields,
    /// Reads the parameters of a JSON body.
    pub(crate) parameters: fn(&Members<'_>) -> v1::Parameters,
    /// Where a body can refer to what is stored at the provider.
    pub(crate) places: &'static [&'static [Place]],
    /// How responses are written, unless the operation says otherwise.
    pub(crate) dialect: Dialect,
    /// Whether a stream may come as the elements of one JSON array.
    pub(crate) streams_arrays: bool,
    /// Brings reported usage to the terms that all APIs share.
    pub(crate) usage: Terms,
    /// Writes the body of an error.
    pub(crate) error: fn(&ErrorDetails<'_>) -> String,
    /// Whether the body of an error may say how long to wait.
    pub(crate) says_pause_in_body: bool,
}

/// An operation of a family's API.
#[derive(Clone, Copy)]
pub struct Api {
    pub(crate) family: &'static Family,
    /// Which of its operations.
    pub operation: &'static Operation,
}

impl Api {
    /// What is passed through by grant without being understood.
    pub const fn passthrough(family: &'static Family) -> Self {
        Self { family, operation: &PASSTHROUGH }
    }

    /// Whose API it is.
    pub fn family(self) -> &'static Family {
        self.family
    }

    /// How its responses are written.
    pub fn dialect(self) -> &'static Dialect {
        self.operation.dialect.unwrap_or(&self.family.dialect)
    }

    /// Reads the parameters of a JSON body.
    pub fn parameters(self, body: &Object<'_>) -> v1::Parameters {
        (self.family.parameters)(&Members(body))
    }

    /// Reads the parameters of a form, whose fields `text` gives by name.
    pub fn form_parameters<'f>(self, text: &dyn Fn(&'static str) -> Option<&'f str>) -> v1::Parameters {
        self.operation.form.map(|read| read(text)).unwrap_or_default()
    }

    /// Writes the error that ends a stream: the event's name, where the API names events, and its data. `last` is the
    /// number of the last event, where events have one.
    pub fn error_event(self, error: &ErrorDetails<'_>, last: Option<u64>) -> (Option<&'static str>, String) {
        match self.dialect().error_event {
            ErrorEvent::Body(name) => (name, (self.family.error)(error)),
            ErrorEvent::Own(write) => write(error, last),
        }
    }

    /// Finds the texts in the data of an event, whose members are those of `object`, and which end with it.
    pub fn find_texts(self, event: &str, object: &Object<'_>) -> Pieces {
        let mut finder = Finder::new(event, object);
        (self.dialect().find_texts)(object, &mut finder);
        finder.finish()
    }

    /// Whether it is passed through without being understood.
    pub fn is_passthrough(self) -> bool {
        self.operation.event == PASSTHROUGH.event
    }

    /// The caller's headers that go on to a provider; no other one does.
    pub fn forwarded_headers(self) -> impl Iterator<Item = &'static str> {
        // A body that nobody reads is described by its sender.
        let of_body: &[&str] =
            if self.is_passthrough() { &[name::CONTENT_LENGTH, name::CONTENT_ENCODING] } else { &[] };
        let every = [name::CONTENT_TYPE, name::ACCEPT, name::USER_AGENT];
        every.into_iter().chain(self.family.request_headers.iter().copied()).chain(of_body.iter().copied())
    }
}

impl PartialEq for Api {
    fn eq(&self, other: &Self) -> bool {
        self.family == other.family && self.operation.event == other.operation.event
    }
}

impl Eq for Api {}

impl fmt::Debug for Api {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} of {:?}", self.operation.event, self.family)
    }
}

impl PartialEq for Family {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self, other)
    }
}

impl Eq for Family {}

impl fmt::Debug for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}
