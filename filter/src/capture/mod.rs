//! Content captured for events, its budget, and the sampling of events.

pub mod budget;
pub mod calls;
pub mod sampling;
pub mod transcript;
