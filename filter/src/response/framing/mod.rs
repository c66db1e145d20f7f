//! Streams on their way to the caller, cut into messages: each is framed once and parsed once, for all who
//! read or rewrite it, however the bytes come. What is held between two pieces is bounded.

pub(crate) mod elements;
pub mod event;
pub mod form;
pub mod framer;
pub mod opening;
pub mod sse;
pub(crate) mod strip_usage;
#[cfg(test)]
mod tests;
