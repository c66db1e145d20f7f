//! One real request, end to end: callers get what the provider said, traces arrive at an OTLP
//! endpoint, and neither bad input nor an outage gets in between.

#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic, reason = "tests fail by panicking")]

#[path = "first_request/bad_input.rs"]
mod bad_input;
#[path = "first_request/outages.rs"]
mod outages;
#[path = "first_request/package.rs"]
mod package;
#[path = "first_request/rewriting.rs"]
mod rewriting;
#[path = "first_request/run.rs"]
mod run;
#[path = "first_request/secrets.rs"]
mod secrets;
#[path = "first_request/streams.rs"]
mod streams;
#[path = "first_request/traces.rs"]
mod traces;
