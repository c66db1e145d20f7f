//! OTLP: posts bodies over HTTP or gRPC and reads the response (OpenTelemetry Protocol specification 1.x).
//!
//! A response is one of four: accepted, a transient failure, a setting that someone must change, or a body
//! that will never be accepted. Bodies of responses are read up to a cap and never logged: they may repeat what was
//! sent. A redirect is never followed.

mod classify;
mod compress;
mod error;
mod grpc;
mod http;
mod limits;
mod outcome;
mod sender;
mod words;

pub use classify::{MAX_RETRY_AFTER, Verdict, classify, retry_after};
pub(crate) use compress::gzip;
pub use compress::{EncodeError, compress};
pub use error::OtlpError;
pub use outcome::{Heard, Outcome, Signal};
pub use sender::OtlpSender;
pub use words::advice;

#[cfg(test)]
mod tests;
