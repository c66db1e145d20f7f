//! The harness: Weir on a real Envoy, a real nats-server and the real exporter, between a fake
//! provider and a fake OTLP endpoint, everything on loopback and on free ports.
//!
//! A test starts a [`stack::Stack`] and drops it; nothing outlives the test. Waiting is always for
//! a condition with a generous deadline ([`wait`]), never for a time. Modules that only tests use
//! say what is wrong by panicking; those that `weir-run` uses too ([`tools`], [`ports`],
//! [`process`], [`nats`], [`exporter`], [`envoy`], [`run`]) return errors.

pub mod backend;
pub mod bench;
pub mod browser;
pub mod canary;
pub mod chaos;
pub mod client;
pub mod clock;
pub mod component;
pub mod envoy;
pub mod exporter;
pub mod fixtures;
pub mod load;
pub mod metrics;
pub mod nats;
pub mod otlp;
pub mod ports;
pub mod probe;
pub mod process;
pub mod provider;
pub mod python;
pub mod run;
pub mod server;
pub mod soak;
pub mod source;
pub mod spans;
pub mod stack;
pub mod tls;
pub mod tmpfs;
pub mod tools;
pub mod wait;
