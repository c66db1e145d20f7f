//! Reading a provider's response while it passes, and changing what the caller receives.

pub mod framing;
pub mod headers;
pub mod parser;
pub mod reader;
pub mod redact;
pub mod retry_after;
mod rewriting;
pub mod strip_usage;
