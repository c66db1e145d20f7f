//! What belongs to the process: its environment, its log and its end.

mod crypto;
pub mod env;
pub mod logging;
pub mod shutdown;

pub use crypto::install_provider;
