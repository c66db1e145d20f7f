//! Weir's filter: an AI gateway inside Envoy.
//!
//! The logic is plain Rust: bytes come in, decisions go out; clock, randomness and the proxy come
//! in as arguments, behind the [`host::Host`] trait. Only `host/envoy.rs` knows proxy-wasm.
//!
//! A request's way: [`gateway`] takes it in, [`caller`] and [`access`] find out who asks,
//! [`request`] reads the body, [`decision`] chooses by [`strategy`] where it goes, [`plan`] says
//! what follows each [`attempt`], [`splice`] rewrites for one target, [`response`] watches what
//! comes back, [`exchange`] is what they share, and [`outbox`] carries the finished event away.

pub mod access;
pub mod api;
pub mod attempt;
pub mod caller;
pub mod config;
pub mod decision;
pub mod duration;
pub mod endpoint;
pub mod exchange;
pub mod gateway;
pub mod headers;
pub mod host;
pub mod json;
pub mod models;
pub mod openai;
pub mod outbox;
pub mod plan;
pub mod random;
pub mod record;
pub mod redact;
pub mod refusal;
pub mod request;
pub mod response;
pub mod splice;
pub mod sse;
pub mod strategy;
pub mod trace_context;
pub mod vm;
