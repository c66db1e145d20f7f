//! HTTP as it is served: binding listeners, serving connections, reading bodies, describing JSON.

pub mod body;
pub mod listen;
mod places;
pub mod schema;
pub mod server;
