//! Where spans go: Middleware, any OTLP endpoint, the console, files; any number, each by its name.
//!
//! Each destination has its own durable consumer and so its own backlog: one that is away holds back
//! neither the others nor the gateway. A [`DestinationSettings`] that exists can be used as it is.

mod check;
mod guard;
mod headers;
mod middleware;
mod otlp;
mod recognizer;
mod settings;
mod tls;
mod when;

pub use check::MAX_DESTINATIONS;
pub(crate) use check::{all, checked, metrics_alone};
pub use guard::{Forbidden, Guard, Guarded, listens_on};
pub(crate) use settings::Context;
pub use settings::{
    BatchSettings, DestinationSettings, FileSettings, Kind, OtlpSettings, RecognizerSettings, RetrySettings,
    TIMEOUT, shown, travels_in_the_clear,
};
pub use tls::ClientTls;
pub use when::When;

#[cfg(test)]
mod tests;
