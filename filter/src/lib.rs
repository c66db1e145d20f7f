//! Weir's filter: an AI gateway inside Envoy.
//!
//! The logic is plain Rust: bytes come in, decisions go out; clock, randomness and the proxy come in as
//! arguments, behind the [`host::Host`] trait. Only `envoy` knows proxy-wasm.
//!
//! A request's way: [`roles::gateway`] takes it in, [`auth`] finds out who asks, [`request`] reads the body,
//! [`routing`] decides where it goes, in the order that [`balancing`] gives, and what follows each attempt
//! ([`roles::attempt`]). [`response`] reads what comes back, as its family of APIs writes it ([`api`]), and
//! redacts what the caller receives. [`capture`] holds the content that may be traced, [`event`] builds the
//! trace event and carries it away. Where nothing is routed, [`roles::observer`] stands in the gateway's place.

pub mod api;
pub mod auth;
pub mod balancing;
pub mod capture;
pub mod config;
#[cfg(all(target_arch = "wasm32", feature = "proxy-wasm"))]
mod envoy;
pub mod event;
pub mod headers;
pub mod host;
pub mod json;
pub mod random;
pub mod redact;
pub mod redaction;
pub mod refusal;
pub mod request;
pub mod response;
pub mod roles;
pub mod routing;
pub mod trace_context;
