//! What the filter does in each place of Envoy's chain: gateway, attempt, observer.

pub mod attempt;
pub mod caller;
pub mod gateway;
mod gateway_response;
pub mod hold;
mod long_search;
pub mod observer;
pub mod role;
mod session;
pub mod turns;

pub use crate::roles::role::Role;
