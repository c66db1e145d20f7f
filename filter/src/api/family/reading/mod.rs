//! Where the families put what they read of a response, and how they read what they share.

pub mod end;
pub mod error;
pub mod notes;
pub mod usage;
