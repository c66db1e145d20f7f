//! TrueFoundry's files: virtual models become a gateway.yaml, an OTEL Config becomes an exporter.yaml.

pub(super) mod otel_config;
pub(super) mod virtual_model;
