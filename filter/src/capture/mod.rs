//! What of a request's content goes into its event, within which budget, and which events are sent.

pub mod budget;
pub mod sampling;
pub mod transcript;
