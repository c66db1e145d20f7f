//! HTTP as it is served: binding listeners, serving connections, reading bodies.

pub mod body;
pub mod listen;
mod places;
pub mod server;
