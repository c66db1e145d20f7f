//! What belongs to the process: its environment, its log and its end.

pub mod env;
pub mod logging;
pub mod shutdown;
