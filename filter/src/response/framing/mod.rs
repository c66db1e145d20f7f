//! Streams on their way to the caller: how they are cut into messages, however the bytes come, and
//! what is taken out of them. What is held between two pieces is bounded.

pub mod cut;
pub mod elements;
pub mod framer;
pub mod opening;
pub mod sse;
