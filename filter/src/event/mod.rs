//! The trace event of a request: what is known while it is under way, what it becomes, and its way to the exporter.

pub mod capture_policy;
pub mod content;
pub mod ending;
pub mod exchange;
pub mod outbox;
pub mod record;
pub mod resource;
pub mod unfinished;
pub mod vm;
