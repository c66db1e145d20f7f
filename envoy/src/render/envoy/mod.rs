//! Renders a gateway for Envoy: a whole bootstrap, the parts to paste into one's own, or files that
//! a running Envoy reads anew.
//!
//! Every peculiarity here has its reason beside it; the facts were measured on Envoy 1.40.
//! The output is deterministic: the same gateway gives the same bytes.

pub(super) mod access_log;
mod bootstrap;
mod cluster;
mod connection;
mod fragment;
mod hot;
mod jwt;
mod listener;
mod parts;
pub(super) mod routes;
mod secrets;
mod tunnel;
mod version;
mod wasm;

pub use bootstrap::{Rendered, bootstrap};
pub use fragment::fragment;
pub use hot::{Hot, KEEP_RETIRED, Publish, hot};
pub use parts::Options;
pub use version::{Version, VersionError};
pub use wasm::plugin_json;

pub(super) use cluster::{CIRCUIT_BREAKER_MAX, SYSTEM_CAS, http_options};
pub(super) use connection::{READ_LIMIT, buffer_limit};
pub(super) use parts::{BEARER, exporter_cluster};
pub(super) use secrets::credential_injector;
pub(super) use wasm::{plugin_name, wasm_config};

#[cfg(test)]
mod tests;
