//! Reads a provider's response while it passes, and changes what the caller receives.

pub mod body;
pub mod framing;
pub mod headers;
pub mod outgoing;
pub mod parser;
pub mod reader;
pub mod redact;
pub mod retry_after;
mod rewriting;
