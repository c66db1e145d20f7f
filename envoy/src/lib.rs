//! From one gateway.yaml to everything that Envoy needs to run Weir.
//!
//! [`Gateway::parse`] reads and checks the file, [`envoy::bootstrap`] renders it, [`schema`] is its
//! JSON schema, and [`NewKey`] makes a key for a caller.

mod access_log;
pub mod bus;
pub mod envoy;
mod gateway;
pub mod image;
mod jwt;
mod new_key;
mod provider;
mod schema;

pub use access_log::AccessLog;
pub use gateway::{EXPORTER_CLUSTER, Error, Exporter, Gateway};
pub use jwt::{Jwks, Jwt};
pub use new_key::{NewKey, NewKeyError};
pub use provider::{Provider, Secret, Tls};
pub use schema::schema;
