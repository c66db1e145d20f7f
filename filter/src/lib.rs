//! Weir's filter: an AI gateway inside Envoy.
//!
//! The logic is plain Rust: bytes come in, decisions go out; clock, randomness and the proxy come
//! in as arguments, behind the [`host::Host`] trait. Only `host/envoy.rs` knows proxy-wasm.
//!
//! A request's way: [`gateway`] takes it in, [`caller`] and [`access`] find out who asks,
//! [`request`], [`form`] and [`parameters`] read the body, [`decision`] chooses by [`strategy`] where
//! it goes, [`plan`] says what follows each [`attempt`] and its [`pause`], [`splice`] rewrites for one target.
//! [`response`] watches what comes back: [`stream`] cuts it into messages and takes out what the
//! caller did not ask for, [`answer`] reads them by API. [`exchange`] is what all of these
//! share, [`returning`] rewrites what callers receive, [`content`] is what was said, [`sampling`] decides, and [`outbox`] carries the finished event
//! away. Where nothing is routed, [`observer`] stands in the gateway's place. [`resource`] says which Envoy it was.

pub mod access;
pub mod answer;
pub mod api;
pub mod attempt;
pub mod caller;
pub mod config;
pub mod content;
pub mod decision;
pub mod duration;
pub mod endpoint;
pub mod exchange;
pub mod form;
pub mod gateway;
pub mod headers;
pub mod host;
pub mod json;
pub mod models;
pub mod observer;
pub mod outbox;
pub mod parameters;
pub mod pause;
pub mod plan;
pub mod policy;
pub mod random;
pub mod record;
pub mod redact;
pub mod redaction;
pub mod refusal;
pub mod request;
pub mod resource;
pub mod response;
pub mod returning;
pub mod sampling;
pub mod splice;
pub mod strategy;
pub mod stream;
pub mod trace_context;
pub mod vm;
