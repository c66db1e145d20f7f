//! Metrics of requests to models, counted from the same events as the spans, by the OpenTelemetry GenAI semantic
//! conventions 1.41:
//!
//! | instrument | at `/metrics` | one observation |
//! |---|---|---|
//! | `gen_ai.client.token.usage` | `gen_ai_client_token_usage` | the input, and the output tokens of an operation (`gen_ai.token.type`), as the provider bills them |
//! | `gen_ai.client.operation.duration` | `gen_ai_client_operation_duration_seconds` | an operation, all attempts included; `error.type` where it failed |
//! | `gen_ai.client.operation.time_to_first_chunk` | `gen_ai_client_operation_time_to_first_chunk_seconds` | a streamed response |
//! | `gen_ai.client.operation.time_per_output_chunk` | `gen_ai_client_operation_time_per_output_chunk_seconds` | every chunk after a stream's first, at the mean of that stream |
//!
//! All are histograms with the conventions' buckets, by `gen_ai.operation.name`, `gen_ai.provider.name`,
//! `gen_ai.request.model`, `gen_ai.response.model`, `server.address` and `server.port`. An instrument has at
//! most [`MAX_LABEL_SETS`] label sets; what comes beyond is counted under `otel.metric.overflow`.
//!
//! Labels hold what may be reported without content, and of that `error.type` and `gen_ai.response.model` only values that
//! are known, else `_OTHER`.
//!
//! Counted is what reaches the stream and a provider: not what sampling left out, not requests that the
//! gateway refused, not paths that are passed through. One durable consumer feeds the metrics, shared by all
//! exporters that ship: each event is counted by one of them, so sums over all are right. It starts at the
//! events that are new when it is made. Delivery is at least once: an event that comes again to the exporter
//! that counted it is known and left out as long as it is among the last [`RECENT`]; one that an exporter
//! counted but could not acknowledge before its end is counted once more by another. The stream keeps nothing
//! for it: an event that every destination has, and that is older than `stream.keep`, is gone, counted or not. A
//! dead letter that is replayed was counted when it came first.
//!
//! The same counts go to `/metrics` and by OTLP to the destinations ([`push`]).
//!
//! `opentelemetry_sdk` does not fit: readers are fixed when its provider is built, and destinations come and go; a
//! delta is cleared by collecting it, delivered or not; a value that occurred n times is recorded n times.

pub mod aggregate;
mod bounded;
mod consume;
mod counts;
pub mod instrument;
pub mod labels;
pub mod observe;
pub mod otlp;
mod prometheus;
pub mod push;
pub(crate) mod recent;
pub mod settings;

pub use aggregate::MAX_LABEL_SETS;
pub use consume::{Counting, consumer};
pub use counts::{Counted, GenAi};
pub use push::Pushes;
pub use recent::RECENT;
pub use settings::PushSettings;
