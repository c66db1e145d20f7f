//! From one gateway.yaml to everything that Envoy needs to run Weir.
//!
//! [`Gateway::parse`] reads and checks the file; [`envoy`] renders it for Envoy and [`istio`] for
//! Istio, [`envoy_gateway`] for Envoy Gateway; [`import`] makes one from the configuration of another gateway; [`drain`] empties a running
//! Envoy; [`schema`] is the file's JSON schema, [`settings`] the same for people, and [`NewKey`]
//! makes a key for a caller.

mod access_log;
mod admin;
pub mod bus;
pub mod drain;
pub mod envoy;
pub mod envoy_gateway;
mod gateway;
pub mod image;
pub mod import;
pub mod istio;
mod jwt;
mod new_key;
mod observe;
mod place;
mod provider;
mod schema;
mod settings;
mod yaml;

pub use access_log::AccessLog;
pub use admin::{Admin, AdminError};
pub use gateway::{EXPORTER_CLUSTER, Error, Exporter, Gateway, ListenTls};
pub use jwt::{Jwks, Jwt};
pub use new_key::{NewKey, NewKeyError};
pub use place::Place;
pub use provider::{Provider, Secret, Tls};
pub use schema::schema;
pub use settings::settings;
