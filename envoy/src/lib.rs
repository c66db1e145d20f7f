//! From one gateway.yaml to everything that Envoy needs to run Weir.
//!
//! [`Gateway::parse`] reads and checks the file; [`envoy`] renders it for Envoy and [`istio`] for
//! Istio, [`envoy_gateway`] for Envoy Gateway; [`import`] makes one from the configuration of another gateway; [`drain`] empties a running
//! Envoy; [`schema`] is the file's JSON schema, [`settings`] the same for people, and [`NewKey`]
//! makes a key for a caller.

mod admin;
pub mod bus;
pub mod drain;
mod gateway;
pub mod image;
pub mod import;
mod new_key;
mod render;
mod yaml;

pub use admin::{Admin, AdminError};
pub use gateway::{
    AccessLog, EXPORTER_CLUSTER, Error, Exporter, Gateway, Jwks, Jwt, ListenTls, Provider, Secret, Tls,
};
pub use new_key::{NewKey, NewKeyError};
pub use render::{envoy, envoy_gateway, istio};
pub use weir_settings::Place;

/// What the reference of the settings begins with.
const HEAD: &str = "# Settings of gateway.yaml

Made from the types that read the file (`make generate`); `weir-config schema` prints the same as a JSON schema,
for editors. A field that is not listed is refused. A file with every section is
[`envoy/examples/gateway.yaml`](../envoy/examples/gateway.yaml).
";

/// The schema of gateway.yaml (JSON Schema 2020-12) as indented JSON.
pub fn schema() -> String {
    weir_settings::schema::schema::<Gateway>("gateway.yaml")
}

/// The reference of all settings of gateway.yaml, as Markdown.
pub fn settings() -> String {
    weir_settings::table::reference(&serde_json::from_str(&schema()).unwrap_or_default(), HEAD)
}
