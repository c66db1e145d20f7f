//! A gateway in each form that a proxy or a mesh takes it in.

pub mod envoy;
pub mod envoy_gateway;
pub mod istio;
mod manifest;
