//! The harness: Weir on a real Envoy, a real nats-server and the real exporter, between a fake
//! provider and a fake OTLP endpoint, everything on loopback and on free ports.
//!
//! A test starts a [`stack::Stack`] and drops it; nothing outlives the test. Waiting is always for
//! a condition with a generous deadline ([`system::wait`]), never for a time. Modules that only tests
//! use panic when something is wrong; those that `weir-run` uses too ([`system`], [`run`], the
//! components in [`stack`]) return errors.

pub mod bench;
pub mod callers;
pub mod chaos;
pub mod fakes;
pub mod load;
pub mod measure;
pub mod run;
pub mod soak;
pub mod stack;
pub mod system;
pub mod telemetry;
