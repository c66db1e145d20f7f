//! What each command does. What it makes goes to standard output, and what an operator should know beside it to
//! standard error.

mod check;
mod drain;
mod envoy;
mod make;
mod mesh;

pub(crate) use check::check;
pub(crate) use drain::drain;
pub(crate) use envoy::render;
pub(crate) use make::{bus, image, import, key};
pub(crate) use mesh::{envoy_gateway, istio, plugin};
